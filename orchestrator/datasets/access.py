"""What the evaluation of datasets needs of storage. Implementations: `local`, and the client's over signed URLs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from orchestrator.core.dataset import SqlQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A stored file. `datastore` None: `path` is a URL. Size in bytes, `modified` in epoch seconds, where known; so is
    the etag, which changes with each write, and a checksum, which changes with the content.
    """

    datastore: str | None
    path: str
    size: int | None = None
    modified: float | None = None
    etag: str = ""
    checksum: str = ""


class Access(Protocol):
    """Reaches the files of datastores and the web. Thread-safe. All methods raise MillstreamError."""

    def find(self, datastore: str, paths: Sequence[str]) -> Sequence[Blob | None]:
        """For each path the file that is exactly there, or None."""
        ...

    def list(self, datastore: str, prefix: str) -> Iterator[Blob]:
        """Every file whose path begins with `prefix`, by path, lazily."""
        ...

    def open(self, blob: Blob) -> BinaryIO:
        """The file's bytes; it can seek, and reads little more than it is asked for. Raises FileMissing."""
        ...

    def query(self, source: SqlQuery) -> Iterator[Any]:
        """Tables of Arrow with the rows of a query, lazily, at least one. Raises as `orchestrator.datasets.sql`."""
        ...

    def bring(self, wishes: Sequence[tuple[Blob, Path]]) -> None:
        """Copy files to these paths, each whole or not at all, and make their folders. Raises FileMissing."""
        ...

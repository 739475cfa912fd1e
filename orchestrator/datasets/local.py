"""Access to datastores that lie in local folders: what a step was brought, or a folder of tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from orchestrator.core.dataset import SqlQuery
from orchestrator.core.names import PATH
from orchestrator.datasets.access import Blob
from orchestrator.datasets.errors import FileMissing
from orchestrator.datasets.web import open_web


class LocalAccess:
    """`roots`: the folder of each datastore, in which files lie under their paths. `web` opens URLs."""

    def __init__(self, roots: Mapping[str, Path], web: Callable[[str], BinaryIO] = open_web) -> None:
        self._roots = roots
        self._web = web

    def find(self, datastore: str, paths: Sequence[str]) -> Sequence[Blob | None]:
        root = self._root(datastore)
        return [_blob(datastore, path, root / path) if path and (root / path).is_file() else None for path in paths]

    def list(self, datastore: str, prefix: str) -> Iterator[Blob]:
        root = self._root(datastore)
        for path in _walk(root, prefix.rpartition("/")[0]):
            if path.startswith(prefix):
                yield _blob(datastore, path, root / path)

    def open(self, blob: Blob) -> BinaryIO:
        if blob.datastore is None:
            return self._web(blob.path)
        try:
            return (self._root(blob.datastore) / PATH.check(blob.path, "path")).open("rb")
        except FileNotFoundError:
            raise FileMissing(f"There is no file {blob.path!r} in {blob.datastore!r}.", field="path") from None

    def query(self, source: SqlQuery) -> Iterator[Any]:
        raise FileMissing(f"The database {source.datastore!r} is not queried from here.", field="sources")

    def bring(self, wishes: Sequence[tuple[Blob, Path]]) -> None:
        for blob, target in wishes:
            with self.open(blob) as source:
                write_whole(target, lambda sink, source=source: shutil.copyfileobj(source, sink, 1 << 20))  # type: ignore[misc]

    def _root(self, datastore: str) -> Path:
        try:
            return self._roots[datastore]
        except KeyError:
            raise FileMissing(f"The files of datastore {datastore!r} are not here.", field="path") from None


def write_whole(target: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a file that appears at `target` whole, or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".millstream-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as sink:
            write(sink)
        mask = os.umask(0o077)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _walk(root: Path, folder: str) -> Iterator[str]:
    """The files below a folder in the order of their whole paths, as storage lists them."""
    try:
        entries = list(os.scandir(root / folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in sorted(entries, key=lambda entry: entry.name + ("/" if entry.is_dir() else "")):
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_dir():
            yield from _walk(root, path)
        else:
            yield path


def _blob(datastore: str, path: str, place: Path) -> Blob:
    known = place.stat()
    return Blob(datastore=datastore, path=path, size=known.st_size, modified=known.st_mtime)

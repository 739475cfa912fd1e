"""A datastore in a folder, and documents over it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from orchestrator.core import dataset as ds
from orchestrator.core.dataset_rules import check
from orchestrator.datasets.access import Blob
from orchestrator.datasets.files import Reading, files
from orchestrator.datasets.frames import frame
from orchestrator.datasets.local import LocalAccess
from orchestrator.datasets.ranged import ranged
from orchestrator.datasets.table import table


class Store(LocalAccess):
    """The datastore "store". Counts the bytes that are read of its files, which come in pieces."""

    def __init__(self, root: Path, web: Mapping[str, bytes] | None = None) -> None:
        self.root = root
        self.read = 0
        super().__init__({"store": root, "other": root / "other"}, lambda url: io.BytesIO((web or {})[url]))

    def put(self, files: Mapping[str, str | bytes]) -> Store:
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(text.encode() if isinstance(text, str) else text)
        return self

    def open(self, blob: Blob) -> BinaryIO:
        if blob.datastore is None:
            return super().open(blob)
        with super().open(blob) as file:
            data = file.read()

        def read(start: int, length: int) -> bytes:
            self.read += length
            return data[start : start + length]

        return ranged(len(data), read)

    def paths(self, document: ds.DatasetDocument) -> list[str]:
        with Reading(self) as reading:
            return [leaf.path for leaf in files(check(document), reading)]

    def table(self, document: ds.DatasetDocument, *, strict: bool = False, now: datetime | None = None) -> Any:
        with Reading(self, now=now) as reading:
            return table(check(document), reading, strict=strict)

    def rows(self, document: ds.DatasetDocument) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.table(document).to_pylist()
        return found

    def frame(self, document: ds.DatasetDocument, **options: Any) -> Any:
        return frame(self.table(document), **options)


def files_of(*paths: str, **more: Any) -> ds.DatasetDocument:
    sources = tuple(ds.DatastoreFiles(datastore="store", path=path) for path in paths)
    return msgspec.structs.replace(ds.DatasetDocument(type="file", sources=sources), **more)


def csv_of(*paths: str, form: ds.Format | None = None, **more: Any) -> ds.DatasetDocument:
    return files_of(*paths, type="tabular", format=form or ds.DelimitedFormat(), **more)

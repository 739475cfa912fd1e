"""The files of datasets, reached over the worker's store and the web."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from orchestrator.core.dataset import SqlQuery
from orchestrator.datasets.access import Blob
from orchestrator.datasets.local import write_whole
from orchestrator.datasets.web import open_web
from steps.datastores import Datastores, container_of, database_of
from steps.failures import InputUnusable, StorageFailed
from steps.stop import Stop
from steps.store import BlobMissing, Listed, Store, StoreFailed
from steps.transfer import Fetch, Pool, fetch, fetch_all

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAccess:
    """`orchestrator.datasets.access.Access` for one attempt. `scratch`: a folder for what is read more than once.

    Beside the errors of the port, its methods raise StepFailure and Stopped.
    """

    store: Store
    pool: Pool
    datastores: Datastores
    scratch: Path
    stop: Stop
    web_bytes: int
    _containers: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def find(self, datastore: str, paths: Sequence[str]) -> Sequence[Blob | None]:
        container = self._container(datastore)
        return self.pool.map(lambda path: self._find(datastore, container, path), paths)

    def _find(self, datastore: str, container: str, path: str) -> Blob | None:
        self.stop.check()
        try:
            found = self.store.find(container, path)
        except StoreFailed as error:
            raise StorageFailed(f"{datastore}/{path} could not be looked up: {error}") from error
        return None if found is None else _blob(datastore, found)

    def _container(self, datastore: str) -> str:
        """Looked up once, so that a datastore is the same one for all files of a dataset."""
        if datastore not in self._containers:
            self._containers[datastore] = container_of(self.datastores, datastore)
        return self._containers[datastore]

    def list(self, datastore: str, prefix: str) -> Iterator[Blob]:
        container = self._container(datastore)
        try:
            for found in self.store.list(container, prefix):
                self.stop.check()
                if not found.name.endswith("/"):
                    yield _blob(datastore, found)
        except BlobMissing:
            # A datastore that nobody has written to yet has no container.
            return
        except StoreFailed as error:
            raise StorageFailed(f"{datastore}/{prefix} could not be listed: {error}") from error

    def open(self, blob: Blob) -> BinaryIO:
        if blob.datastore is None:
            return open_web(blob.path)
        self.scratch.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=self.scratch)) / "file"
        fetch(self.store, self._fetch(blob, place), self.stop)
        return place.open("rb")

    def query(self, source: SqlQuery) -> Iterator[Any]:
        from orchestrator.datasets.sql import query

        url = database_of(self.datastores, source.datastore)
        for rows in query(url, source.query, seconds=source.timeout_seconds):
            self.stop.check()
            yield rows

    def bring(self, wishes: Sequence[tuple[Blob, Path]]) -> None:
        stored = [self._fetch(blob, place) for blob, place in wishes if blob.datastore is not None]
        fetch_all(self.pool, self.store, stored, self.stop)
        self.pool.map(lambda wish: self._download(*wish), [wish for wish in wishes if wish[0].datastore is None])
        for blob, place in wishes:
            if blob.modified is not None:
                os.utime(place, (blob.modified, blob.modified))

    def _fetch(self, blob: Blob, place: Path) -> Fetch:
        container = self._container(blob.datastore or "")
        return Fetch(container=container, name=blob.path, target=place)

    def _download(self, blob: Blob, place: Path) -> None:
        """A file of the web, if it is not too large. Raises InputUnusable, FileMissing, Unavailable, Stopped."""

        def write(sink: BinaryIO) -> None:
            left = self.web_bytes
            while chunk := source.read(_CHUNK):
                self.stop.check()
                left -= len(chunk)
                if left < 0:
                    raise InputUnusable(f"{place.name!r} has more than the {self.web_bytes:,} bytes that are taken.")
                sink.write(chunk)

        with open_web(blob.path) as source:
            write_whole(place, write)

    def forget(self) -> None:
        """Remove what was kept."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.scratch)


def _blob(datastore: str, found: Listed) -> Blob:
    return Blob(
        datastore=datastore,
        path=found.name,
        size=found.size,
        modified=found.modified,
        etag=found.etag,
        checksum=found.checksum,
    )

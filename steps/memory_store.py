"""The worker's storage in memory: for trying things out, and for tests. Same contract as `steps.azure_store`."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

from steps.store import BlobExists, BlobMissing, Listed, Mark, Origin, Replaced, StoreFailed


class MemoryStore:
    """`steps.store.Store`; `blobs` by container, then name. Only the containers given at the start exist."""

    def __init__(self, *containers: str) -> None:
        self._lock = threading.Lock()
        self.blobs: dict[str, dict[str, bytes]] = {container: {} for container in containers}
        self._owners: dict[tuple[str, str], str] = {}
        self._sources: dict[tuple[str, str], tuple[str, str]] = {}

    def put(self, container: str, name: str, data: bytes, *, content_type: str = "application/octet-stream") -> None:  # noqa: ARG002 - nothing here is served to a browser
        with self._lock:
            self._container(container)[name] = bytes(data)

    def append(self, container: str, name: str, data: bytes, offset: int) -> None:
        with self._lock:
            blobs = self._container(container)
            present = blobs.get(name, b"") if offset else b""
            if len(present) == offset + len(data):
                return
            if len(present) != offset:
                raise StoreFailed(f"{container}/{name} has {len(present)} bytes, not {offset}")
            blobs[name] = present + data

    def upload(self, container: str, name: str, source: BinaryIO) -> None:
        self.put(container, name, source.read())

    def download(self, container: str, name: str, sink: BinaryIO) -> Listed:
        with self._lock:
            data = self._container(container).get(name)
        if data is None:
            raise BlobMissing(f"{container}/{name}")
        sink.write(data)
        return _listed(name, data)

    def find(self, container: str, name: str) -> Listed | None:
        with self._lock:
            data = self.blobs.get(container, {}).get(name)
        return None if data is None else self._marked(container, _listed(name, data))

    def copy(self, container: str, name: str, target: str, *, owner: str, replace: bool) -> None:
        with self._lock:
            blobs = self._container(container)
            if target in blobs and not replace and self._owners.get((container, target)) != owner:
                raise BlobExists(f"{container}/{target}")
            if name not in blobs:
                raise BlobMissing(f"{container}/{name}")
            blobs[target] = blobs[name]
            self._owners[container, target] = owner

    def list(self, container: str, prefix: str, *, owners: bool = False) -> Iterator[Listed]:
        with self._lock:
            blobs = self._container(container)
            found = [_listed(name, blobs[name]) for name in sorted(blobs) if name.startswith(prefix)]
            if owners:
                found = [self._marked(container, blob) for blob in found]
        yield from found

    def origin(self, container: str, found: Listed) -> Origin:
        return _MemoryOrigin(self, container, found)

    def take_in(
        self,
        container: str,
        name: str,
        origin: Origin,
        *,
        mark: Mark,
        before: Listed | None,
        told: Callable[[int], None],
    ) -> None:
        data = bytearray(origin.size)
        if data:
            origin.read(0, memoryview(data))
        told(len(data))
        with self._lock:
            blobs = self._container(container)
            there = blobs.get(name)
            if (None if there is None else _listed(name, there).etag) != (None if before is None else before.etag):
                raise BlobExists(f"{container}/{name}")
            blobs[name] = bytes(data)
            self._owners[container, name] = mark.owner
            self._sources[container, name] = (mark.source, _listed(name, bytes(data)).etag)

    def _marked(self, container: str, blob: Listed) -> Listed:
        source, etag = self._sources.get((container, blob.name), ("", ""))
        owner = self._owners.get((container, blob.name), "")
        return blob._replace(owner=owner, source=source if etag == blob.etag else "")

    def _container(self, container: str) -> dict[str, bytes]:
        try:
            return self.blobs[container]
        except KeyError:
            raise BlobMissing(f"there is no container {container}") from None


class _MemoryOrigin:
    content_type = "application/octet-stream"
    md5 = ""

    def __init__(self, store: MemoryStore, container: str, found: Listed) -> None:
        self._store = store
        self._container = container
        self._found = found
        self.size = found.size

    def read(self, start: int, buffer: memoryview) -> None:
        data = self._store.blobs.get(self._container, {}).get(self._found.name)
        if data is None or _listed("", data).etag != self._found.etag:
            raise Replaced(f"{self._container}/{self._found.name} is not what it was.")
        buffer[:] = data[start : start + len(buffer)]


def _listed(name: str, data: bytes) -> Listed:
    checksum = hashlib.sha256(data).hexdigest()
    return Listed(name, len(data), checksum, 0.0, f"sha256:{checksum}")

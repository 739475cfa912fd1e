"""The worker's storage in memory: for trying things out, and for tests. Same contract as `steps.azure_store`."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from typing import BinaryIO

from steps.store import BlobExists, BlobMissing, Listed, StoreFailed


class MemoryStore:
    """`steps.store.Store`; `blobs` by container, then name. Only the containers given at the start exist."""

    def __init__(self, *containers: str) -> None:
        self._lock = threading.Lock()
        self.blobs: dict[str, dict[str, bytes]] = {container: {} for container in containers}
        self._owners: dict[tuple[str, str], str] = {}

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
        return None if data is None else _listed(name, data)

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
                found = [blob._replace(owner=self._owners.get((container, blob.name), "")) for blob in found]
        yield from found

    def _container(self, container: str) -> dict[str, bytes]:
        try:
            return self.blobs[container]
        except KeyError:
            raise BlobMissing(f"there is no container {container}") from None


def _listed(name: str, data: bytes) -> Listed:
    checksum = hashlib.sha256(data).hexdigest()
    return Listed(name, len(data), checksum, 0.0, f"sha256:{checksum}")

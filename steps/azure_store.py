"""The worker's storage, over the Blob service."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar

from azurerest import Blobs, Busy, NotFound, PreconditionFailed, StorageError, Unanswered, Unreachable, blobfiles
from steps.store import BlobMissing, Listed, StoreFailed

T = TypeVar("T")

WAITS = (0.1, 0.4, 1.6, 5.0)
"""Seconds before each further try of a write."""


class AzureStore:
    """`steps.store.Store` over `azurerest`. Thread-safe."""

    def __init__(self, blobs: Blobs, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._blobs = blobs
        self._sleep = sleep

    def put(self, container: str, name: str, data: bytes, *, content_type: str = "application/octet-stream") -> None:
        self._repeat(container, lambda: self._blobs.put(container, name, data, content_type=content_type))

    def append(self, container: str, name: str, data: bytes, offset: int) -> None:
        if offset == 0:
            self._repeat(container, lambda: self._create(container, name))
        self._repeat(container, lambda: self._append(container, name, data, offset))

    def upload(self, container: str, name: str, source: BinaryIO) -> None:
        start = source.tell()

        def send() -> None:
            source.seek(start)
            blobfiles.put_stream(self._blobs, container, name, source)

        self._repeat(container, send)

    def download(self, container: str, name: str, sink: BinaryIO) -> None:
        try:
            blobfiles.download(self._blobs, container, name, sink)
        except NotFound as fault:
            raise BlobMissing(str(fault)) from fault
        except StorageError as fault:
            raise StoreFailed(str(fault)) from fault

    def list(self, container: str, prefix: str) -> Iterator[Listed]:
        try:
            for item in self._blobs.list_all(container, prefix):
                yield Listed(item.name, item.size)
        except NotFound as fault:
            raise BlobMissing(str(fault)) from fault
        except StorageError as fault:
            raise StoreFailed(str(fault)) from fault

    def _create(self, container: str, name: str) -> None:
        try:
            self._blobs.append_create(container, name, if_none_match="*")
        except StorageError as fault:
            # An earlier, unanswered creation of ours: nobody else has this name.
            if fault.status != 409 or fault.code != "BlobAlreadyExists":
                raise

    def _append(self, container: str, name: str, data: bytes, offset: int) -> None:
        try:
            self._blobs.append(container, name, data, position=offset)
        except PreconditionFailed:
            # The position moved because an earlier, unanswered append of the same bytes was applied.
            if self._blobs.head(container, name).size != offset + len(data):
                raise

    def _repeat(self, container: str, write: Callable[[], T]) -> T:
        for wait in WAITS:
            try:
                return self._at_home(container, write)
            except (Busy, Unanswered, Unreachable) as fault:
                asked = fault.retry_after if isinstance(fault, Busy) else None
                self._sleep(max(wait * random.uniform(0.5, 1.5), asked or 0.0))  # noqa: S311
            except StorageError as fault:
                raise _failed(fault) from fault
        try:
            return self._at_home(container, write)
        except StorageError as fault:
            raise _failed(fault) from fault

    def _at_home(self, container: str, write: Callable[[], T]) -> T:
        """A container that nobody has written to yet is made by the first write."""
        try:
            return write()
        except NotFound as fault:
            if fault.code != "ContainerNotFound":
                raise
        self._blobs.create_container(container)
        return write()


def _failed(fault: StorageError) -> StoreFailed:
    return BlobMissing(str(fault)) if isinstance(fault, NotFound) else StoreFailed(str(fault))

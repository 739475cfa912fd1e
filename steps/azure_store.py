"""The worker's storage, over the Blob service."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from io import RawIOBase
from typing import BinaryIO, TypeVar, cast

from azurerest import (
    BlobItem,
    BlobProperties,
    Blobs,
    Conflict,
    NotFound,
    PreconditionFailed,
    StorageError,
    blobfiles,
)
from azurerest.auth import SharedAccessSignature
from orchestrator.core.datachange import COPY_OWNER, COPY_SOURCE
from steps.blob_copies import BlobCopies, BlobOrigin, Signing, failed, no_signing
from steps.parts import PART, Parts
from steps.patience import patiently
from steps.store import BlobExists, BlobMissing, Listed, Mark, Origin, Preallocating, StoreFailed

T = TypeVar("T")

FIRST = 1024 * 1024
"""Bytes that are read or asked for before the size of a file or blob is known."""
OWNER = COPY_OWNER
COPY_SECONDS = 3600.0
_LOOK = 0.2


class AzureStore:
    """`steps.store.Store` over `azurerest`. Thread-safe. own: of the service's account, where containers are made by
    the first write to them; elsewhere they must be there. signing: how URLs are signed where the account's key is not
    known.
    """

    def __init__(
        self,
        blobs: Blobs,
        *,
        own: bool = True,
        parts: Parts | None = None,
        sleep: Callable[[float], None] = time.sleep,
        signing: Signing = no_signing,
    ) -> None:
        self._blobs = blobs
        self._own = own
        self._parts = parts or Parts()
        self._sleep = sleep
        self._signing = signing

    def put(self, container: str, name: str, data: bytes, *, content_type: str = "application/octet-stream") -> None:
        self._repeat(container, lambda: self._blobs.put(container, name, data, content_type=content_type))

    def append(self, container: str, name: str, data: bytes, offset: int) -> None:
        if offset == 0:
            self._repeat(container, lambda: self._create(container, name))
        self._repeat(container, lambda: self._append(container, name, data, offset))

    def upload(self, container: str, name: str, source: BinaryIO) -> None:
        small = _own_buffer()
        count = _read_into(source, small)
        if count < len(small):
            self._repeat(container, partial(self._blobs.put, container, name, small[:count]))
            return
        first = bytes(small) + _read_full(source, PART - len(small))
        if len(first) < PART:
            self._repeat(container, partial(self._blobs.put, container, name, first))
            return
        ids: list[str] = []

        def blocks(data: bytes) -> Iterator[Callable[[], None]]:
            while data:
                ids.append(f"{len(ids):06d}")
                put = partial(blobfiles.put_block, self._blobs, container, name, ids[-1], data)
                yield partial(self._repeat, container, put)
                data = _read_full(source)

        calls = blocks(first)
        del first
        self._parts.run(calls)
        self._repeat(container, lambda: blobfiles.put_block_list(self._blobs, container, name, ids))

    def download(self, container: str, name: str, sink: BinaryIO) -> Listed:
        first = memoryview(bytearray(FIRST))
        count, properties = self._read(container, name, first, 0, None)
        size = properties.size
        if size > count and isinstance(sink, Preallocating):
            sink.expect(size)
        sink.write(first[:count])
        del first

        def part(start: int) -> memoryview:
            buffer = memoryview(bytearray(min(PART, size - start)))
            got, _ = self._read(container, name, buffer, start, properties.etag)
            if got != len(buffer):
                raise StoreFailed(f"{container}/{name}: of the bytes from {start} on only {got} came.")
            return buffer

        if count < size:
            with closing(self._parts.each(partial(part, start) for start in range(count, size, PART))) as parts:
                for data in parts:
                    sink.write(data)
        return _listed(name, properties)

    def _read(
        self, container: str, name: str, buffer: memoryview, start: int, etag: str | None
    ) -> tuple[int, BlobProperties]:
        def get() -> tuple[int, BlobProperties]:
            return blobfiles.get_into(self._blobs, container, name, buffer, start=start, if_match=etag)

        try:
            return self._patiently(get)
        except NotFound as fault:
            raise BlobMissing(str(fault)) from fault
        except PreconditionFailed as fault:
            raise StoreFailed(f"{container}/{name} was replaced while it was read.") from fault
        except StorageError as fault:
            raise failed(fault, self._blobs) from fault

    def find(self, container: str, name: str) -> Listed | None:
        try:
            found = self._blobs.head(container, name)
        except NotFound:
            return None
        except StorageError as fault:
            raise failed(fault, self._blobs) from fault
        return _listed(name, found)

    def copy(self, container: str, name: str, target: str, *, owner: str, replace: bool) -> None:
        self._repeat(container, lambda: self._copy(container, name, target, owner, replace))

    def _copy(self, container: str, name: str, target: str, owner: str, replace: bool) -> None:
        # The service keeps the URL of a copy's source for all to see who read the copy: it must not hold a SAS.
        by_sas = isinstance(self._blobs.service.account.credential, SharedAccessSignature)
        copy = self._carry if by_sas else self._have_copied
        try:
            copy(container, name, target, owner, None if replace else "*")
        except (Conflict, PreconditionFailed) as fault:
            if replace:
                raise
            if self._blobs.head(container, target).metadata.get(OWNER) != owner:
                raise BlobExists(f"There is a file {container}/{target} already.") from fault
            copy(container, name, target, owner, None)

    def _carry(self, container: str, name: str, target: str, owner: str, free: str | None) -> None:
        """A copy that goes through this node."""
        found = self._blobs.head(container, name)
        starts = range(0, found.size, PART)
        mine = secrets.token_hex(4)

        def part(start: int) -> None:
            buffer = memoryview(bytearray(min(PART, found.size - start)))
            blobfiles.get_into(self._blobs, container, name, buffer, start=start, if_match=found.etag)
            blobfiles.put_block(self._blobs, container, target, f"{mine}{start // PART:06d}", buffer)

        self._parts.run(partial(self._patiently, partial(part, start)) for start in starts)
        ids = [f"{mine}{number:06d}" for number in range(len(starts))]
        blobfiles.put_block_list(self._blobs, container, target, ids, metadata={OWNER: owner}, if_none_match=free)

    def _have_copied(self, container: str, name: str, target: str, owner: str, free: str | None) -> None:
        source = self._blobs.url(container, name)
        copy = self._blobs.copy_from_url(container, target, source, metadata={OWNER: owner}, if_none_match=free)
        self._await_copy(container, target, copy.status)

    def _await_copy(self, container: str, target: str, status: str) -> None:
        waited = 0.0
        while status == "pending" and waited < COPY_SECONDS:
            self._sleep(_LOOK)
            waited += _LOOK
            status = self._blobs.head(container, target).copy_status
        if status != "success":
            raise StoreFailed(f"The copy to {container}/{target} ended as {status!r}.")

    def origin(self, container: str, found: Listed) -> Origin:
        return BlobOrigin(blobs=self._blobs, container=container, found=found, sleep=self._sleep, signing=self._signing)

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
        copies = BlobCopies(self._blobs, self._parts, self._sleep, at_home=self._at_home)
        copies.take_in(container, name, origin, mark=mark, before=before, told=told)

    def list(self, container: str, prefix: str, *, owners: bool = False) -> Iterator[Listed]:
        try:
            for item in self._blobs.list_all(container, prefix, metadata=owners):
                yield _listed(item.name, item)
        except NotFound as fault:
            raise BlobMissing(str(fault)) from fault
        except StorageError as fault:
            raise failed(fault, self._blobs) from fault

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
        try:
            return self._patiently(lambda: self._at_home(container, write))
        except StorageError as fault:
            raise failed(fault, self._blobs) from fault

    def _patiently(self, do: Callable[[], T]) -> T:
        return patiently(do, self._sleep)

    def _at_home(self, container: str, write: Callable[[], T]) -> T:
        """A container that nobody has written to yet is made by the first write."""
        try:
            return write()
        except NotFound as fault:
            if fault.code != "ContainerNotFound" or not self._own:
                raise
        self._blobs.create_container(container)
        return write()


_mine = threading.local()


def _own_buffer() -> memoryview:
    """Of this thread, for what fits in one small request: most files do, and need no memory of their own."""
    found: memoryview | None = getattr(_mine, "buffer", None)
    if found is None:
        found = _mine.buffer = memoryview(bytearray(FIRST))
    return found


def _read_full(source: BinaryIO, size: int = PART) -> bytes:
    """So many bytes, less only at the end, also from a source that gives less at a time."""
    data = source.read(size)
    while 0 < len(data) < size and (more := source.read(size - len(data))):
        data += more
    return data


def _read_into(source: BinaryIO, buffer: memoryview) -> int:
    """As `_read_full`, into a buffer. How many bytes came."""
    count = 0
    while count < len(buffer) and (more := cast(RawIOBase, source).readinto(buffer[count:])):
        count += more
    return count


def _listed(name: str, found: BlobProperties | BlobItem) -> Listed:
    return Listed(
        name,
        found.size,
        found.etag,
        found.last_modified.timestamp(),
        _checksum(found.kind, found.md5),
        found.metadata.get(OWNER, ""),
        # A copy that is under way, or has failed, has its metadata already.
        found.metadata.get(COPY_SOURCE, "") if found.copy_status in ("", "success") else "",
        found.content_type,
    )


def _checksum(kind: str, md5: str) -> str:
    """Each write of a block blob sets its MD5 or takes it away; other kinds keep one that is no longer true."""
    return f"md5:{md5}" if kind == "BlockBlob" and md5 else ""

"""The worker's storage, over an Azure file share.

A file appears whole, as in blob storage: it is written under a name of its own beside the one that it is to have, and
renamed. Shares keep no checksum, and their listings no metadata.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import BinaryIO, TypeVar

from azurerest import Conflict, FileProperties, Files, Forbidden, NotFound, StorageError
from azurerest.auth import SharedAccessSignature
from azurerest.files import MAX_RANGE
from azurerest.sharefiles import UPLOAD, Draft, draft, finish, make_parents, walk
from orchestrator.core.datachange import COPY_OWNER as OWNER
from orchestrator.core.datachange import COPY_SOURCE
from steps.parts import Parts
from steps.patience import patiently
from steps.store import (
    BlobExists,
    BlobMissing,
    Listed,
    Mark,
    Origin,
    Preallocating,
    Refused,
    Replaced,
    StoreFailed,
)

T = TypeVar("T")

GROWTH = 16 * MAX_RANGE
"""Bytes by which a file is made larger at a time, whose size is not known before its end."""
COPY_SECONDS = 3600.0
_LOOK = 0.2


class ShareStore:
    """`steps.store.Store`, but for `append`. Thread-safe. A share that is not there is not made."""

    def __init__(
        self, files: Files, *, parts: Parts | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._files = files
        self._parts = parts or Parts()
        self._sleep = sleep

    def put(self, container: str, name: str, data: bytes, *, content_type: str = "") -> None:  # noqa: ARG002
        self.upload(container, name, io.BytesIO(data))

    def append(self, container: str, name: str, data: bytes, offset: int) -> None:  # noqa: ARG002
        raise StoreFailed(f"{container}/{name}: logs are not kept in a file share.")

    def upload(self, container: str, name: str, source: BinaryIO) -> None:
        first = _read_full(source)
        with self._drafted(container, name) as made:
            size = len(first) if len(first) < MAX_RANGE else GROWTH
            self._create(made, size, {})
            self._parts.run(self._ranges(made, first, size, source))
            self._finish(made, replace=True)

    def _ranges(self, made: Draft, data: bytes, size: int, source: BinaryIO) -> Iterator[Callable[[], None]]:
        """What is to be sent. The file is made longer before there is a need, and cut to its length at the end."""
        start, known = 0, size == len(data)
        while data:
            if start + len(data) > size:
                size += GROWTH
                self._do(partial(self._files.resize, made.share, made.name, size))
            put = partial(self._files.put_range, made.share, made.name, data, start)
            yield partial(self._do, put)
            start += len(data)
            data = b"" if known else _read_full(source)
        if start != size:
            self._do(partial(self._files.resize, made.share, made.name, start))

    def download(self, container: str, name: str, sink: BinaryIO) -> Listed:
        first = memoryview(bytearray(1024 * 1024))
        count, properties = self._read(container, name, first, 0, None)
        size = properties.size
        if size > count and isinstance(sink, Preallocating):
            sink.expect(size)
        sink.write(first[:count])
        del first

        def part(start: int) -> memoryview:
            buffer = memoryview(bytearray(min(MAX_RANGE, size - start)))
            self._read(container, name, buffer, start, properties.etag)
            return buffer

        if count < size:
            with closing(self._parts.each(partial(part, start) for start in range(count, size, MAX_RANGE))) as parts:
                for data in parts:
                    sink.write(data)
        return _listed(name, properties)

    def _read(
        self, container: str, name: str, buffer: memoryview, start: int, etag: str | None
    ) -> tuple[int, FileProperties]:
        """A share takes no conditions: what came is looked at."""
        got, properties = self._do(partial(self._files.get_into, container, name, buffer, start=start))
        if etag not in (None, properties.etag):
            raise Replaced(f"{container}/{name} was replaced while it was read.")
        if etag is not None and got != len(buffer):
            raise StoreFailed(f"{container}/{name}: of the bytes from {start} on only {got} came.")
        return got, properties

    def find(self, container: str, name: str) -> Listed | None:
        try:
            return _listed(name, self._head(container, name))
        except BlobMissing:
            return None

    def _head(self, container: str, name: str) -> FileProperties:
        """Raises BlobMissing, also for a folder."""
        try:
            return self._files.head(container, name)
        except StorageError as fault:
            raise _failed(fault) from fault

    def copy(self, container: str, name: str, target: str, *, owner: str, replace: bool) -> None:
        # The service keeps the URL of a copy's source for all to see who read the copy: it must not hold a SAS.
        by_sas = isinstance(self._files.service.account.credential, SharedAccessSignature)
        with self._drafted(container, target) as made:
            (self._carry if by_sas else self._have_copied)(made, name, owner)
            try:
                self._finish(made, replace=replace)
            except BlobExists:
                if self._head(container, target).metadata.get(OWNER) != owner:
                    raise
                self._finish(made, replace=True)

    def _have_copied(self, made: Draft, name: str, owner: str) -> None:
        metadata = {UPLOAD: made.id, OWNER: owner}
        self._head(made.share, name)  # the parents of a target are not made for nothing
        status = self._at_home(made, lambda: self._files.copy(made.share, name, made.name, metadata=metadata))
        waited = 0.0
        while status == "pending" and waited < COPY_SECONDS:
            self._sleep(_LOOK)
            waited += _LOOK
            status = self._head(made.share, made.name).copy_status
        if status != "success":
            raise StoreFailed(f"The copy to {made.share}/{made.target} ended as {status!r}.")

    def _carry(self, made: Draft, name: str, owner: str) -> None:
        """A copy that goes through this node."""
        found = self._head(made.share, name)
        self._create(made, found.size, {OWNER: owner})

        def part(start: int) -> None:
            buffer = memoryview(bytearray(min(MAX_RANGE, found.size - start)))
            self._read(made.share, name, buffer, start, found.etag)
            self._do(partial(self._files.put_range, made.share, made.name, buffer, start))

        self._parts.run(partial(part, start) for start in range(0, found.size, MAX_RANGE))

    def origin(self, container: str, found: Listed) -> Origin:
        return _ShareOrigin(self, container, found)

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
        def carry(start: int) -> None:
            buffer = memoryview(bytearray(min(MAX_RANGE, origin.size - start)))
            origin.read(start, buffer)
            self._do(partial(self._files.put_range, made.share, made.name, buffer, start))
            told(len(buffer))

        with self._drafted(container, name) as made:
            self._create(made, origin.size, {OWNER: mark.owner, COPY_SOURCE: mark.source})
            self._parts.run(partial(carry, start) for start in range(0, origin.size, MAX_RANGE))
            try:
                self._finish(made, replace=before is not None)
            except BlobExists:
                if self._head(container, name).metadata.get(COPY_SOURCE) != mark.source:
                    raise
                self._finish(made, replace=True)

    def read_part(self, container: str, found: Listed, start: int, buffer: memoryview) -> None:
        """Fill the buffer with the bytes of a file from `start` on, as it was found."""
        try:
            self._read(container, found.name, buffer, start, found.etag)
        except BlobMissing as fault:
            raise Replaced(f"{container}/{found.name} is gone since it was looked at.") from fault

    def list(self, container: str, prefix: str, *, owners: bool = False) -> Iterator[Listed]:
        try:
            for entry in walk(self._files, container, prefix):
                assert entry.last_modified is not None
                metadata = self._files.head(container, entry.name).metadata if owners else {}
                modified = entry.last_modified.timestamp()
                yield Listed(entry.name, entry.size, entry.etag, modified, "", *_marks(metadata))
        except StorageError as fault:
            raise _failed(fault) from fault

    @contextmanager
    def _drafted(self, container: str, target: str) -> Iterator[Draft]:
        """A file in the making, which is taken away again if it does not get its name."""
        made = draft(container, target)
        try:
            yield made
        except BaseException:
            with suppress(StorageError):
                self._files.delete(container, made.name)
            raise

    def _create(self, made: Draft, size: int, metadata: dict[str, str]) -> None:
        noted = {UPLOAD: made.id, **metadata}
        self._at_home(made, lambda: self._files.create(made.share, made.name, size, metadata=noted))

    def _at_home(self, made: Draft, write: Callable[[], T]) -> T:
        """Directories that are missing are made."""

        def write_there() -> T:
            try:
                return write()
            except NotFound as fault:
                if fault.code != "ParentNotFound":
                    raise
            make_parents(self._files, made.share, made.target)
            return write()

        return self._do(write_there)

    def _finish(self, made: Draft, *, replace: bool) -> None:
        try:
            self._do(partial(finish, self._files, made, replace=replace))
        except StoreFailed as failed:
            if isinstance(failed.__cause__, Conflict) and not replace:
                raise BlobExists(f"There is a file {made.share}/{made.target} already.") from failed
            raise

    def _do(self, call: Callable[[], T]) -> T:
        try:
            return patiently(call, self._sleep)
        except StorageError as fault:
            raise _failed(fault) from fault


class _ShareOrigin:
    """A file of a share, as it was found."""

    content_type = ""
    md5 = ""

    def __init__(self, store: ShareStore, container: str, found: Listed) -> None:
        self._store = store
        self._container = container
        self._found = found
        self.size = found.size

    def read(self, start: int, buffer: memoryview) -> None:
        self._store.read_part(self._container, self._found, start, buffer)


def _read_full(source: BinaryIO) -> bytes:
    """A range, less only at the end, also from a source that gives less at a time."""
    data = source.read(MAX_RANGE)
    while 0 < len(data) < MAX_RANGE and (more := source.read(MAX_RANGE - len(data))):
        data += more
    return data


def _listed(name: str, found: FileProperties) -> Listed:
    modified = found.last_modified.timestamp()
    return Listed(name, found.size, found.etag, modified, "", *_marks(found.metadata))


def _marks(metadata: dict[str, str]) -> tuple[str, str]:
    return metadata.get(OWNER, ""), metadata.get(COPY_SOURCE, "")


def _failed(fault: StorageError) -> StoreFailed:
    if isinstance(fault, NotFound):
        return BlobMissing(str(fault))
    return Refused(str(fault)) if isinstance(fault, Forbidden) else StoreFailed(str(fault))

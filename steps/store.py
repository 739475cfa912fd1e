"""What the worker needs of storage. `steps.azure_store` provides it, and for file shares `steps.share_store`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, Protocol, runtime_checkable


class StoreFailed(Exception):
    """Storage did not do what it was asked, after bounded retries. The text says what and why, without a secret."""


class BlobMissing(StoreFailed):
    """There is no such blob or container."""


class BlobExists(StoreFailed):
    """There is a blob, and it may not be replaced."""


class Refused(StoreFailed):
    """Storage does not let us: the credential is wrong, has expired, or may not do this."""


class Replaced(StoreFailed):
    """What was to be copied has changed, or is gone, since it was looked at."""


class Listed(NamedTuple):
    """A blob in a listing; `size` in bytes, `modified` in epoch seconds. The etag changes with each write.

    `checksum` is equal for equal bytes, "" where storage has none that it keeps true. `owner`: the step run that made
    this copy, where `copy` or `take_in` did and the owner was asked for; `source`: the Mark's, in the same way.
    """

    name: str
    size: int
    etag: str = ""
    modified: float | None = None
    checksum: str = ""
    owner: str = ""
    source: str = ""
    content_type: str = ""


class Mark(NamedTuple):
    """What is noted on a copy: the step run that made it, and a text that stands for what it is a copy of, in which
    version.
    """

    owner: str
    source: str


class Origin(Protocol):
    """Bytes to be copied, all of one version. `md5`: of the whole, base64; "": not known."""

    @property
    def size(self) -> int: ...

    @property
    def content_type(self) -> str: ...

    @property
    def md5(self) -> str: ...

    def read(self, start: int, buffer: memoryview) -> None:
        """Fill the buffer with the bytes from `start` on. Raises StoreFailed, Replaced."""
        ...


@runtime_checkable
class Preallocating(Protocol):
    """A sink that wants to know how much will come, if it is much."""

    def expect(self, size: int) -> None:
        """`size` bytes in all will be written. Raises OSError: there is no room for them."""
        ...


class Store(Protocol):
    """Thread-safe. Names written to are unique to an attempt, or to content, so every write may be repeated.

    All methods raise StoreFailed.
    """

    def put(self, container: str, name: str, data: bytes, *, content_type: str = ...) -> None:
        """A blob whole, in one transaction."""
        ...

    def append(self, container: str, name: str, data: bytes, offset: int) -> None:
        """Add to an append blob of `offset` bytes; with offset 0 the blob is made first.

        Safe to repeat after a lost answer: the bytes are there once.
        """
        ...

    def upload(self, container: str, name: str, source: BinaryIO) -> None:
        """A blob from a stream, read once to its end; it appears whole or not at all.

        A large one goes in parts, several at once in bounded memory; a part that fails is repeated alone.
        """
        ...

    def download(self, container: str, name: str, sink: BinaryIO) -> Listed:
        """The whole of one version of a blob into a stream, in order; a large one in parts as with `upload`.

        Raises BlobMissing before anything is written.
        """
        ...

    def find(self, container: str, name: str) -> Listed | None:
        """The blob, if there is one."""
        ...

    def copy(self, container: str, name: str, target: str, *, owner: str, replace: bool) -> None:
        """A copy of a blob as `target`, in the same container, made by the service and marked as the `owner`'s.

        Raises BlobExists if somebody else's blob is there and `replace` is False; the owner's own is replaced.
        """
        ...

    def origin(self, container: str, found: Listed) -> Origin:
        """The blob, as it was found, for the `take_in` of any store. Nothing is asked of storage."""
        ...

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
        """A copy of `origin`, which appears whole, with the mark. From blob to blob no byte comes through this process,
        and from anywhere to a blob, what was copied of a large one by an attempt that was broken off stays copied.

        before: what is there, and is to be replaced. told: called with the number of bytes whenever some more have been
        copied; what it raises breaks off. Raises BlobExists when somebody else has written there since, Replaced,
        Refused.
        """
        ...

    def list(self, container: str, prefix: str, *, owners: bool = False) -> Iterator[Listed]:
        """All blobs whose name begins with `prefix`, in name order, lazily. An unknown container is BlobMissing.

        owners: tell who made each copy, and of what.
        """
        ...

"""What the worker needs of storage. `steps.azure_store` provides it, and for file shares `steps.share_store`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Protocol, runtime_checkable


class StoreFailed(Exception):
    """Storage did not do what it was asked, after bounded retries. The text says what and why, without a secret."""


class BlobMissing(StoreFailed):
    """There is no such blob or container."""


class BlobExists(StoreFailed):
    """There is a blob, and it may not be replaced."""


class Listed(NamedTuple):
    """A blob in a listing; `size` in bytes, `modified` in epoch seconds. The etag changes with each write.

    `checksum` is equal for equal bytes, "" where storage has none that it keeps true. `owner`: the step run that made
    this copy, where `copy` did and the owner was asked for.
    """

    name: str
    size: int
    etag: str = ""
    modified: float | None = None
    checksum: str = ""
    owner: str = ""


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

    def list(self, container: str, prefix: str, *, owners: bool = False) -> Iterator[Listed]:
        """All blobs whose name begins with `prefix`, in name order, lazily. An unknown container is BlobMissing.

        owners: tell who made each copy.
        """
        ...

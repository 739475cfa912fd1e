"""What the worker needs of blob storage. `steps.azure_store` provides it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Protocol


class StoreFailed(Exception):
    """Storage did not do what it was asked, after bounded retries. The text says what and why, without a secret."""


class BlobMissing(StoreFailed):
    """There is no such blob or container."""


class Listed(NamedTuple):
    """A blob in a listing; `size` in bytes."""

    name: str
    size: int


class Store(Protocol):
    """Thread-safe. Names written to are unique to an attempt, so every write may be repeated.

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
        """A blob from a stream, read once to its end; it appears whole or not at all. Bounded memory."""
        ...

    def download(self, container: str, name: str, sink: BinaryIO) -> None:
        """The whole of one version of a blob into a stream. Raises BlobMissing before anything is written."""
        ...

    def list(self, container: str, prefix: str) -> Iterator[Listed]:
        """All blobs whose name begins with `prefix`, in name order. An unknown container is BlobMissing."""
        ...

"""A file somewhere else, read in pieces as they are wanted."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, BinaryIO, cast

FIRST = 256 * 1024
MOST = 8 * 1024 * 1024


class _Pieces(io.RawIOBase):
    """Pieces double while reading goes straight on, so that a look at the head is cheap and the whole is not slow."""

    def __init__(self, size: int, read: Callable[[int, int], bytes]) -> None:
        self._size = size
        self._read = read
        self._at = 0
        self._piece = b""
        self._start = 0
        self._next = FIRST

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence], 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, into: Any) -> int:
        view = memoryview(into).cast("B")
        end = self._start + len(self._piece)
        if self._at >= self._size or not len(view):
            return 0
        if not self._start <= self._at < end:
            self._next = min(self._next * 2, MOST) if self._piece and self._at == end else FIRST
            wanted = min(max(self._next, min(len(view), MOST)), self._size - self._at)
            self._start, self._piece = self._at, self._read(self._at, wanted)
        offset = self._at - self._start
        part = self._piece[offset : offset + len(view)]
        view[: len(part)] = part
        self._at += len(part)
        return len(part)


def ranged(size: int, read: Callable[[int, int], bytes]) -> BinaryIO:
    """A file of `size` bytes; `read(start, length)` gives exactly those bytes, or raises."""
    return cast(BinaryIO, io.BufferedReader(_Pieces(size, read), buffer_size=64 * 1024))

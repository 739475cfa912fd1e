"""Lines about a transfer that takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from millstream.console import amount, duration, say

EVERY = 5.0
"""Seconds between two lines; what is done before needs none."""


class Progress:
    """Counts bytes and files, and says now and then how far it is. Thread-safe.

    `files`, `size`: how many there will be, if that is known.
    """

    def __init__(
        self,
        what: str,
        *,
        files: int | None = None,
        size: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[str], None] = say,
    ) -> None:
        self._what = what
        self._files = "" if files is None else f" of {files:,}"
        self._size = "" if size is None else f" of {amount(size)}"
        self._clock = clock
        self._tell = tell
        self._lock = threading.Lock()
        self._begun = self._told = clock()
        self._done = 0
        self._kept = 0
        self._done_files = 0

    def add(self, size: int, files: int = 0, *, kept: bool = False) -> None:
        """So many more bytes are there, and so many more files are whole. kept: an earlier try had brought them."""
        with self._lock:
            self._done += size
            self._kept += size if kept else 0
            self._done_files += files
            now = self._clock()
            if now - self._told < EVERY:
                return
            self._told = now
            text = self._text(now - self._begun)
        self._tell(text)

    def _text(self, seconds: float) -> str:
        speed = amount(int((self._done - self._kept) / max(seconds, 1e-3)))
        return (
            f"{self._what}: {self._done_files:,}{self._files} files, {amount(self._done)}{self._size} "
            f"after {duration(seconds)}, {speed}/s"
        )

"""Lines in a step's log about a transfer that takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from steps.log import StepLog

EVERY = 5.0
"""Seconds between two lines; what is done before needs none."""


class Progress:
    """Counts the bytes and files of a transfer and tells the log now and then. Thread-safe."""

    def __init__(
        self,
        log: StepLog,
        what: str,
        files: int,
        *,
        total: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._what = what
        self._files = files
        self._total = total
        self._clock = clock
        self._lock = threading.Lock()
        self._begun = clock()
        self._told = self._begun
        self._done = 0
        self._done_files = 0

    def add(self, size: int, files: int = 0) -> None:
        """So many more bytes have been moved, and so many more files to their end."""
        with self._lock:
            self._done += size
            self._done_files += files
            now = self._clock()
            if now - self._told < EVERY:
                return
            self._told = now
            text = self._text(now)
        self._log.note(text)
        self._log.flush()

    def end(self) -> None:
        """Tell the sum, if there was a line before."""
        with self._lock:
            if self._told == self._begun:
                return
            text = self._text(self._clock())
        self._log.note(text)

    def _text(self, now: float) -> str:
        speed = self._done / 1e6 / max(now - self._begun, 1e-3)
        of = "" if self._total is None else f" of {self._total / 1e6:,.0f}"
        return (
            f"{self._what}: {self._done_files:,} of {self._files:,} files, {self._done / 1e6:,.0f}{of} MB "
            f"after {now - self._begun:.0f} s, {speed:,.1f} MB/s."
        )

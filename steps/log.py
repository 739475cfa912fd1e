"""The log of an attempt: what its script prints, in a blob while it runs."""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import suppress

from steps.store import Store, StoreFailed

log = logging.getLogger("millstream.steps")

FIRST_FLUSH = 0.2
FLUSH_BYTES = 64 * 1024
FULL_BYTES = 1024 * 1024
"""When storage does not take the log and so much is waiting, the script has to wait, too."""
TAIL_BYTES = 4096
_INTERVALS = ((300, 1.0), (3600, 2.0), (6 * 3600, 5.0), (math.inf, 15.0))
"""(until this age, seconds between flushes): an append blob takes no more than 50,000 appends."""
_TRIES = 3


def interval(age: float) -> float:
    """Seconds between appends to the blob of an attempt of this age."""
    return next(seconds for until, seconds in _INTERVALS if age < until)


class StepLog:
    """Bytes in, at most `limit` of them and some notes of ours out, to the blob `container`/`name`.

    A log that is finished before its first flush costs one transaction, an empty one none. After the limit only the end
    of the script's output is kept, and appended when the log is finished. Thread-safe.
    """

    def __init__(self, store: Store, container: str, name: str, *, limit: int, stored: int = 0) -> None:
        """`stored`: so many bytes are there from an execution before, which has paused."""
        self._lock = threading.RLock()
        self._store = store
        self._container = container
        self._name = name
        self._limit = limit
        self._pending = bytearray()
        self._tail = bytearray()
        self._taken = stored
        self._left_out = 0
        self._cut_tail = bytearray()
        self._stored = stored
        self._resumed = stored > 0
        self._cut = stored >= limit
        self._opened = time.monotonic()
        self._due = math.inf

    def write(self, data: bytes) -> None:
        """What the script printed."""
        with self._lock:
            room = max(0, self._limit - self._taken)
            self._taken += len(data)
            self._tail += data[-TAIL_BYTES:]
            del self._tail[:-TAIL_BYTES]
            if room:
                self._put(data[:room])
            if len(data) > room:
                if not self._cut:
                    self._cut = True
                    self._put(f"\n[millstream] The log is cut here, after {self._limit} bytes.\n".encode())
                self._left_out += len(data) - room
                self._cut_tail += data[room:][-TAIL_BYTES:]
                del self._cut_tail[:-TAIL_BYTES]

    def note(self, text: str) -> None:
        """A line of our own."""
        with self._lock:
            start = b"\n" if self._tail and not self._tail.endswith(b"\n") else b""
            line = start + f"[millstream] {text}\n".encode(errors="backslashreplace")
            self._tail += line[-TAIL_BYTES:]
            del self._tail[:-TAIL_BYTES]
            self._put(line)

    def _put(self, data: bytes) -> None:
        if data and not self._pending:
            self._due = time.monotonic() + (FIRST_FLUSH if not self._stored else self._interval())
        self._pending += data
        if len(self._pending) >= FLUSH_BYTES:
            self._due = min(self._due, time.monotonic())

    def _interval(self) -> float:
        return interval(time.monotonic() - self._opened)

    def wait(self) -> float | None:
        """Seconds until `flush` should be called; None: not before something is written."""
        return None if self._due == math.inf else max(0.0, self._due - time.monotonic())

    def full(self) -> bool:
        """Whether nothing should be written before a flush succeeds."""
        return len(self._pending) >= FULL_BYTES

    def flush(self) -> bool:
        """Store what is pending. False when storage would not take it: it stays pending, and is due again later."""
        with self._lock:
            if not self._pending:
                self._due = math.inf
                return True
            data = bytes(self._pending)
            try:
                self._store.append(self._container, self._name, data, self._stored)
            except StoreFailed as error:
                log.warning("log_flush_failed blob=%s: %s", self._name, error)
                self._due = time.monotonic() + self._interval()
                self._find_end()
                return False
            self._stored += len(data)
            del self._pending[: len(data)]
            self._due = math.inf
            return True

    def _find_end(self) -> None:
        """One that went on with this log, and died, may have added to it."""
        if not self._resumed:
            return
        with suppress(StoreFailed):
            found = self._store.find(self._container, self._name)
            self._stored = max(self._stored, found.size) if found is not None else self._stored

    def pause(self) -> None:
        """Store what is pending, so that another execution can go on with the log."""
        for _ in range(_TRIES):
            if self.flush():
                return

    @property
    def stored(self) -> tuple[str | None, int]:
        """The blob's name, None if there is none, and its size."""
        return (self._name if self._stored else None), self._stored

    def finish(self) -> None:
        """Store the rest.

        A log that cannot be stored does not undo what its script did: it is left incomplete.
        """
        with self._lock:
            if missing := self._left_out - len(self._cut_tail):
                self._put(f"[millstream] {missing} bytes left out.\n".encode())
            self._put(bytes(self._cut_tail))
            self._left_out = 0
            self._cut_tail.clear()
            for _ in range(_TRIES):
                if not self._pending or self._finish_once():
                    return

    def _finish_once(self) -> bool:
        if self._stored:
            return self.flush()
        data = bytes(self._pending)
        try:
            self._store.put(self._container, self._name, data, content_type="text/plain; charset=utf-8")
        except StoreFailed as error:
            log.warning("log_put_failed blob=%s: %s", self._name, error)
            return False
        self._stored = len(data)
        self._pending.clear()
        return True

    def tail(self) -> str:
        """The end of what was written, from a whole line on where there is one."""
        text = self._tail.decode("utf-8", "replace")
        if len(self._tail) >= TAIL_BYTES and "\n" in text[:-1]:
            text = text.partition("\n")[2]
        return text

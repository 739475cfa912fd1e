"""The meter of a task: what it asks of storage, on whatever thread, from its beginning.

It lies in the context of the task. A task that is run in the middle of another one, by an interpreter, counts as part
of that; a thread that works for a task is given a copy of its context.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from azurerest import Call, observing
from orchestrator.core.usage import NOTHING, Usage

Monotonic = Callable[[], float]


class Meter:
    """Thread-safe."""

    def __init__(self, monotonic: Monotonic) -> None:
        self._monotonic = monotonic
        self._began = monotonic()
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._sent = self._received = 0

    def observe(self, call: Call) -> None:
        """Count a request. One without an answer counts: the service may have billed it."""
        self.count(call.billed, call.sent, call.received)

    def count(self, billed: str, sent: int = 0, received: int = 0) -> None:
        with self._lock:
            self._requests[billed] += 1
            self._sent += sent
            self._received += received

    def read(self) -> Usage:
        """What was counted so far, and the seconds since the beginning."""
        with self._lock:
            return Usage(
                requests=dict(self._requests),
                sent=self._sent,
                received=self._received,
                seconds=self._monotonic() - self._began,
            )


_current: ContextVar[Meter | None] = ContextVar("millstream.meter", default=None)


@contextmanager
def metered(monotonic: Monotonic) -> Iterator[None]:
    """Begin to count, unless the context does already."""
    if _current.get() is not None:
        yield
        return
    meter = Meter(monotonic)
    token = _current.set(meter)
    try:
        with observing(meter.observe):
            yield
    finally:
        _current.reset(token)


def count(billed: str) -> None:
    """Count a request that is none on a wire."""
    if (meter := _current.get()) is not None:
        meter.count(billed)


def read() -> Usage:
    """What the present task has used so far."""
    meter = _current.get()
    return NOTHING if meter is None else meter.read()

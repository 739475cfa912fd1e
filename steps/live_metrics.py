"""The metrics of a script while it runs, in a blob beside its log; its result has them all in the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from orchestrator.core.result import LIVE_METRICS, Metric
from steps import spool
from steps.log import interval
from steps.store import Store, StoreFailed

log = logging.getLogger("millstream.steps")

MOST_AT_ONCE = 1024 * 1024
FIRST_LOOK = 1.0
"""Seconds: what ends before has nothing published early."""


class LiveMetrics:
    """Follows the spool at `path` up to `limit` bytes of it. One thread at a time."""

    def __init__(
        self,
        store: Store,
        container: str,
        prefix: str,
        path: Path,
        *,
        limit: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._container = container
        self._name = f"{prefix}/{LIVE_METRICS}"
        self._path = path
        self._limit = limit
        self._clock = clock
        self._begun = clock()
        self._due = self._begun + FIRST_LOOK
        self._read = 0
        self._stored = 0
        self._observers: list[Callable[[Sequence[Metric]], None]] = []

    def observe(self, observer: Callable[[Sequence[Metric]], None]) -> None:
        """Hand it what is new at each look, too. It must not raise."""
        self._observers.append(observer)

    def wait(self) -> float:
        """Seconds until `look` should be called."""
        return max(0.0, self._due - self._clock())

    def look(self) -> None:
        """Publish what has been logged since the last time, if anything. Never fails: it is not the only copy."""
        now = self._clock()
        self._due = now + interval(now - self._begun)
        lines = self._new_lines()
        found = spool.metrics(lines)
        data = b"".join(msgspec.json.encode(metric) + b"\n" for metric in found)
        try:
            if data:
                self._store.append(self._container, self._name, data, self._stored)
        except StoreFailed as error:
            log.warning("live_metrics_failed blob=%s: %s", self._name, error)
            return
        self._stored += len(data)
        self._read += len(lines)
        if found:
            for observer in self._observers:
                observer(found)

    def _new_lines(self) -> bytes:
        """What the spool has gained, to the end of its last whole line."""
        room = min(MOST_AT_ONCE, self._limit - self._read)
        try:
            with self._path.open("rb") as source:
                source.seek(self._read)
                data = source.read(room)
        except FileNotFoundError:
            return b""
        return data[: data.rfind(b"\n") + 1]

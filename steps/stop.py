"""The wish that an attempt should end early, carried from whoever finds the reason to whoever does the work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from steps.failures import Stopped


class StopReason(StrEnum):
    LEASE_LOST = "the lease is lost"
    RUN_CANCELLED = "the run is cancelled"
    WORKER_ENDING = "the worker is asked to end"
    POLICY = "a policy of its search ends it"


class Stop:
    """Thread-safe. The first reason stands."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._actions: list[Callable[[], None]] = []
        self.reason: StopReason | None = None

    def request(self, reason: StopReason) -> None:
        with self._lock:
            if self.reason is not None:
                return
            self.reason = reason
            actions = list(self._actions)
        for action in actions:
            action()

    def check(self) -> None:
        """Raises Stopped once a stop is requested."""
        if self.reason is not None:
            raise Stopped(f"Stopped, because {self.reason}.")

    @contextmanager
    def calling(self, action: Callable[[], None]) -> Iterator[None]:
        """While the block runs, a request calls `action`, at once if it has come already; from any thread."""
        with self._lock:
            self._actions.append(action)
            late = self.reason is not None
        if late:
            action()
        try:
            yield
        finally:
            with self._lock:
                self._actions.remove(action)

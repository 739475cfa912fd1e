"""Waiting that ends at once when the attempt is not wanted any more."""

from __future__ import annotations

import threading
import time

from steps.stop import Stop


class Waiter:
    """`seconds` passes since it was made. Pauses raise Stopped."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._begun = time.monotonic()

    def pause(self, seconds: float) -> None:
        """Raises Stopped, as soon as a stop is requested."""
        wake = threading.Event()
        with self._stop.calling(wake.set):
            wake.wait(max(0.0, seconds))
        self._stop.check()

    def passed(self) -> float:
        return time.monotonic() - self._begun

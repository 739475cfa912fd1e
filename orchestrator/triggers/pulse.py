"""Whether storage answers, asked seldom however many want to know: anybody may ask for the health of the service."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

GOOD_SECONDS: Final = 5.0
BAD_SECONDS: Final = 1.0
"""How long an answer is repeated: a bad one shorter, since what waits for the service waits for that to change."""


class Pulse:
    """`clock` is steady, in seconds. Thread-safe: of several who ask at once, one does, for all of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._beats = False
        self._until: float | None = None

    def beats(self, ask: Callable[[], bool]) -> bool:
        """What `ask` says, or has said a moment ago."""
        with self._lock:
            if self._until is None or self._clock() >= self._until:
                self._beats = ask()
                self._until = self._clock() + (GOOD_SECONDS if self._beats else BAD_SECONDS)
            return self._beats

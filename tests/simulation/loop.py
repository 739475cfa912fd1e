"""Simulated time: events in order, none lost, no clock on the wall."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count


class Loop:
    """`now` is in seconds from the beginning. Events of one moment happen in the order they were planned."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events = 0
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()

    def after(self, delay: float, action: Callable[[], object]) -> None:
        heappush(self._heap, (self.now + delay, next(self._numbers), action))

    def at(self, when: float, action: Callable[[], object]) -> None:
        heappush(self._heap, (max(when, self.now), next(self._numbers), action))

    def run(self, deadline: float, done: Callable[[], bool]) -> bool:
        """Let events happen until `done` (asked after each) or until the deadline. Returns whether it was done."""
        heap = self._heap
        while heap and heap[0][0] <= deadline:
            self.now, _, action = heappop(heap)
            self.events += 1
            action()
            if done():
                return True
        self.now = max(self.now, min(deadline, self.now if not heap else deadline))
        return done()

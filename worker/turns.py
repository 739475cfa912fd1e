"""Whose turn it is: which of its queues a worker looks at next."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

LOOK_SECONDS: Final = 1.0
"""After which a queue that goes ahead, and was empty, is looked at again: looking costs a transaction."""
MOST_AHEAD: Final = 8
"""Messages in a row that go ahead of others; then these are looked at first, once, so that their turn comes."""


class Turns:
    """The last of the queues is the usual one; the others go ahead of it. For one thread."""

    def __init__(self, queues: Sequence[str], monotonic: Callable[[], float] = time.monotonic) -> None:
        *self._ahead, self._usual = queues
        self._monotonic = monotonic
        self._empty_until: dict[str, float] = {}
        self._in_a_row = 0

    def order(self) -> tuple[str, ...]:
        """The queues to be looked at now, until one has a message."""
        now = self._monotonic()
        due = [queue for queue in self._ahead if self._empty_until.get(queue, now) <= now]
        return (self._usual, *due) if self._in_a_row >= MOST_AHEAD else (*due, self._usual)

    def saw(self, queue: str, *, found: bool) -> None:
        """What looking at the queue has shown."""
        if queue == self._usual:
            self._in_a_row = 0
        elif found:
            self._in_a_row += 1
        else:
            self._empty_until[queue] = self._monotonic() + LOOK_SECONDS

"""Storage is asked again when it is busy, cannot be reached, or does not answer: some times, with growing waits."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from azurerest import Busy, Unanswered, Unreachable

T = TypeVar("T")

WAITS = (0.1, 0.4, 1.6, 5.0)
"""Seconds before each further try of a write, or of a part of a large blob."""


def patiently(do: Callable[[], T], sleep: Callable[[float], None]) -> T:
    """`do` must bear to be repeated after it was done. Raises StorageError."""
    for wait in WAITS:
        try:
            return do()
        except (Busy, Unanswered, Unreachable) as fault:
            asked = fault.retry_after if isinstance(fault, Busy) else None
            sleep(max(wait * random.uniform(0.5, 1.5), asked or 0.0))  # noqa: S311
    return do()

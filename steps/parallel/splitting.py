"""How many make a mini-batch, and how many mini-batches a group. Pure: numbers and keys, no data."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

K = TypeVar("K", bound=Hashable)

MOST_GROUPS = 400
"""Steps of a child run: each is a message, a process and a row, and starts with `init()`."""
MOST_TOGETHER = 100
"""Mini-batches of a group: what is done again at most when a worker is killed."""
GROUPS_PER_NODE = 4
"""So that no node is idle for long while another one ends its last group."""
USABLE = 0.9
"""The part of the host's time limit that mini-batches may take; the rest is for init() and for moving data."""


def by_count(items: int, size: int) -> list[range]:
    """`items` in order, `size` at a time, the last with what is left."""
    return [range(start, min(start + size, items)) for start in range(0, items, size)]


def by_bytes(rows: int, total: int, size: int) -> list[range]:
    """Rows in order, as many at a time as have `size` bytes when all are of the average size; at least one."""
    return by_count(rows, max(1, rows * size // max(1, total)))


def by_key(keys: Iterable[K]) -> dict[K, list[int]]:
    """The positions of each key, in order; keys in the order in which they first come."""
    found: dict[K, list[int]] = {}
    for position, key in enumerate(keys):
        found.setdefault(key, []).append(position)
    return found


def group_size(batches: int, *, nodes: int, processes: int, seconds: float, limit: float | None) -> int:
    """How many mini-batches go into a group.

    As many as are good for the cost of `init()`, which each group pays once a process, and no more than these allow:

    - each of `nodes` gets some groups, so that they end at about the same time;
    - a killed worker's group is done again, and MOST_TOGETHER is what that may cost;
    - mini-batches that take the `seconds` that they may take fit in the host's time `limit`, `processes` at a time.

    But never so few that there would be more than MOST_GROUPS.
    """
    even = -(-batches // (nodes * GROUPS_PER_NODE))
    fitting = batches if limit is None else int(limit * USABLE / seconds) * processes
    least = -(-batches // MOST_GROUPS)
    return max(1, least, min(even, fitting, MOST_TOGETHER))


def grouped(sizes: Sequence[int], size: int) -> list[range]:
    """Contiguous groups of `size` over inputs of `sizes` mini-batches, none with mini-batches of two inputs."""
    groups, first = [], 0
    for count in sizes:
        groups += [range(first + part.start, first + part.stop) for part in by_count(count, size)]
        first += count
    return groups

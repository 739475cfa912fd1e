"""Finding circles in a graph, so that a message can name all of one instead of saying that there is one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

MOST_CYCLES = 8


def cycles(waits: Sequence[Collection[int]]) -> Iterator[list[int]]:
    """Circles that share no node, at most 8, each in the order in which its nodes feed one another.

    `waits[n]` are the nodes that n waits for. In `[a, b, c]` b waits for a, c for b, and a for c; a is the least.
    """
    alive = set(range(len(waits)))
    for _ in range(MOST_CYCLES):
        alive = _blocked(waits, alive)
        if not alive:
            return
        cycle = _walk(waits, alive)
        yield cycle
        alive.difference_update(cycle)


def _blocked(waits: Sequence[Collection[int]], alive: set[int]) -> set[int]:
    """The nodes that can never start because they wait, somewhere above them, for a circle of alive nodes."""
    open_waits = {node: {parent for parent in waits[node] if parent in alive} for node in alive}
    children: dict[int, list[int]] = {node: [] for node in alive}
    for node, parents in open_waits.items():
        for parent in parents:
            children[parent].append(node)
    free = [node for node, parents in open_waits.items() if not parents]
    blocked = set(alive)
    while free:
        node = free.pop()
        blocked.discard(node)
        for child in children[node]:
            open_waits[child].discard(node)
            if not open_waits[child]:
                free.append(child)
    return blocked


def _walk(waits: Sequence[Collection[int]], blocked: set[int]) -> list[int]:
    """Every blocked node waits for a blocked one, so going from one to the next must come back to where it was."""
    node, seen = min(blocked), dict[int, int]()
    while node not in seen:
        seen[node] = len(seen)
        node = min(parent for parent in waits[node] if parent in blocked)
    circle = [visited for visited, order in seen.items() if order >= seen[node]][::-1]
    start = circle.index(min(circle))
    return circle[start:] + circle[:start]

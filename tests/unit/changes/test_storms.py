"""Everything at once: events doubled, late and lost, processes killed and frozen at any effect, answers lost.

Several processes work on one account, one effect at a time, in a random order. Then the storm ends, and what was begun
must have come to its end: each version of a blob that somebody could have seen has one run, or is in one batch.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.changes.sweep import sweep_changes
from orchestrator.core.errors import MillstreamError
from orchestrator.ports import Commit, Effect, Refused, Task, Unanswered
from tests.unit.changes.watching import CONTAINER, QUEUE, Watching

SEEDS = range(50)
NAMES = [f"in/{number}.csv" for number in range(6)]


class Storm:
    """Tasks under way, each with the effect that it waits for."""

    def __init__(self, at: Watching, seed: int) -> None:
        self.at = at
        self.chance = random.Random(seed)
        self.under_way: list[tuple[Task[Any], Effect[Any]]] = []
        self.written: list[tuple[str, str]] = []

    def begin(self, task: Task[Any]) -> None:
        self.under_way.append((task, next(task)))

    def write(self) -> None:
        name = self.chance.choice(NAMES)
        self.at.write(name)
        self.written.append((name, self.at.etag(name)))
        for _ in range(self.chance.choice((0, 0, 1, 1, 2))):
            self.begin(self.at.intake.notice(CONTAINER, name))

    def tick(self) -> None:
        for message in self.at.account.queues.receive(QUEUE, count=1, visibility=30):
            for schedule in self.at.schedules:
                self.begin(self.at.intake.tick(schedule))
            self.at.account.queues.delete(QUEUE, message)

    def step(self) -> None:
        """One effect of one task, or its end by a kill. Tasks at the front of the list are those that are frozen."""
        if not self.under_way:
            return
        index = min(len(self.under_way) - 1, int(self.chance.triangular(0, len(self.under_way), len(self.under_way))))
        task, effect = self.under_way.pop(index)
        if self.chance.random() < 0.01:
            task.close()
            return
        try:
            self.under_way.append((task, self._advance(task, effect)))
        except (StopIteration, MillstreamError):
            return

    def _advance(self, task: Task[Any], effect: Effect[Any]) -> Effect[Any]:
        lost = isinstance(effect, Commit) and self.chance.random() < 0.1
        if lost and self.chance.random() < 0.5:
            return task.throw(Unanswered("the request was lost"))
        try:
            answer = self.at.world.perform(effect)
        except Refused as refused:
            return task.throw(Unanswered("the answer was lost") if lost else refused)
        return task.throw(Unanswered("the answer was lost")) if lost else task.send(answer)

    def rage(self, moves: int) -> None:
        for _ in range(moves):
            kind = self.chance.random()
            if kind < 0.03:
                self.write()
            elif kind < 0.05:
                self.at.clock.advance(self.chance.choice((0.2, 1.0, 7.0, 40.0)))
            elif kind < 0.06:
                self.begin(sweep_changes(self.at.intake))
            elif kind < 0.08:
                self.tick()
            elif kind < 0.083:
                self.at.restart()
            else:
                self.step()

    def calm(self) -> None:
        """Those that were frozen wake up, some of them long after everything was done by others."""
        late = self.under_way[::2]
        self.under_way = self.under_way[1::2]
        self._drain()
        self.at.pass_time(400)
        self.under_way = late
        self._drain()
        self.at.pass_time(400)

    def _drain(self) -> None:
        while self.under_way:
            self.step()


@pytest.fixture(params=SEEDS)
def seed(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


def changes_of(at: Watching) -> Iterator[tuple[str, str]]:
    for info in at.runs():
        yield from ((blob.path, blob.etag) for blob in at.changes(info).changes)


def test_single_changes(seed: int) -> None:
    at = Watching()
    at.schedule(polling_interval=2)
    storm = Storm(at, seed)
    storm.rage(3000)
    storm.calm()
    found = sorted(changes_of(at))
    assert len(at.runs()) == len(found) == len(set(found))
    assert {(name, at.etag(name)) for name, _ in storm.written} <= set(found) <= set(storm.written)


def test_batches(seed: int) -> None:
    at = Watching()
    at.schedule(per="batch", debounce_seconds=20, max_wait_seconds=90, polling_interval=2)
    storm = Storm(at, seed)
    storm.rage(3000)
    storm.calm()
    found = sorted(changes_of(at))
    assert len(found) == len(set(found))
    assert {(name, at.etag(name)) for name, _ in storm.written} <= set(found) <= set(storm.written)
    assert len({at.assigned(info).changes for info in at.runs()}) == len(at.runs())

"""Whose requests count as whose: by task, by thread, and task in task."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from orchestrator.adapters import metering
from orchestrator.adapters.memory import ManualClock, MemoryWorld
from orchestrator.core.usage import NOTHING, Usage
from orchestrator.ports import Commit, Effect, Get, Pause, Send, Task, Upsert, Used
from steps.parts import Parts
from steps.transfer import Pool

SENT = Send(queue="q", body="{}")


def asks(*effects: Effect[object]) -> Task[Usage]:
    for effect in effects:
        yield from effect
    return (yield from Used())


def test_a_task_counts_from_its_own_beginning() -> None:
    clock = ManualClock()
    world = MemoryWorld(clock=clock.clock())
    write = Commit(table="t", pk="p", writes=(Upsert(rk="r", props={}), Upsert(rk="s", props={})))
    used = world.run(asks(write, Get(table="t", pk="p", rk="r"), SENT, SENT))
    assert used.requests == {"table_write": 1, "table_read": 1, "queue": 2}, "a transaction is one request"
    assert world.run(asks()).requests == {}
    assert metering.read() == NOTHING


def test_seconds_are_those_of_the_worlds_clock() -> None:
    clock = ManualClock()
    world = MemoryWorld(clock=clock.clock())

    def waits() -> Task[Usage]:
        clock.advance(3.5)
        return (yield from Used())

    assert world.run(waits()).seconds == 3.5


@dataclass(frozen=True, slots=True)
class Inside(Effect[None]):
    """Carried out by another task."""


def test_a_task_in_the_middle_of_another_counts_as_part_of_it() -> None:
    world = MemoryWorld()
    world.register(Inside, lambda _: world.run(asks(SENT)))
    assert world.run(asks(SENT, Inside(), SENT)).requests == {"queue": 3}


def test_tasks_of_two_threads_do_not_count_for_each_other() -> None:
    world, found = MemoryWorld(), dict[int, Usage]()
    meet = threading.Barrier(2)
    world.register(Pause, lambda _: meet.wait(10))

    def run(times: int) -> None:
        found[times] = world.run(asks(Pause(at_most=0), *[SENT] * times, Pause(at_most=0)))

    threads = [threading.Thread(target=run, args=(times,)) for times in (1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert {times: used.requests for times, used in found.items()} == {1: {"queue": 1}, 5: {"queue": 5}}


def _by_pool(do: Callable[[], object]) -> None:
    pool = Pool(4)
    pool.map(lambda _: do(), range(20))
    pool.close()


def _by_parts(do: Callable[[], object]) -> None:
    parts = Parts()
    parts.run(iter([do] * 20))
    parts.close()


@pytest.mark.parametrize("by", [_by_pool, _by_parts])
def test_the_threads_of_a_worker_count_for_whom_they_work(by: Callable[[Callable[[], object]], None]) -> None:
    here = threading.get_ident()
    elsewhere: set[int] = set()

    def do() -> None:
        metering.count("blob_read")
        elsewhere.add(threading.get_ident())

    with metering.metered(time.monotonic):
        by(do)
        assert metering.read().requests == {"blob_read": 20}
    assert elsewhere != {here}

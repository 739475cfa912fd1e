from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from orchestrator.adapters.driver import World
from orchestrator.adapters.memory import ManualClock
from orchestrator.core.errors import Broken, Unavailable
from orchestrator.ports import Acquire, Effect, Monotonic, NewId, Now, Pause, Release, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Effect[int]):
    number: int


def double(ask: Ask) -> int:
    if ask.number < 0:
        raise Unavailable("no")
    return 2 * ask.number


def world_of_asking() -> World:
    world = World()
    world.register(Ask, double)
    return world


def test_a_task_gets_the_results_of_its_effects() -> None:
    def task() -> Task[int]:
        first = yield from Ask(number=1)
        second = yield from Ask(number=first + 1)
        return first + second

    assert world_of_asking().run(task()) == 8


def test_a_task_without_effects_just_returns() -> None:
    def task() -> Task[str]:
        yield from ()
        return "done"

    assert World().run(task()) == "done"


def test_an_effect_fails_where_it_was_asked_for() -> None:
    def task() -> Task[str]:
        try:
            yield from Ask(number=-1)
        except Unavailable:
            return f"caught, then {(yield from Ask(number=4))}"
        return "not raised"

    assert world_of_asking().run(task()) == "caught, then 8"


def test_what_a_task_does_not_catch_reaches_the_caller() -> None:
    def task() -> Task[int]:
        return (yield from Ask(number=-1))

    with pytest.raises(Unavailable):
        world_of_asking().run(task())


def test_an_effect_without_an_interpreter_is_named() -> None:
    def task() -> Task[int]:
        return (yield from Ask(number=1))

    with pytest.raises(Broken, match="Ask"):
        World().run(task())


def test_a_lock_keeps_other_tasks_of_the_process_out() -> None:
    world, order, inside, leave = World(), list[str](), threading.Event(), threading.Event()

    def holder() -> Task[None]:
        yield from Acquire(key="k")
        inside.set()
        assert leave.wait(10)
        order.append("holder")
        yield from Release(key="k")

    def waiter() -> Task[None]:
        yield from Acquire(key="k")
        order.append("waiter")

    first = threading.Thread(target=world.run, args=(holder(),))
    first.start()
    assert inside.wait(10)
    second = threading.Thread(target=world.run, args=(waiter(),))
    second.start()
    world.run(other_lock())  # another key is free meanwhile
    leave.set()
    first.join(10)
    second.join(10)
    assert order == ["holder", "waiter"]


def other_lock() -> Task[None]:
    yield from Acquire(key="other")


def test_locks_are_dropped_when_the_task_ends_however_it_ends() -> None:
    def task() -> Task[None]:
        yield from Acquire(key="k")
        yield from Ask(number=-1)

    world = world_of_asking()
    for _ in range(2):
        with pytest.raises(Unavailable):
            world.run(task())
    assert world._locks._locks == {}


def test_taking_a_held_lock_again_or_dropping_a_free_one_is_a_bug_not_a_deadlock() -> None:
    def twice() -> Task[None]:
        yield from Acquire(key="k")
        yield from Acquire(key="k")

    def free() -> Task[None]:
        yield from Release(key="k")

    for task in (twice(), free()):
        with pytest.raises(Broken, match="'k'"):
            World().run(task)


def test_clocks_names_and_pauses() -> None:
    def task() -> Task[tuple[float, float, set[str]]]:
        before = yield from Now()
        started = yield from Monotonic()
        yield from Pause(at_most=5.0)
        names = set[str]()
        for _ in range(100):
            names.add((yield from NewId()))
        return (yield from Now()) - before, (yield from Monotonic()) - started, names

    waited, elapsed, names = World(clock=ManualClock().clock()).run(task())
    assert 0 < waited <= 5
    assert elapsed == pytest.approx(waited, abs=1e-3)
    assert len(names) == 100
    assert all(len(name) == 12 and int(name, 16) >= 0 for name in names)

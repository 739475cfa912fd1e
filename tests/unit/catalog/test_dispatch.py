"""The dispatcher: as many executions as there are messages, never more than there may be, whoever else dispatches."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from orchestrator.adapters.memory import ManualClock, MemoryAccount, MemoryWorld
from orchestrator.catalog.dispatch import STARTING_SECONDS, Dispatched, Dispatching, dispatch, last, wanted
from orchestrator.core.compute import Compute, Executions
from orchestrator.core.errors import Unavailable
from orchestrator.executions import Backlog, CountMessages, ListExecutions, StartExecution

CPU = Compute(name="cpu", kind="container", created_at=0.0, executions=Executions(most=8))


@pytest.mark.parametrize(
    ("total", "visible", "running", "most", "starts"),
    [
        (0, 0, 0, 8, 0),
        (1, 1, 0, 8, 1),
        (100, 32, 0, 8, 8),
        (100, 32, 8, 8, 0),
        (100, 32, 5, 8, 3),
        (100, 32, 0, 200, 100),
        (5, 0, 5, 8, 0),  # all of them are held
        (5, 2, 3, 8, 2),
        (5, 5, 3, 8, 2),  # three have just been started, and will take one each
        (4, 0, 0, 8, 0),  # delayed, or held by one that has died
        (3, 3, 9, 8, 0),
    ],
)
def test_one_for_each_message_that_nobody_will_take(
    total: int, visible: int, running: int, most: int, starts: int
) -> None:
    assert wanted(Backlog(total=total, visible=visible), running=running, most=most) == starts


class Place:
    """Executions that only have names, in an account that several dispatchers share."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.account = MemoryAccount(server_now=self.clock.now)
        self.running: list[str] = []
        self.backlog = Backlog(total=100, visible=32)
        self.urgent = Backlog(total=0, visible=0)
        self.before_start: Callable[[], None] = lambda: None

    def world(self) -> MemoryWorld:
        made = MemoryWorld(self.account, clock=self.clock.clock())
        made.register(CountMessages, lambda it: self.urgent if "urgent" in it.queue else self.backlog)
        made.register(ListExecutions, lambda _: tuple(self.running))
        made.register(StartExecution, self._start)
        return made

    def _start(self, asked: StartExecution) -> str:
        self.before_start()
        self.running.append(f"{asked.compute.name}-{len(self.running)} of {' '.join(asked.queues)}")
        return self.running[-1]

    def dispatch(self, *computes: Compute) -> Dispatched:
        return self.world().run(dispatch(computes, ("steps-urgent", "steps"), lambda _: "tests"))


def test_it_starts_what_is_missing_and_says_so() -> None:
    place = Place()
    assert len(place.dispatch(CPU).started) == 8
    assert place.running[0] == "cpu-0 of steps-urgent-on-cpu steps-on-cpu"
    assert place.world().run(last("cpu")) == Dispatching(running=8, waiting=100, by="tests")
    assert place.dispatch(CPU).started == ()
    place.running = place.running[:5]
    assert len(place.dispatch(CPU).started) == 3


def test_what_goes_ahead_is_counted_with_the_rest() -> None:
    place = Place()
    place.backlog, place.urgent = Backlog(total=2, visible=2), Backlog(total=3, visible=3)
    assert len(place.dispatch(CPU).started) == 5
    assert place.world().run(last("cpu")).waiting == 5


def test_functions_are_none_of_its_business() -> None:
    assert Place().dispatch(Compute(name="function", kind="function", created_at=0.0)) == Dispatched(
        started=(), failed=()
    )


def test_of_two_at_once_one_starts() -> None:
    place = Place()
    others: list[Dispatched] = []
    place.before_start = lambda: others.append(place.dispatch(CPU))
    first = place.dispatch(CPU)
    assert (len(first.started), len(place.running)) == (8, 8)
    assert all(other.started == () for other in others)


def test_many_at_once_never_start_too_many() -> None:
    place = Place()
    threads = [threading.Thread(target=place.dispatch, args=(CPU,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(place.running) == 8


def test_one_that_died_while_starting_is_waited_for_a_minute() -> None:
    class Died(BaseException):
        pass

    def die() -> None:
        raise Died

    place = Place()
    place.before_start = die
    with pytest.raises(Died):
        place.dispatch(CPU)
    place.before_start = lambda: None
    assert place.dispatch(CPU).started == ()
    place.clock.advance(STARTING_SECONDS + 1)
    assert len(place.dispatch(CPU).started) == 8


def test_a_compute_that_fails_does_not_keep_the_others_waiting() -> None:
    place = Place()

    def fail() -> None:
        if len(place.running) == 2:
            raise Unavailable("no more room")

    place.before_start = fail
    other = Compute(name="other", kind="process", created_at=0.0, executions=Executions(most=3))
    done = place.dispatch(CPU, other)
    assert done.failed == (("cpu", "no more room"), ("other", "no more room"))
    assert place.world().run(last("cpu")).running == 2, "those that did start are counted"
    place.before_start = lambda: None
    assert len(place.dispatch(CPU).started) == 6

"""A step that becomes many, in peace: it has its time, and it may become many more than once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from orchestrator.adapters.memory_queues import QueuedMessage
from orchestrator.core import definition as definitions
from orchestrator.core.definition import Definition
from orchestrator.core.job import Job
from orchestrator.core.message import decode
from orchestrator.core.result import Expansion, StepError, StepResult
from orchestrator.core.states import RunStatus
from orchestrator.engine.cancel import cancel
from orchestrator.engine.reading import definition_blob
from orchestrator.engine.stepview import step_view
from orchestrator.engine.sweep import sweep
from orchestrator.engine.view import run_view
from orchestrator.ports import WriteBlob
from tests.unit.engine.running import Runner, step

QUEUE = "millstream-steps"
PARTS = Definition(name="parts", steps=(step("part1"), step("part2", "part1")))


class Composite:
    """Becomes PARTS, `rounds` times. `joined`: what it was given each time that these had ended."""

    def __init__(self, rounds: int = 1) -> None:
        self.rounds = rounds
        self.joined: list[Any] = []

    def __call__(self, job: Job) -> StepResult:
        if job.children is not None:
            self.joined.append(job.children)
            if job.children.status is not RunStatus.COMPLETED:
                return StepResult(error=StepError(code="ChildFailed", message="no"), retryable=False)
        if len(self.joined) == self.rounds:
            return StepResult(exit_code=0)
        address = definitions.address(definitions.encode(PARTS))
        return StepResult(expansion=Expansion(definition=address, steps=2, join={"round": len(self.joined)}))


def runner_of(composite: Composite, **fields: Any) -> Runner:
    many = msgspec.structs.replace(step("many"), kind="pipeline", template=PARTS, outputs=(), **fields)
    runner = Runner(many, step("after", "many"), scripts={"many": composite})
    document = definitions.encode(PARTS)
    runner.world.run(iter(WriteBlob(name=definition_blob(definitions.address(document)), data=document)))
    runner.start()
    return runner


def _taken(runner: Runner) -> tuple[QueuedMessage, ...]:
    """What is on the queue, and is taken off it."""
    taken = runner.world.account.queues.receive(QUEUE, count=32, visibility=30.0)
    for message in taken:
        runner.world.account.queues.delete(QUEUE, message)
    return taken


def deliver_all(runner: Runner) -> None:
    """Until nothing waits: neither what was returned, nor what was put on the queue."""
    while True:
        runner.waiting += [decode(message.body) for message in _taken(runner)]
        if not runner.waiting:
            return
        runner.finish()


def test_it_becomes_many_as_often_as_it_wants() -> None:
    composite = Composite(rounds=3)
    runner = runner_of(composite)
    deliver_all(runner)
    assert runner.world.run(run_view(runner.memory, "run1")).status is RunStatus.COMPLETED
    assert [children.join for children in composite.joined] == [{"round": n} for n in range(3)]
    assert len({children.run for children in composite.joined}) == 3
    view = runner.world.run(step_view(runner.memory, "run1", "many"))
    assert view.attempt == 1 and view.child is not None and view.child.run == composite.joined[-1].run


def test_it_fails_when_what_it_became_takes_longer_than_it_may() -> None:
    composite = Composite()
    runner = runner_of(composite, timeout_seconds=100.0)
    runner.deliver()
    runner.waiting.clear()  # nobody works on its parts
    runner.clock.advance(95.0)
    runner.world.run(sweep(runner.memory))
    deliver_all(runner)
    assert not composite.joined
    runner.clock.advance(10.0)
    runner.world.run(sweep(runner.memory))
    deliver_all(runner)
    (children,) = composite.joined
    assert children.timed_out and children.status is RunStatus.CANCELED
    assert runner.world.run(run_view(runner.memory, children.run)).status is RunStatus.CANCELED
    assert runner.world.run(run_view(runner.memory, "run1")).status is RunStatus.FAILED
    assert runner.world.run(step_view(runner.memory, "run1", "after")).status.value == "Skipped"


def test_its_time_is_that_of_all_it_becomes() -> None:
    composite = Composite(rounds=2)
    runner = runner_of(composite, timeout_seconds=100.0)
    runner.deliver()
    runner.clock.advance(60.0)
    runner.finish()  # its parts; and it becomes them again
    runner.waiting = [decode(message.body) for message in _taken(runner)]
    runner.deliver()
    runner.waiting.clear()
    for seconds in (20.0, 30.0):
        assert len(composite.joined) == 1
        runner.clock.advance(seconds)
        runner.world.run(sweep(runner.memory))
        deliver_all(runner)
    assert composite.joined[-1].timed_out
    assert runner.world.run(run_view(runner.memory, "run1")).status is RunStatus.FAILED


@pytest.mark.parametrize("cancelled", [False, True])
def test_the_end_of_a_search_clears_what_its_trials_told_each_other(cancelled: bool) -> None:
    trial = msgspec.structs.replace(step("trial"), kind="hyperdrive_trial", outputs=())
    runner = Runner(trial)
    runner.start()
    for name in ("trials/run1/trial/000001-a.json", "trials/run10/trial/000001-a.json"):
        runner.world.run(iter(WriteBlob(name=name, data=b"{}")))
    if cancelled:
        runner.world.run(cancel(runner.memory, "run1"))
    else:
        runner.finish()
    assert [name for name in runner.world.account.blobs if name.startswith("trials/")] == [
        "trials/run10/trial/000001-a.json"
    ]

"""What a run is said to cost, over the world in memory: what was counted, by whom, and what is not known."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from orchestrator.core import definition as definitions
from orchestrator.core.definition import Definition, Step
from orchestrator.core.errors import InvalidRequest, UnknownThing
from orchestrator.core.job import Job
from orchestrator.core.message import Delivery, StepMessage, decode
from orchestrator.core.prices import PUBLIC, total
from orchestrator.core.result import Deferral, Expansion, File, OutputData, StepResult
from orchestrator.core.states import RunStatus
from orchestrator.core.usage import STARTED, Usage
from orchestrator.engine.cancel import cancel
from orchestrator.engine.costview import RunCost, StepCost, cost_view
from orchestrator.engine.deliver import deliver
from orchestrator.engine.reading import definition_blob
from tests.unit.engine.running import FAILURE, Runner, step


class Killed(BaseException):
    """The process dies."""


def cost(runner: Runner, run: str = "run1", limit: int = 1000, continuation: str | None = None) -> RunCost:
    return runner.world.run(cost_view(runner.memory, run, PUBLIC, limit=limit, continuation=continuation))


def steps(view: RunCost) -> dict[str, StepCost]:
    return {each.id: each for each in view.steps}


def writes(job: Job) -> StepResult:
    """A step that leaves 1000 bytes."""
    output = OutputData(datastore="d", prefix=f"{job.prefix}/out", files=(File(path="a", size=1000, sha256="1"),))
    return StepResult(outputs={"out": output}, exit_code=0)


def test_a_run_costs_what_its_steps_do_and_its_start() -> None:
    runner = Runner(step("a"), step("b", "a"), scripts={"a": writes})
    runner.start()
    runner.finish()
    view = cost(runner)
    own = [each.used for each in view.steps]
    assert view.used == own[0] + own[1] + STARTED
    assert view.overhead == STARTED
    assert view.amount == sum((each.amount for each in view.steps), total(STARTED, PUBLIC))
    assert view.amount == sum((line.amount for line in view.lines), Decimal(0))
    assert own[0].seconds == 2.0 and own[0].gb_seconds == 4.0, "2 s of an instance of 2 GB"
    assert own[0].stored == 1000 and own[0].requests["queue"] == 3
    assert view.complete and (view.currency, view.as_of) == ("USD", PUBLIC.as_of)


def test_a_run_that_goes_on_has_cost_something_already() -> None:
    runner = Runner(step("a"), step("b", "a"))
    runner.start()
    assert cost(runner).used == STARTED
    runner.deliver()
    view = cost(runner)
    assert not view.complete and view.status is RunStatus.RUNNING
    assert [each.used.executions for each in view.steps] == [1, 0]


def test_an_attempt_that_failed_is_paid_for_like_one_that_did_not() -> None:
    answers = [FAILURE, FAILURE, StepResult(exit_code=0)]
    runner = Runner(step("a", retries=3), scripts={"a": lambda job: answers.pop(0)})
    runner.start()
    while answers:
        while not runner.waiting:
            runner.clock.advance(60)
            runner.waiting += _due(runner)
        runner.deliver()
    assert steps(cost(runner))["a"].used.executions == 3
    assert steps(cost(runner))["a"].used.seconds == 6.0


def _due(runner: Runner) -> list[StepMessage]:
    """The messages that are due on the queue."""
    queue = runner.memory.settings.queue
    return [decode(message.body) for message in runner.world.account.queues.receive(queue, visibility=600)]


def test_of_an_attempt_that_was_killed_nothing_is_known_and_that_is_said() -> None:
    deaths = [Killed()]

    def dies(job: Job) -> StepResult:
        if deaths:
            raise deaths.pop()
        return StepResult(exit_code=0)

    runner = Runner(step("a"), scripts={"a": dies})
    runner.start()
    message = runner.waiting.pop()
    with pytest.raises(Killed):
        runner.world.run(deliver(runner.memory, message, Delivery(message_id="m", count=1)))
    runner.world.run(deliver(runner.memory, message, Delivery(message_id="m", count=2)))
    view = cost(runner)
    assert view.status is RunStatus.COMPLETED and not view.complete
    assert (view.used.executions, view.used.unknown) == (1, 1)


def test_a_message_that_comes_twice_is_not_paid_for_twice() -> None:
    runner = Runner(step("a"))
    runner.start()
    message = runner.waiting[0]
    runner.finish()
    before = cost(runner)
    runner.world.run(deliver(runner.memory, message, Delivery(message_id="other", count=1)))
    runner.world.run(deliver(runner.memory, message, Delivery(message_id="m1", count=2)))
    assert cost(runner).used == before.used


def test_what_a_cancelled_run_was_at_is_unknown() -> None:
    runner = Runner(step("a"), step("b", "a"))

    def cancels(job: Job) -> None:
        runner.world.run(cancel(runner.memory, job.run))

    runner.scripts["b"] = cancels
    runner.start()
    runner.finish()
    view = cost(runner)
    assert view.status is RunStatus.CANCELED and not view.complete
    assert {name: (each.used.executions, each.used.unknown) for name, each in steps(view).items()} == {
        "a": (1, 0),
        "b": (0, 1),
    }


def test_a_reused_step_costs_nothing_and_says_what_it_saved() -> None:
    runner = Runner(step("a"), scripts={"a": writes})
    runner.start("run1")
    runner.finish()
    runner.start("run2")
    runner.finish()
    first, second = steps(cost(runner, "run1"))["a"], steps(cost(runner, "run2"))["a"]
    assert second.used == Usage() and second.amount == 0
    assert second.saved == first.amount > 0
    assert cost(runner, "run2").saved == first.amount
    assert first.saved is None


def test_what_a_rerun_keeps_is_saved_too() -> None:
    runner = Runner(step("a"), step("b", "a"), scripts={"b": lambda job: FAILURE})
    runner.start("run1")
    runner.finish()
    del runner.scripts["b"]
    runner.start("run2", rerun_of="run1")
    runner.finish()
    again = steps(cost(runner, "run2"))
    assert again["a"].saved == steps(cost(runner, "run1"))["a"].amount
    assert again["b"].saved is None and again["b"].used.executions == 1


def test_steps_come_page_by_page_and_the_sum_is_of_all_of_them() -> None:
    runner = Runner(*(step(f"s{number}") for number in range(5)))
    runner.start()
    runner.finish()
    pages: list[list[str]] = []
    continuation = None
    while not pages or continuation:
        page = cost(runner, limit=2, continuation=continuation)
        pages.append([each.id for each in page.steps])
        continuation = page.continuation
        assert page.used.executions == 5
    assert pages == [["s0", "s1"], ["s2", "s3"], ["s4"]]
    assert cost(runner, limit=2, continuation="900").steps == ()
    with pytest.raises(InvalidRequest):
        cost(runner, continuation="two")


def test_there_is_no_price_of_a_run_that_is_not_there() -> None:
    with pytest.raises(UnknownThing):
        cost(Runner(step("a")), "run9")


INNER = Definition(name="inner", steps=(step("i0"), step("i1")))


def became_two(runner: Runner) -> None:
    """Have the step "a" become the two steps of INNER, and join them."""
    document = definitions.encode(INNER)
    address = definitions.address(document)
    runner.world.account.blobs[definition_blob(address)] = document

    def perform(job: Job) -> StepResult:
        if job.children is None:
            return StepResult(expansion=Expansion(definition=address, steps=2))
        return StepResult(exit_code=0)

    runner.scripts["a"] = perform


def composite() -> Step:
    return msgspec.structs.replace(step("a"), kind="pipeline", settings={}, allow_reuse=False)


def everything(runner: Runner) -> None:
    """Until no message is left, those on the queue among them."""
    while runner.waiting or (more := _due(runner)):
        runner.waiting += [] if runner.waiting else more
        runner.deliver()


def test_a_step_that_became_many_has_its_children_in_its_price() -> None:
    runner = Runner(composite())
    became_two(runner)
    runner.start()
    everything(runner)
    view = cost(runner)
    (parent,) = view.steps
    assert view.status is RunStatus.COMPLETED and view.complete
    assert parent.used.executions == 2, "it was expanded, and it was joined"
    assert parent.child is not None
    child = cost(runner, parent.child)
    assert parent.children == child.used and child.used.executions == 2
    assert parent.amount == total(parent.used, PUBLIC) + child.amount


def test_the_children_of_a_step_that_is_under_way_are_looked_at() -> None:
    runner = Runner(composite())
    became_two(runner)
    runner.start()
    runner.deliver()  # expanded
    runner.deliver()  # the first of its two
    (parent,) = cost(runner).steps
    assert parent.used.executions == 1 and parent.children.executions == 1
    runner.world.run(cancel(runner.memory, "run1"))
    (parent,) = cost(runner).steps
    assert parent.children.executions == 1, "and so are those of one that never will be joined"


def test_each_look_at_what_a_service_does_is_paid_for_and_a_death_before_one_is_not_forgotten() -> None:
    looks, deaths = [1, 2], [Killed()]

    def perform(job: Job) -> StepResult:
        if deaths:
            raise deaths.pop()
        return StepResult(deferral=Deferral(handle={"n": looks.pop()})) if looks else StepResult(exit_code=0)

    runner = Runner(msgspec.structs.replace(step("a"), kind="databricks"), scripts={"a": perform})
    runner.start()
    message = runner.waiting.pop()
    with pytest.raises(Killed):
        runner.world.run(deliver(runner.memory, message, Delivery(message_id="m", count=1)))
    runner.world.run(deliver(runner.memory, message, Delivery(message_id="m", count=2)))
    assert steps(cost(runner))["a"].used.executions == 1
    for _ in range(2):
        runner.clock.advance(600)
        runner.waiting += _due(runner)
        runner.finish()
    used = steps(cost(runner))["a"].used
    assert (used.executions, used.unknown) == (3, 1)
    assert used.seconds == 6.0, "what lies between the looks is nobody's"

"""A step whose work a service does: nobody holds it between two looks, and it ends with its run."""

from __future__ import annotations

import msgspec

from orchestrator.core.claim import ClaimRow
from orchestrator.core.definition import Step
from orchestrator.core.job import Job
from orchestrator.core.message import Delivery, StepMessage
from orchestrator.core.result import Deferral, StepError, StepResult
from orchestrator.core.retry import CRASH_BUDGET, RetryPolicy
from orchestrator.core.states import ClaimState, RunStatus
from orchestrator.engine.cancel import cancel
from orchestrator.engine.deliver import deliver
from orchestrator.engine.give_back import look_delay
from orchestrator.engine.index import ACTIVE, INDEX
from orchestrator.engine.poison import fail_poisoned
from orchestrator.engine.rows import RUNS, claim_key, read_claim
from orchestrator.engine.stepview import step_view
from orchestrator.engine.sweep import sweep
from orchestrator.engine.view import run_view
from orchestrator.ports import Get
from tests.unit.engine.running import Runner, step

QUEUE = "millstream-steps"


class Service:
    """Does the work of one step. `calls`: what it was asked."""

    def __init__(self, looks: int = 2) -> None:
        self.looks = looks
        self.calls: list[Job] = []
        self.cancelled = 0
        self.silent = False

    def __call__(self, job: Job) -> StepResult:
        self.calls.append(job)
        if job.called_off:
            if self.silent:
                assert job.deferred is not None
                return StepResult(deferral=Deferral(handle=job.deferred.deferral.handle))
            self.cancelled += 1
            return StepResult()
        done = len(self.calls) > self.looks
        return StepResult(exit_code=0) if done else StepResult(deferral=Deferral(handle={"n": len(self.calls)}))


def remote_step(**fields: object) -> Step:
    return msgspec.structs.replace(step("a"), kind="databricks", **fields)


def started(service: Service, **fields: object) -> Runner:
    runner = Runner(remote_step(**fields), step("b", "a"), scripts={"a": service})
    runner.start()
    runner.deliver()
    return runner


def sent(runner: Runner) -> list[StepMessage]:
    """What is on the queue, when all of it is visible."""
    taken = runner.world.account.queues.receive(QUEUE, count=32, visibility=1.0)
    messages = [msgspec.json.decode(message.body, type=StepMessage) for message in taken]
    for message in taken:
        runner.world.account.queues.delete(QUEUE, message)
    return messages


def look(runner: Runner, seconds: float) -> None:
    runner.clock.advance(seconds)
    runner.waiting += sent(runner)
    runner.finish()


def claim(runner: Runner) -> ClaimRow:
    row = runner.world.run(iter(Get(table=RUNS, pk="run1", rk=claim_key(0))))
    assert row is not None
    return read_claim(row)


def active(runner: Runner) -> bool:
    return bool(runner.world.account.tables.partition(INDEX, ACTIVE))


def test_it_is_looked_at_by_the_next_owner_of_the_same_attempt() -> None:
    service = Service(looks=3)
    runner = started(service)
    first = claim(runner)
    assert (first.state, first.looks, first.delay) == (ClaimState.DEFERRED, 1, 5.0)
    assert runner.world.run(step_view(runner.memory, "run1", "a")).status.value == "Running"
    look(runner, 4.0)
    assert len(service.calls) == 1
    for seconds in (2.0, 11.0):
        look(runner, seconds)
    second = claim(runner)
    assert (second.attempt, second.looks, second.delay) == (1, 3, 20.0)
    assert second.owner != first.owner and second.started_at == first.started_at
    look(runner, 21.0)
    assert runner.world.run(run_view(runner.memory, "run1")).status is RunStatus.COMPLETED
    handles = [job.deferred.deferral.handle for job in service.calls if job.deferred is not None]
    assert handles == [{"n": 1}, {"n": 2}, {"n": 3}]
    elapsed = [job.deferred.elapsed for job in service.calls if job.deferred is not None]
    assert 5.0 < elapsed[0] < 10.0 < elapsed[1] < 25.0 < elapsed[2] < 50.0
    assert len({job.owner for job in service.calls}) == 4 and {job.retries for job in service.calls} == {0}
    assert not active(runner)


def test_early_messages_and_duplicates_are_dropped() -> None:
    service = Service()
    runner = started(service)
    info = runner.memory.infos.get("run1")
    assert info is not None
    message = StepMessage(run="run1", definition=info.definition, position=0, queue=QUEUE)
    for count in (1, 2):
        delivery = Delivery(message_id="early", count=count)
        assert runner.world.run(deliver(runner.memory, message, delivery)) == ()
    assert len(service.calls) == 1


def test_the_delay_grows_and_obeys() -> None:
    delays = (5.0, 60.0)
    assert [look_delay(delays, looks, Deferral(handle={})) for looks in (0, 1, 9)] == [5.0, 60.0, 60.0]
    assert look_delay(delays, 0, Deferral(handle={}, after=30.0)) == 30.0
    assert look_delay(delays, 0, Deferral(handle={}, after=1e9)) == 3600.0
    assert look_delay(delays, 5, Deferral(handle={}, within=12.0)) == 12.0
    assert look_delay(delays, 5, Deferral(handle={}, within=-3.0)) == 1.0


def test_a_lost_look_is_found_by_the_sweep() -> None:
    runner = started(Service(looks=1))
    runner.clock.advance(30.0)
    assert len(sent(runner)) == 1  # and lost
    assert runner.world.run(sweep(runner.memory)).messages == ()
    runner.clock.advance(60.0)
    runner.waiting += runner.world.run(sweep(runner.memory)).messages
    runner.finish()
    assert runner.world.run(run_view(runner.memory, "run1")).status is RunStatus.COMPLETED


def test_cancelling_sends_for_somebody_who_ends_the_work() -> None:
    service = Service(looks=100)
    runner = started(service)
    runner.world.run(cancel(runner.memory, "run1"))
    assert active(runner)
    look(runner, 0.0)
    assert service.cancelled == 1 and claim(runner).state is ClaimState.CALLED_OFF
    assert not active(runner)
    look(runner, 60.0)  # the look that had been arranged
    assert service.cancelled == 1 and len(service.calls) == 2
    assert runner.world.run(step_view(runner.memory, "run1", "a")).status.value == "Canceled"


def test_what_a_cancel_has_sent_may_be_lost() -> None:
    service = Service(looks=100)
    runner = started(service)
    runner.world.run(cancel(runner.memory, "run1"))
    runner.clock.advance(300.0)
    assert len(sent(runner)) == 2
    runner.waiting += runner.world.run(sweep(runner.memory)).messages
    runner.finish()
    assert service.cancelled == 1 and not active(runner)


def test_a_service_that_does_not_answer_is_told_again() -> None:
    service = Service(looks=100)
    runner = started(service)
    service.silent = True
    runner.world.run(cancel(runner.memory, "run1"))
    look(runner, 0.0)
    assert claim(runner).state is ClaimState.DEFERRED and active(runner)
    service.silent = False
    look(runner, 60.0)
    assert service.cancelled == 1 and not active(runner)


def test_who_died_after_the_submission_is_cleared_away_by_its_message() -> None:
    service = Service(looks=100)
    runner = Runner(remote_step(), scripts={"a": lambda job: service(job) if job.called_off else None})
    runner.start()
    message = runner.waiting[0]
    runner.world.run(deliver(runner.memory, message, Delivery(message_id="m", count=1)))  # broken off
    runner.world.run(cancel(runner.memory, "run1"))
    assert active(runner) and claim(runner).state is ClaimState.RUNNING
    runner.world.run(deliver(runner.memory, message, Delivery(message_id="m", count=2)))
    assert service.cancelled == 1 and service.calls[0].deferred is None and not active(runner)


def test_a_retry_begins_anew() -> None:
    service = Service(looks=1)
    failing = {"left": 1}

    def script(job: Job) -> StepResult:
        if job.deferred is not None and failing["left"]:
            failing["left"] = 0
            service.calls.clear()
            return StepResult(error=StepError(code="JobFailed", message="no"))
        return service(job)

    runner = Runner(remote_step(retry=RetryPolicy(max_retries=1, delay_seconds=60)), scripts={"a": script})
    runner.start()
    runner.deliver()
    look(runner, 6.0)
    again = claim(runner)
    assert (again.state, again.looks, again.retries) == (ClaimState.RETRYING, 0, 1)
    look(runner, 61.0)
    assert service.calls[0].deferred is None and service.calls[0].retries == 1
    look(runner, 6.0)
    assert runner.world.run(run_view(runner.memory, "run1")).status is RunStatus.COMPLETED


def test_looks_that_kill_their_process_end_step_and_work() -> None:
    service = Service(looks=100)
    runner = started(service)
    runner.scripts["a"] = lambda job: service(job) if job.called_off else None
    runner.clock.advance(6.0)
    (message,) = sent(runner)
    for count in range(1, CRASH_BUDGET + 2):
        runner.world.run(deliver(runner.memory, message, Delivery(message_id="m", count=count)))
    view = runner.world.run(step_view(runner.memory, "run1", "a"))
    assert view.error is not None and view.error.code == "Crashed" and service.cancelled == 1


def test_a_poisoned_look_is_given_more_chances_and_then_ends_the_work() -> None:
    service = Service(looks=100)
    runner = started(service)
    runner.clock.advance(6.0)
    (message,) = sent(runner)
    for chance in range(3):
        runner.world.run(fail_poisoned(runner.memory, message, Delivery(message_id=f"p{chance}", count=1)))
        runner.clock.advance(61.0)
        (message,) = sent(runner)
    assert service.cancelled == 0
    runner.world.run(fail_poisoned(runner.memory, message, Delivery(message_id="p", count=1)))
    view = runner.world.run(step_view(runner.memory, "run1", "a"))
    assert view.error is not None and service.cancelled == 1


def test_what_it_made_serves_the_next_run() -> None:
    service = Service(looks=1)
    runner = Runner(remote_step(allow_reuse=True), scripts={"a": service})
    runner.start()
    runner.deliver()
    look(runner, 6.0)
    runner.start("run2")
    runner.finish()
    assert len(service.calls) == 2
    assert runner.world.run(run_view(runner.memory, "run2")).status is RunStatus.COMPLETED

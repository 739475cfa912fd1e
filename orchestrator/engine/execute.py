"""What is done with a claim that is ours: perform the step, or settle it otherwise, and commit.

A step whose work a service does is performed several times: it is submitted, and then looked at, again and again, until
that work has ended (`resume`). Between two looks nobody holds its claim (`orchestrator.engine.give_back`).
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.core import decision as decisions
from orchestrator.core.claim import ClaimRow, settled, waiting
from orchestrator.core.errors import Broken, InvalidRequest
from orchestrator.core.fingerprint import lineage_of
from orchestrator.core.job import Job
from orchestrator.core.message import Messages, StepMessage
from orchestrator.core.nesting import Children, child_id
from orchestrator.core.plan import Plan
from orchestrator.core.result import Expansion, StepError, StepResult
from orchestrator.core.retry import CRASH_BUDGET, retry_delay
from orchestrator.core.run import RunInfo
from orchestrator.engine import call_off, telling
from orchestrator.engine.children import allowed_to_each, continued, launch, results_of
from orchestrator.engine.complete import complete
from orchestrator.engine.give_back import defer, give_back, release, retry, stored
from orchestrator.engine.inputs import job_of
from orchestrator.engine.lease import GivenBack, Lease, Perform
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import fresh_head, load_plan, messages_for
from orchestrator.engine.reuse import entries
from orchestrator.engine.reuse.consult import Adoption, ToRun
from orchestrator.engine.reuse.ingredients import Work, gather
from orchestrator.engine.spending import spent
from orchestrator.ports import Monotonic, Task


def fail(memory: ProcessMemory, plan: Plan, lease: Lease, error: StepError) -> Task[Messages]:
    """Fail the step without (further) execution, through the ordinary completion."""
    _, _, messages = yield from _finish(memory, plan, lease, StepResult(error=error, started_at=lease.claim.started_at))
    return messages


def abort(memory: ProcessMemory, plan: Plan, info: RunInfo, lease: Lease, error: StepError) -> Task[Messages]:
    """As `fail`, of a step for which a service may do work: that is ended before."""
    job = yield from call_off.order(memory, plan, info, lease, called_off=True)
    if (yield from Perform(job=job, lease=lease)) is None:
        return ()
    return (yield from fail(memory, plan, lease, error))


def died_too_often() -> StepError:
    text = f"The process that ran this step died {CRASH_BUDGET} times. Does it run out of memory, or kill its parent?"
    return StepError(code="Crashed", message=text)


def adopt(memory: ProcessMemory, plan: Plan, lease: Lease, adoption: Adoption) -> Task[Messages]:
    """Settle a claim that an execution left behind with a result that is there already."""
    held = replace(lease.claim, decision=decisions.encode(adoption.decision))
    claim = settled(held, failed=False, result=adoption.document, result_blob=adoption.blob, saved=adoption.saved)
    done = yield from complete(memory, plan, lease, claim)
    if done.committed:
        memory.results.put((lease.run, lease.position), adoption.result)
        yield from telling.adopted(plan, lease, claim)
    return (yield from messages_for(memory, plan, lease.run, done.steps))


def execute(
    memory: ProcessMemory, plan: Plan, info: RunInfo, lease: Lease, message: StepMessage, choice: ToRun
) -> Task[Messages]:
    """Perform one attempt, commit what came of it, and publish it for whoever needs the same."""
    children = (yield from results_of(memory, lease.claim)) if lease.claim.child else None
    try:
        job = job_of(plan, info, lease, choice.inputs, children)
    except Broken as error:
        return (yield from fail(memory, plan, lease, StepError(code="InputMissing", message=error.message)))
    begun = yield from Monotonic()
    result = yield from Perform(job=job, lease=lease)
    if isinstance(result, GivenBack):
        return (yield from release(plan, lease, message))
    if result is None:
        return (yield from _abandon(memory, plan, info, choice, lease, message))
    if _is_over(job, lease, result):
        publishes = choice.work is not None and result.error is None
        claim, committed, messages = yield from _finish(memory, plan, lease, result, children, publishes=publishes)
    else:
        elapsed = (yield from Monotonic()) - begun
        return (yield from _go_on(memory, plan, info, lease, message, job, result, elapsed))
    if not committed and plan.deferrables >> lease.position & 1:
        yield from call_off.if_ended(memory, plan, info, lease, message)
    if not committed or choice.work is None:
        return messages
    if (
        result.error is None
        and _is_still_the_work(lease, choice.work)
        and (yield from _is_what_was_seen(memory, plan, info, lease, choice.work, result))
    ):
        woken = yield from entries.publish(choice.work, info, lease.position, job.step.id, claim, choice.fence)
    else:
        woken = yield from give_up(choice, lease)
    return (*messages, *woken)


def resume(memory: ProcessMemory, plan: Plan, info: RunInfo, lease: Lease, message: StepMessage) -> Task[Messages]:
    """Look at the work that a service does for the step, which goes on, or is committed."""
    job = yield from call_off.order(memory, plan, info, lease, called_off=False)
    begun = yield from Monotonic()
    result = yield from Perform(job=job, lease=lease)
    if isinstance(result, GivenBack):
        return (yield from release(plan, lease, message))
    if result is None:
        return (yield from call_off.if_ended(memory, plan, info, lease, message))
    if not _is_over(job, lease, result):
        elapsed = (job.deferred.elapsed if job.deferred else 0.0) + (yield from Monotonic()) - begun
        return (yield from _go_on(memory, plan, info, lease, message, job, result, elapsed))
    publishes = result.error is None and bool(_decided(lease.claim))
    claim, committed, messages = yield from _finish(memory, plan, lease, result, publishes=publishes)
    if not committed:
        return (*messages, *(yield from call_off.if_ended(memory, plan, info, lease, message)))
    return (*messages, *(yield from _publish_late(memory, plan, info, lease, claim, result)))


def _publish_late(
    memory: ProcessMemory, plan: Plan, info: RunInfo, lease: Lease, claim: ClaimRow, result: StepResult
) -> Task[Messages]:
    """Publish what a service has made, if its inputs are still those that it was submitted with."""
    step = plan.step(lease.position)
    decided = _decided(claim)
    if not decided:
        return ()
    if result.error is None:
        work = (yield from gather(memory, plan, info, lease.position)).work
        if work is not None and work.fingerprint == decided and work.was_read(result):
            return (yield from entries.publish(work, info, lease.position, step.id, claim, None))
    return (yield from entries.withdraw(lineage_of(step.kind, step.name), decided, lease.run, lease.position))


def _decided(claim: ClaimRow) -> str:
    """The fingerprint of the work that the claim was taken for; "": it serves nobody else."""
    return decisions.decode(claim.decision).fingerprint if claim.decision else ""


def _is_over(job: Job, lease: Lease, result: StepResult) -> bool:
    """Whether the attempt has settled the step."""
    if result.error is not None:
        return not result.retryable or retry_delay(job.step.retry, lease.claim.retries) is None
    return result.expansion is None and result.deferral is None


def _go_on(
    memory: ProcessMemory,
    plan: Plan,
    info: RunInfo,
    lease: Lease,
    message: StepMessage,
    job: Job,
    result: StepResult,
    elapsed: float,
) -> Task[Messages]:
    """Give back the claim of a step that an attempt has not settled. `elapsed`: seconds of work."""
    if result.error is not None:
        delay = retry_delay(job.step.retry, lease.claim.retries)
        assert delay is not None
        used = yield from spent(memory, lease, result, job.children)
        return (yield from retry(lease, message, result, delay, used))
    if result.expansion is not None:
        result = yield from continued(job.children, result)
        assert result.expansion is not None
        return (yield from _park(memory, plan, info, lease, result, result.expansion, job.children))
    if not (yield from defer(memory, plan, lease, message, result, elapsed)):
        # One that was away for long may have submitted what was called off before.
        yield from call_off.if_ended(memory, plan, info, lease, message)
    return ()


def _is_what_was_seen(
    memory: ProcessMemory, plan: Plan, info: RunInfo, lease: Lease, work: Work, result: StepResult
) -> Task[bool]:
    """Whether the step read the data that its fingerprint was made of, and not what came in between."""
    if not work.was_read(result):
        return False
    if not work.volatile:
        return True
    again = yield from gather(memory, plan, info, lease.position)
    return again.work is not None and again.work.fingerprint == work.fingerprint


def _is_still_the_work(lease: Lease, work: Work) -> bool:
    """Whether a step that became many was expanded on what is there now, when its results are joined."""
    if not lease.claim.child:
        return True
    return bool(lease.claim.decision) and decisions.decode(lease.claim.decision).fingerprint == work.fingerprint


def _park(
    memory: ProcessMemory,
    plan: Plan,
    info: RunInfo,
    lease: Lease,
    result: StepResult,
    expansion: Expansion,
    children: Children | None,
) -> Task[Messages]:
    """Give the claim to the run that the step becomes, and start that."""
    try:
        become = yield from load_plan(memory, expansion.definition)
    except (Broken, InvalidRequest) as error:
        return (yield from fail(memory, plan, lease, StepError(code="InvalidStep", message=error.message)))
    if become.size > (most := allowed_to_each(memory, plan, info)):
        return (yield from fail(memory, plan, lease, _too_many(become.size, most)))
    document, blob = yield from stored(plan, lease, result)
    used = yield from spent(memory, lease, result, children)
    child = child_id(lease.run, lease.position, lease.claim.owner)
    claim = waiting(lease.claim, child=child, result=document, result_blob=blob, usage=used)
    if not (yield from give_back(lease, claim)):
        return ()
    return (yield from launch(memory, plan, info, lease.position, claim))


def _too_many(steps: int, most: int) -> StepError:
    text = (
        f"The step would become {steps:,} steps, and may become {most:,}: the steps of a run that become many have "
        "equal shares of what a run may have (MILLSTREAM_RUN_STEPS). Give it fewer items, or have that setting raised."
    )
    return StepError(code="QuotaExceeded", message=text)


def _abandon(
    memory: ProcessMemory, plan: Plan, info: RunInfo, choice: ToRun, lease: Lease, message: StepMessage
) -> Task[Messages]:
    """The claim is another execution's, who goes on with it, or the run is over: then others need not wait for it."""
    if plan.deferrables >> lease.position & 1:
        yield from call_off.if_ended(memory, plan, info, lease, message)
    if choice.work is None or choice.work.forced:
        return ()
    known = yield from fresh_head(memory, lease.run)
    if known is not None and not known.head.status.terminal:
        return ()
    return (yield from give_up(choice, lease))


def give_up(choice: ToRun, lease: Lease) -> Task[Messages]:
    """The work will not be done here: the messages of those who wait for it, one of whom will do it."""
    if choice.work is None or choice.work.forced:
        return ()
    return (yield from entries.give_up(choice.work, lease.run, lease.position))


def _finish(
    memory: ProcessMemory,
    plan: Plan,
    lease: Lease,
    result: StepResult,
    children: Children | None = None,
    *,
    publishes: bool = False,
) -> Task[tuple[ClaimRow, bool, Messages]]:
    """Commit the result. Returns the settled claim, whether it was committed, and what is to be sent."""
    document, blob = yield from stored(plan, lease, result)
    used = yield from spent(memory, lease, result, children, publishes=publishes)
    failed = result.error is not None
    claim = settled(lease.claim, failed=failed, result=document, result_blob=blob, usage=used)
    done = yield from complete(memory, plan, lease, claim)
    if done.committed:
        yield from telling.executed(plan, lease, claim, result)
    if done.committed and result.error is None:
        memory.results.put((lease.run, lease.position), result)
    return claim, done.committed, (yield from messages_for(memory, plan, lease.run, done.steps))

"""What is done with a claim that is ours: perform the step, or settle it otherwise, and commit."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.core import decision as decisions
from orchestrator.core import result as results
from orchestrator.core.claim import ClaimRow, retrying, settled, waiting
from orchestrator.core.errors import Broken, InvalidRequest
from orchestrator.core.message import Messages, StepMessage, encode
from orchestrator.core.nesting import child_id
from orchestrator.core.plan import Plan
from orchestrator.core.result import Expansion, StepError, StepResult
from orchestrator.core.retry import CRASH_BUDGET, retry_delay
from orchestrator.core.run import RunInfo
from orchestrator.core.states import ClaimState
from orchestrator.engine.children import allowed_to_each, launch, results_of
from orchestrator.engine.complete import complete
from orchestrator.engine.inputs import job_of
from orchestrator.engine.lease import Lease, Perform
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import fresh_head, load_plan, messages_for
from orchestrator.engine.reuse import entries
from orchestrator.engine.reuse.consult import Adoption, ToRun
from orchestrator.engine.reuse.ingredients import Work, gather
from orchestrator.engine.rows import RUNS, claim_key, claim_props, read_claim
from orchestrator.ports import Commit, Get, Merge, Refused, Send, Task, Unanswered, WriteBlob

_INLINE_CHARACTERS = 24_000
_TRIES = 5


def fail(memory: ProcessMemory, plan: Plan, lease: Lease, error: StepError) -> Task[Messages]:
    """Fail the step without (further) execution, through the ordinary completion."""
    _, _, messages = yield from _finish(memory, plan, lease, StepResult(error=error, started_at=lease.claim.started_at))
    return messages


def died_too_often() -> StepError:
    text = f"The process that ran this step died {CRASH_BUDGET} times. Does it run out of memory, or kill its parent?"
    return StepError(code="Crashed", message=text)


def adopt(memory: ProcessMemory, plan: Plan, lease: Lease, adoption: Adoption) -> Task[Messages]:
    """Settle a claim that an execution left behind with a result that is there already."""
    held = replace(lease.claim, decision=decisions.encode(adoption.decision))
    claim = settled(held, failed=False, result=adoption.document, result_blob=adoption.blob)
    done = yield from complete(memory, plan, lease, claim)
    if done.committed:
        memory.results.put((lease.run, lease.position), adoption.result)
    return messages_for(memory, plan, lease.run, done.steps)


def execute(
    memory: ProcessMemory, plan: Plan, info: RunInfo, lease: Lease, message: StepMessage, choice: ToRun
) -> Task[Messages]:
    """Perform one attempt, commit what came of it, and publish it for whoever needs the same."""
    children = (yield from results_of(memory, lease.claim)) if lease.claim.child else None
    try:
        job = job_of(plan, info, lease, choice.inputs, children)
    except Broken as error:
        return (yield from fail(memory, plan, lease, StepError(code="InputMissing", message=error.message)))
    result = yield from Perform(job=job, lease=lease)
    if result is None:
        return (yield from _abandon(memory, choice, lease))
    if result.error is not None and result.retryable:
        delay = retry_delay(job.step.retry, lease.claim.retries)
        if delay is not None:
            return (yield from _retry(lease, message, result, delay))
    if result.error is None and result.expansion is not None:
        return (yield from _park(memory, plan, info, lease, result, result.expansion))
    claim, committed, messages = yield from _finish(memory, plan, lease, result)
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
    memory: ProcessMemory, plan: Plan, info: RunInfo, lease: Lease, result: StepResult, expansion: Expansion
) -> Task[Messages]:
    """Give the claim to the run that the step becomes, and start that."""
    try:
        become = yield from load_plan(memory, expansion.definition)
    except (Broken, InvalidRequest) as error:
        return (yield from fail(memory, plan, lease, StepError(code="InvalidStep", message=error.message)))
    if become.size > (most := allowed_to_each(memory, plan, info)):
        return (yield from fail(memory, plan, lease, _too_many(become.size, most)))
    document, blob = yield from _stored(plan, lease, result)
    child = child_id(lease.run, lease.position, lease.claim.owner)
    claim = waiting(lease.claim, child=child, result=document, result_blob=blob)
    if not (yield from _give_back(lease, claim)):
        return ()
    return (yield from launch(memory, plan, info, lease.position, claim))


def _too_many(steps: int, most: int) -> StepError:
    text = (
        f"The step would become {steps:,} steps, and may become {most:,}: the steps of a run that become many have "
        "equal shares of what a run may have (MILLSTREAM_RUN_STEPS). Give it fewer items, or have that setting raised."
    )
    return StepError(code="QuotaExceeded", message=text)


def _abandon(memory: ProcessMemory, choice: ToRun, lease: Lease) -> Task[Messages]:
    """The claim is another execution's, who goes on with it, or the run is over: then others need not wait for it."""
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
    memory: ProcessMemory, plan: Plan, lease: Lease, result: StepResult
) -> Task[tuple[ClaimRow, bool, Messages]]:
    """Commit the result. Returns the settled claim, whether it was committed, and what is to be sent."""
    claim = yield from _with_result(plan, lease, result)
    done = yield from complete(memory, plan, lease, claim)
    if done.committed and result.error is None:
        memory.results.put((lease.run, lease.position), result)
    return claim, done.committed, messages_for(memory, plan, lease.run, done.steps)


def _with_result(plan: Plan, lease: Lease, result: StepResult) -> Task[ClaimRow]:
    document, blob = yield from _stored(plan, lease, result)
    return settled(lease.claim, failed=result.error is not None, result=document, result_blob=blob)


def _stored(plan: Plan, lease: Lease, result: StepResult) -> Task[tuple[str, str]]:
    """The result as a claim holds it: a small one lies in the row, a large one in a blob of this execution."""
    document = results.encode(result)
    if len(document) <= _INLINE_CHARACTERS:
        return document.decode(), ""
    step, claim = plan.step(lease.position), lease.claim
    name = f"runs/{lease.run}/{step.id}/{claim.attempt}-{claim.owner}/result.json"
    yield from WriteBlob(name=name, data=document)
    return "", name


def _retry(lease: Lease, message: StepMessage, result: StepResult, delay: float) -> Task[Messages]:
    """Give the claim back for another try after `delay` seconds, and arrange for the message of that try."""
    report = results.encode(StepResult(error=result.error, log=result.log, log_bytes=result.log_bytes)).decode()
    claim = retrying(lease.claim, delay=delay, result=report)
    if not (yield from _give_back(lease, claim)):
        return ()
    if delay <= 0:
        return (message,)
    yield from Send(queue=message.queue, body=encode(message), delay=delay)
    return ()


def _give_back(lease: Lease, claim: ClaimRow) -> Task[bool]:
    """Write the claim, which we hold no more then; False when it is no longer ours to give back."""
    key = claim_key(lease.position)
    for _ in range(_TRIES):
        try:
            yield from Commit(
                table=RUNS, pk=lease.run, writes=(Merge(rk=key, props=claim_props(claim), etag=lease.etag),)
            )
        except (Refused, Unanswered):
            row = yield from Get(table=RUNS, pk=lease.run, rk=key)
            if row is None or read_claim(row).owner != claim.owner:
                return False
            if read_claim(row).state is not ClaimState.RUNNING:
                return True
            lease.etag = row.etag
            continue
        return True
    return False

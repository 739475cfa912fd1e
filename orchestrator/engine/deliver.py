"""Handle one step message: consult what was made before, claim, perform, commit.

The caller sends what is returned, then lets go of the message.

Commit, then send: a crash between the two is mended by the message itself, which comes back (`recover`), and, should
that message be lost too, by the sweep. So no wake-up depends on a single message.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.core import decision as decisions
from orchestrator.core import result as results
from orchestrator.core.claim import ClaimRow, Standing, retrying, settled
from orchestrator.core.errors import Broken
from orchestrator.core.fingerprint import lineage_of
from orchestrator.core.head import ready
from orchestrator.core.message import Delivery, StepMessage, encode
from orchestrator.core.plan import Plan, bits
from orchestrator.core.result import StepError, StepResult
from orchestrator.core.retry import CRASH_BUDGET, retry_delay
from orchestrator.core.run import RunInfo
from orchestrator.core.states import ClaimState
from orchestrator.engine import index
from orchestrator.engine.combine import combine
from orchestrator.engine.complete import complete
from orchestrator.engine.inputs import job_of
from orchestrator.engine.lease import Lease, Perform
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import fresh_head, load_plan, messages_for, read_info, recent_head
from orchestrator.engine.reuse import entries
from orchestrator.engine.reuse.consult import Adoption, ToRun, Waiting, consult, forget
from orchestrator.engine.reuse.ingredients import Work, gather
from orchestrator.engine.reuse.walk import Walked, walk
from orchestrator.engine.revive import standing_still
from orchestrator.engine.rows import RUNS, claim_key, claim_props, read_claim
from orchestrator.engine.take import take
from orchestrator.ports import Commit, Get, Merge, Refused, Send, Task, Unanswered, WriteBlob

_INLINE_CHARACTERS = 24_000
_TRIES = 5

Messages = tuple[StepMessage, ...]


def deliver(memory: ProcessMemory, message: StepMessage, delivery: Delivery) -> Task[Messages]:
    """Run the step that `message` names, if it is to be run and nobody else does."""
    run, position = message.run, message.position
    plan = yield from load_plan(memory, message.definition)
    known = yield from recent_head(memory, run, plan.parents[position])
    if known is None:
        return ()
    came_back = delivery.count > 1
    if known.head.status.terminal or known.head.ended >> position & 1:
        return (yield from recover(memory, plan, run, position)) if came_back else ()
    if plan.parents[position] & ~known.head.done:
        return ()  # no engine sends a step before its parents are committed: whoever did, it is not to be run
    info = yield from read_info(memory, run)
    if info is None:
        return ()
    choice = yield from _choose(memory, plan, info, position, message)
    if isinstance(choice, Waiting):
        return ()
    if isinstance(choice, Walked):
        return messages_for(memory, plan, run, choice.steps)
    decision = decisions.encode(choice.decision) if isinstance(choice, ToRun) else ""
    taken = yield from take(memory, run, position, delivery, decision)
    if taken.lease is None:
        settled_before = taken.standing is Standing.SETTLED
        return (yield from recover(memory, plan, run, position)) if settled_before and came_back else ()
    if isinstance(choice, Adoption):
        return (yield from _adopt(memory, plan, taken.lease, choice))
    if isinstance(choice, StepError):
        return (yield from fail(memory, plan, taken.lease, choice))
    if taken.standing is Standing.EXHAUSTED:
        failed = yield from fail(memory, plan, taken.lease, died_too_often())
        return (*failed, *(yield from _give_up(choice, taken.lease)))
    return (yield from _execute(memory, plan, info, taken.lease, message, choice))


def _choose(
    memory: ProcessMemory, plan: Plan, info: RunInfo, position: int, message: StepMessage
) -> Task[Walked | Adoption | ToRun | Waiting | StepError]:
    """What is to be done about the step. `Walked`: it is done, and more. `Adoption`: it would be, but has a claim."""
    gone = ""
    for _ in range(_TRIES):
        try:
            choice = yield from consult(memory, plan, info, position, message, gone)
        except Broken as error:
            return StepError(code="InputMissing", message=error.message)
        if not isinstance(choice, Adoption):
            return choice
        walked = yield from walk(memory, plan, info, choice)
        if not walked.gone:
            return walked if walked.first else choice
        yield from forget(memory, info, choice)
        gone = walked.gone
    raise entries.too_busy()


def recover(memory: ProcessMemory, plan: Plan, run: str, position: int) -> Task[Messages]:
    """Make up for what a process that died after it had committed this step may have left undone.

    Only the children of the step are sent again, and those who wait for what it made: what else may be lost, the sweep
    finds, with patience for what just waits in the queue.
    """
    woken = yield from _waiting_for(plan, run, position)
    ready_now = yield from combine(memory, plan, run)
    known = yield from fresh_head(memory, run)
    if known is None:
        return ()
    if known.head.status.terminal:
        yield from index.finish(memory, run, known.head.status)
        return woken
    open_now = set(ready(plan, known.head))
    children = tuple(child for child in plan.children[position] if child in open_now)
    still = yield from standing_still(memory, run, children)
    return (*messages_for(memory, plan, run, tuple(sorted({*ready_now, *bits(still)}))), *woken)


def _waiting_for(plan: Plan, run: str, position: int) -> Task[Messages]:
    """The messages that may not have been sent to those who waited for this step."""
    step = plan.step(position)
    row = (yield from Get(table=RUNS, pk=run, rk=claim_key(position))) if step.allow_reuse else None
    if row is None or not read_claim(row).decision:
        return ()
    fingerprint = decisions.decode(read_claim(row).decision).fingerprint
    return (yield from entries.waiting_for(lineage_of(step.kind, step.name), fingerprint, run, position))


def fail(memory: ProcessMemory, plan: Plan, lease: Lease, error: StepError) -> Task[Messages]:
    """Fail the step without (further) execution, through the ordinary completion."""
    _, _, messages = yield from _finish(memory, plan, lease, StepResult(error=error, started_at=lease.claim.started_at))
    return messages


def died_too_often() -> StepError:
    text = f"The process that ran this step died {CRASH_BUDGET} times. Does it run out of memory, or kill its parent?"
    return StepError(code="Crashed", message=text)


def _adopt(memory: ProcessMemory, plan: Plan, lease: Lease, adoption: Adoption) -> Task[Messages]:
    """Settle a claim that an execution left behind with a result that is there already."""
    held = replace(lease.claim, decision=decisions.encode(adoption.decision))
    claim = settled(held, failed=False, result=adoption.document, result_blob=adoption.blob)
    done = yield from complete(memory, plan, lease, claim)
    if done.committed:
        memory.results.put((lease.run, lease.position), adoption.result)
    return messages_for(memory, plan, lease.run, done.steps)


def _execute(
    memory: ProcessMemory, plan: Plan, info: RunInfo, lease: Lease, message: StepMessage, choice: ToRun
) -> Task[Messages]:
    try:
        job = job_of(plan, info, lease, choice.inputs)
    except Broken as error:
        return (yield from fail(memory, plan, lease, StepError(code="InputMissing", message=error.message)))
    result = yield from Perform(job=job, lease=lease)
    if result is None:
        return (yield from _abandon(memory, choice, lease))
    if result.error is not None and result.retryable:
        delay = retry_delay(job.step.retry, lease.claim.retries)
        if delay is not None:
            return (yield from _retry(lease, message, result, delay))
    claim, committed, messages = yield from _finish(memory, plan, lease, result)
    if not committed or choice.work is None:
        return messages
    if result.error is None and (yield from _is_what_was_seen(memory, plan, info, lease, choice.work, result)):
        woken = yield from entries.publish(choice.work, info, lease.position, job.step.id, claim, choice.fence)
    else:
        woken = yield from _give_up(choice, lease)
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


def _abandon(memory: ProcessMemory, choice: ToRun, lease: Lease) -> Task[Messages]:
    """The claim is another execution's, who goes on with it, or the run is over: then others need not wait for it."""
    if choice.work is None or choice.work.forced:
        return ()
    known = yield from fresh_head(memory, lease.run)
    if known is not None and not known.head.status.terminal:
        return ()
    return (yield from _give_up(choice, lease))


def _give_up(choice: ToRun, lease: Lease) -> Task[Messages]:
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
    """The settled claim: a small result lies in the row, a large one in a blob of this attempt."""
    document, failed = results.encode(result), result.error is not None
    if len(document) <= _INLINE_CHARACTERS:
        return settled(lease.claim, failed=failed, result=document.decode(), result_blob="")
    step, claim = plan.step(lease.position), lease.claim
    name = f"runs/{lease.run}/{step.id}/{claim.attempt}-{claim.owner}/result.json"
    yield from WriteBlob(name=name, data=document)
    return settled(claim, failed=failed, result="", result_blob=name)


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
    """Write the retry; False when the claim is no longer ours to give back."""
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

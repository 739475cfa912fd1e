"""Handle one step message: claim, perform, commit. The caller sends what is returned, then lets go of the message.

Commit, then send: a crash between the two is mended by the message itself, which comes back (`recover`), and, should
that message be lost too, by the sweep. So no wake-up depends on a single message.
"""

from __future__ import annotations

from orchestrator.core import result as results
from orchestrator.core.claim import ClaimRow, Standing, retrying, settled
from orchestrator.core.errors import Broken
from orchestrator.core.head import ready
from orchestrator.core.message import Delivery, StepMessage, encode
from orchestrator.core.plan import Plan, bits
from orchestrator.core.result import StepError, StepResult
from orchestrator.core.retry import CRASH_BUDGET, retry_delay
from orchestrator.core.states import ClaimState
from orchestrator.engine import index
from orchestrator.engine.combine import combine
from orchestrator.engine.complete import complete
from orchestrator.engine.inputs import prepare
from orchestrator.engine.lease import Lease, Perform
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import fresh_head, load_plan, messages_for, read_info, recent_head
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
    taken = yield from take(memory, run, position, delivery)
    if taken.lease is None:
        settled_before = taken.standing is Standing.SETTLED
        return (yield from recover(memory, plan, run, position)) if settled_before and came_back else ()
    if taken.standing is Standing.EXHAUSTED:
        return (yield from fail(memory, plan, taken.lease, died_too_often()))
    return (yield from _execute(memory, plan, taken.lease, message))


def recover(memory: ProcessMemory, plan: Plan, run: str, position: int) -> Task[Messages]:
    """Make up for what a process that died after it had committed this step may have left undone.

    Only the children of the step are sent again: what else may be lost, the sweep finds, with patience for what just
    waits in the queue.
    """
    ready_now = yield from combine(memory, plan, run)
    known = yield from fresh_head(memory, run)
    if known is None:
        return ()
    if known.head.status.terminal:
        yield from index.finish(memory, run, known.head.status)
        return ()
    open_now = set(ready(plan, known.head))
    children = tuple(child for child in plan.children[position] if child in open_now)
    still = yield from standing_still(memory, run, children)
    return messages_for(memory, plan, run, tuple(sorted({*ready_now, *bits(still)})))


def fail(memory: ProcessMemory, plan: Plan, lease: Lease, error: StepError) -> Task[Messages]:
    """Fail the step without (further) execution, through the ordinary completion."""
    return (yield from _finish(memory, plan, lease, StepResult(error=error, started_at=lease.claim.started_at)))


def died_too_often() -> StepError:
    text = f"The process that ran this step died {CRASH_BUDGET} times. Does it run out of memory, or kill its parent?"
    return StepError(code="Crashed", message=text)


def _execute(memory: ProcessMemory, plan: Plan, lease: Lease, message: StepMessage) -> Task[Messages]:
    info = yield from read_info(memory, lease.run)
    if info is None:
        return ()
    try:
        job = yield from prepare(memory, plan, info, lease)
    except Broken as error:
        return (yield from fail(memory, plan, lease, StepError(code="InputMissing", message=error.message)))
    result = yield from Perform(job=job, lease=lease)
    if result is None:
        return ()
    if result.error is not None and result.retryable:
        delay = retry_delay(job.step.retry, lease.claim.retries)
        if delay is not None:
            return (yield from _retry(lease, message, result, delay))
    return (yield from _finish(memory, plan, lease, result))


def _finish(memory: ProcessMemory, plan: Plan, lease: Lease, result: StepResult) -> Task[Messages]:
    claim = yield from _with_result(plan, lease, result)
    done = yield from complete(memory, plan, lease, claim)
    if done.committed and result.error is None:
        memory.results.put((lease.run, lease.position), result)
    return messages_for(memory, plan, lease.run, done.steps)


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

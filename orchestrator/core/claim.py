"""The claim: who executes a step, which attempt it is, and, once final, how it ended. One row a step.

The decision of a worker that finds a claim in its way is here too, as a pure function of the row, its age by the
server's clock, and the delivery of the message that brought the worker here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from orchestrator.core.message import Delivery
from orchestrator.core.retry import CRASH_BUDGET
from orchestrator.core.states import CLAIM_TRANSITIONS, ClaimEvent, ClaimState, move


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRow:
    """`owner` is the nonce of the execution that holds it, the fence is the row's etag.

    `attempt` counts every execution from 1; `retries` those granted by the retry policy, `crashes` those made
    necessary by a death, `releases` those by a worker that was asked to end. `delay` is, while retrying, the seconds
    after the row's last write when the retry is due.
    `result` is the encoded StepResult, or the name of a blob that holds it (`result_blob`). `decision` is the encoded
    Decision: why the step is executed, or whose result it has. `child` is the run that does the work of a step that
    became many: while it is given and the claim not final, `result` is what expanding the step has left. `looks` counts
    how often the step was deferred in this try, since a service does its work: with any, and the claim not final,
    `result` is what the last look has left, and `delay` the seconds until the next. `execution` names the one of a
    container or process compute that holds it ("": the Functions app does). `usage` is the encoded StepUsage of all
    executions that have told of theirs, `saved` that of those who made a result that was taken over.
    """

    state: ClaimState
    attempt: int
    owner: str
    message_id: str
    dequeue_count: int
    retries: int = 0
    crashes: int = 0
    delay: float = 0.0
    started_at: float = 0.0
    result: str = ""
    result_blob: str = ""
    decision: str = ""
    child: str = ""
    execution: str = ""
    looks: int = 0
    usage: str = ""
    saved: str = ""
    releases: int = 0


def first_claim(*, owner: str, delivery: Delivery, now: float, decision: str = "", execution: str = "") -> ClaimRow:
    return ClaimRow(
        state=move(CLAIM_TRANSITIONS, None, ClaimEvent.CLAIM),
        attempt=1,
        owner=owner,
        message_id=delivery.message_id,
        dequeue_count=delivery.count,
        started_at=now,
        decision=decision,
        execution=execution,
    )


def adopted_claim(*, owner: str, now: float, decision: str, result: str, result_blob: str, saved: str = "") -> ClaimRow:
    """The claim of a step that is not executed, since its result is there already."""
    return ClaimRow(
        state=move(CLAIM_TRANSITIONS, None, ClaimEvent.ADOPT),
        attempt=1,
        owner=owner,
        message_id="",
        dequeue_count=0,
        started_at=now,
        result=result,
        result_blob=result_blob,
        decision=decision,
        saved=saved,
    )


def skipped_claim(*, owner: str, now: float, decision: str) -> ClaimRow:
    """The claim of a step that is not executed, since its condition does not hold."""
    state = move(CLAIM_TRANSITIONS, None, ClaimEvent.SKIP)
    return ClaimRow(
        state=state, attempt=1, owner=owner, message_id="", dequeue_count=0, started_at=now, decision=decision
    )


AGE_RESOLUTION = 1.0
"""Seconds by which an age may read too small: the server's Date has whole seconds, a row's Timestamp does not."""


class Standing(StrEnum):
    """What a worker that finds a claim should do."""

    SETTLED = "settled"  # the step has its final result
    HELD = "held"  # somebody else has it, and is or may be alive
    PARKED = "parked"  # a child run does its work; take it when that has ended
    DUE = "due"  # a service does its work; take it to look how far that is
    FREE = "free"  # take it: the next attempt is ours
    EXHAUSTED = "exhausted"  # take it only to fail the step: its process has died too often


def standing(row: ClaimRow, *, age: float, delivery: Delivery, ttl: float) -> Standing:
    """Whether the claim may be taken over. `age` and `ttl` in seconds.

    A running claim is free when the very message that made it has come back with a higher count (its process died and
    the host said so), or when no heartbeat has touched it for `ttl`. Any other message is a duplicate.
    """
    if row.state.final:
        return Standing.SETTLED
    if row.state is ClaimState.WAITING:
        return Standing.PARKED
    if row.state is ClaimState.DEFERRED:
        return Standing.DUE if age + AGE_RESOLUTION >= row.delay else Standing.HELD
    if row.state is ClaimState.RETRYING:
        # Too early by the clock's resolution is better than dropping the only message of the retry.
        return Standing.FREE if age + AGE_RESOLUTION >= row.delay else Standing.HELD
    came_back = delivery.message_id == row.message_id and delivery.count > row.dequeue_count
    if not came_back and age <= ttl:
        return Standing.HELD
    return Standing.EXHAUSTED if row.crashes + 1 >= CRASH_BUDGET else Standing.FREE


def next_claim(row: ClaimRow, *, owner: str, delivery: Delivery, now: float, execution: str = "") -> ClaimRow:
    """The claim after a worker takes a FREE or EXHAUSTED one."""
    crashed = row.state is ClaimState.RUNNING
    event = ClaimEvent.TAKE_OVER if crashed else ClaimEvent.CLAIM
    taken = replace(
        row,
        state=move(CLAIM_TRANSITIONS, row.state, event),
        attempt=row.attempt + 1,
        owner=owner,
        message_id=delivery.message_id,
        dequeue_count=delivery.count,
        crashes=row.crashes + crashed,
        delay=0.0,
        started_at=now,
        execution=execution,
    )
    return taken if taken.child or taken.looks else replace(taken, result="", result_blob="")


def waiting(row: ClaimRow, *, child: str, result: str, result_blob: str, usage: str = "") -> ClaimRow:
    """The claim of a step that became the run `child`; `result` is what expanding it has left."""
    state = move(CLAIM_TRANSITIONS, row.state, ClaimEvent.EXPAND)
    return replace(row, state=state, child=child, result=result, result_blob=result_blob, usage=usage or row.usage)


def joining(row: ClaimRow, *, owner: str, delivery: Delivery) -> ClaimRow:
    """The claim after a worker takes a PARKED one: the same attempt, by another owner."""
    return replace(
        row,
        state=move(CLAIM_TRANSITIONS, row.state, ClaimEvent.JOIN),
        owner=owner,
        message_id=delivery.message_id,
        dequeue_count=delivery.count,
    )


def deferred(row: ClaimRow, *, delay: float, result: str, result_blob: str, usage: str = "") -> ClaimRow:
    """The claim of a step whose work a service does; `result` is what the look, or the submission, has left.

    That it came so far shows that the step does not kill its process, so the deaths before do not count any more.
    """
    state = move(CLAIM_TRANSITIONS, row.state, ClaimEvent.DEFER)
    looks, usage = row.looks + 1, usage or row.usage
    left = replace(row, state=state, delay=delay, result=result, result_blob=result_blob, usage=usage)
    return replace(left, looks=looks, crashes=0, execution="")


def looking(row: ClaimRow, *, owner: str, delivery: Delivery, execution: str = "") -> ClaimRow:
    """The claim after a worker takes a DUE one: the same attempt, by another owner."""
    return replace(
        row,
        state=move(CLAIM_TRANSITIONS, row.state, ClaimEvent.LOOK),
        owner=owner,
        message_id=delivery.message_id,
        dequeue_count=delivery.count,
        delay=0.0,
        execution=execution,
    )


def called_off(row: ClaimRow) -> ClaimRow:
    """The claim of a step of a run that has ended: no service works for it any more. What it had left stays."""
    return replace(row, state=move(CLAIM_TRANSITIONS, row.state, ClaimEvent.CALL_OFF))


def retrying(row: ClaimRow, *, delay: float, result: str, usage: str = "") -> ClaimRow:
    """The claim of a step that failed, as `result` tells, and will be tried again after `delay` seconds."""
    state = move(CLAIM_TRANSITIONS, row.state, ClaimEvent.RETRY)
    usage = usage or row.usage
    given_back = replace(row, state=state, retries=row.retries + 1, delay=delay, result=result, usage=usage)
    return replace(given_back, result_blob="", child="", looks=0)


def released(row: ClaimRow) -> ClaimRow:
    """The claim of a step that its worker, which is asked to end, leaves to another at once. Nobody is charged for it.

    What expanding the step has left stays.
    """
    state = move(CLAIM_TRANSITIONS, row.state, ClaimEvent.RELEASE)
    return replace(row, state=state, delay=0.0, releases=row.releases + 1)


def settled(
    row: ClaimRow, *, failed: bool, result: str, result_blob: str, usage: str = "", saved: str = ""
) -> ClaimRow:
    """The claim with its final result."""
    event = ClaimEvent.FAIL if failed else ClaimEvent.SUCCEED
    state = move(CLAIM_TRANSITIONS, row.state, event)
    return replace(row, state=state, result=result, result_blob=result_blob, usage=usage or row.usage, saved=saved)

"""Give a claim back before the step has ended: for another try, or until a service has done its work.

The claim is written first, then its next message is sent, with a delay, and only then is the message that brought us
here done with. So whatever dies between leaves a message that comes back; and should that come too early, or be lost,
the sweep finds a claim that is overdue.
"""

from __future__ import annotations

from typing import Final

import msgspec

from orchestrator.core import result as results
from orchestrator.core.claim import ClaimRow, deferred, released, retrying
from orchestrator.core.errors import Unavailable
from orchestrator.core.message import Messages, StepMessage, encode
from orchestrator.core.plan import Plan
from orchestrator.core.result import Deferral, StepResult
from orchestrator.core.retry import RELEASE_BUDGET
from orchestrator.core.states import ClaimState
from orchestrator.engine.lease import Lease
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.rows import RUNS, claim_key, claim_props, read_claim
from orchestrator.engine.spending import spent
from orchestrator.ports import Commit, Get, Merge, Refused, Send, ServerNow, Task, Unanswered, WriteBlob

SHORTEST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 3600.0
"""Seconds from one look to the next, whatever the service asks for."""
_INLINE_CHARACTERS = 24_000
_TRIES = 5


def give_back(lease: Lease, claim: ClaimRow) -> Task[bool]:
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


def retry(lease: Lease, message: StepMessage, result: StepResult, delay: float, used: str) -> Task[Messages]:
    """Give the claim back for another try after `delay` seconds, and arrange for the message of that try.

    `used`: what the step has used by now.
    """
    report = results.encode(StepResult(error=result.error, log=result.log, log_bytes=result.log_bytes)).decode()
    claim = retrying(lease.claim, delay=delay, result=report, usage=used)
    if not (yield from give_back(lease, claim)):
        return ()
    if delay <= 0:
        return (message,)
    yield from Send(queue=message.queue, body=encode(message), delay=delay)
    return ()


def release(plan: Plan, lease: Lease, message: StepMessage) -> Task[Messages]:
    """Leave the claim to another worker, which a new message brings there: one that comes back tells of a death.

    Raises Unavailable where the message has to come back: when that was done too often, and when a service may be at
    work of which no claim knows yet, since only a claim that is held has it called off.
    """
    claim = lease.claim
    if claim.looks:
        left = deferred(claim, delay=0.0, result=claim.result, result_blob=claim.result_blob)
    elif claim.releases < RELEASE_BUDGET and not plan.deferrables >> lease.position & 1:
        left = released(claim)
    else:
        raise Unavailable(f"The worker of step {lease.position} of run {lease.run} is asked to end.")
    return (message,) if (yield from give_back(lease, left)) else ()


def defer(
    memory: ProcessMemory, plan: Plan, lease: Lease, message: StepMessage, result: StepResult, elapsed: float
) -> Task[bool]:
    """Give the claim back until the work of a service is to be looked at. `elapsed`: seconds since that work began.

    False when it is no longer ours to give back.
    """
    deferral = result.deferral
    assert deferral is not None
    delay = look_delay(memory.settings.look_delays, lease.claim.looks, deferral)
    now = yield from ServerNow()
    left = msgspec.structs.replace(result, deferral=msgspec.structs.replace(deferral, since=now - elapsed))
    document, blob = yield from stored(plan, lease, left)
    used = yield from spent(memory, lease, left, forgets_deaths=True)
    claim = deferred(lease.claim, delay=delay, result=document, result_blob=blob, usage=used)
    if not (yield from give_back(lease, claim)):
        return False
    yield from Send(queue=message.queue, body=encode(message), delay=delay)
    return True


def look_delay(delays: tuple[float, ...], looks: int, deferral: Deferral) -> float:
    """Seconds until the next look, after so many."""
    usual = delays[min(looks, len(delays) - 1)]
    wanted = min(LONGEST_DELAY, max(usual, deferral.after))
    return wanted if deferral.within is None else min(wanted, max(SHORTEST_DELAY, deferral.within))


def stored(plan: Plan, lease: Lease, result: StepResult) -> Task[tuple[str, str]]:
    """The result as a claim holds it: a small one lies in the row, a large one in a blob of this execution."""
    document = results.encode(result)
    if len(document) <= _INLINE_CHARACTERS:
        return document.decode(), ""
    step, claim = plan.step(lease.position), lease.claim
    name = f"runs/{lease.run}/{step.id}/{claim.attempt}-{claim.owner}/result.json"
    yield from WriteBlob(name=name, data=document)
    return "", name

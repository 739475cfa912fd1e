"""Find the steps of a run that ought to be moving and are not: the repair of every lost message."""

from __future__ import annotations

from orchestrator.core.claim import ClaimRow
from orchestrator.core.plan import mask_of
from orchestrator.core.states import ClaimState
from orchestrator.engine import index
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import fresh_head
from orchestrator.engine.rows import RUNS, claim_key, read_claim, step_of
from orchestrator.ports import Query, Task

SELECT = (
    *("state", "attempt", "owner", "message", "dequeues", "retries", "crashes", "delay", "started", "child", "looks"),
)


def standing_still(memory: ProcessMemory, run: str, candidates: tuple[int, ...]) -> Task[int]:
    """Those of these ready steps that need a message, as a set.

    They have no claim, since their message is lost or waits in the queue; or are due for a retry, or for a look at what
    a service does; or their claim is held by one that seems dead, or waits for a run that has ended, or whose start was
    cut off.
    """
    if not candidates:
        return 0
    first, last = claim_key(min(candidates)), claim_key(max(candidates) + 1)
    rows = yield from Query(table=RUNS, pk=run, first=first, last=last, select=SELECT)
    claims = {step_of(row.rk): (read_claim(row), row.age) for row in rows}
    ttl = memory.settings.claim_ttl
    still = [step for step in candidates if step not in claims or _stuck(*claims[step], ttl)]
    for step, (claim, _) in claims.items():
        if claim.state is ClaimState.WAITING and step in candidates and (yield from _waits_in_vain(memory, claim)):
            still.append(step)
    return mask_of(still)


def _waits_in_vain(memory: ProcessMemory, claim: ClaimRow) -> Task[bool]:
    known = yield from fresh_head(memory, claim.child)
    if known is None or known.head.status.terminal:
        return True
    return not (yield from index.is_unfinished(claim.child))


def _stuck(claim: ClaimRow, age: float, ttl: float) -> bool:
    if claim.state in (ClaimState.RETRYING, ClaimState.DEFERRED):
        return age > claim.delay + ttl / 2
    return claim.state is ClaimState.RUNNING and age > ttl

"""Find the steps of a run that ought to be moving and are not: the repair of every lost message."""

from __future__ import annotations

from orchestrator.core.claim import ClaimRow
from orchestrator.core.head import Head, ready
from orchestrator.core.plan import Plan
from orchestrator.core.states import ClaimState
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.rows import CLAIMS, RUNS, read_claim, step_of
from orchestrator.ports import Query, Task

_SELECT = ("state", "attempt", "owner", "message", "dequeues", "retries", "crashes", "delay", "started")


def revive(memory: ProcessMemory, plan: Plan, run: str, head: Head) -> Task[tuple[int, ...]]:
    """The ready steps that need a message: unclaimed, due for a retry, or claimed by one that seems dead."""
    candidates = ready(plan, head)
    if not candidates:
        return ()
    rows = yield from Query(table=RUNS, pk=run, first=CLAIMS[0], last=CLAIMS[1], select=_SELECT)
    claims = {step_of(row.rk): (read_claim(row), row.age) for row in rows}
    ttl = memory.settings.claim_ttl
    return tuple(step for step in candidates if step not in claims or _stuck(*claims[step], ttl))


def _stuck(claim: ClaimRow, age: float, ttl: float) -> bool:
    if claim.state is ClaimState.RETRYING:
        return age > claim.delay + ttl / 2
    return claim.state is ClaimState.RUNNING and age > ttl

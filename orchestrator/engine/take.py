"""Take the claim of a step, or learn that it is not to be had."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.claim import ClaimRow, Standing, first_claim, joining, looking, next_claim, standing
from orchestrator.core.errors import Broken, Unavailable
from orchestrator.core.message import Delivery
from orchestrator.core.retry import SUSPICIOUS_CRASHES
from orchestrator.core.states import ClaimState
from orchestrator.engine.lease import Lease
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.rows import RUNS, claim_key, claim_props, read_claim
from orchestrator.engine.telling import waited
from orchestrator.ports import Acquire, Commit, Get, Insert, Merge, NewId, Now, Refused, Row, Task, Unanswered


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """`lease` is ours unless `standing` says SETTLED, HELD, PARKED or DUE; EXHAUSTED: ours, but only to fail the step.

    That of a claim that was DUE, or of which `looks` says that a service does the work, is only for looking at that.
    """

    standing: Standing
    lease: Lease | None = None


def take(
    memory: ProcessMemory, run: str, position: int, delivery: Delivery, decision: str = "", child: str = ""
) -> Task[Taken]:
    """Claim the step by inserting its row, without reading first: the refusal tells that there is one.

    `decision` is kept in a new claim: why the step is executed. `child`: a run that has ended; the claim that waits for
    it is taken, too.
    """
    owner = yield from NewId()
    now = yield from Now()
    claim = first_claim(owner=owner, delivery=delivery, now=now, decision=decision, execution=memory.settings.execution)
    try:
        (etag,) = yield from Commit(
            table=RUNS, pk=run, writes=(Insert(rk=claim_key(position), props=claim_props(claim)),)
        )
    except (Refused, Unanswered):
        return (yield from _contest(memory, run, position, delivery, owner, child))
    lease = Lease(run=run, position=position, claim=claim, etag=etag, waited=waited(delivery, now))
    return Taken(standing=Standing.FREE, lease=lease)


def _contest(memory: ProcessMemory, run: str, position: int, delivery: Delivery, owner: str, child: str) -> Task[Taken]:
    row = yield from Get(table=RUNS, pk=run, rk=claim_key(position))
    if row is None:
        raise Unavailable(f"Storage did not say whether step {position} of run {run} was claimed.")
    there = read_claim(row)
    if there.owner == owner:
        return Taken(standing=Standing.FREE, lease=Lease(run=run, position=position, claim=there, etag=row.etag))
    return (yield from take_over(memory, run, position, delivery, row, child))


def take_over(
    memory: ProcessMemory, run: str, position: int, delivery: Delivery, row: Row, child: str = ""
) -> Task[Taken]:
    """Take the claim in `row`, if it is to be had, and nobody has touched it since it was read."""
    there = read_claim(row)
    verdict = standing(there, age=row.age, delivery=delivery, ttl=memory.settings.claim_ttl)
    if verdict is Standing.FREE and there.crashes >= SUSPICIOUS_CRASHES:
        # Steps that die with their process come back together, and would use up their budgets together, though one of
        # them is the cause. One at a time, those that wait are not charged for the deaths of others.
        yield from Acquire(key="suspects")
        again = yield from Get(table=RUNS, pk=run, rk=row.rk)
        if again is None:
            raise Broken(f"The claim of step {position} of run {run} is gone.")
        row = again
        verdict = standing(read_claim(row), age=row.age, delivery=delivery, ttl=memory.settings.claim_ttl)
    parked = verdict is Standing.PARKED and read_claim(row).child != child
    if verdict in (Standing.SETTLED, Standing.HELD) or parked:
        return Taken(standing=verdict)
    return (yield from seize(memory, run, position, delivery, row, verdict))


def seize(
    memory: ProcessMemory, run: str, position: int, delivery: Delivery, row: Row, verdict: Standing
) -> Task[Taken]:
    """Take over the claim in `row`, if nobody has touched it since it was read."""
    owner = yield from NewId()
    now = yield from Now()
    there, execution = read_claim(row), memory.settings.execution
    if verdict is Standing.PARKED:
        claim = joining(there, owner=owner, delivery=delivery)
    elif verdict is Standing.DUE:
        claim = looking(there, owner=owner, delivery=delivery, execution=execution)
    else:
        claim = next_claim(there, owner=owner, delivery=delivery, now=now, execution=execution)
    write = Merge(rk=row.rk, props=claim_props(claim), etag=row.etag)
    try:
        (etag,) = yield from Commit(table=RUNS, pk=run, writes=(write,))
    except Refused:
        return Taken(standing=Standing.HELD)
    except Unanswered:
        return (yield from _after_silence(run, position, claim, verdict))
    lease = Lease(run=run, position=position, claim=claim, etag=etag)
    if there.state is ClaimState.RETRYING:
        lease.waited = waited(delivery, now, there.delay)
    return Taken(standing=verdict, lease=lease)


def _after_silence(run: str, position: int, claim: ClaimRow, verdict: Standing) -> Task[Taken]:
    """Our nonce in the row means that it was applied. If not, it may still be: then our message comes back for it."""
    row = yield from Get(table=RUNS, pk=run, rk=claim_key(position))
    if row is None or read_claim(row).owner != claim.owner:
        raise Unavailable(f"Storage did not say whether step {position} of run {run} was taken over.")
    return Taken(standing=verdict, lease=Lease(run=run, position=position, claim=claim, etag=row.etag))

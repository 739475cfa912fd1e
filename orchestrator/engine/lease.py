"""The lease: an execution's hold on its claim, and the heartbeat that keeps it.

The fence is the claim row's etag: whoever takes the claim over changes it, and every later write of the old holder is
refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.claim import ClaimRow
from orchestrator.core.job import Job
from orchestrator.core.result import StepResult
from orchestrator.engine.rows import RUNS, claim_key, read_claim
from orchestrator.ports import Commit, Effect, Get, Merge, Refused, Row, Task, Unanswered


@dataclass(slots=True)
class Lease:
    """Mutable on purpose: heartbeats move `etag` while the step runs. One thread or task at a time may touch it.

    `waited`: seconds that the step waited for somebody to claim it; None: that is not known.
    """

    run: str
    position: int
    claim: ClaimRow
    etag: str
    waited: float | None = None


@dataclass(frozen=True, slots=True)
class GivenBack:
    """Nothing came of an attempt, for the worker was asked to end: the step is for another."""


Performed = StepResult | GivenBack | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Perform(Effect[Performed]):
    """Execute the job, beating its lease meanwhile. None: the lease was lost or the run cancelled, publish nothing.

    The interpreter is the step worker (`steps.worker`); in the simulator it is a model of one.
    """

    job: Job
    lease: Lease


def beat(lease: Lease) -> Task[bool]:
    """One heartbeat. False: the claim is somebody else's now; stop, and publish nothing."""
    props = {"owner": lease.claim.owner}
    write = Merge(rk=claim_key(lease.position), props=props, etag=lease.etag)
    try:
        (lease.etag,) = yield from Commit(table=RUNS, pk=lease.run, writes=(write,))
    except (Refused, Unanswered):
        # Refused may be our own earlier, unanswered write arriving late: the owner in the row decides, not the etag.
        return (yield from adopt(lease))
    return True


def adopt(lease: Lease) -> Task[bool]:
    """Read the claim again: whether it is still ours; if so, its present etag is the one to go on with."""
    row: Row | None = yield from Get(table=RUNS, pk=lease.run, rk=claim_key(lease.position))
    if row is None or not owns(lease, row):
        return False
    lease.etag = row.etag
    return True


def owns(lease: Lease, row: Row) -> bool:
    """Whether the row still belongs to this execution and is not settled."""
    claim = read_claim(row)
    return claim.owner == lease.claim.owner and claim.state is lease.claim.state

"""End what a service does for a step of a run that has ended.

Whoever ends a run may find that nobody holds the claim of a step whose work goes on elsewhere. So the step's message is
sent, and whoever gets it takes the claim, ends that work, and writes that it has. Until then the run stays among the
unfinished ones, and the sweep sends the message again: no such work outlives its run because a message or a process was
lost. A worker that holds the claim does the same when it notices the end.

A claim that was never deferred may be of one who died right after the submission, or who is about to submit. Its kind
finds the work by the token or name that it is submitted under.
"""

from __future__ import annotations

from contextlib import suppress

from orchestrator.core.claim import ClaimRow, Standing, called_off, standing
from orchestrator.core.errors import Broken
from orchestrator.core.job import Deferred, InputData, Job
from orchestrator.core.message import Delivery, Messages, StepMessage
from orchestrator.core.plan import Plan
from orchestrator.core.result import StepResult
from orchestrator.core.run import RunInfo
from orchestrator.core.states import ClaimState
from orchestrator.engine import ending
from orchestrator.engine.give_back import defer, give_back
from orchestrator.engine.inputs import job_of, resolve
from orchestrator.engine.lease import Lease, Perform
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import decode_result, fresh_head, read_info
from orchestrator.engine.rows import RUNS, claim_key, read_claim
from orchestrator.engine.take import seize
from orchestrator.ports import Get, ServerNow, Task


def call_off(memory: ProcessMemory, plan: Plan, message: StepMessage, delivery: Delivery) -> Task[None]:
    """End what a service may do for a step of a run that has ended, unless somebody is at it."""
    run, position = message.run, message.position
    row = yield from Get(table=RUNS, pk=run, rk=claim_key(position))
    verdict = Standing.SETTLED if row is None else _verdict(memory, read_claim(row), row.age, delivery)
    info = yield from read_info(memory, run)
    if row is None or info is None or verdict in (Standing.SETTLED, Standing.HELD):
        return
    taken = yield from seize(memory, run, position, delivery, row, verdict)
    if taken.lease is not None:
        yield from _end(memory, plan, info, taken.lease, message)


def if_ended(memory: ProcessMemory, plan: Plan, info: RunInfo, lease: Lease, message: StepMessage) -> Task[Messages]:
    """The same by one whose execution came to nothing, if that was since the run has ended."""
    known = yield from fresh_head(memory, lease.run)
    if known is not None and known.head.status.terminal:
        yield from _end(memory, plan, info, lease, message)
    return ()


def _verdict(memory: ProcessMemory, claim: ClaimRow, age: float, delivery: Delivery) -> Standing:
    """A deferred claim is taken however early it is; others as ever."""
    if claim.state is ClaimState.DEFERRED:
        return Standing.DUE
    if claim.state is not ClaimState.RUNNING:
        return Standing.SETTLED
    return standing(claim, age=age, delivery=delivery, ttl=memory.settings.claim_ttl)


def _end(memory: ProcessMemory, plan: Plan, info: RunInfo, lease: Lease, message: StepMessage) -> Task[None]:
    job = yield from order(memory, plan, info, lease, called_off=True)
    result = yield from Perform(job=job, lease=lease)
    if not isinstance(result, StepResult):
        return
    if result.deferral is not None:
        yield from defer(memory, plan, lease, message, result, job.deferred.elapsed if job.deferred else 0.0)
        return
    if (yield from give_back(lease, called_off(lease.claim))):
        yield from ending.leave(memory, info)


def order(memory: ProcessMemory, plan: Plan, info: RunInfo, lease: Lease, *, called_off: bool) -> Task[Job]:
    """The job of looking at what a service does for the step, or of ending it.

    It has inputs only where nobody knows whether the service does anything: then it is submitted once more.
    """
    deferred: Deferred | None = None
    inputs: dict[str, InputData] = {}
    if lease.claim.looks:
        before = yield from decode_result(lease.claim)
        assert before.deferral is not None
        deferred = Deferred(before=before, elapsed=(yield from ServerNow()) - before.deferral.since)
    if deferred is None or not deferred.deferral.handle:
        with suppress(Broken):
            inputs = yield from resolve(memory, plan, info, lease.position)
    return job_of(plan, info, lease, inputs, deferred=deferred, called_off=called_off)

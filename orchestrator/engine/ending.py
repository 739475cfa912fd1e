"""What is to be done when a run has ended, in an order in which whatever a crash cuts off is repeated.

Until the end is noted in the lists, and no service works for one of its steps, the run is among the unfinished ones,
and the sweep comes back to it.
"""

from __future__ import annotations

from orchestrator.core.message import encode
from orchestrator.core.plan import bits
from orchestrator.core.run import RunInfo
from orchestrator.core.states import ClaimState, RunStatus
from orchestrator.core.trials import reports_of
from orchestrator.engine import index, outbox
from orchestrator.engine.halt import halt
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import load_plan, messages_for, read_info
from orchestrator.engine.revive import SELECT
from orchestrator.engine.rows import RUNS, claim_key, read_claim, step_of
from orchestrator.events import RUN_ENDED, Fact, Tell
from orchestrator.files import DeleteFiles
from orchestrator.ports import Query, Send, Task


def finish(memory: ProcessMemory, run: str, status: RunStatus) -> Task[None]:
    """End the runs that its steps have become and what services do for them; tell webhooks, and the step that waits for
    it; note the end in the lists; then take it off the unfinished ones.
    """
    info = memory.infos.get(run) or (yield from index.fresh_info(memory, run))
    if info is None:
        yield from index.leave(run)
        return
    if not (yield from index.is_noted(info)):
        yield from _end_children(memory, info)
        yield from _end_services(memory, info)
        yield from outbox.announce(memory, info, status)
        yield from _wake_parent(memory, info)
        yield from _clear_reports(memory, info)
        yield from index.note_end(memory, info, status)
        facts: dict[str, Fact] = {"run": run, "status": status.value, "pipeline": info.pipeline_name}
        yield from Tell(event=RUN_ENDED, facts={**facts, "experiment": info.experiment})
    if not (yield from at_work(memory, info)):
        yield from index.leave(run)


def leave(memory: ProcessMemory, info: RunInfo) -> Task[None]:
    """Take a run off the unfinished ones if its end is noted, and no service may still do work for it."""
    if (yield from index.is_noted(info)) and not (yield from at_work(memory, info)):
        yield from index.leave(info.id)


def at_work(memory: ProcessMemory, info: RunInfo) -> Task[dict[int, bool]]:
    """The steps for which a service may still do work though the run has ended: whether each needs a message."""
    plan = yield from load_plan(memory, info.definition)
    steps = tuple(bits(plan.deferrables))
    if not steps:
        return {}
    first, last = claim_key(steps[0]), claim_key(steps[-1] + 1)
    rows = yield from Query(table=RUNS, pk=info.id, first=first, last=last, select=SELECT)
    claims = {step_of(row.rk): (read_claim(row).state, row.age) for row in rows}
    ttl = memory.settings.claim_ttl
    found = {step: claims[step] for step in steps if step in claims}
    return {
        step: state is ClaimState.DEFERRED or age > ttl
        for step, (state, age) in found.items()
        if state in (ClaimState.DEFERRED, ClaimState.RUNNING)
    }


def _end_services(memory: ProcessMemory, info: RunInfo) -> Task[None]:
    """Send for those who end what services do for this run."""
    wanted = yield from at_work(memory, info)
    plan = yield from load_plan(memory, info.definition)
    free_ones = tuple(step for step, free in wanted.items() if free)
    for message in (yield from messages_for(memory, plan, info.id, free_ones)):
        yield from Send(queue=message.queue, body=encode(message))


def _end_children(memory: ProcessMemory, info: RunInfo) -> Task[None]:
    """Cancel what does work for this run. A child that is started too late is found by the sweep."""
    plan = yield from load_plan(memory, info.definition)
    composites = tuple(bits(plan.composites))
    if not composites:
        return
    first, last = claim_key(composites[0]), claim_key(composites[-1] + 1)
    rows = yield from Query(table=RUNS, pk=info.id, first=first, last=last, select=SELECT)
    for row in rows:
        claim = read_claim(row)
        if claim.state is ClaimState.WAITING and step_of(row.rk) in composites:
            status = yield from halt(memory, claim.child)
            if status is not None:
                yield from finish(memory, claim.child, status)


def _clear_reports(memory: ProcessMemory, info: RunInfo) -> Task[None]:
    """Delete what the trials of a search have told each other: nobody will read it any more."""
    plan = yield from load_plan(memory, info.definition)
    if plan.has_trials:
        yield from DeleteFiles(prefix=reports_of(info.id))


def _wake_parent(memory: ProcessMemory, info: RunInfo) -> Task[None]:
    """Send the message of the step that became this run. Should it be lost, the sweep sends it."""
    if not info.is_part:
        return
    known = memory.head(info.parent_run)
    if known is not None and known.head.status.terminal:
        return
    parent = yield from read_info(memory, info.parent_run)
    if parent is None:
        return
    plan = yield from load_plan(memory, parent.definition)
    for message in (yield from messages_for(memory, plan, parent.id, (info.parent_step,))):
        yield from Send(queue=message.queue, body=encode(message))

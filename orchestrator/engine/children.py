"""A step that becomes many: park its claim, start the run that does its work, and read what that has made.

The claim is parked first: it names the child run, whose id comes from the claim, and it holds all that starting the
child takes. So whoever finds a parked claim can start the child, and nobody starts one that is not named by a claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from orchestrator.core import priority
from orchestrator.core import run as runs
from orchestrator.core import usage as usages
from orchestrator.core.claim import AGE_RESOLUTION, ClaimRow
from orchestrator.core.head import Head
from orchestrator.core.message import Messages
from orchestrator.core.nesting import SOURCE, Child, Children
from orchestrator.core.plan import Plan
from orchestrator.core.quota import share
from orchestrator.core.resolving import resolve_timeout
from orchestrator.core.result import Expansion, StepResult
from orchestrator.core.run import RunInfo
from orchestrator.core.states import ClaimState, RunStatus, StepStatus
from orchestrator.engine import ending
from orchestrator.engine.halt import halt
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import decode_result, fresh_head, load_plan, note_head
from orchestrator.engine.reuse.ingredients import ALL, is_forced
from orchestrator.engine.rows import CLAIMS, HEAD, INBOX, INFO, RUNS, claim_key, read_claim, step_of
from orchestrator.engine.start import start
from orchestrator.ports import Get, Now, Query, Row, Task

_LEAST_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """A claim that waits for its child run. `head` None: that has not been started."""

    claim: ClaimRow
    head: Head | None

    @property
    def ended(self) -> bool:
        return self.head is not None and self.head.status.terminal


def parked(memory: ProcessMemory, run: str, position: int) -> Task[Parked | None]:
    """What the step waits for; None: it does not wait."""
    row = yield from Get(table=RUNS, pk=run, rk=claim_key(position))
    if row is None or read_claim(row).state is not ClaimState.WAITING:
        return None
    claim = read_claim(row)
    known = yield from fresh_head(memory, claim.child)
    return Parked(claim=claim, head=None if known is None else known.head)


def launch(memory: ProcessMemory, plan: Plan, info: RunInfo, position: int, claim: ClaimRow) -> Task[Messages]:
    """Start the child run of a parked claim, or find it. Returns the messages of its first steps; safe to repeat."""
    parked_result = yield from decode_result(claim)
    expansion = parked_result.expansion
    assert expansion is not None
    child = yield from load_plan(memory, expansion.definition)
    wish = yield from _child_info(memory, plan, info, position, claim, expansion)
    started = yield from start(memory, wish, child)
    # The run may have ended since the claim was parked; whoever ended it may not have seen the child.
    known = yield from fresh_head(memory, info.id)
    if known is None or known.head.status.terminal:
        yield from end(memory, claim.child)
        return ()
    return started.messages


def end(memory: ProcessMemory, child: str) -> Task[None]:
    """Cancel a run that nobody wants any more."""
    status = yield from halt(memory, child)
    if status is not None:
        yield from ending.finish(memory, child, status)


def end_late(memory: ProcessMemory, plan: Plan, run: str, position: int) -> Task[None]:
    """Cancel what the step of a run that has ended may have become after that, and before its message came back."""
    held = (yield from parked(memory, run, position)) if plan.composites >> position & 1 else None
    if held is not None and held.head is not None and not held.ended:
        yield from end(memory, held.claim.child)


def allowed_to_each(memory: ProcessMemory, plan: Plan, info: RunInfo) -> int:
    """The most steps that one step of this run may become. One of its steps must be composite."""
    allowed = info.steps_allowed or memory.settings.quotas.run_steps
    return share(allowed, plan.size, plan.composites.bit_count())


def continued(children: Children | None, result: StepResult) -> Task[StepResult]:
    """A result by which a step goes on as another run has what that leaves of its time."""
    before = None if children is None else children.expanded.expansion
    if children is None or before is None or result.expansion is None:
        return result
    row = yield from Get(table=RUNS, pk=children.run, rk=INFO)
    spent = before.spent + (row.age if row is not None else 0.0)
    return msgspec.structs.replace(result, expansion=msgspec.structs.replace(result.expansion, spent=spent))


def _child_info(
    memory: ProcessMemory, plan: Plan, info: RunInfo, position: int, claim: ClaimRow, expansion: Expansion
) -> Task[RunInfo]:
    step = plan.step(position)
    whole = resolve_timeout(step, info.parameters)
    own = None if whole is None else max(_LEAST_SECONDS, whole - expansion.spent)
    limits = [limit for limit in (own, expansion.seconds) if limit is not None]
    now = yield from Now()
    return RunInfo(
        id=claim.child,
        experiment=info.experiment,
        definition=expansion.definition,
        pipeline_name=f"{info.pipeline_name}/{step.name}" if info.pipeline_name else step.name,
        parameters=expansion.parameters,
        keep_going=expansion.keep_going,
        regenerate=(ALL,) if is_forced(info, step) else (),
        source=SOURCE,
        submitted_at=now,
        parent_run=info.id,
        parent_step=position,
        started_by=info.started_by,
        steps_allowed=allowed_to_each(memory, plan, info),
        window=expansion.window,
        priority=priority.of(step, info.priority),
        limit_seconds=min(limits, default=0.0),
    )


def _took_too_long(info: Row, head: Row) -> bool:
    """Whether the run lasted as long as it may, by the server's clock: from its start to its end."""
    limit = runs.decode(str(info.props["info"])).limit_seconds
    return 0 < limit <= info.age - head.age + AGE_RESOLUTION


def _status(head: Head, position: int, claim: ClaimRow | None) -> StepStatus:
    if claim is not None and claim.state in (ClaimState.DONE, ClaimState.FAILED):
        return StepStatus.COMPLETED if claim.state is ClaimState.DONE else StepStatus.FAILED
    return StepStatus.SKIPPED if head.skipped >> position & 1 else StepStatus.CANCELED


def results_of(memory: ProcessMemory, claim: ClaimRow) -> Task[Children]:
    """What the child run of the claim has come to. It must have ended."""
    rows = yield from Query(table=RUNS, pk=claim.child, first=CLAIMS[0], last=INBOX[0])
    by_key = {row.rk: row for row in rows}
    known = yield from note_head(memory, claim.child, by_key[HEAD])
    expanded = yield from decode_result(claim)
    expansion = expanded.expansion
    assert expansion is not None
    plan = yield from load_plan(memory, expansion.definition)
    claims = {step_of(row.rk): read_claim(row) for row in rows if row.rk.startswith(CLAIMS[0])}
    steps = []
    for position, step in enumerate(plan.definition.steps):
        its = claims.get(position)
        ended = its is not None and its.state.final
        result = (yield from decode_result(its)) if its is not None and ended else StepResult()
        status = _status(known.head, position, its)
        steps.append(Child(id=step.id, name=step.name, position=position, status=status, result=result))
    return Children(
        run=claim.child,
        status=known.head.status,
        timed_out=known.head.status is RunStatus.CANCELED and _took_too_long(by_key[INFO], by_key[HEAD]),
        steps=tuple(steps),
        join=expansion.join,
        expanded=expanded,
        used=usages.of_run(claims.values(), over=True),
    )

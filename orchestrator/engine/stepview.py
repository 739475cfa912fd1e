"""The steps of a run as people see them. A step's status is derived from the head and its claim, never stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from orchestrator.core import decision as decisions
from orchestrator.core.claim import ClaimRow
from orchestrator.core.decision import Action, Decision
from orchestrator.core.errors import Conflict, UnknownThing
from orchestrator.core.head import Head
from orchestrator.core.names import shown, suggestion
from orchestrator.core.plan import Plan, bits
from orchestrator.core.result import StepError, StepResult
from orchestrator.core.states import ClaimState, RunStatus, StepStatus
from orchestrator.engine import said
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import decode_result, fresh_head, load_plan, read_info
from orchestrator.engine.rows import RUNS, claim_key, read_claim
from orchestrator.engine.said import NOTHING, OUTSIDE
from orchestrator.engine.view import Look, look
from orchestrator.ports import Get, Task


class ChildView(msgspec.Struct, frozen=True, kw_only=True):
    """A run that does the work of a step: how far it is."""

    run: str
    status: RunStatus
    steps_total: int
    steps_ended: int


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a run. Times in epoch seconds; `attempt` is 0 before the first.

    `error` says why it failed, or, while a retry is due, why the last attempt did. `outputs` are the names of its
    output ports, `parents` the ids of all steps it waits for, `run_after` those among them that give it no data.
    `decision` says why it ran, or whose outputs it has; None: nothing has been decided. `child`: the run that it has
    become.
    """

    id: str
    step_run_id: str
    name: str
    position: int
    kind: str
    compute: str
    status: StepStatus
    attempt: int
    started_at: float | None
    ended_at: float | None
    exit_code: int | None
    error: StepError | None
    log_bytes: int
    tags: dict[str, str]
    properties: dict[str, str]
    outputs: tuple[str, ...]
    run_after: tuple[str, ...]
    parents: tuple[str, ...]
    decision: Decision | None = None
    child: ChildView | None = None


def steps_view(memory: ProcessMemory, run: str) -> Task[tuple[StepView, ...]]:
    """All steps, in the order of the definition. Raises UnknownThing."""
    seen = yield from look(memory, run, claims=True)
    views: list[StepView] = []
    for position in range(seen.plan.size):
        view = yield from _view(memory, seen, position)
        views.append(view)
    return tuple(views)


def step_view(memory: ProcessMemory, run: str, step: str) -> Task[StepView]:
    """One step, by its id. Raises UnknownThing."""
    seen = yield from look(memory, run)
    position = position_of(seen.plan, step)
    row = yield from Get(table=RUNS, pk=run, rk=claim_key(position))
    if row is not None:
        seen.claims[position] = (read_claim(row), row.age)
    for owner, told in (yield from said.of_step(run, position)).items():
        seen.said[position, owner] = told
    return (yield from _view(memory, seen, position))


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One execution of a step, by its claim's nonce, `owner`."""

    run: str
    step: str
    position: int
    attempt: int
    owner: str

    @property
    def prefix(self) -> str:
        """Where its blobs lie."""
        return f"runs/{self.run}/{self.step}/{self.attempt}-{self.owner}"


def label_step(
    memory: ProcessMemory,
    run: str,
    step: str,
    *,
    tags: Mapping[str, str | None],
    properties: Mapping[str, str],
    most_bytes: int,
) -> Task[StepView]:
    """Tag a step from outside, also before it starts and after it has ended: set each tag, or remove it where the value
    is None; add `properties`. Safe to repeat. Raises UnknownThing, Conflict, TooLarge, Unavailable.
    """
    there = yield from step_view(memory, run, step)
    for key, value in properties.items():
        if there.properties.get(key, value) != value:
            raise Conflict(f"The property {shown(key)} is set, and cannot be changed.", field=f"properties.{key}")
    yield from said.say(run, there.position, OUTSIDE, tags=tags, properties=properties, most_bytes=most_bytes)
    return (yield from step_view(memory, run, step))


def execution(memory: ProcessMemory, run: str, step: str) -> Task[Execution | None]:
    """The execution that is under way, if one is. Raises UnknownThing."""
    seen = yield from look(memory, run)
    position = position_of(seen.plan, step)
    row = yield from Get(table=RUNS, pk=run, rk=claim_key(position))
    claim = None if row is None else read_claim(row)
    if claim is None or claim.state is not ClaimState.RUNNING or seen.head.status.terminal:
        return None
    return Execution(run=run, step=step, position=position, attempt=claim.attempt, owner=claim.owner)


def position_of(plan: Plan, step: str) -> int:
    """Raises UnknownThing, with a near miss, when the plan has no step of that id."""
    try:
        return plan.index[step]
    except KeyError:
        hint = suggestion(step, plan.index, "steps")
        raise UnknownThing(f"The run has no step {shown(step)}. {hint}", field="step_id") from None


def status_of(plan: Plan, head: Head, position: int, claim: ClaimRow | None) -> StepStatus:
    """What a person is told of a step.

    A claim that has its final result counts even before the head knows it. A run that has ended leaves no step waiting:
    one that was being executed, or would still have been, is Canceled when the run is.
    """
    bit = 1 << position
    state = claim.state if claim else None
    under_way = state is not None and (state.under_way or state is ClaimState.CALLED_OFF)
    if head.done & bit or state is ClaimState.DONE:
        return StepStatus.COMPLETED
    if head.failed & bit or state is ClaimState.FAILED:
        return StepStatus.FAILED
    if state is ClaimState.SKIPPED:
        return StepStatus.SKIPPED
    if head.skipped & bit:
        return StepStatus.CANCELED if under_way else StepStatus.SKIPPED
    if head.status is RunStatus.CANCELED:
        return StepStatus.CANCELED
    if under_way:
        return StepStatus.RUNNING
    ready = not plan.parents[position] & ~head.done
    return StepStatus.QUEUED if ready or state is ClaimState.RETRYING else StepStatus.NOT_STARTED


def _child(memory: ProcessMemory, claim: ClaimRow | None) -> Task[ChildView | None]:
    if claim is None or not claim.child:
        return None
    known = yield from fresh_head(memory, claim.child)
    info = yield from read_info(memory, claim.child)
    if known is None or info is None:
        return None  # it is about to be started
    plan = yield from load_plan(memory, info.definition)
    ended = known.head.ended.bit_count()
    return ChildView(run=claim.child, status=known.head.status, steps_total=plan.size, steps_ended=ended)


def _view(memory: ProcessMemory, seen: Look, position: int) -> Task[StepView]:
    claim, _ = seen.claims.get(position, (None, 0.0))
    result, outside = StepResult(), seen.said.get((position, OUTSIDE), NOTHING)
    told = seen.said.get((position, claim.owner), NOTHING) if claim else NOTHING
    if claim is not None and (claim.looks or claim.state is not ClaimState.RUNNING):
        result = yield from decode_result(claim)
    decision = decisions.decode(claim.decision) if claim is not None and claim.decision else None
    taken = decision is not None and decision.action not in (Action.RUN, Action.SKIP)
    child = yield from _child(memory, claim)
    step = seen.plan.step(position)
    ids = seen.plan.definition.steps
    return StepView(
        id=step.id,
        step_run_id=f"{seen.info.id}_{step.id}",
        name=step.name,
        position=position,
        kind=step.kind,
        compute=step.compute,
        status=status_of(seen.plan, seen.head, position, claim),
        attempt=claim.attempt if claim else 0,
        started_at=(claim.started_at or None) if claim else None,
        # Of a result that was taken, the times are those of whoever made it.
        ended_at=(claim.started_at if claim and taken else 0.0 if result.deferral else result.ended_at) or None,
        exit_code=result.exit_code,
        error=result.error,
        log_bytes=result.log_bytes,
        tags={k: v for k, v in {**result.tags, **told.tags, **outside.tags}.items() if v is not None},
        properties={**outside.properties, **told.properties, **result.properties, **_v1_properties(decision)},
        outputs=tuple(port.name for port in step.outputs),
        run_after=step.run_after,
        parents=tuple(ids[parent].id for parent in bits(seen.plan.parents[position])),
        decision=decision,
        child=child,
    )


def _v1_properties(decision: Decision | None) -> dict[str, str]:
    """How version 1 says that a step has the outputs of another step run."""
    if decision is None or not decision.from_run:
        return {}
    return {
        "azureml.reusedrunid": f"{decision.from_run}_{decision.from_step}",
        "azureml.reusednodeid": decision.from_step,
        "azureml.reusedpipeline": decision.from_run,
    }

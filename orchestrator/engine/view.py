"""A run as people and programs see it. Reading changes nothing, and costs one range query."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from orchestrator.core import run as runs
from orchestrator.core.claim import ClaimRow
from orchestrator.core.definition import ParameterValue
from orchestrator.core.errors import UnknownThing
from orchestrator.core.head import Head
from orchestrator.core.names import RUN_ID, shown
from orchestrator.core.plan import Plan
from orchestrator.core.run import RunInfo
from orchestrator.core.states import RunStatus
from orchestrator.core.webhook import Event, shown_url
from orchestrator.engine import said
from orchestrator.engine.index import ALL_RUNS, INDEX, newest_first
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import load_plan, note_head
from orchestrator.engine.rows import CLAIMS, HEAD, INBOX, INFO, RUNS, SAID, read_claim, step_of
from orchestrator.engine.said import Said
from orchestrator.ports import Get, Now, Query, Row, Task


class NotifyView(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook of one run; no `events`: all of them. `secret` is in the answer to its submission only."""

    id: str
    url: str
    events: tuple[Event, ...]
    secret: str | None = None


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A run. Times in epoch seconds; `definition` is the content address of what it runs.

    `started_by` is the caller who asked for it, empty where that was not recorded.
    `rerun_of` is the run whose finished steps were kept, `parent_run` the one of which this is a child.
    `warnings` are those of the request that has just started it, and empty later.
    """

    id: str
    experiment: str
    status: RunStatus
    pipeline_name: str
    pipeline_id: str | None
    definition: str
    parameters: dict[str, ParameterValue]
    tags: dict[str, str]
    properties: dict[str, str]
    description: str
    continue_on_step_failure: bool
    source: str
    started_by: str
    parent_run: str | None
    rerun_of: str | None
    submitted_at: float
    ended_at: float | None
    steps_total: int
    steps_done: int
    steps_failed: int
    steps_skipped: int
    notify: tuple[NotifyView, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A run as it lies in storage. `claims` by position, each with its age in seconds; empty unless asked for, as is
    `said`, by position and owner: what executions have said of themselves.

    `head_age` is seconds since the head was written.
    """

    info: RunInfo
    head: Head
    head_age: float
    plan: Plan
    claims: dict[int, tuple[ClaimRow, float]]
    said: dict[tuple[int, str], Said] = field(default_factory=dict)


def look(memory: ProcessMemory, run: str, *, claims: bool = False) -> Task[Look]:
    """Read a run afresh. Raises UnknownThing."""
    if not RUN_ID.allows(run):
        raise unknown_run(run)
    first = CLAIMS[0] if claims else INFO
    rows = yield from Query(table=RUNS, pk=run, first=first, last=INBOX[0])
    by_key = {row.rk: row for row in rows}
    if INFO not in by_key or HEAD not in by_key:
        raise unknown_run(run)
    info = runs.decode(str(by_key[INFO].props["info"]))
    memory.infos.put(run, info)
    known = yield from note_head(memory, run, by_key[HEAD])
    plan = yield from load_plan(memory, info.definition)
    found = {step_of(row.rk): (read_claim(row), row.age) for row in rows if row.rk.startswith(CLAIMS[0])}
    told = {_speaker(row.rk): said.read(row) for row in rows if row.rk.startswith(SAID)}
    return Look(info=info, head=known.head, head_age=by_key[HEAD].age, plan=plan, claims=found, said=told)


def _speaker(rk: str) -> tuple[int, str]:
    _, position, owner = rk.split("|")
    return int(position), owner


def run_view(memory: ProcessMemory, run: str) -> Task[RunView]:
    """One run, as it is now. Raises UnknownThing."""
    seen = yield from look(memory, run)
    ended_at: float | None = None
    if seen.head.status.terminal:
        row = yield from Get(table=INDEX, pk=ALL_RUNS, rk=newest_first(seen.info))
        now = yield from Now()
        # The index follows the head by a moment; until then, the head's last write tells when the run ended.
        ended_at = (_moment(row) if row else None) or now - seen.head_age
    return view_of(seen.info, seen.head, seen.plan, ended_at=ended_at)


def view_of(
    info: RunInfo, head: Head, plan: Plan, *, ended_at: float | None, warnings: tuple[str, ...] = ()
) -> RunView:
    """A run from its parts."""
    return RunView(
        id=info.id,
        experiment=info.experiment,
        status=head.status,
        pipeline_name=info.pipeline_name,
        pipeline_id=info.pipeline_id,
        definition=info.definition,
        parameters=info.parameters,
        tags=info.tags,
        properties=info.properties,
        description=info.description,
        continue_on_step_failure=info.keep_going,
        source=info.source,
        started_by=info.started_by,
        parent_run=info.parent_run or None,
        rerun_of=info.rerun_of or None,
        submitted_at=info.submitted_at,
        ended_at=ended_at,
        steps_total=plan.size,
        steps_done=head.done.bit_count(),
        steps_failed=head.failed.bit_count(),
        steps_skipped=head.skipped.bit_count(),
        notify=tuple(NotifyView(id=hook.id, url=shown_url(hook.url), events=hook.events) for hook in info.notify),
        warnings=warnings,
    )


def unknown_run(run: str) -> UnknownThing:
    return UnknownThing(f"There is no run {shown(run)}. GET /api/runs lists what there is.", field="run_id")


def _moment(row: Row) -> float | None:
    return float(row.props["ended_at"]) or None

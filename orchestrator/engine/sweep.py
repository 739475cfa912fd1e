"""The sweep: once a minute, find the runs that stand still and set them going again.

It may fire twice, overlap itself, or die half-way: all it does is conditional or harmless to repeat.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.errors import MillstreamError
from orchestrator.core.head import ready
from orchestrator.core.message import Messages
from orchestrator.core.plan import Plan, bits, mask_of
from orchestrator.engine import children, ending, index
from orchestrator.engine.combine import combine
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import fresh_head, load_plan, messages_for, note_head, read_info
from orchestrator.engine.revive import standing_still
from orchestrator.engine.rows import HEAD, INFO, RUNS
from orchestrator.ports import Get, Query, Row, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """`seen` unfinished runs were looked at; `failed` holds those that could not be swept now, with the reason."""

    seen: int
    messages: Messages
    failed: tuple[tuple[str, str], ...]


def sweep(memory: ProcessMemory) -> Task[Swept]:
    """Look at every unfinished run. One run that cannot be read does not keep the others waiting."""
    rows = yield from Query(table=index.INDEX, pk=index.ACTIVE, first="", last="~")
    messages: list[Messages] = []
    failed: list[tuple[str, str]] = []
    for row in rows:
        try:
            messages.append((yield from _look_at(memory, row)))
        except MillstreamError as error:
            failed.append((row.rk, error.message))
    flat = tuple(message for some in messages for message in some)
    return Swept(seen=len(rows), messages=flat, failed=tuple(failed))


def _look_at(memory: ProcessMemory, entry: Row) -> Task[Messages]:
    """`entry` is the run's row among the unfinished ones."""
    run = entry.rk
    row = yield from Get(table=RUNS, pk=run, rk=HEAD)
    if row is None:
        yield from index.leave(run)
        return ()
    known = yield from note_head(memory, run, row)
    if not known.head.status.terminal and (yield from _is_unwanted(memory, entry)):
        yield from children.end(memory, run)
        return ()
    if known.head.status.terminal:
        yield from ending.finish(memory, run, known.head.status)
        return (yield from _call_off(memory, entry))
    if row.age < memory.settings.sweep_quiet:
        return ()
    plan = yield from load_plan(memory, str(entry.props["definition"]))
    return (yield from _revive(memory, plan, entry))


def _is_unwanted(memory: ProcessMemory, entry: Row) -> Task[bool]:
    """Whether a run that does the work of a step has lost the run of that step, or takes longer than it may."""
    if index.PARENT not in entry.props:
        return False
    parent = yield from fresh_head(memory, str(entry.props[index.PARENT]))
    if parent is None or parent.head.status.terminal:
        return True
    limit = float(entry.props["limit"])
    row = (yield from Get(table=RUNS, pk=entry.rk, rk=INFO)) if limit else None
    return row is not None and row.age > limit


def _call_off(memory: ProcessMemory, entry: Row) -> Task[Messages]:
    """The messages of the steps of a run that has ended for which services may still do work."""
    info = yield from read_info(memory, entry.rk)
    left = (yield from ending.at_work(memory, info)) if info is not None else {}
    if info is None or not left:
        return ()
    plan = yield from load_plan(memory, info.definition)
    due = yield from index.due(entry, mask_of([step for step, free in left.items() if free]))
    return (yield from messages_for(memory, plan, info.id, tuple(bits(due))))


def _revive(memory: ProcessMemory, plan: Plan, entry: Row) -> Task[Messages]:
    run = entry.rk
    ready_now = yield from combine(memory, plan, run)
    known = yield from fresh_head(memory, run)
    if known is None:
        return ()
    if known.head.status.terminal:
        yield from ending.finish(memory, run, known.head.status)
        return ()
    still = yield from standing_still(memory, run, ready(plan, known.head))
    due = yield from index.due(entry, still)
    return (yield from messages_for(memory, plan, run, tuple({*ready_now, *bits(due)})))

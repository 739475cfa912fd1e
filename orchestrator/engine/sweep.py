"""The sweep: once a minute, find the runs that stand still and set them going again.

It may fire twice, overlap itself, or die half-way: all it does is conditional or harmless to repeat.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.errors import MillstreamError
from orchestrator.engine import index
from orchestrator.engine.deliver import Messages, recover
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import load_plan, note_head
from orchestrator.engine.rows import HEAD, RUNS
from orchestrator.ports import Get, Query, Task


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
            messages.append((yield from _look_at(memory, row.rk, str(row.props["definition"]))))
        except MillstreamError as error:
            failed.append((row.rk, error.message))
    flat = tuple(message for some in messages for message in some)
    return Swept(seen=len(rows), messages=flat, failed=tuple(failed))


def _look_at(memory: ProcessMemory, run: str, definition: str) -> Task[Messages]:
    row = yield from Get(table=RUNS, pk=run, rk=HEAD)
    if row is None:
        yield from index.leave(run)
        return ()
    known = yield from note_head(memory, run, row)
    if known.head.status.terminal:
        yield from index.finish(memory, run, known.head.status)
        return ()
    if row.age < memory.settings.sweep_quiet:
        return ()
    plan = yield from load_plan(memory, definition)
    return (yield from recover(memory, plan, run))

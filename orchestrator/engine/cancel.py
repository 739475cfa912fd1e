"""Cancel a run: one conditional write of its head. What runs notices within seconds; nothing new starts."""

from __future__ import annotations

from orchestrator.core.errors import UnknownThing
from orchestrator.core.states import RunStatus
from orchestrator.engine import ending
from orchestrator.engine.halt import halt
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import fresh_head
from orchestrator.ports import Task


def cancel(memory: ProcessMemory, run: str) -> Task[RunStatus]:
    """Cancel the run, and those that its steps have become, and return its status: Canceled, or the status it had ended
    with before.

    Raises UnknownThing when there is no such run, Unavailable when its head moves too fast to be caught.
    """
    status = yield from halt(memory, run)
    if status is None:
        raise UnknownThing(f"There is no run {run}.", field="run_id")
    yield from ending.finish(memory, run, status)
    return status


def is_over(memory: ProcessMemory, run: str) -> Task[bool]:
    """Whether a step of this run that is being executed should stop. One read, unless memory knows the end."""
    known = memory.head(run)
    if known is None or not known.head.status.terminal:
        known = yield from fresh_head(memory, run)
    return known is None or known.head.status.terminal

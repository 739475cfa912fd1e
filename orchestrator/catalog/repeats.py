"""A run once more: from its beginning (resubmit), or from where it failed (rerun).

Either is a new run of the same definition. A rerun keeps the finished steps of the earlier one, so nothing may differ
that they depend on.
"""

from __future__ import annotations

from orchestrator.core import run as runs
from orchestrator.core.errors import Conflict
from orchestrator.core.names import RUN_ID
from orchestrator.core.run import RunInfo
from orchestrator.core.states import RunStatus
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import fresh_head
from orchestrator.engine.rows import INFO, RUNS
from orchestrator.engine.view import unknown_run
from orchestrator.ports import Get, Task

RESUBMIT_OF = "millstream.resubmit_of"
"""The property of a run that says which run it repeats."""


def earlier(run: str) -> Task[RunInfo]:
    """What the run `run` was asked to do, with its tags as they are now. Raises UnknownThing."""
    row = (yield from Get(table=RUNS, pk=run, rk=INFO)) if RUN_ID.allows(run) else None
    if row is None:
        raise unknown_run(run)
    return runs.decode(str(row.props["info"]))


def check_rerun(memory: ProcessMemory, before: RunInfo, info: RunInfo) -> Task[None]:
    """Raises Conflict unless finished steps of `before` may be kept in the new run `info`."""
    known = yield from fresh_head(memory, before.id)
    if known is None or not known.head.status.terminal:
        raise Conflict(f"Run {before.id} has not ended. Wait for its end, or cancel it.", field="run_id")
    if known.head.status is RunStatus.COMPLETED:
        raise Conflict(
            f"Run {before.id} is Completed: there is nothing left to run. Resubmit it to run it again.", field="run_id"
        )
    if info.definition != before.definition:
        raise Conflict(f"Run {before.id} ran another pipeline.", field="run_id")
    if info.parameters != before.parameters:
        raise Conflict(
            f"Run {before.id} had other parameters, so its finished steps cannot be kept. Resubmit it instead.",
            field="parameters",
        )

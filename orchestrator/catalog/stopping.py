"""What is left of a run that was cancelled: the executions that work on its steps."""

from __future__ import annotations

from orchestrator.catalog import computes
from orchestrator.core.compute import Compute
from orchestrator.core.errors import Unavailable
from orchestrator.core.states import ClaimState
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import load_plan, read_info
from orchestrator.engine.rows import CLAIMS, RUNS, step_of
from orchestrator.executions import StopExecution
from orchestrator.ports import Query, Task


def stop_executions(memory: ProcessMemory, run: str) -> Task[tuple[str, ...]]:
    """Ask every execution that holds a step of the run to end; their names. They notice by themselves, too, within
    seconds, unless they hang. One that cannot be stopped now is left to that.
    """
    info = yield from read_info(memory, run)
    if info is None:
        return ()
    rows = yield from Query(table=RUNS, pk=run, first=CLAIMS[0], last=CLAIMS[1], select=("state", "execution"))
    held = {
        step_of(row.rk): str(row.props["execution"])
        for row in rows
        if row.props.get("execution") and row.props["state"] == ClaimState.RUNNING.value
    }
    if not held:
        return ()
    plan = yield from load_plan(memory, info.definition)
    names = {plan.step(position).compute for position in held}
    known: dict[str, Compute] = {**(yield from computes.find(sorted(names))), **memory.settings.computes}
    stopped: list[str] = []
    for position, execution in held.items():
        compute = known.get(plan.step(position).compute)
        if compute is not None:
            try:
                yield from StopExecution(compute=compute, name=execution)
            except Unavailable:
                continue
            stopped.append(execution)
    return tuple(stopped)

"""How the routes of version 1 name a run: beginnings of their paths, and what of a path is meant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from orchestrator.core.errors import Conflict
from orchestrator.core.run_token import RunToken
from orchestrator.engine.stepview import Execution, execution
from orchestrator.triggers.routes import Asked, Service

WORKSPACE: Final = (
    "subscriptions/{subscription_id}/resourceGroups/{resource_group}/providers/Microsoft.MachineLearningServices"
    "/workspaces/{workspace}"
)
CONTAINER: Final = "dcid."
"""Before the id of a run: what the files of a run lie in."""


def run_of(path: str) -> str:
    """The id of the run whose container it is."""
    return path.removeprefix(CONTAINER)


def ids(asked: Asked) -> tuple[str, str]:
    """(run, step) of the run that is meant; "" for the pipeline's."""
    run_id = asked.path.get("run_id") or run_of(asked.path["container"])
    if asked.script is not None:
        return asked.script.run, asked.script.step if run_id == asked.script.step_run_id else ""
    run, _, step = run_id.partition("_")
    return run, step


def executing(service: Service, asked: Asked) -> Execution | None:
    """The execution that is spoken for: the caller's own, or the one that is under way. Raises UnknownThing."""
    if asked.script is not None:
        return of_script(asked.script)
    run, step = ids(asked)
    return service.world.run(execution(service.memory, run, step))


def of_script(script: RunToken) -> Execution:
    """The execution whose script calls."""
    return Execution(
        run=script.run, step=script.step, position=script.position, attempt=script.attempt, owner=script.owner
    )


def must_execute(service: Service, asked: Asked) -> Execution:
    """As `executing`. Raises Conflict when nothing is under way."""
    found = executing(service, asked)
    if found is None:
        raise Conflict("The step is not being executed: its metrics, tags, properties and files stay as they are.")
    return found


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")

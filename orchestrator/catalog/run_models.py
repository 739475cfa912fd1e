"""Models from the files of a step that has ended: registered from outside, when somebody has looked at the results."""

from __future__ import annotations

from orchestrator.catalog.models import Model, Origin, register
from orchestrator.core.errors import Conflict, UnknownThing
from orchestrator.core.names import MODEL, PATH, RUN_ID, shown, suggestion
from orchestrator.core.result import ModelRegistration, StepResult
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.resultview import result_of
from orchestrator.ports import Task


def publish(memory: ProcessMemory, run: str, step: str, wish: ModelRegistration, request: str) -> Task[Model]:
    """Files of the step's artifacts as the next version of a model, without a copy.

    `request` names the wish: said again, it finds the version it made. Raises InvalidRequest, UnknownThing, and
    Conflict for a step that has not succeeded.
    """
    MODEL.check(wish.name, "name")
    RUN_ID.check(request, "request_id")
    PATH.check(wish.path, "path")
    result: StepResult | None = yield from result_of(memory, run, step)
    if result is None or result.error is not None:
        raise Conflict(f"The step {shown(step)} has not succeeded, so none of its files is a model.", field="step_id")
    paths = [file.path for file in result.artifacts]
    if not any(path == wish.path or path.startswith(f"{wish.path}/") for path in paths):
        raise UnknownThing(
            f"The step has no file {shown(wish.path)}. {suggestion(wish.path, paths, 'files')}", field="path"
        )
    origin = Origin(run=run, step=step, attempt=1, request=request)
    kept = StepResult(artifacts=result.artifacts, artifact_prefix=result.artifact_prefix, models=(wish,))
    (model,) = yield from register(origin, kept)
    return model

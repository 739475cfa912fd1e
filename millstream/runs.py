"""Finding a run by its id, be it that of a pipeline run or of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millstream.errors import UnknownThing
from millstream.experiment import Experiment
from millstream.pipeline_run import PipelineRun
from millstream.service_run import ServiceRun
from millstream.step_run import StepRun

if TYPE_CHECKING:
    from millstream.workspace import Workspace

__all__ = ["PipelineRun", "ServiceRun", "StepRun", "class_of", "get_run", "get_run_of"]


def get_run(workspace: Workspace, run_id: str) -> ServiceRun:
    """The pipeline run or step run with this id. Raises UnknownThing."""
    try:
        return PipelineRun.get(workspace, run_id)
    except UnknownThing:
        pipeline_run, underscore, step = run_id.partition("_")
        if not underscore:
            raise
        view = workspace.api.step(pipeline_run, step)
        return StepRun(PipelineRun.get(workspace, pipeline_run).experiment, run_id, pipeline_run, step, _view=view)


def get_run_of(experiment: Experiment, run_id: str, rehydrate: bool = True, clean_up: bool = True) -> ServiceRun:
    """v1's function of this kind: the run with this id in the workspace of `experiment`. Raises UnknownThing."""
    del rehydrate, clean_up
    return get_run(experiment.workspace, run_id)


def class_of(experiment: Experiment, run_id: str, **_: Any) -> type[ServiceRun]:
    """What `Run(experiment, run_id)` makes."""
    return type(get_run(experiment.workspace, run_id))

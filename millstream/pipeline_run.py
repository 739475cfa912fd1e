"""A run of a pipeline, seen from outside."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream import submission
from millstream.arguments import refuse_unknown
from millstream.cost import RunCost
from millstream.errors import UnknownThing
from millstream.metrics import fold
from millstream.outputs import GivenFiles, Stored, artifacts
from millstream.service_run import LOG_FILE, ServiceRun, moment, only, whole_log
from millstream.sources import only_one
from millstream.step_run import PortDataReference, StepRun
from millstream.views import NoticeView, NotifyView, RunView, StepView
from orchestrator.core.definition import Definition, Step, encode
from orchestrator.core.names import shown, suggestion

if TYPE_CHECKING:
    from millstream.experiment import Experiment
    from millstream.published import PublishedPipeline
    from millstream.workspace import Workspace


class PipelineRun(ServiceRun):
    """The run of a pipeline with id `run_id`."""

    type = "azureml.PipelineRun"

    def __init__(self, experiment: Experiment, run_id: str, **_: Any) -> None:
        self.experiment = experiment
        self.id = run_id

    @staticmethod
    def get(workspace: Workspace, run_id: str) -> PipelineRun:
        """The run with this id. Raises UnknownThing."""
        from millstream.experiment import Experiment

        return PipelineRun(Experiment(workspace, workspace.api.run(run_id).experiment), run_id)

    @staticmethod
    def get_pipeline_runs(workspace: Workspace, pipeline_id: str) -> list[PipelineRun]:
        """The runs of a published pipeline, newest first."""
        from millstream.experiment import Experiment

        lines = workspace.api.runs(pipeline_id=pipeline_id)
        return [PipelineRun(Experiment(workspace, line.experiment), line.id) for line in lines]

    def _look(self) -> RunView:
        return self.api.run(self.id)

    @property
    def status(self) -> str:
        return self._look().status

    @property
    def name(self) -> str:
        return self._look().pipeline_name

    display_name = name

    @property
    def description(self) -> str:
        return self._look().description

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of the pipeline's parameters in this run."""
        return dict(self._look().parameters)

    @property
    def parent(self) -> PipelineRun | None:
        """The run that this one was submitted as a child of (`parent_run_id`), or None."""
        parent = self._look().parent_run
        return None if parent is None else PipelineRun.get(self.experiment.workspace, parent)

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._look().tags)

    @property
    def properties(self) -> dict[str, str]:
        return dict(self._look().properties)

    def _label(self, tags: Mapping[str, str | None], properties: Mapping[str, str]) -> dict[str, str]:
        return dict(self.api.label_run(self.id, tags, properties).tags)

    def _step(self) -> Step:
        return self.api.run_definition(self.id).steps[0]

    def get_snapshot_id(self) -> str:
        return only_one(step.snapshot for step in self.api.run_definition(self.id).steps)

    def submit_child(self, config: Any, tags: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        """Submit what `Experiment.submit` takes, in the same experiment, as a child of this run."""
        return self.experiment.submit(config, tags, parent_run_id=self.id, **kwargs)

    def _log_at(self) -> tuple[str, str]:
        return self.id, ""

    def get_steps(self) -> Iterator[StepRun]:
        """The steps: those that have started, newest first, then the others."""
        views = sorted(self.api.steps(self.id), key=lambda view: (-(view.started_at or 0.0), view.position))
        return iter([self._step_run(view) for view in views])

    def get_children(self, recursive: bool = False, **_: Any) -> Iterator[StepRun]:
        """The steps; with `recursive`, also those that a step has become, after it."""
        for step in self.get_steps():
            yield step
            child = step.nested_run if recursive else None
            if child is not None:
                yield from child.get_children(recursive=True)

    def find_step_run(self, name: str) -> list[StepRun]:
        """The steps of this name, or with this id, in the order of the pipeline."""
        return [self._step_run(view) for view in self.api.steps(self.id) if name in (view.name, view.id)]

    def get_metrics(
        self, name: str | None = None, recursive: bool = False, run_type: Any = None, populate: bool = False
    ) -> dict[str, Any]:
        """What was logged on the run and on all its steps, by name; with `recursive`, by run id."""
        del run_type, populate
        seen = self.api.metrics(self.id)
        if recursive:
            own = {self.id: only(fold(seen.run), name)} if seen.run else {}
            return own | {f"{self.id}_{step}": only(fold(records), name) for step, records in seen.steps.items()}
        return only(fold(record for records in (*seen.steps.values(), seen.run) for record in records), name)

    def get_pipeline_output(self, pipeline_output_name: str) -> PortDataReference:
        """The output with this `pipeline_output_name`, or port of this name, of whichever step has it.

        Raises UnknownThing.
        """
        for step in self.api.run_definition(self.id).steps:
            for port in step.outputs:
                if port.pipeline_output == pipeline_output_name:
                    return self._step_run(self.api.step(self.id, step.id)).get_output_data(port.name)
        known: list[str] = []
        for view in self.api.steps(self.id):
            if pipeline_output_name in view.outputs:
                return self._step_run(view).get_output_data(pipeline_output_name)
            known.extend(view.outputs)
        hint = suggestion(pipeline_output_name, known, "outputs")
        raise UnknownThing(f"No step has an output {shown(pipeline_output_name)}. {hint}", field="pipeline_output_name")

    @property
    def number(self) -> int:
        """The place among the runs of the experiment, from 1. Asks for all of them."""
        ids = [line.id for line in self.api.runs(experiment=self.experiment.name)]
        return len(ids) - ids.index(self.id)

    def get_graph(self) -> Definition:
        """What the run runs, as the service keeps it."""
        return self.api.run_definition(self.id)

    def save(self, path: str | os.PathLike[str] | None = None) -> None:
        """Write what the run runs to a JSON file: `path`, or <run id>.json."""
        Path(path or f"{self.id}.json").write_bytes(encode(self.get_graph()))

    def publish_pipeline(
        self,
        name: str,
        description: str,
        version: str,
        continue_on_step_failure: bool | None = None,
        **unknown: Any,
    ) -> PublishedPipeline:
        """Publish what the run runs: the same sources, the same environment, the same parameters' defaults."""
        refuse_unknown(PipelineRun.publish_pipeline, unknown)
        from millstream.published import PublishedPipeline, say_published

        view = self.api.publish(
            {
                "definition": self.get_graph(),
                "name": name or "",
                "description": description or "",
                "version": "" if version is None else str(version),
                "continue_on_step_failure": bool(continue_on_step_failure),
            }
        )
        say_published(view)
        return PublishedPipeline(self.experiment.workspace, view)

    def get_details(self) -> dict[str, Any]:
        """What is known of the run, under v1's names."""
        view = self._look()
        return {
            "runId": self.id,
            "status": view.status,
            "startTimeUtc": moment(view.submitted_at),
            "endTimeUtc": moment(view.ended_at),
            "submittedBy": view.started_by,
            "properties": {"azureml.pipelineid": view.pipeline_id or "", **view.properties},
            "tags": dict(view.tags),
            "inputDatasets": [],
            "outputDatasets": [],
            "logFiles": {},
        }

    get_details_with_logs = get_details

    @property
    def webhooks(self) -> list[NotifyView]:
        """The URLs that are told of the end of this run, beside the registered webhooks."""
        return list(self._look().notify)

    def get_cost(self) -> RunCost:
        """What this run has cost so far, estimated from what its steps have used, counted (docs/cost.md)."""
        return self.api.cost(self.id)

    def get_notices(self) -> list[NoticeView]:
        """Who has been told of the end of this run, or will be, and how that went."""
        return list(self.api.notices(self.id))

    def resubmit(
        self,
        pipeline_parameters: Mapping[str, Any] | None = None,
        *,
        experiment_name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        description: str | None = None,
        continue_on_step_failure: bool | None = None,
    ) -> PipelineRun:
        """Run the same again: the same sources, parameters and tags, but for what is given. A tag None is left out."""
        values = submission.given_parameters(self.get_graph(), pipeline_parameters)
        submission.save_given(self.experiment.workspace, pipeline_parameters)
        wish = _changes(experiment_name, tags, properties, description, continue_on_step_failure)
        return self._submitted(self.api.resubmit(self.id, {**wish, "parameters": values}))

    def rerun(
        self,
        *,
        experiment_name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        description: str | None = None,
        continue_on_step_failure: bool | None = None,
    ) -> PipelineRun:
        """Run what failed or was cancelled, and what follows it, in a new run that keeps the finished steps.

        Raises Conflict for a run that goes on or is Completed.
        """
        wish = _changes(experiment_name, tags, properties, description, continue_on_step_failure)
        return self._submitted(self.api.rerun(self.id, wish))

    def cancel(self) -> None:
        """Start nothing new, and end the scripts that run. A run that has ended stays as it is."""
        self.api.cancel(self.id)

    def wait_for_completion(
        self, show_output: bool = True, timeout_seconds: float = sys.maxsize, raise_on_error: bool = True
    ) -> str:
        """Wait until the run has ended; with `show_output`, show its steps and what they print as it happens.

        Returns get_status(). Raises RunFailed with the steps that failed and the ends of their logs, RunCanceled, and
        WaitTimeout after `timeout_seconds` (v1 only prints that); the run itself goes on.
        """
        from millstream.follow import follow_run

        return follow_run(self, show_output=show_output, timeout=timeout_seconds, raise_on_error=raise_on_error)

    def _submitted(self, view: RunView) -> PipelineRun:
        from millstream.experiment import Experiment

        submission.say_submitted(view)
        return PipelineRun(Experiment(self.experiment.workspace, view.experiment), view.id)

    def _step_run(self, view: StepView) -> StepRun:
        return StepRun(self.experiment, f"{self.id}_{view.id}", self.id, view.id, _view=view)

    def _owner_of(self, name: str) -> tuple[str, str, str]:
        step, _, path = name.partition("/")
        return self.id, step, path

    def _artifacts(self) -> dict[str, Stored]:
        given = {stored.file.path: stored for stored in GivenFiles(self.api, self.id, "").files()}
        return given | {f"{stored.step}/{stored.file.path}": stored for stored in artifacts(self.api, self.id)}

    def _logs(self) -> dict[str, bytes]:
        logs = {view.id: whole_log(self.api, self.id, view.id) for view in self.api.steps(self.id) if view.started_at}
        return {f"{step}/{LOG_FILE}": log for step, log in logs.items() if log}


def _changes(
    experiment: str | None,
    tags: Mapping[str, Any] | None,
    properties: Mapping[str, Any] | None,
    description: str | None,
    keep_going: bool | None,
) -> dict[str, Any]:
    """What is to differ in a run that is repeated; its id is chosen here, so sending it again is harmless."""
    return {
        "run_id": str(uuid.uuid4()),
        "source": submission.SOURCE,
        "experiment_name": experiment,
        "tags": {str(name): None if value is None else str(value) for name, value in (tags or {}).items()},
        "properties": {str(name): str(value) for name, value in (properties or {}).items()},
        "description": description,
        "continue_on_step_failure": keep_going,
    }

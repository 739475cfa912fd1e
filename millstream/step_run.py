"""One step of a run, seen from outside."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream import service_run
from millstream.data import DataReference
from millstream.errors import UnknownThing
from millstream.explained import Explained
from millstream.metrics import fold
from millstream.outputs import GivenFiles, Stored, artifacts, output_files, step_outputs
from millstream.progress import Progress
from millstream.service_run import LOG_FILE, ServiceRun, fetch_of, moment, only, whole_log
from millstream.transfer import Fetch, below, fetch_all
from millstream.views import OutputView, RemoteFile, StepView
from orchestrator.core.names import shown, suggestion

if TYPE_CHECKING:
    from millstream.datastore import Datastore
    from millstream.experiment import Experiment
    from millstream.pipeline_run import PipelineRun
    from orchestrator.core.definition import Step


UNAVAILABLE = {
    **service_run.UNAVAILABLE,
    "cancel": "cancel the pipeline run: run.parent.cancel()",
    "submit_child": "it is the pipeline run that has child runs: run.parent.submit_child(pipeline)",
}


class StepRun(ServiceRun):
    """The step run with id `step_run_id`: the pipeline run's, an underscore, and the step's (`node_id`)."""

    type = "azureml.StepRun"
    unavailable = UNAVAILABLE

    def __init__(
        self,
        experiment: Experiment,
        step_run_id: str,
        pipeline_run_id: str | None = None,
        node_id: str | None = None,
        *,
        _view: StepView | None = None,
        **_: Any,
    ) -> None:
        run_id, _underscore, step_id = step_run_id.partition("_")
        self.experiment = experiment
        self.id = step_run_id
        self.pipeline_run_id = pipeline_run_id or run_id
        self.step_id = node_id or step_id
        self._view = _view

    def _look(self) -> StepView:
        self._view = self.api.step(self.pipeline_run_id, self.step_id)
        return self._view

    @property
    def details(self) -> StepView:
        """What the service says of it; asked once for what does not change."""
        return self._view or self._look()

    @property
    def name(self) -> str:
        return self.details.name

    display_name = name

    @property
    def number(self) -> int:
        return self.details.position + 1

    @property
    def parent(self) -> PipelineRun:
        from millstream.pipeline_run import PipelineRun

        return PipelineRun(self.experiment, self.pipeline_run_id)

    @property
    def status(self) -> str:
        return self._look().status

    description = ""

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._look().tags)

    @property
    def properties(self) -> dict[str, str]:
        return dict(self._look().properties)

    def _label(self, tags: Mapping[str, str | None], properties: Mapping[str, str]) -> dict[str, str]:
        return dict(self.api.label_step(self.pipeline_run_id, self.step_id, tags, properties).tags)

    def _log_at(self) -> tuple[str, str]:
        return self.pipeline_run_id, self.step_id

    def _step(self) -> Step:
        steps = self.api.run_definition(self.pipeline_run_id).steps
        return next(step for step in steps if step.id == self.step_id)

    def get_snapshot_id(self) -> str:
        return self._step().snapshot or ""

    def get_details(self) -> dict[str, Any]:
        """What is known of the step, under v1's names. Datasets among its inputs and outputs are Dataset objects."""
        from millstream.lineage import datasets_of

        view = self._look()
        inputs, outputs = datasets_of(self)
        return {
            "runId": self.id,
            "status": view.status,
            "startTimeUtc": moment(view.started_at),
            "endTimeUtc": moment(view.ended_at),
            "submittedBy": self.api.run(self.pipeline_run_id).started_by,
            "properties": {"StepType": view.kind, **view.properties},
            "tags": {"azureml.nodeid": view.id, "azureml.pipeline": self.pipeline_run_id, **view.tags},
            "error": None if view.error is None else {"code": view.error.code, "message": view.error.message},
            "inputDatasets": inputs,
            "outputDatasets": outputs,
            "logFiles": {LOG_FILE: ""} if view.log_bytes else {},
        }

    def get_details_with_logs(self) -> dict[str, Any]:
        logs = {name: data.decode("utf-8", "replace") for name, data in self._logs().items()}
        return {**self.get_details(), "logFiles": logs}

    def get_metrics(
        self, name: str | None = None, recursive: bool = False, run_type: Any = None, populate: bool = False
    ) -> dict[str, Any]:
        """What the script logged, by name."""
        del recursive, run_type, populate
        return only(fold(self.api.metrics(self.pipeline_run_id).steps.get(self.step_id, ())), name)

    def get_stdout_log(self) -> str:
        """What the script printed, on both of its streams."""
        return whole_log(self.api, self.pipeline_run_id, self.step_id).decode("utf-8", "replace")

    get_job_log = get_stdout_log

    def get_stderr_log(self) -> str:
        """v1 kept the streams apart; here they are one, in the order of writing."""
        return self.get_stdout_log()

    def get_outputs(self) -> dict[str, StepRunOutput]:
        """Output name -> output, for a step that has succeeded."""
        return {name: StepRunOutput(self, name, view) for name, view in self._outputs().items()}

    def get_output(self, name: str) -> StepRunOutput:
        """Raises UnknownThing, with what there is."""
        outputs = self.get_outputs()
        if name not in outputs:
            hint = suggestion(name, outputs, "outputs")
            raise UnknownThing(f"Step {shown(self.name)} has no output {shown(name)}. {hint}", field="name")
        return outputs[name]

    def get_output_data(self, name: str) -> PortDataReference:
        return self.get_output(name).get_port_data_reference()

    def wait_for_completion(
        self, show_output: bool = True, timeout_seconds: float = sys.maxsize, raise_on_error: bool = True
    ) -> str:
        """Wait until the step has ended. Returns get_status(). Raises RunFailed, WaitTimeout."""
        from millstream.follow import follow_step

        return follow_step(self, show_output=show_output, timeout=timeout_seconds, raise_on_error=raise_on_error)

    @property
    def nested_run(self) -> PipelineRun | None:
        """The run that does the work of this step, if it is one of those that become many."""
        child = self._look().child
        if child is None:
            return None
        from millstream.pipeline_run import PipelineRun

        return PipelineRun(self.experiment, child.run)

    def get_children(self, **_: Any) -> list[StepRun]:
        """The steps that this step has become, if it has."""
        child = self.nested_run
        return [] if child is None else list(child.get_steps())

    def _outputs(self) -> dict[str, OutputView]:
        return step_outputs(self.api, self.pipeline_run_id, self.step_id).outputs

    def _owner_of(self, name: str) -> tuple[str, str, str]:
        return self.pipeline_run_id, self.step_id, name

    def _artifacts(self) -> dict[str, Stored]:
        given = GivenFiles(self.api, self.pipeline_run_id, self.step_id).files()
        return {
            stored.file.path: stored for stored in (*given, *artifacts(self.api, self.pipeline_run_id, self.step_id))
        }

    def _logs(self) -> dict[str, bytes]:
        log = whole_log(self.api, self.pipeline_run_id, self.step_id)
        return {LOG_FILE: log} if log else {}


class StepRunOutput:
    """What a step committed under an output port."""

    def __init__(self, step_run: StepRun, name: str, view: OutputView) -> None:
        self.step_run = step_run
        self.name = name
        self._view = view

    def get_port_data_reference(self) -> PortDataReference:
        return PortDataReference(self.step_run, self.name, self._view)

    def __repr__(self) -> str:
        return f"StepRunOutput({self.name!r})"


class PortDataReference(Explained):
    """Where the output of a step lies, and how to get it."""

    def __init__(self, step_run: StepRun, name: str, view: OutputView) -> None:
        self.step_run = step_run
        self.name = name
        self._view = view

    @property
    def datastore_name(self) -> str:
        return self._view.datastore

    @property
    def datastore(self) -> Datastore:
        from millstream.datastore import Datastore

        return Datastore(self.step_run.experiment.workspace, self.datastore_name)

    @property
    def path_on_datastore(self) -> str:
        """Where the step wanted its output, or, if it did not say, where the service keeps it."""
        return self._view.destination or self._view.prefix

    _path_on_datastore = path_on_datastore

    def as_mount(self, input_name: str | None = None) -> DataReference:
        """The output as an input of another pipeline."""
        return self.create_input_binding(input_name, "mount")

    def as_download(
        self, input_name: str | None = None, path_on_compute: str | None = None, overwrite: bool | None = None
    ) -> DataReference:
        """The output as an input of another pipeline."""
        return self.create_input_binding(input_name, "download", path_on_compute, overwrite)

    def as_input(self, input_name: str) -> DataReference:
        """The output as an input of another pipeline, under this name."""
        return self.create_input_binding(input_name)

    def create_input_binding(
        self,
        input_name: str | None = None,
        mode: str | None = None,
        path_on_compute: str | None = None,
        overwrite: bool | None = None,
    ) -> DataReference:
        """The output as an input of another pipeline: a reference to where it lies."""
        place = self.path_on_datastore
        return DataReference(
            self.datastore, input_name or self.name, place, mode or "mount", path_on_compute, bool(overwrite)
        )

    def download(
        self,
        local_path: str | os.PathLike[str],
        overwrite: bool | None = None,
        show_progress: bool | None = None,
        *,
        flatten: bool = False,
    ) -> int:
        """Download the output below `local_path`. Returns how many files were written.

        As in v1, the path in the datastore is kept; with `flatten`, the output's own files go right into `local_path`.
        Files that are there stay unless `overwrite`. A large file that was broken off goes on where it was. Lines
        about how far it is are shown unless `show_progress` is False.
        """
        wishes = self._wishes(Path(local_path), overwrite=bool(overwrite), flatten=flatten)
        progress = Progress(f"Downloading {self.name}", files=self._view.total_files, size=self._view.total_size)
        return fetch_all(self.step_run.api.transport, wishes, None if show_progress is False else progress)

    def _wishes(self, folder: Path, *, overwrite: bool, flatten: bool) -> Iterator[Fetch]:
        run = self.step_run
        for stored in output_files(run.api, run.pipeline_run_id, run.step_id, self.name):
            target = self._place(folder, stored.file, flatten)
            if overwrite or not target.exists():
                yield fetch_of(stored, target)

    def _place(self, folder: Path, file: RemoteFile, flatten: bool) -> Path:
        path = self.path_on_datastore
        whole = f"{path}/{file.path}" if file.path else path
        inner = file.path or path.rpartition("/")[2]
        return below(folder, inner if flatten else whole)

    def __repr__(self) -> str:
        return f"PortDataReference({self.name!r}: {self.path_on_datastore!r} in {self.datastore_name!r})"

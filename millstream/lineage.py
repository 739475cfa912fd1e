"""Which datasets a step has read and written, in the shape of v1's `run.get_details()`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from millstream.dataset import dataset_of
from millstream.outputs import step_outputs
from orchestrator.core.dataset import DatasetDocument, DatasetView
from orchestrator.core.definition import (
    DatasetSource,
    DatasetValue,
    Input,
    Output,
    ParameterSource,
    Step,
    StepSource,
)

if TYPE_CHECKING:
    from millstream.file_dataset import FileDataset
    from millstream.step_run import StepRun
    from millstream.tabular_dataset import TabularDataset
    from millstream.views import OutputView

_MECHANISMS = {"mount": "Mount", "download": "Download", "direct": "Direct", "upload": "Upload", "link": "Link"}
_FILES = DatasetView(type="file")


def datasets_of(run: StepRun) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What of the step's inputs and outputs is datasets; of outputs, once they are committed."""
    definition = run.api.run_definition(run.pipeline_run_id)
    steps = {step.id: step for step in definition.steps}
    step = steps[run.step_id]
    inputs = [_input(port, found) for port in step.inputs if (found := _read(run, port, steps))]
    own = _committed(run, step.id) if step.outputs else {}
    outputs = [_output(port, _written(run, port, own[port.name])) for port in step.outputs if _is_dataset(port, own)]
    return inputs, outputs


def _committed(run: StepRun, step: str) -> Mapping[str, OutputView]:
    return step_outputs(run.api, run.pipeline_run_id, step).outputs


def _is_dataset(port: Output, own: Mapping[str, OutputView]) -> bool:
    """Whether it is committed, and a dataset rather than plain files."""
    return port.name in own and bool(port.create or port.register or port.mode == "link")


def _input(port: Input, dataset: FileDataset | TabularDataset) -> dict[str, Any]:
    details = {"type": "RunInput", "inputName": port.name, "mechanism": _MECHANISMS[port.mode]}
    if port.path_on_compute is not None:
        details["pathOnCompute"] = port.path_on_compute
    return {"dataset": dataset, "consumptionDetails": details}


def _output(port: Output, dataset: FileDataset | TabularDataset) -> dict[str, Any]:
    details = {"outputName": port.name, "mechanism": _MECHANISMS[port.mode]}
    return {
        "identifier": {"savedId": dataset.content_id},
        "outputType": "RunOutput",
        "outputDetails": details,
        "dataset": dataset,
    }


def _read(run: StepRun, port: Input, steps: Mapping[str, Step]) -> FileDataset | TabularDataset | None:
    """The dataset behind an input; None: it is plain files, or was not there yet."""
    match port.source:
        case DatasetSource(id=id_):
            return _saved(run, id_)
        case ParameterSource(name=name):
            value = run.api.run(run.pipeline_run_id).parameters.get(name)
            return _saved(run, value.id) if isinstance(value, DatasetValue) else None
        case StepSource(step=step, output=name, view=view):
            made = next(output for output in steps[step].outputs if output.name == name)
            if view is None and not (made.create or made.mode == "link"):
                return None
            there = _committed(run, step).get(name)
            return None if there is None else _made(run, view or _FILES, there)
    return None


def _written(run: StepRun, port: Output, output: OutputView) -> FileDataset | TabularDataset:
    return _made(run, port.register.view if port.register else _FILES, output, at=output.destination)


def _made(
    run: StepRun, view: DatasetView, output: OutputView, *, at: str | None = None
) -> FileDataset | TabularDataset:
    if output.dataset:
        return _saved(run, output.dataset)
    document = view.of(output.datastore, at or output.prefix, is_file=output.is_file)
    return dataset_of(document, run.experiment.workspace)


def _saved(run: StepRun, id_: str) -> FileDataset | TabularDataset:
    document: DatasetDocument = run.api.dataset_by_id(id_).document
    return dataset_of(document, run.experiment.workspace, saved=True)

"""Pipelines and schedules in v1's YAML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from millstream import Datastore, Schedule, ScheduleRecurrence, Workspace
from millstream.compiler import compile_pipeline
from millstream.errors import InvalidRequest
from millstream.graph import build
from millstream.yaml_files import PipelineFile, load
from orchestrator.core.definition import DatastoreSource, Definition, FromParameter, Literal, StepSource
from orchestrator.core.validation import check

NOBODY = Workspace(url="http://127.0.0.1:1", token="t")

PIPELINE = """
pipeline:
    name: Nightly
    description: written down
    parameters:
        rate: {type: float, default: 0.5}
        Place: {type: datapath, default: {datastore: store, path_on_datastore: days/1}}
    data_references:
        raw: {datastore: lake, path_on_datastore: raw/iris.csv}
    default_compute: function
    steps:
        Prepare:
            type: PythonScriptStep
            script_name: prepare.py
            source_directory: src
            allow_reuse: false
            arguments: ["--in", "input:table", "--out", "output:clean", "--rate", "parameter:rate", 7]
            inputs:
                table: {source: raw, bind_mode: download}
                day: {source: Place}
            outputs:
                clean: {destination: cleaned, datastore: store, bind_mode: mount}
        Train:
            type: PythonScriptStep
            name: train it
            script_name: train.py
            parameters:
                RATE: {source: rate}
                ROUNDS: 7
            inputs:
                rows: {source: cleaned}
"""


def read(tmp_path: Path, text: str) -> PipelineFile:
    path = tmp_path / "pipeline.yml"
    path.write_text(text)
    return PipelineFile(NOBODY, load(path, "pipeline"), tmp_path)


def compiled(file: PipelineFile) -> Definition:
    graph = build(file.steps())
    folders = {(file.folder / "src"): "0" * 64, file.folder: "1" * 64}
    return compile_pipeline(
        graph, name="p", description="", default_datastore="store", snapshots=folders, default_folder=file.folder
    )


def test_a_pipeline(tmp_path: Path) -> None:
    definition = compiled(read(tmp_path, PIPELINE))
    check(definition, computes=["function"], datastores=["store", "lake"])
    prepare, train = definition.steps
    assert (prepare.name, train.name) == ("Prepare", "train it")
    assert (prepare.snapshot, train.snapshot) == ("0" * 64, "1" * 64)
    assert prepare.settings["script"] == "prepare.py"
    assert not prepare.allow_reuse
    assert {parameter.name: parameter.type for parameter in definition.parameters} == {
        "rate": "float",
        "Place": "datapath",
    }
    table = next(port for port in prepare.inputs if port.name == "table")
    assert isinstance(table.source, DatastoreSource)
    assert (table.source.datastore, table.mode) == ("lake", "download")
    assert [port.name for port in prepare.outputs] == ["clean"]
    assert isinstance(train.inputs[0].source, StepSource)
    assert (train.inputs[0].name, train.inputs[0].source.output) == ("rows", "clean")
    values = train.environment
    assert values["AML_PARAMETER_ROUNDS"] == Literal(value="7")
    assert values["AML_PARAMETER_RATE"] == FromParameter(name="rate")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("type: PythonScriptStep", "type: PythonStep"), "PythonScriptStep"),
        (lambda text: text.replace("source: raw", "source: row"), 'Did you mean "raw"'),
        (lambda text: text.replace("{source: rate}", "{source: rat}"), 'Did you mean "rate"'),
        (lambda text: text.replace("input:table", "input:tabel"), 'Did you mean "table"'),
        (lambda text: text.replace("type: float", "type: decimal"), "decimal"),
        (lambda text: text.replace("    steps:", "    stages:"), "stages"),
        (lambda text: text.replace("pipeline:", "pipelines:"), "has no 'pipeline' at its top"),
        (lambda text: text.replace("{source: cleaned}", "cleaned"), "steps.Train.inputs.rows"),
        (lambda text: "- a: [", "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, change: Callable[[str], str], said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(tmp_path, change(PIPELINE)).steps()
    assert said in str(refused.value)
    assert refused.value.field


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read"):
        load(tmp_path / "none.yml", "pipeline")


def test_a_schedule(tmp_path: Path) -> None:
    path = tmp_path / "schedule.yml"
    path.write_text(
        "Schedule:\n    description: nightly\n    recurrence: {frequency: Week, interval: 2, week_days: [Monday]}\n"
        "    pipeline_parameters: {rate: 1}\n    wait_for_provisioning: true\n"
    )
    made = Schedule.load_yaml(NOBODY, path)
    recurrence = made.pop("recurrence")
    assert isinstance(recurrence, ScheduleRecurrence)
    assert (recurrence.frequency, recurrence.interval, recurrence.week_days) == ("Week", 2, ["Monday"])
    assert made == {"description": "nightly", "pipeline_parameters": {"rate": 1}, "wait_for_provisioning": True}
    path.write_text("Schedule: {datastore_name: lake, path_on_datastore: days, polling_interval: 5}\n")
    made = Schedule.load_yaml(NOBODY, path)
    store = made.pop("datastore")
    assert isinstance(store, Datastore)
    assert (store.name, made) == ("lake", {"path_on_datastore": "days", "polling_interval": 5})

"""Every form in which data enters, moves and leaves a pipeline, run for real."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from millstream import (
    ArchiveOptions,
    DataPath,
    DataPathComputeBinding,
    DataReference,
    Dataset,
    DatasetConsumptionConfig,
    Datastore,
    InvalidRequest,
    LinkFileOutputDatasetConfig,
    OutputFileDatasetConfig,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PipelineRun,
    PythonScriptStep,
    RunFailed,
    Workspace,
)
from millstream.outputs import output_files, step_outputs
from tests.azurite import Azurite
from tests.service import TOKEN, Service, running_service

pytestmark = pytest.mark.azurite

CSV = "a,b\n" + "".join(f"{number},{number % 7}\n" for number in range(200))


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture(scope="module")
def workspace(service: Service) -> Workspace:
    return Workspace(url=service.url, token=TOKEN)


@pytest.fixture(scope="module")
def store(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Datastore:
    """With a.csv, sub/b.csv, note.txt and cats.zip below passing/."""
    folder = tmp_path_factory.mktemp("raw")
    (folder / "sub").mkdir()
    (folder / "a.csv").write_text(CSV)
    (folder / "sub" / "b.csv").write_text(CSV)
    (folder / "note.txt").write_text("note")
    with zipfile.ZipFile(folder / "cats.zip", "w") as archive:
        archive.writestr("x/1.jpg", "cat")
        archive.writestr("x/readme.txt", "no cat")
    store = workspace.get_default_datastore()
    store.upload(folder, "passing", overwrite=True, show_progress=False)
    return store


class Steps:
    """Makes steps of scripts, and runs them."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace = workspace
        self.folder = folder

    def __call__(self, name: str, script: str, **fields: Any) -> PythonScriptStep:
        folder = self.folder / name
        folder.mkdir()
        (folder / "main.py").write_text(script)
        return PythonScriptStep("main.py", name=name, source_directory=folder, **fields)

    def run(self, *steps: PythonScriptStep, **fields: Any) -> PipelineRun:
        run = Pipeline(self.workspace, list(steps)).submit("passing", **fields)
        run.wait_for_completion(show_output=False)
        return run

    def fail(self, *steps: PythonScriptStep) -> str:
        with pytest.raises(RunFailed) as caught:
            self.run(*steps)
        return str(caught.value)


@pytest.fixture
def steps(workspace: Workspace, tmp_path: Path) -> Steps:
    return Steps(workspace, tmp_path)


def log(run: PipelineRun, name: str) -> list[str]:
    return run.find_step_run(name)[0].get_stdout_log().splitlines()


TABLE = """
import os, sys
from millstream import Run
dataset = Run.get_context().input_datasets["raw_data"]
frame = dataset.to_pandas_dataframe()
print(len(frame), list(frame.columns), frame["a"].dtype)
print(os.environ["raw_data"] == os.environ["AZURE_ML_INPUT_raw_data"] == dataset.id, dataset.id in sys.argv)
"""
WALK = """
import os, sys
path = sys.argv[1]
print("file" if os.path.isfile(path) else "folder")
for folder, _, names in sorted(os.walk(path)):
    for name in sorted(names):
        print(os.path.relpath(os.path.join(folder, name), path))
"""
WRITE = """
import os, sys
out = sys.argv[1]
assert os.path.isdir(out)
for name in sys.argv[2:]:
    place = os.path.join(out, name)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "w") as file:
        file.write("a,b\\n1,2\\n3,4\\n")
"""


@pytest.mark.parametrize("where", ["arguments", "inputs", "both"])
def test_a_registered_table_by_name(workspace: Workspace, store: Datastore, steps: Steps, where: str) -> None:
    table = Dataset.Tabular.from_delimited_files(DataPath(store, "passing/a.csv"))
    table.register(workspace, "raw_dataset", create_new_version=True)
    raw = Dataset.get_by_name(workspace, "raw_dataset").as_named_input("raw_data")
    ways: dict[str, dict[str, Any]] = {
        "arguments": {"arguments": ["--raw-ds", raw]},
        "inputs": {"inputs": [raw]},
        "both": {"arguments": ["--raw-ds", raw], "inputs": [raw]},
    }
    run = steps.run(steps("read", TABLE, **ways[where]))
    assert log(run, "read") == ["200 ['a', 'b'] int64", f"True {where != 'inputs'}"]


def test_a_bare_registered_dataset(workspace: Workspace, store: Datastore, steps: Steps) -> None:
    bare = Dataset.File.from_files((store, "passing/*.csv")).register(workspace, "bare_files", create_new_version=True)
    script = "from millstream import Run\nprint(Run.get_context().input_datasets['bare_files'].to_path())"
    assert log(steps.run(steps("read", script, inputs=[bare])), "read") == ["['/a.csv']"]


def test_files_of_a_dataset(workspace: Workspace, store: Datastore, steps: Steps) -> None:
    whole = Dataset.File.from_files((store, "passing/**/*.csv")).as_named_input("whole").as_mount()
    one = Dataset.File.from_files((store, "passing/note.txt")).as_named_input("one").as_download()
    cats = Dataset.File.from_files(
        paths=(store, "passing/cats.zip"), archive_options=ArchiveOptions(entry_glob="**/*.jpg")
    )
    none = Dataset.File.from_files((store, "passing/*.none")).as_named_input("none").as_mount()
    run = steps.run(
        steps("whole", WALK, arguments=[whole]),
        steps("one", WALK, arguments=[one]),
        steps("cats", WALK, arguments=[cats.as_named_input("cats").as_mount()]),
        steps("none", WALK, arguments=[none]),
    )
    assert log(run, "whole") == ["folder", "a.csv", "sub/b.csv"]
    assert log(run, "one") == ["file"]
    assert log(run, "cats") == ["folder", "cats.zip/x/1.jpg"]
    assert log(run, "none")[-1] == "folder"


def test_train_and_test_as_two_named_inputs(store: Datastore, steps: Steps) -> None:
    iris = Dataset.Tabular.from_delimited_files(DataPath(store, "passing/a.csv"))
    train, test = iris.take_sample(0.5, seed=42).random_split(percentage=0.8, seed=42)
    script = """
from millstream import Run
parts = [Run.get_context().input_datasets[name].to_pandas_dataframe() for name in ("train", "test")]
print(*map(len, parts), not set(parts[0]["a"]) & set(parts[1]["a"]))
"""
    fields: dict[str, Any] = {"arguments": ["--train", train.as_named_input("train")]}
    run = steps.run(steps("split", script, inputs=[test.as_named_input("test")], **fields))
    expected = [len(part.to_pandas_dataframe()) for part in (train, test)]
    assert log(run, "split") == [f"{expected[0]} {expected[1]} True"]


def test_a_table_that_is_downloaded_is_a_folder_of_text(store: Datastore, steps: Steps) -> None:
    part = Dataset.Tabular.from_delimited_files(DataPath(store, "passing/a.csv")).take(3)
    script = """
import csv, os, sys
folder = sys.argv[1]
for name in os.listdir(folder):
    print(*csv.reader(open(os.path.join(folder, name))))
"""
    run = steps.run(steps("read", script, arguments=[part.as_named_input("part").as_download()]))
    assert log(run, "read") == ["['a', 'b'] ['0', '0'] ['1', '1'] ['2', '2']"]


def test_an_output_config_as_the_input_of_the_next_step(steps: Steps) -> None:
    out = OutputFileDatasetConfig("prepped")
    first = steps("first", WRITE, arguments=[out, "x/data.csv"])
    second = steps("second", WALK, arguments=[out.as_input()])
    run = steps.run(second)
    assert log(run, "second") == ["folder", "x/data.csv"]
    output = run.find_step_run(first.name)[0].get_output_data("prepped")
    assert output.path_on_datastore.startswith(f"runs/{run.id}/first/")


def test_an_empty_intermediate_output(steps: Steps) -> None:
    out = OutputFileDatasetConfig()
    steps("first", WRITE, arguments=[out])
    assert log(steps.run(steps("second", WALK, arguments=[out.as_input()])), "second") == ["folder"]


def test_an_output_that_is_read_as_a_table_and_registered(workspace: Workspace, steps: Steps) -> None:
    out = OutputFileDatasetConfig("prepped").register_on_complete("prepped_files", description="d", tags={"k": "v"})
    first = steps("first", WRITE, arguments=[out, "one.csv", "two.csv", "note.txt"], allow_reuse=False)
    rows = out.read_delimited_files(path_glob="**/*.csv").keep_columns("a")
    script = """
from millstream import Run
print(Run.get_context().input_datasets["rows"].to_pandas_dataframe().to_dict("list"))
"""
    for version in (1, 2):
        run = steps.run(first, steps(f"second{version}", script, inputs=[rows.as_input("rows")]))
        assert log(run, f"second{version}") == ["{'a': [1, 3, 1, 3]}"]
        kept = Dataset.get_by_name(workspace, "prepped_files")
        assert (kept.version, kept.description, kept.tags) == (version, "d", {"k": "v"})
        assert kept.to_path() == ["/note.txt", "/one.csv", "/two.csv"]  # type: ignore[union-attr]


def test_a_step_that_fails_registers_nothing(workspace: Workspace, steps: Steps) -> None:
    out = OutputFileDatasetConfig("out", (workspace.get_default_datastore(), "never")).register_on_complete("never")
    steps.fail(steps("first", WRITE + "sys.exit(3)", arguments=[out, "a.csv"]))
    assert "never" not in workspace.datasets
    assert list(workspace.api.files("workspaceblobstore", "never")) == []


def test_a_destination_with_patterns(workspace: Workspace, store: Datastore, steps: Steps, tmp_path: Path) -> None:
    year = PipelineParameter("year", 2025)
    out = OutputFileDatasetConfig("out", (store, f"kept/{year}/{{run-id}}/{{output-name}}"))
    step = steps("first", WRITE, arguments=[out.as_upload(source_globs="**/*.csv"), "a.csv", "sub/b.csv", "c.txt"])
    run = steps.run(step, pipeline_parameters={"year": 2026})
    found = [file.path for file in workspace.api.files(store.name, "kept/")]
    assert found == [f"kept/2026/{run.id}_first/out/{name}" for name in ("a.csv", "sub/b.csv")]
    output = run.find_step_run("first")[0].get_output_data("out")
    assert output.path_on_datastore == f"kept/2026/{run.id}_first/out"
    assert output.download(tmp_path / "down") == 2
    assert (tmp_path / "down" / found[1]).is_file()


def test_pipeline_data_uploaded_from_where_the_step_says(steps: Steps, tmp_path: Path) -> None:
    clean = PipelineData("clean", output_mode="upload", output_path_on_compute="clean_output/")
    script = "import os\nos.makedirs('clean_output')\nopen('clean_output/a.txt', 'w').write('A')"
    steps("first", script, outputs=[clean])
    run = steps.run(steps("second", WALK, arguments=[clean], inputs=[clean]))
    assert log(run, "second") == ["folder", "a.txt"]
    output = run.find_step_run("first")[0].get_output_data("clean")
    assert output.download(tmp_path / "down") == 1
    assert (tmp_path / "down" / output.path_on_datastore / "a.txt").read_text() == "A"


def test_pipeline_data_that_is_one_file_and_becomes_a_dataset(workspace: Workspace, steps: Steps) -> None:
    one = PipelineData("one_file")
    one.as_dataset().register(name="processed", create_new_version=True)
    steps("first", "import sys\nopen(sys.argv[1], 'w').write('a\\n5\\n')", arguments=[one], outputs=[one])
    rows = one.as_dataset().parse_delimited_files().as_named_input("rows")
    script = "from millstream import Run\nprint(Run.get_context().input_datasets['rows'].to_pandas_dataframe()['a'][0])"
    run = steps.run(
        steps("second", WALK, arguments=[one.as_dataset().as_named_input("f").as_mount()]),
        steps("third", script, inputs=[rows]),
    )
    assert (log(run, "second"), log(run, "third")) == (["file"], ["5"])
    assert Dataset.get_by_name(workspace, "processed").to_path() == ["/one_file"]  # type: ignore[union-attr]


def test_a_data_path_parameter(workspace: Workspace, store: Datastore, steps: Steps) -> None:
    parameter = PipelineParameter("where", DataPath(store, "passing/sub"))
    binding = DataPathComputeBinding(mode="mount")
    step = steps("read", WALK, arguments=[(parameter, binding)], inputs=[(parameter, DataPathComputeBinding())])
    assert log(steps.run(step), "read") == ["folder", "b.csv"]
    other = steps.run(step, pipeline_parameters={"where": DataPath(store, "passing/note.txt")})
    assert log(other, "read") == ["file"]
    published = Pipeline(workspace, [step]).publish("with a path")
    body = {
        "ExperimentName": "rest",
        "DataPathAssignments": {"where": {"DataStoreName": store.name, "RelativePath": "passing/a.csv"}},
    }
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = requests.post(published.endpoint, headers=headers, json=body, timeout=30)
    run = PipelineRun.get(workspace, answer.json()["Id"])
    run.wait_for_completion(show_output=False)
    assert log(run, "read") == ["file"]


def test_a_dataset_parameter(workspace: Workspace, store: Datastore, steps: Steps) -> None:
    small = Dataset.Tabular.from_delimited_files(DataPath(store, "passing/a.csv")).take(2)
    whole = Dataset.Tabular.from_delimited_files(DataPath(store, "passing/a.csv"))
    parameter = PipelineParameter("data", small)
    step = steps("read", TABLE, arguments=[DatasetConsumptionConfig("raw_data", parameter)])
    assert log(steps.run(step), "read")[0].startswith("2 ")
    assert small.id is not None, "submitting saves it"
    assert log(steps.run(step, pipeline_parameters={"data": whole}), "read")[0].startswith("200 ")
    published = Pipeline(workspace, [step]).publish("with a dataset")
    body = {
        "ExperimentName": "rest",
        "DataSetDefinitionValueAssignments": {"data": {"SavedDataSetReference": {"Id": whole.id}}},
    }
    headers = {"Authorization": f"Bearer {TOKEN}"}
    run = PipelineRun.get(
        workspace, requests.post(published.endpoint, headers=headers, json=body, timeout=30).json()["Id"]
    )
    run.wait_for_completion(show_output=False)
    assert log(run, "read")[0].startswith("200 ")


def test_a_link(workspace: Workspace, store: Datastore, steps: Steps) -> None:
    link = LinkFileOutputDatasetConfig("chosen").register_on_complete("chosen")
    script = """
from millstream import Run
run = Run.get_context()
run.output_datasets["chosen"].link(run.input_datasets["raw"].take(1))
"""
    raw = Dataset.File.from_files((store, "passing/**/*.csv")).as_named_input("raw")
    steps("first", script, inputs=[raw], outputs=[link])
    run = steps.run(steps("second", WALK, arguments=[link.as_input("data")]))
    assert log(run, "second") == ["folder", "a.csv"]
    assert Dataset.get_by_name(workspace, "chosen").to_path() == ["/a.csv"]  # type: ignore[union-attr]


def test_handles_inside_texts(store: Datastore, steps: Steps) -> None:
    raw, out, n = (
        DataReference(store, "raw", "passing/note.txt"),
        OutputFileDatasetConfig("out"),
        PipelineParameter("n", 3),
    )
    script = "import sys, os\nname, path = sys.argv[1].split('=')\nprint(name, open(path).read(), sys.argv[2])"
    run = steps.run(steps("read", script, arguments=[f"--in={raw}", f"{n}-{n}", out], inputs=[raw]))
    assert log(run, "read") == ["--in note 3-3"]


def test_data_that_is_not_there(workspace: Workspace, store: Datastore, steps: Steps) -> None:
    missing = Dataset.File.from_files((store, "passing/none.csv")).as_named_input("data").as_mount()
    text = steps.fail(steps("read", WALK, arguments=[missing]))
    assert "InputMissing" in text
    assert "passing/none.csv" in text
    nowhere = Dataset.File.from_files((Datastore(workspace, "nowhere"), "x")).as_named_input("data").as_mount()
    with pytest.raises(Exception, match="nowhere"):
        steps.run(steps("nowhere", WALK, arguments=[nowhere]))


def test_archives_and_paths_that_climb(store: Datastore, steps: Steps, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../climbs.txt", "x")
    (tmp_path / "climbs.zip").write_bytes(packed.getvalue())
    store.upload_files([tmp_path / "climbs.zip"], target_path="bad", show_progress=False)
    bad = Dataset.File.from_files((store, "bad/climbs.zip"), archive_options=ArchiveOptions())
    assert "climbs.txt" in steps.fail(steps("read", WALK, arguments=[bad.as_named_input("bad").as_mount()]))
    for make in (lambda: DataPath(store, "passing/../other"), lambda: Dataset.File.from_files((store, "../x"))):
        with pytest.raises(Exception, match=r"\.\."):
            make()
    with pytest.raises(InvalidRequest, match=r"\.\."):
        OutputFileDatasetConfig("out", (store, "a/../b"))


def test_scripts_that_misbehave_with_outputs(workspace: Workspace, steps: Steps) -> None:
    never = PipelineData("never")
    assert "OutputNotWritten" in steps.fail(steps("never", "", outputs=[never]))
    out = OutputFileDatasetConfig("out")
    escape = "import os, sys\nos.rmdir(sys.argv[1])\nos.symlink('/etc', sys.argv[1])"
    assert "OutputUnusable" in steps.fail(steps("escape", escape, arguments=[out]))
    inside = OutputFileDatasetConfig("out")
    linked = "import os, sys\nos.symlink('/etc/hostname', sys.argv[1] + '/host')\nopen(sys.argv[1] + '/a', 'w').close()"
    run = steps.run(steps("linked", linked, arguments=[inside]))
    (output,) = step_outputs(workspace.api, run.id, "linked").outputs
    assert [stored.file.path for stored in output_files(workspace.api, run.id, "linked", output)] == ["a"]

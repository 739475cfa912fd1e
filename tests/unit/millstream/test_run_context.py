"""The run as a script sees it: what it writes for the worker in a step, and what it prints elsewhere."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from millstream import Run, RunContextError, run_context
from millstream.contexts import OfflineRun, SubmittedRun
from millstream.run_context import NotAvailable
from millstream.script_run import ScriptRun, artifact_name

ROOT = Path(__file__).parents[3]
INFO = {
    "run_id": "r1",
    "step_run_id": "r1_train",
    "experiment": "iris",
    "step_id": "train",
    "step_name": "Train",
    "attempt": 2,
    "parameters": {"reg_rate": 0.1},
    "inputs": {"data": "/in/data"},
    "outputs": {"model": "/out/model"},
    "tags": {"team": "a"},
}


class Step:
    """A step's surroundings: its run context, and what the worker would read of it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.spool = folder / "spool" / "records"
        self.spool.parent.mkdir()
        info = folder / "info.json"
        info.write_text(json.dumps(INFO))
        monkeypatch.setenv("MILLSTREAM_STEP_INFO", str(info))
        monkeypatch.setenv("MILLSTREAM_SPOOL", str(self.spool))
        code = folder / "code"
        (code / "outputs").mkdir(parents=True)
        monkeypatch.chdir(code)
        self.run: ScriptRun = Run.get_context()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.spool.read_text().splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        return {key: value for key, value in self.records[-1].items() if key not in ("op", "at")}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the script had just begun."""
    monkeypatch.setattr(run_context, "_context", None)
    monkeypatch.delenv("MILLSTREAM_STEP_INFO", raising=False)
    yield


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    return Step(tmp_path, monkeypatch)


def test_a_step_knows_who_it_is(step: Step) -> None:
    run = step.run
    assert isinstance(run, SubmittedRun)
    assert Run.get_context(allow_offline=False) is run
    assert (run.id, run.name, run.step_id, run.attempt, run.pipeline_run_id) == ("r1_train", "Train", "train", 2, "r1")
    assert run.parameters == {"reg_rate": 0.1}
    assert run.input_datasets == {"data": "/in/data"}
    assert run.output_datasets == {"model": "/out/model"}
    assert run.tags == {"team": "a"}
    assert run.get_details()["runId"] == "r1_train"
    assert "r1_train" in repr(run)


def test_the_parent_is_the_pipeline_run_and_logs_with_the_step(step: Step) -> None:
    parent = step.run.parent
    assert (parent.id, parent.type) == ("r1", "azureml.PipelineRun")
    parent.log("quality", 1)
    parent.tag("a", "b")
    assert step.run.get_metrics() == {"quality": 1}
    assert step.run.tags["a"] == "b"
    assert [record["op"] for record in step.records] == ["metric", "tag"]


def test_the_experiment_and_its_workspace_are_named_and_have_no_service(
    step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZUREML_ARM_WORKSPACE_NAME", "w")
    assert step.run.experiment.name == "iris"
    assert step.run.experiment.workspace.name == "w"
    with pytest.raises(Exception, match="given no access to the service"):
        step.run.experiment.workspace.get_default_datastore()


def test_scalars_of_all_kinds_are_logged(step: Step) -> None:
    step.run.log("loss", 0.25, description="d", step=3)
    assert step.last == {"name": "loss", "kind": "scalar", "value": 0.25, "description": "d", "step": 3}
    assert isinstance(step.records[-1]["at"], float)
    for value, kept in (
        (1, 1),
        (True, True),
        ("x", "x"),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array(2.0), 2.0),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        ("\ud800", "?"),
    ):
        step.run.log("x", value)
        assert step.last["value"] == kept


@pytest.mark.parametrize("value", [[1, 2], (1,), np.array([1.0, 2.0]), range(2), {"a": 1}, {1}, (i for i in range(2))])
def test_log_refuses_collections_and_says_what_to_use(step: Step, value: Any) -> None:
    with pytest.raises(TypeError, match=r"log\(\) cannot take .* Use log_list"):
        step.run.log("x", value)
    assert not step.spool.read_text()


@pytest.mark.parametrize("value", [None, object(), b"x"])
def test_log_refuses_what_is_no_value(step: Step, value: Any) -> None:
    with pytest.raises(TypeError, match="cannot take"):
        step.run.log("x", value)


@pytest.mark.parametrize("name", ["", " ", None, 5])
def test_a_metric_needs_a_name(step: Step, name: Any) -> None:
    with pytest.raises(ValueError, match="needs a name"):
        step.run.log(name, 1)


def test_lists_rows_and_tables(step: Step) -> None:
    step.run.log_list("l", np.arange(3))
    assert (step.last["kind"], step.last["value"]) == ("list", [0, 1, 2])
    step.run.log_row("r", x=1, y=np.float64(0.5))
    assert (step.last["kind"], step.last["value"]) == ("row", {"x": 1, "y": 0.5})
    step.run.log_table("t", {"a": [1, 2], "b": 3})
    assert (step.last["kind"], step.last["value"]) == ("table", {"a": [1, 2], "b": 3})


@pytest.mark.parametrize(
    ("method", "value"),
    [("log_list", 5), ("log_list", "text"), ("log_list", [[1]]), ("log_table", [1]), ("log_table", {"a": [[1]]})],
)
def test_lists_and_tables_of_another_shape_are_refused(step: Step, method: str, value: Any) -> None:
    with pytest.raises(TypeError, match=method):
        getattr(step.run, method)("x", value)


def test_a_row_has_columns(step: Step) -> None:
    with pytest.raises(TypeError, match="needs columns"):
        step.run.log_row("r")


def test_documents_such_as_a_confusion_matrix(step: Step) -> None:
    document = {"schema_type": "confusion_matrix", "data": {"matrix": np.array([[1, 2], [3, 4]])}}
    step.run.log_confusion_matrix("cm", document)
    assert step.last["value"] == {"schema_type": "confusion_matrix", "data": {"matrix": [[1, 2], [3, 4]]}}
    step.run.log_accuracy_table("at", json.dumps({"a": 1}))
    assert step.last["value"] == {"a": 1}
    with pytest.raises(TypeError, match=r"log_residuals\(\) takes a JSON object"):
        step.run.log_residuals("r", [1])


def test_files_that_were_uploaded_can_be_copied_back(step: Step, tmp_path: Path) -> None:
    Path("plot.txt").write_text("as it was")
    step.run.upload_file("plots/plot.txt", "plot.txt")
    step.run.upload_file("note", io.StringIO("text"))
    Path("plot.txt").write_text("changed since")
    step.run.download_file("plots/plot.txt", "back.txt")
    assert Path("back.txt").read_text() == "as it was"
    step.run.download_files(prefix="plots", output_directory=tmp_path / "all")
    assert (tmp_path / "all/plots/plot.txt").read_text() == "as it was"
    step.run.download_files(prefix="plots", output_directory=tmp_path / "flat", append_prefix=False)
    assert (tmp_path / "flat/plot.txt").exists()
    step.run.download_files(output_paths=["1", "2"])
    assert Path("1").read_text() == "text"
    with pytest.raises(RunContextError, match=r"has uploaded no file 'none', but \['note', 'plots/plot.txt'\]"):
        step.run.download_file("none")
    with pytest.raises(ValueError, match="1 output_paths for 2 files"):
        step.run.download_files(output_paths=["1"])


def test_metrics_can_be_read_back_as_v1_shows_them(step: Step) -> None:
    for loss in (3, 2, 1):
        step.run.log("loss", loss)
        step.run.log_row("curve", x=loss, y=0)
    step.run.log("once", 1)
    step.run.log_list("list", [1, 2])
    step.run.log("nan", float("nan"))
    metrics = step.run.get_metrics()
    assert np.isnan(metrics.pop("nan"))
    assert metrics == {"loss": [3, 2, 1], "curve": {"x": [3, 2, 1], "y": [0, 0, 0]}, "once": 1, "list": [1, 2]}
    assert step.run.get_metrics(name="once") == {"once": 1}


def test_tags_and_properties(step: Step) -> None:
    step.run.tag("best")
    step.run.set_tags({"score": 0.5})
    assert [record for record in step.records if record["op"] == "tag"] == [
        {"op": "tag", "key": "best", "value": ""},
        {"op": "tag", "key": "score", "value": "0.5"},
    ]
    assert step.run.get_tags() == {"team": "a", "best": "", "score": "0.5"}
    step.run.add_properties({"author": "x"})
    step.run.add_properties({"author": "x"})
    assert step.records[-1] == {"op": "property", "key": "author", "value": "x"}
    with pytest.raises(RunContextError, match="cannot be changed"):
        step.run.add_properties({"author": "y"})


def test_a_file_is_kept_as_it_is_at_the_call(step: Step) -> None:
    Path("plot.txt").write_text("before")
    step.run.upload_file("plots/plot.txt", "plot.txt")
    Path("plot.txt").write_text("after")
    record = step.records[-1]
    assert (record["op"], record["name"]) == ("file", "plots/plot.txt")
    assert Path(record["path"]).is_absolute()
    assert Path(record["path"]).read_text() == "before"
    with pytest.raises(RunContextError, match="another name"):
        step.run.upload_file("plots/plot.txt", "plot.txt")
    with pytest.raises(FileNotFoundError):
        step.run.upload_file("x", "nowhere")
    assert step.run.get_file_names() == ["plots/plot.txt"]


def test_a_file_of_outputs_is_not_copied(step: Step) -> None:
    Path("outputs/model.pkl").write_text("m")
    step.run.upload_file("outputs/model.pkl", "outputs/model.pkl")
    assert step.records[-1]["path"] == str(Path("outputs/model.pkl").resolve())


def test_streams_several_files_and_folders_are_kept(step: Step) -> None:
    step.run.upload_file("a.txt", io.StringIO("text"))
    assert Path(step.records[-1]["path"]).read_text() == "text"
    Path("d/e").mkdir(parents=True)
    Path("d/1").write_text("1")
    Path("d/e/2").write_text("2")
    step.run.upload_folder("deep", "d")
    step.run.upload_files(["b", "c"], ["d/1", "d/e/2"])
    assert step.run.get_file_names() == ["a.txt", "b", "c", "deep/1", "deep/e/2"]
    with pytest.raises(NotADirectoryError):
        step.run.upload_folder("x", "nowhere")
    with pytest.raises(ValueError, match="1 names for 2 paths"):
        step.run.upload_files(["x"], ["d/1", "d/e/2"])


@pytest.mark.parametrize("name", ["../x", "/x", "", "a/../../b", "a\0b"])
def test_a_file_stays_below_the_run(name: str) -> None:
    with pytest.raises(ValueError, match="relative path"):
        artifact_name(name)


def test_images_come_from_files_and_figures(step: Step) -> None:
    class Figure:
        def savefig(self, path: str) -> None:
            Path(path).write_bytes(b"png")

    step.run.log_image("curve", plot=Figure())
    file, metric = step.records
    assert (file["name"], metric["value"], metric["kind"]) == ("curve.png", "curve.png", "image")
    Path("own.jpg").write_bytes(b"jpg")
    step.run.log_image("own", path="own.jpg")
    assert step.last["value"] == "own.jpg"
    with pytest.raises(ValueError, match="either path or plot"):
        step.run.log_image("x")


def test_a_model_is_registered_from_outputs_or_from_an_uploaded_file(step: Step) -> None:
    Path("outputs/model.pkl").write_text("m")
    model = step.run.register_model("iris", "outputs/model.pkl", tags={"a": 1}, model_framework="ScikitLearn")
    assert step.records[-1] == {
        "op": "model",
        "name": "iris",
        "path": "outputs/model.pkl",
        "tags": {"a": "1"},
        "properties": {},
        "description": "",
        "framework": "ScikitLearn",
        "framework_version": None,
    }
    assert (model.name, model.version, model.id) == ("iris", None, "iris:pending")
    step.run.upload_file("models/m/weights", "outputs/model.pkl")
    step.run.register_model("folder", "models/m/")
    assert step.records[-1]["path"] == "models/m"
    with pytest.raises(RunContextError, match=r"no file 'nowhere\.pkl'.*outputs"):
        step.run.register_model("iris", "nowhere.pkl")
    with pytest.raises(ValueError, match="cannot name a model"):
        step.run.register_model("a/b", "outputs/model.pkl")


def test_several_processes_of_a_script_may_log_at_once(step: Step) -> None:
    code = "from millstream import Run\nrun = Run.get_context()\nfor i in range(300): run.log('x', 'y' * 500)"
    writers = [subprocess.Popen([sys.executable, "-c", code], env=_environment()) for _ in range(3)]
    assert [writer.wait(30) for writer in writers] == [0, 0, 0]
    assert len(step.records) == 900


def test_what_does_not_work_in_a_step_says_why(step: Step) -> None:
    for name in ("take_snapshot", "get_secret", "submit_child", "wait_for_completion"):
        assert not hasattr(step.run, name)
        with pytest.raises(NotAvailable, match=f"Run.{name} does not work inside a step: "):
            getattr(step.run, name)
    with pytest.raises(AttributeError, match="no attribute 'lgo'"):
        step.run.lgo  # noqa: B018


def test_the_end_of_the_script_decides_not_its_words(step: Step, capsys: pytest.CaptureFixture[str]) -> None:
    with step.run as run:
        run.start()
        run.complete()
        run.fail("bad", error_code="E1")
        run.cancel()
        run.flush()
        run.clean()
    assert run.get_status() == "Running"
    assert capsys.readouterr().err == "E1: bad\n"


def test_outside_a_step_the_same_calls_print(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Run.get_context()
    assert isinstance(run, OfflineRun)
    assert run.parent.id == run.id
    run.log("accuracy", 0.9)
    run.tag("a", 1)
    run.add_properties({"p": "q"})
    Path("f").write_text("x")
    run.upload_file("f", "f")
    run.register_model("m", "f")
    assert capsys.readouterr().out.splitlines() == [
        "[not in a step] scalar accuracy = 0.9",
        "[not in a step] tag a = 1",
        "[not in a step] property p = q",
        f"[not in a step] file f from {tmp_path / 'f'}",
        "[not in a step] model m from f",
    ]
    assert run.get_metrics() == {"accuracy": 0.9}
    with pytest.raises(RunContextError, match="allow_offline is False"):
        Run.get_context(allow_offline=False)


def test_inside_and_outside_have_the_same_members() -> None:
    def members(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert members(SubmittedRun) == members(OfflineRun)


def test_a_script_pays_for_the_standard_library_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); from millstream import Run; Run.get_context();"
        "print(*sorted(name.partition('.')[0] for name in set(sys.modules) - before))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], env=_environment(), capture_output=True, text=True, check=True
    )
    loaded = set(answer.stdout.split())
    assert "millstream" in loaded
    assert loaded - {"millstream"} <= sys.stdlib_module_names
    assert not loaded & {"typing", "dataclasses", "inspect", "pathlib", "tempfile", "asyncio", "email", "http"}


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_child_runs_log_to_the_step_under_their_names(step: Step) -> None:
    with step.run.child_run("depth 3") as child:
        child.log("loss", 0.5)
    assert {"name": "depth 3/loss", "kind": "scalar", "value": 0.5}.items() <= step.last.items()
    child.tag("quality", "good")
    assert step.last == {"key": "depth 3/quality", "value": "good"}
    grandchild = child.child_run("a")
    grandchild.log("x", 1)
    assert step.last["name"] == "depth 3/a/x"
    assert (child.parent, child.get_metrics(), child.id) == (step.run, {"loss": 0.5}, "r1_train_1")
    assert step.run.get_children() == [child]
    assert step.run.get_children(recursive=True) == [child, grandchild]


def test_files_of_child_runs_are_files_of_the_step(step: Step, tmp_path: Path) -> None:
    (tmp_path / "plot.png").write_bytes(b"png")
    child = step.run.child_run("a")
    child.upload_file("plot.png", tmp_path / "plot.png")
    assert step.run.get_file_names() == ["a/plot.png"]
    assert child.get_file_names() == ["plot.png"]


def test_several_child_runs_at_once(step: Step) -> None:
    assert [child.name for child in step.run.create_children(count=2)] == ["child_1", "child_2"]
    tagged = step.run.create_children(tag_key="depth", tag_values=[1, 2])
    assert [child.tags for child in tagged] == [{"depth": "1"}, {"depth": "2"}]
    for wrong in ({}, {"count": 1, "tag_key": "a", "tag_values": [1]}, {"tag_values": [1]}, {"tag_key": "a"}):
        with pytest.raises(ValueError, match="either count"):
            step.run.create_children(**wrong)

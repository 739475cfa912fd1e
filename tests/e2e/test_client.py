"""The client against the whole service: what a user of version 1 would write, run for real."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from millstream import (
    DataReference,
    Datastore,
    Experiment,
    InvalidDefinition,
    InvalidRequest,
    Model,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PipelineRun,
    PublishedPipeline,
    PythonScriptStep,
    Run,
    RunCanceled,
    RunFailed,
    StepRun,
    StepSequence,
    Unauthorized,
    UnknownThing,
    WaitTimeout,
    Workspace,
)
from tests.azurite import Azurite
from tests.e2e.devhost.harness import ROOT
from tests.service import TOKEN, Service, running_service

pytestmark = pytest.mark.azurite

TRAIN = """
import argparse, csv, os, pathlib, pickle, sys
from millstream import Run

parser = argparse.ArgumentParser()
parser.add_argument("--reg", type=float, default=0.5)
reg = parser.parse_args().reg
with open(os.environ["AZUREML_DATAREFERENCE_irisdata"], newline="") as file:
    rows = list(csv.DictReader(file))
folder = os.environ["AZUREML_DATAREFERENCE_model_output"]
os.makedirs(folder, exist_ok=True)
with open(os.path.join(folder, "model.pkl"), "wb") as file:
    pickle.dump({"rows": len(rows), "reg": reg}, file)
run = Run.get_context()
print("training on", len(rows), "rows with", reg, flush=True)
print("a warning", file=sys.stderr)
run.log("rows", len(rows))
for loss in (3.0, 2.0, float("nan")):
    run.log("loss", loss)
run.log_row("curve", x=1, y=2)
run.parent.log("quality", reg)
run.tag("kind", "tree")
run.add_properties({"author": "x"})
pathlib.Path("plot.svg").write_text("<svg/>")
run.log_image("plot", path="plot.svg")
pathlib.Path("outputs/sub").mkdir()
pathlib.Path("outputs/sub/note.txt").write_text("noted")
"""
REGISTER = """
import os, shutil
from millstream import Run

folder = os.environ["AZUREML_DATAREFERENCE_model_output"]
print("found", *os.listdir(folder))
shutil.copy(os.path.join(folder, "model.pkl"), "outputs/model.pkl")
model = Run.get_context().register_model("iris", "outputs/model.pkl", tags={"source": "test"})
print(model.name, model.version)
"""
CSV = "a,b\n1,2\n3,4\n5,6\n"


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {
        "MILLSTREAM_CANCEL_CHECK_SECONDS": "0.2",
        "MILLSTREAM_COMPUTES": '{"function": "function", "cpu-cluster": "function"}',
    }
    with running_service(azurite, tmp_path_factory.mktemp("service"), settings) as service:
        yield service


@pytest.fixture(scope="module")
def workspace(service: Service) -> Workspace:
    return Workspace(url=service.url, token=TOKEN)


def sources(folder: Path, **scripts: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in scripts.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def single(workspace: Workspace, folder: Path, script: str, **fields: Any) -> Pipeline:
    """A pipeline of one step."""
    place = sources(folder / "src", main=script)
    return Pipeline(workspace, [PythonScriptStep("main.py", name="main", source_directory=place, **fields)])


def iris(workspace: Workspace, folder: Path) -> tuple[Pipeline, PipelineParameter]:
    """Version 1's plainest pipeline: a CSV file in, a pickled model out, registered by a second script."""
    store = workspace.get_default_datastore()
    (folder / "iris.csv").write_text(CSV)
    store.upload_files([folder / "iris.csv"], target_path="data", overwrite=True)
    place = sources(folder / "src", train=TRAIN, register=REGISTER)
    data = DataReference(datastore=store, data_reference_name="irisdata", path_on_datastore="data/iris.csv")
    model_output = PipelineData("model_output", datastore=store)
    reg = PipelineParameter("reg", 0.5)
    PythonScriptStep(
        script_name="train.py",
        arguments=["--reg", reg],
        inputs=[data],
        outputs=[model_output],
        compute_target="cpu-cluster",
        source_directory=str(place),
    )
    register = PythonScriptStep(script_name="register.py", inputs=[model_output], source_directory=str(place))
    return Pipeline(workspace=workspace, steps=[register]), reg


@pytest.fixture(scope="module")
def finished(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> PipelineRun:
    """A run of the iris pipeline that has ended."""
    pipeline, _ = iris(workspace, tmp_path_factory.mktemp("iris"))
    run = Experiment(workspace, "iris").submit(pipeline, tags={"team": "a"}, pipeline_parameters={"reg": 1})
    assert run.wait_for_completion(show_output=False) == "Finished"
    return run


def test_the_last_step_brings_the_others_and_data_flows_by_variables(
    finished: PipelineRun, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finished.status == "Completed"
    assert {step.name: step.get_status() for step in finished.get_steps()} == {
        "train.py": "Finished",
        "register.py": "Finished",
    }
    (train,) = finished.find_step_run("train.py")
    (register,) = finished.find_step_run("register")
    assert train.id == f"{finished.id}_train"
    assert train.get_stdout_log() == "training on 3 rows with 1.0\na warning\n"
    assert register.get_stdout_log() == "found model.pkl\niris None\n"
    assert finished.wait_for_completion(show_output=True) == "Finished"
    assert "train.py    | training on 3 rows with 1.0" in shown(capsys)


def test_metrics_read_as_in_version_1(finished: PipelineRun) -> None:
    train = finished.find_step_run("train.py")[0]
    metrics = train.get_metrics()
    assert metrics["rows"] == 3
    assert metrics["loss"][:2] == [3.0, 2.0]
    assert metrics["loss"][2] != metrics["loss"][2]
    assert metrics["curve"] == {"x": 1, "y": 2}
    assert metrics["plot"] == "plot.svg"
    assert train.get_metrics("rows") == {"rows": 3}
    assert finished.get_metrics("quality") == {"quality": 1.0}
    assert finished.get_metrics(recursive=True)[train.id]["rows"] == 3
    assert train.tags["kind"] == "tree"
    assert train.properties["author"] == "x"


def test_outputs_come_down_with_their_paths_or_flat(finished: PipelineRun, tmp_path: Path) -> None:
    train = finished.find_step_run("train.py")[0]
    assert list(train.get_outputs()) == ["model_output"]
    port = train.get_output_data("model_output")
    assert port.datastore_name == "workspaceblobstore"
    assert port.path_on_datastore.startswith(f"runs/{finished.id}/train/")
    assert port.download(tmp_path) == 1
    assert port.download(tmp_path) == 0
    model = pickle.loads((tmp_path / port.path_on_datastore / "model.pkl").read_bytes())
    assert model == {"rows": 3, "reg": 1.0}
    assert finished.get_pipeline_output("model_output").download(tmp_path / "flat", flatten=True) == 1
    assert (tmp_path / "flat" / "model.pkl").is_file()
    with pytest.raises(UnknownThing, match='Did you mean "model_output"'):
        train.get_output("model_outptu")


def test_files_and_logs_come_down(finished: PipelineRun, tmp_path: Path) -> None:
    train = finished.find_step_run("train.py")[0]
    assert train.get_file_names() == ["outputs/sub/note.txt", "plot.svg", "user_logs/std_log.txt"]
    train.download_file("outputs/sub/note.txt", tmp_path / "n.txt")
    assert (tmp_path / "n.txt").read_text() == "noted"
    train.download_files(prefix="outputs/", output_directory=tmp_path / "all", append_prefix=False)
    assert (tmp_path / "all" / "sub" / "note.txt").read_text() == "noted"
    assert "train/plot.svg" in finished.get_file_names()
    logs = finished.get_all_logs(tmp_path / "logs")
    assert sorted(Path(log).relative_to(tmp_path / "logs" / finished.id).as_posix() for log in logs) == [
        "register/user_logs/std_log.txt",
        "train/user_logs/std_log.txt",
    ]
    with pytest.raises(UnknownThing, match=r'no file "plot\.svgg"'):
        train.download_file("plot.svgg", tmp_path)


def test_a_model_is_registered_and_comes_down(finished: PipelineRun, workspace: Workspace, tmp_path: Path) -> None:
    model = Model(workspace, "iris")
    assert model.tags == {"source": "test"}
    assert model.run_id == f"{finished.id}_register"
    path = model.download(tmp_path)
    assert pickle.loads(Path(path).read_bytes())["rows"] == 3
    with pytest.raises(FileExistsError):
        model.download(tmp_path)
    assert [found.id for found in Model.list(workspace, name="iris", latest=True)] == [model.id]
    assert Model.list(workspace, tags=[["source", "other"]]) == []
    assert "iris" in workspace.models
    assert Model(workspace, id=model.id).version == model.version


def test_runs_are_found_again_and_tagged(finished: PipelineRun, workspace: Workspace) -> None:
    again = Run.get(workspace, finished.id)
    assert isinstance(again, PipelineRun)
    assert again.parameters == {"reg": 1.0}
    again.tag("reviewed")
    again.set_tags({"score": 1})
    assert again.remove_tags("team") == {"reviewed": "", "score": "1"}
    step = workspace.get_run(f"{finished.id}_train")
    assert isinstance(step, StepRun)
    assert step.parent == finished
    assert (step.get_details()["status"], again.get_details()["submittedBy"]) == ("Completed", "key")
    assert isinstance(Run(finished.experiment, finished.id), PipelineRun)
    assert isinstance(Run(finished.experiment, step.id), StepRun)
    listed = workspace.experiments["iris"].get_runs(tags={"score": 1})
    assert [run.id for run in listed] == [finished.id]
    assert "iris" in workspace.experiments
    assert "iriss" not in workspace.experiments
    with pytest.raises(UnknownThing):
        Run.get(workspace, "nowhere")


def test_output_is_shown_while_a_script_runs(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its second line comes only when the first has been seen."""
    gate = tmp_path / "gate"
    script = f"""
import pathlib, time
print("first", flush=True)
while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)
print("second")
"""
    run = single(workspace, tmp_path, script).submit("live")
    seen: list[str] = []
    waiter = threading.Thread(target=lambda: seen.append(run.wait_for_completion(show_output=True)))
    waiter.start()
    text = ""
    deadline = time.monotonic() + 30
    while "main | first" not in text and time.monotonic() < deadline:
        text += capsys.readouterr().out
        time.sleep(0.01)
    assert "second" not in text
    gate.touch()
    waiter.join(30)
    assert "main | second" in capsys.readouterr().out
    assert seen == ["Finished"]


def test_a_failure_says_where_and_why_and_what_was_skipped(workspace: Workspace, tmp_path: Path) -> None:
    place = sources(tmp_path / "src", bad="print('before')\nraise ValueError('boom')", after="print(1)")
    bad, after = (PythonScriptStep(f"{name}.py", name=name, source_directory=place) for name in ("bad", "after"))
    run = Pipeline(workspace, StepSequence([bad, after])).submit("failing")
    with pytest.raises(RunFailed, match="ValueError: boom") as caught:
        run.wait_for_completion(show_output=True)
    (failure,) = caught.value.failures
    assert (failure.step, failure.code) == ("bad", "ScriptFailed")
    assert {step.name: step.status for step in run.get_steps()} == {"bad": "Failed", "after": "Skipped"}
    with pytest.raises(RunFailed, match="boom"):
        run.find_step_run("bad")[0].wait_for_completion(show_output=False)
    assert run.wait_for_completion(show_output=False, raise_on_error=False) == "Failed"


def test_a_sequence_runs_in_order_and_an_upload_output_goes_by_its_folder(workspace: Workspace, tmp_path: Path) -> None:
    write = "import os\nos.makedirs('made')\nopen('made/x.txt', 'w').write('hello')"
    read = "import sys, pathlib\nprint(sorted(p.name for p in pathlib.Path(sys.argv[1]).iterdir()))"
    place = sources(tmp_path / "src", write=write, read=read, last="print('last')")
    made = PipelineData("made", output_mode="upload", output_path_on_compute="made/")
    first = PythonScriptStep("write.py", outputs=[made], source_directory=place)
    second = PythonScriptStep("read.py", arguments=[made.as_download()], source_directory=place)
    last = PythonScriptStep("last.py", source_directory=place)
    last.run_after(second)
    run = Pipeline(workspace, [last, first]).submit("order")
    run.wait_for_completion(show_output=False)
    assert run.find_step_run("read")[0].get_stdout_log() == "['x.txt']\n"
    started = {step.name: step.details.started_at or 0 for step in run.get_steps()}
    assert started["write.py"] < started["read.py"] < started["last.py"]


def test_the_sources_are_taken_anew_at_each_submission(workspace: Workspace, tmp_path: Path) -> None:
    pipeline = single(workspace, tmp_path, "print('one')")
    first = pipeline.submit("anew")
    sources(tmp_path / "src", main="print('two')")
    second = pipeline.submit("anew")
    for run, text in ((first, "one\n"), (second, "two\n")):
        run.wait_for_completion(show_output=False)
        assert run.find_step_run("main")[0].get_stdout_log() == text


def test_a_published_pipeline_is_started_by_requests_and_by_the_sdk(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline, _ = iris(workspace, tmp_path)
    published = pipeline.publish(name="training_pipeline", description="d", version="1.0")
    again = pipeline.publish(name="training_pipeline", description="d", version="1.0")
    assert again.id == published.id
    assert f"This pipeline is published already: training_pipeline ({published.id})" in shown(capsys)
    header = workspace.authentication.get_authentication_header()
    body = {"ExperimentName": "by_rest", "ParameterAssignments": {"reg": 0.25}}
    answer = requests.post(published.endpoint, headers=header, json=body, timeout=30)
    run = PipelineRun(workspace.experiments["by_rest"], answer.json()["Id"])
    run.wait_for_completion(show_output=False)
    assert run.get_metrics("quality") == {"quality": 0.25}
    found = PublishedPipeline.get(workspace, id=published.id)
    assert (found.name, found.version, found.total_run_steps, found.status) == ("training_pipeline", "1.0", 2, "Active")
    assert found.get_step_names() == ["train.py", "register.py"]
    assert found.parameters == {"reg": 0.5}
    assert PublishedPipeline.get(workspace, name="training_pipeline").id == published.id
    assert published.id in [listed.id for listed in PublishedPipeline.list(workspace)]
    by_sdk = Experiment(workspace, "by_sdk").submit(found, pipeline_parameters={"reg": "0.125"})
    by_sdk.wait_for_completion(show_output=False)
    assert by_sdk.get_metrics("quality") == {"quality": 0.125}
    assert [listed.id for listed in PipelineRun.get_pipeline_runs(workspace, published.id)] == [by_sdk.id, run.id]


@pytest.mark.parametrize(
    ("given", "says"),
    [({"regg": 1}, 'no parameter "regg". Did you mean "reg"'), ({"reg": "fast"}, r'"reg" is a finite number')],
)
def test_a_wrong_parameter_is_refused_before_anything_is_sent(
    workspace: Workspace, tmp_path: Path, given: Mapping[str, Any], says: str
) -> None:
    pipeline, _ = iris(workspace, tmp_path)
    with pytest.raises(InvalidRequest, match=says) as caught:
        pipeline.submit("x", pipeline_parameters=given)
    assert caught.value.field == f"parameters.{next(iter(given))}"


def test_what_only_the_service_knows_is_checked_before_upload(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = single(
        workspace, tmp_path, "print(1)", compute_target="cpu_cluster", outputs=[PipelineData("x", "archive")]
    )
    problems = pipeline.validate()
    assert any('no compute "cpu_cluster". Did you mean "cpu-cluster"?' in problem for problem in problems)
    assert any('no datastore "archive"' in problem for problem in problems)
    assert shown(capsys) == problems
    with pytest.raises(InvalidDefinition, match="2 problems"):
        pipeline.submit("x")
    assert single(workspace, tmp_path, "print(1)").validate() == []


def test_what_the_client_knows_is_said_when_the_pipeline_is_made(workspace: Workspace, tmp_path: Path) -> None:
    place = sources(tmp_path / "src", main="")
    with pytest.raises(InvalidDefinition, match=r'There is no script .*mian\.py\. The folder has "main\.py"'):
        Pipeline(workspace, PythonScriptStep("mian.py", source_directory=place))
    one, two = PythonScriptStep("main.py", name="one"), PythonScriptStep("main.py", name="two")
    one.run_after(two)
    two.run_after(one)
    with pytest.raises(InvalidDefinition, match="in a circle"):
        Pipeline(workspace, [one, two], default_source_directory=place)
    with pytest.raises(TypeError, match='Did you mean "default_datastore"'):
        Pipeline(workspace, [], defalt_datastore="x")
    fine = Pipeline(workspace, PythonScriptStep("main.py", source_directory=place))
    with pytest.raises(TypeError, match='Did you mean "tags"'):
        fine.submit("x", tag={"a": 1})
    with pytest.raises(TypeError, match="has no argument 'anew'"):
        Experiment(workspace, "x").submit(fine, anew=True)


def test_a_run_can_be_cancelled_and_waiting_can_end_before_it(workspace: Workspace, tmp_path: Path) -> None:
    run = single(workspace, tmp_path, "import time\ntime.sleep(600)").submit("cancelling")
    with pytest.raises(WaitTimeout, match="It goes on"):
        run.wait_for_completion(show_output=True, timeout_seconds=0.5)
    run.cancel()
    with pytest.raises(RunCanceled):
        run.wait_for_completion(show_output=True, timeout_seconds=30)
    assert run.get_status() == "Canceled"


def test_data_goes_up_and_down(workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Datastore.get(workspace, "workspaceblobstore")
    up = tmp_path / "up"
    for name in ("a.txt", "deep/er/b.txt", "deep/ü c.txt"):
        (up / name).parent.mkdir(parents=True, exist_ok=True)
        (up / name).write_text(name)
    reference = store.upload(up, "updown/one")
    assert (reference.path_on_datastore, reference.datastore_name) == ("updown/one", "workspaceblobstore")
    (up / "a.txt").write_text("changed")
    store.upload(up, "updown/one")
    assert store.download(tmp_path / "down", prefix="updown/one") == 3
    down = tmp_path / "down" / "updown" / "one"
    assert {path.relative_to(down).as_posix(): path.read_text() for path in down.rglob("*") if path.is_file()} == {
        "a.txt": "a.txt",
        "deep/er/b.txt": "deep/er/b.txt",
        "deep/ü c.txt": "deep/ü c.txt",
    }
    store.upload(up, "updown/one", overwrite=True)
    assert store.download(tmp_path / "down", prefix="updown/one/a.txt", overwrite=True) == 1
    assert (down / "a.txt").read_text() == "changed"
    lines = shown(capsys)
    assert lines[0].startswith("Uploaded 3 of 3 files")
    assert lines[1].startswith("Uploaded 0 of 3 files")
    assert lines[1].endswith("3 were there already")
    with pytest.raises(KeyError, match='Did you mean "workspaceblobstore"'):
        Datastore.get(workspace, "workspaceblobstor")


def test_the_workspace_says_what_it_has(workspace: Workspace, service: Service) -> None:
    assert workspace.name == "millstream"
    assert list(workspace.datastores) == ["workspaceblobstore"]
    assert workspace.compute_targets["cpu-cluster"].name == "cpu-cluster"
    assert workspace.get_details()["endpoint"] == service.url
    with pytest.raises(Unauthorized):
        Workspace(url=service.url, token="wrong").get_default_datastore()


def test_the_command_line(finished: PipelineRun, workspace: Workspace, service: Service, tmp_path: Path) -> None:
    failing = single(workspace, tmp_path, "raise SystemExit('no luck')").publish(name="unlucky")

    def run(*arguments: str) -> tuple[int, str, str]:
        answer = subprocess.run(
            [sys.executable, "-m", "millstream", *arguments],
            cwd=ROOT,
            env={"PATH": "", "MILLSTREAM_ENDPOINT": service.url, "MILLSTREAM_TOKEN": TOKEN},
            capture_output=True,
            text=True,
            timeout=60,
        )
        return answer.returncode, answer.stdout, answer.stderr

    code, out, _ = run("runs", "list", "--experiment", "iris", "--by", "me")
    assert code == 0
    assert out.splitlines()[0].split() == ["RUN", "EXPERIMENT", "PIPELINE", "STATUS", "STARTED", "TOOK", "TAGS"]
    assert out.splitlines()[1].split()[:4] == [finished.id, "iris", "iris", "Completed"]
    code, out, _ = run("runs", "show", finished.id)
    assert "parameters  reg=1.0" in out
    assert "train     train.py     Completed  1" in out
    code, out, _ = run("runs", "cost", finished.id, "--explain")
    assert code == 0
    cost = finished.get_cost()
    assert cost.complete and cost.amount == sum(line.amount for line in cost.lines)
    assert out.splitlines()[:3] == [
        f"run         {finished.id}",
        "status      Completed",
        f"cost        {cost.amount:.7f} USD",
    ]
    for step in cost.steps:
        assert f"{step.name:<13}  Completed" in out and f"{step.amount:.7f}" in out
    assert {line.billed for line in cost.lines} >= {"table_write", "queue", "blob_write", "function_gb_seconds"}
    assert "- Requests to the API, looking at the run among them." in out
    assert run("runs", "logs", finished.id, "train")[1] == "training on 3 rows with 1.0\na warning\n"
    assert run("pipelines", "list", "--name", "unlucky")[1].splitlines()[1].split()[:2] == [failing.id, "unlucky"]
    code, out, err = run("submit", "unlucky", "--experiment", "cli", "--follow")
    assert code == 1
    assert "main | no luck" in out
    assert "no luck" in err
    assert run("submit", "unlucky", "-p", "x=1")[::2] == (
        3,
        'error: The pipeline has no parameter "x". There are no parameters.\n',
    )
    code, _, err = run("runs", "show", "nowhere")
    assert (code, err.startswith("error: There is no run")) == (3, True)
    assert run("runs", "cancel", finished.id)[1] == f"{finished.id} Completed\n"

"""Searches for hyperparameters, end to end: trials, the best one's results, early termination, reuse."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from azurerest.account import Account
from azurerest.blobs import Blobs
from azurerest.transport import Transport
from millstream import (
    BanditPolicy,
    Experiment,
    GridParameterSampling,
    HyperDriveConfig,
    HyperDriveStep,
    HyperDriveStepRun,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PipelineRun,
    PrimaryMetricGoal,
    PythonScriptStep,
    RandomParameterSampling,
    ScriptRunConfig,
    TrainingOutput,
    Workspace,
    choice,
    uniform,
)
from tests.azurite import Azurite
from tests.e2e.devhost.harness import eventually
from tests.service import QUICK, TOKEN, Service, running_service

pytestmark = pytest.mark.azurite

TRAIN = """
import argparse, time
from pathlib import Path
from millstream import Run
parser = argparse.ArgumentParser()
parser.add_argument("--data"); parser.add_argument("--out"); parser.add_argument("--scale", type=float)
parser.add_argument("--rate", type=float); parser.add_argument("--size", type=int)
given = parser.parse_args()
base = float(Path(given.data).read_text())
score = given.scale * (base - abs(given.rate - 0.3)) + given.size / 1000
run = Run.get_context()
run.log("loss", 1 - score / 2)
run.log("accuracy", score / 2)
run.log("accuracy", score)
Path(given.out).mkdir(parents=True, exist_ok=True)
(Path(given.out) / "weights.txt").write_text(f"{given.rate} {given.size}")
Path("outputs/model.txt").write_text(f"rate {given.rate}")
"""
SLOW = """
import sys, time
from millstream import Run
run = Run.get_context()
quality = float(sys.argv[sys.argv.index("--quality") + 1])
for epoch in range(600):
    run.log("accuracy", quality)
    time.sleep(0.1 if quality < 0.5 else 0.005)
"""
MAXIMIZE = PrimaryMetricGoal.MAXIMIZE


DRIVER = """
import json
from azureml.core import Datastore, Environment, Experiment, ScriptRunConfig, Workspace
from azureml.pipeline.core import Pipeline, PipelineData, TrainingOutput
from azureml.pipeline.core.graph import InputPortDef, OutputPortDef
from azureml.pipeline.core.module import Module
from azureml.pipeline.steps import HyperDriveStep, HyperDriveStepRun, ModuleStep
from azureml.train.hyperdrive import (BanditPolicy, HyperDriveConfig, PrimaryMetricGoal, RandomParameterSampling,
    choice, loguniform)

ws = Workspace.from_config()
store = ws.get_default_datastore()
number = OutputPortDef(name="number", default_datastore_name=store.name, default_datastore_mode="mount")
module = Module.create(ws, name="Number", description="Writes a number")
module.publish_python_script("data.py", "initial", inputs=[], outputs=[number], version="1", source_directory="src",
                             arguments=[number], is_default=True)
data = PipelineData("data", datastore=store)
made = ModuleStep(module=Module.get(ws, name="Number"), inputs_map={}, outputs_map={"number": data},
                  compute_target="cpu-cluster")
src = ScriptRunConfig(source_directory="src", script="short.py", compute_target="cpu-cluster")
sampling = RandomParameterSampling({"--batch-size": choice(25, 50, 100), "--rate": loguniform(-6, -1)})
config = HyperDriveConfig(run_config=src, hyperparameter_sampling=sampling,
                          policy=BanditPolicy(evaluation_interval=2, slack_factor=0.1),
                          primary_metric_name="Accuracy", primary_metric_goal=PrimaryMetricGoal.MAXIMIZE,
                          max_total_runs=3, max_concurrent_runs=3)
metrics = PipelineData(name="metrics_data", datastore=store, pipeline_output_name="metrics_output",
                       training_output=TrainingOutput("Metrics"))
model = PipelineData(name="saved_model", datastore=store, pipeline_output_name="model_output",
                     training_output=TrainingOutput("Model", model_file="outputs/model/saved_model.pb"))
step = HyperDriveStep(name="hd_step01", hyperdrive_config=config, inputs=[data],
                      estimator_entry_script_arguments=["--data", data], outputs=[metrics, model])
run = Experiment(ws, "Hyperdrive_Test").submit(Pipeline(workspace=ws, steps=[step]))
run.wait_for_completion(show_output=False)
output = run.get_pipeline_output("metrics_output")
output.download(".", show_progress=False)
with open(output._path_on_datastore) as file:
    logged = json.load(file)
hd = HyperDriveStepRun(step_run=run.find_step_run("hd_step01")[0])
best = hd.get_best_run_by_primary_metric()
top = max(logged, key=lambda trial: max(logged[trial]["Accuracy"]))
print(len(logged), best.id == top, "outputs/model/saved_model.pb" in best.get_file_names())
print(sorted(json.loads(hd.get_hyperparameters()[best.id])))
print(run.get_pipeline_output("model_output").download("model", show_progress=False))
"""
SHORT = """
import argparse, os
from azureml.core.run import Run
parser = argparse.ArgumentParser()
parser.add_argument("--data"); parser.add_argument("--batch-size", type=int); parser.add_argument("--rate", type=float)
given = parser.parse_args()
run = Run.get_context()
for epoch in range(2):
    run.log("Accuracy", float(open(given.data).read()) - given.rate - given.batch_size / 1000 + epoch / 10)
os.makedirs("outputs/model", exist_ok=True)
open("outputs/model/saved_model.pb", "w").write("model")
"""


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("service"), QUICK) as service:
        yield service


@pytest.fixture(scope="module")
def workspace(service: Service) -> Workspace:
    return Workspace(url=service.url, token=TOKEN)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    (folder / "data.py").write_text("import sys; open(sys.argv[1], 'w').write('1')")
    (folder / "train.py").write_text(TRAIN)
    (folder / "slow.py").write_text(SLOW)
    (folder / "short.py").write_text(SHORT)
    return folder


def searched(workspace: Workspace, source: Path, *, trials: int = 4) -> PipelineRun:
    data, weights = PipelineData("data"), PipelineData("weights")
    model = PipelineData("model", training_output=TrainingOutput("Model", model_file="outputs/model.txt"))
    metrics = PipelineData("metrics", training_output=TrainingOutput("Metrics"))
    scale = PipelineParameter("scale", 2.0)
    config = HyperDriveConfig(
        RandomParameterSampling({"rate": uniform(0.1, 0.9), "--size": choice(16, 32)}),
        primary_metric_name="accuracy",
        primary_metric_goal=MAXIMIZE,
        max_total_runs=trials,
        max_concurrent_runs=2,
        run_config=ScriptRunConfig(source, "train.py"),
    )
    search = HyperDriveStep(
        "search",
        config,
        estimator_entry_script_arguments=["--data", data, "--out", weights, "--scale", scale],
        inputs=[data],
        outputs=[weights, model],
        metrics_output=metrics,
    )
    make = PythonScriptStep("data.py", arguments=[data], outputs=[data], source_directory=source)
    use = PythonScriptStep(
        "use.py", arguments=[weights, model, metrics], inputs=[weights, model, metrics], source_directory=source
    )
    (source / "use.py").write_text(
        "import json, sys\nfrom pathlib import Path\n"
        "print('weights', (Path(sys.argv[1]) / 'weights.txt').read_text())\n"
        "print('model', Path(sys.argv[2]).read_text())\n"
        "print('trials', len(json.loads(Path(sys.argv[3]).read_text())))\n"
    )
    run = Pipeline(workspace, steps=[make, search, use]).submit("search", pipeline_parameters={"scale": 3.0})
    run.wait_for_completion(show_output=False)
    return run


def values(run: HyperDriveStepRun) -> dict[str, dict[str, Any]]:
    return {trial: json.loads(text) for trial, text in run.get_hyperparameters().items()}


def test_the_best_trials_results_are_the_steps(workspace: Workspace, source: Path) -> None:
    run = searched(workspace, source)
    search = HyperDriveStepRun(run.find_step_run("search")[0])
    given = values(search)
    expected = {trial: 3.0 * (1 - abs(it["rate"] - 0.3)) + it["--size"] / 1000 for trial, it in given.items()}
    assert len(expected) == 4
    best = search.get_best_run_by_primary_metric()
    assert best is not None and best.id == max(expected, key=lambda trial: expected[trial])
    assert best.get_metrics()["accuracy"][1] == pytest.approx(expected[best.id])
    lines = search.get_children_sorted_by_primary_metric()
    assert [line["run_id"] for line in lines] == sorted(expected, key=lambda trial: -expected[trial])
    assert lines[0]["status"] == "Completed" and json.loads(lines[0]["hyperparameters"]) == given[best.id]
    assert set(search.get_metrics()) == set(expected)
    assert search.properties["best_child_run_id"] == best.id
    log = run.find_step_run("use.py")[0].get_stdout_log()
    rate = given[best.id]["rate"]
    assert f"weights {rate} {given[best.id]['--size']}" in log
    assert f"model rate {rate}" in log and "trials 4" in log
    # Nothing has changed: the search is reused. With more trials, those that were run are.
    again = searched(workspace, source)
    reused = HyperDriveStepRun(again.find_step_run("search")[0])
    assert reused.details.taken and reused.properties["best_child_run_id"] == best.id
    assert reused.get_best_run_by_primary_metric().id == best.id  # type: ignore[union-attr]
    more = HyperDriveStepRun(searched(workspace, source, trials=5).find_step_run("search")[0])
    assert [child.details.taken for child in more.get_children()] == [True] * 4 + [False]


def test_a_policy_ends_what_is_not_worth_going_on(workspace: Workspace, source: Path, azurite: Azurite) -> None:
    config = HyperDriveConfig(
        GridParameterSampling({"quality": choice(0.9, 0.1)}),
        "accuracy",
        MAXIMIZE,
        max_total_runs=10,
        policy=BanditPolicy(slack_factor=0.2, evaluation_interval=1, delay_evaluation=2),
        run_config=ScriptRunConfig(source, "slow.py"),
    )
    run = Experiment(workspace, "policy").submit(config)
    assert isinstance(run, HyperDriveStepRun)
    run.wait_for_completion(show_output=False)
    good, bad = run.get_children_sorted_by_primary_metric()
    assert (good["status"], bad["status"]) == ("Completed", "Canceled")
    assert (good["best_primary_metric"], bad["best_primary_metric"]) == (0.9, 0.1)
    ended = next(child for child in run.get_children() if child.id == bad["run_id"])
    error = ended.details.error
    assert error is not None and error.code == "StoppedByPolicy" and "its best, 0.1" in error.message
    assert len(ended.get_metrics()["accuracy"]) < 600
    assert run.get_metrics()[good["run_id"]]["accuracy"] == [0.9] * 600
    trials = good["run_id"].partition("_")[0]
    with closing(Transport()) as transport:
        blobs = Blobs(Account.from_connection_string(azurite.connection), transport)
        eventually(lambda: not list(blobs.list_all("millstream", f"trials/{trials}/")), 20.0)


def test_a_driver_of_v1_searches_unmodified(service: Service, source: Path, tmp_path: Path) -> None:
    (tmp_path / ".azureml").mkdir()
    (tmp_path / ".azureml" / "config.json").write_text(
        '{"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}'
    )
    shutil.copytree(source, tmp_path / "src")
    (tmp_path / "driver.py").write_text(DRIVER)
    service.ask("PUT", "computes/cpu-cluster", {})
    environment = {**os.environ, "MILLSTREAM_ENDPOINT": service.url, "MILLSTREAM_TOKEN": TOKEN}
    command = [sys.executable, "-m", "millstream", "run", "driver.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-3:] == ["3 True True", "['--batch-size', '--rate']", "1"]
    assert [path.read_text() for path in (tmp_path / "model").rglob("*") if path.is_file()] == ["model"]

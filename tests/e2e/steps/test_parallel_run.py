"""ParallelRunStep against the whole service: what is divided, what comes out, and what becomes of failures."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millstream import (
    DataPath,
    Dataset,
    Datastore,
    ParallelRunConfig,
    ParallelRunStep,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PipelineRun,
    PythonScriptStep,
    RunFailed,
    Workspace,
)
from tests.azurite import Azurite
from tests.e2e.devhost.harness import eventually
from tests.service import QUICK, TOKEN, Service, running_service

pytestmark = [pytest.mark.azurite, pytest.mark.timeout(300)]

FILES = 24
SCORE = """
import argparse, os

def init():
    global factor, fatal
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    parser.add_argument("--fatal")
    known, _ = parser.parse_known_args()
    factor = int(open(known.model).read()) if known.model else 1
    fatal = known.fatal

def run(mini_batch):
    results = []
    for path in mini_batch:
        text = open(path).read()
        if os.path.basename(path) == fatal:
            os.kill(os.getppid(), 9)
        if text == "bad":
            raise ValueError(os.path.basename(path) + " is bad")
        results.append(f"{os.path.basename(path)},{int(text) * factor}")
    return results
"""
ROWS = """
def run(rows, mini_batch_context):
    key = mini_batch_context.partition_key_value
    assert all((rows[name] == value).all() for name, value in key.items()), key
    return [f"{mini_batch_context.minibatch_index}:{len(rows)}:{rows['n'].sum()}:{sorted(key.values())}"]
"""
FOLDERS = """
import os
def run(paths, context):
    return [f"{context.partition_key_value['day']}:{os.path.basename(path)}" for path in paths]
"""


MANY = 400
CONFIG = '{"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}'
SLOW = """
import os, time
def run(mini_batch):
    time.sleep(0.05)
    return [os.path.basename(path) + "=" + open(path).read() for path in mini_batch]
"""


V1_MAKE = """
import os, sys
for number in range(12):
    with open(os.path.join(sys.argv[1], f"{number:02}.txt"), "w") as file:
        file.write(str(number))
"""
V1_SCORE = """
import os
import pandas as pd
from azureml.core import Run

def init():
    global run_context
    run_context = Run.get_context()

def run(mini_batch):
    numbers = [int(open(path).read()) for path in mini_batch]
    run_context.log("largest", max(numbers))
    return pd.DataFrame({"name": [os.path.basename(path) for path in mini_batch], "square": [n * n for n in numbers]})
"""
V1_DRIVER = """
from azureml.core import Environment, Experiment, Workspace
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.data import OutputFileDatasetConfig
from azureml.pipeline.core import Pipeline, PipelineData, PipelineParameter
from azureml.pipeline.steps import ParallelRunConfig, ParallelRunStep, PythonScriptStep

ws = Workspace.from_config()
sizes = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=2)
cpu = ComputeTarget.create(ws, "cpu", sizes)
cpu.wait_for_completion(show_output=False)
numbers = OutputFileDatasetConfig(name="numbers")
make = PythonScriptStep("make.py", name="make", arguments=[numbers], source_directory="src", compute_target=cpu)
squares = PipelineData(name="squares", datastore=ws.get_default_datastore())
config = ParallelRunConfig(
    source_directory="src",
    entry_script="score.py",
    mini_batch_size=PipelineParameter(name="batch_size", default_value="5"),
    error_threshold=0,
    output_action="append_row",
    append_row_file_name="squares.txt",
    environment=Environment("scoring"),
    compute_target=cpu,
    process_count_per_node=PipelineParameter(name="processes", default_value=1),
    node_count=2,
)
score = ParallelRunStep(
    name="score", parallel_run_config=config, inputs=[numbers.as_input("numbers")], output=squares, allow_reuse=True
)
pipeline = Pipeline(workspace=ws, steps=[score])
for values in ({}, {}, {"batch_size": "4"}):
    run = Experiment(ws, "squares").submit(pipeline, pipeline_parameters=values)
    run.wait_for_completion()
    step = run.find_step_run("score")[0]
    step.get_output_data("squares").download("down")
    print(step.get_status(), step.get_properties()["mini_batches"], step.get_metrics()["largest"])
"""


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("service"), QUICK) as service:
        yield service


@pytest.fixture(scope="module")
def workspace(service: Service) -> Iterator[Workspace]:
    workspace = Workspace(url=service.url, token=TOKEN)
    yield workspace
    # An exception that a test has caught may hold the connections until the very end.
    workspace.api.transport.close()


@pytest.fixture(scope="module")
def store(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Datastore:
    """With numbers/f00 ... that hold their number, the same with a bad one, days/<day>/x, a table, and a model."""
    folder = tmp_path_factory.mktemp("raw")
    texts = {f"numbers/f{n:02}": str(n) for n in range(FILES)}
    texts |= {f"damaged/f{n:02}": "bad" if n == 5 else str(n) for n in range(FILES)}
    texts |= {f"days/{day}/{name}": "x" for day in ("mon", "tue") for name in ("a", "b", "c")}
    texts |= {"table.csv": "city,n\n" + "".join(f"{'ab'[n % 2]},{n}\n" for n in range(1000)), "model": "10"}
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    store = workspace.get_default_datastore()
    store.upload(folder, "parallel", overwrite=True, show_progress=False)
    return store


class Steps:
    """Makes steps of entry scripts, and runs them."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace = workspace
        self.folder = folder

    def __call__(self, name: str, script: str, inputs: list[Any], config: dict[str, Any], **more: Any) -> Any:
        folder = self.folder / name
        folder.mkdir()
        (folder / "score.py").write_text(script)
        given: dict[str, Any] = {
            "environment": None,
            "entry_script": "score.py",
            "error_threshold": -1,
            "output_action": "append_row",
            "compute_target": None,
            "node_count": 2,
            "process_count_per_node": 1,
            "source_directory": folder,
        }
        output = more.pop("output", PipelineData(name, is_directory=True))
        return ParallelRunStep(name, ParallelRunConfig(**given | config), inputs, output, allow_reuse=False, **more)

    def run(self, *steps: Any, **more: Any) -> PipelineRun:
        run = Pipeline(self.workspace, steps=list(steps)).submit("parallel", **more)
        run.wait_for_completion(show_output=False, timeout_seconds=120)
        return run


@pytest.fixture
def steps(workspace: Workspace, tmp_path: Path) -> Steps:
    return Steps(workspace, tmp_path)


def output_of(run: PipelineRun, step: str, folder: Path) -> dict[str, str]:
    run.find_step_run(step)[0].get_output_data(step).download(str(folder / "got"))
    return {path.name: path.read_text() for path in sorted((folder / "got").rglob("*")) if path.is_file()}


def test_files_rows_and_partitions_in_one_pipeline(steps: Steps, store: Datastore, tmp_path: Path) -> None:
    numbers = Dataset.File.from_files(DataPath(store, "parallel/numbers")).as_named_input("numbers")
    model = Dataset.File.from_files(DataPath(store, "parallel/model")).as_named_input("model").as_mount()
    table = Dataset.Tabular.from_delimited_files(DataPath(store, "parallel/table.csv"))
    days = Dataset.File.from_files(DataPath(store, "parallel/days/*/*"), partition_format="days/{day}/*")
    scores = PipelineData("scores", is_directory=True)
    score = steps(
        "scores",
        SCORE,
        [numbers],
        {"mini_batch_size": PipelineParameter("size", 5), "append_row_file_name": "scores.csv"},
        output=scores,
        side_inputs=[model],
        arguments=["--model", model],
    )
    rows = steps("rows", ROWS, [table.as_named_input("rows")], {"mini_batch_size": "2KB"})
    cities = steps("cities", ROWS, [table.as_named_input("rows")], {"partition_keys": ["city"]})
    folders = steps("folders", FOLDERS, [days.as_named_input("days")], {"partition_keys": ["day"]})
    (tmp_path / "after").mkdir()
    (tmp_path / "after" / "count.py").write_text(
        "import sys\nprint('lines', sum(1 for _ in open(sys.argv[1] + '/scores.csv')))\n"
    )
    after = PythonScriptStep(
        "count.py", arguments=[scores], inputs=[scores], source_directory=tmp_path / "after", allow_reuse=False
    )
    run = steps.run(score, rows, cities, folders, after, pipeline_parameters={"size": 4})

    expected = "".join(f"f{n:02},{n * 10}\n" for n in range(FILES))
    assert output_of(run, "scores", tmp_path / "1") == {"scores.csv": expected}
    found = run.find_step_run("scores")[0]
    assert "24 items in 6 mini-batches" in found.get_stdout_log()
    assert "6 mini-batches: 6 ended well, 0 failed" in found.get_stdout_log()
    assert "lines 24" in run.find_step_run("count.py")[0].get_stdout_log()

    parts = [line.split(":") for line in output_of(run, "rows", tmp_path / "2")["parallel_run_step.txt"].splitlines()]
    assert [int(part[0]) for part in parts] == list(range(len(parts)))
    assert len(parts) > 3
    assert sum(int(part[1]) for part in parts) == 1000
    assert sum(int(part[2]) for part in parts) == sum(range(1000))

    assert output_of(run, "cities", tmp_path / "3")["parallel_run_step.txt"].splitlines() == [
        f"0:500:{sum(range(0, 1000, 2))}:['a']",
        f"1:500:{sum(range(1, 1000, 2))}:['b']",
    ]
    assert output_of(run, "folders", tmp_path / "4")["parallel_run_step.txt"].splitlines() == [
        f"{day}:{name}" for day in ("mon", "tue") for name in "abc"
    ]


def test_failures_within_the_threshold_are_in_the_log(steps: Steps, store: Datastore, tmp_path: Path) -> None:
    """One mini-batch raises; another takes all processes of its group along, and costs no other its place."""
    damaged = Dataset.File.from_files(DataPath(store, "parallel/damaged")).as_named_input("numbers")
    config = {"mini_batch_size": 3, "error_threshold": 6, "run_max_try": 2, "node_count": 1}
    run = steps.run(steps("scores", SCORE, [damaged], config, arguments=["--fatal", "f17"]))
    lines = output_of(run, "scores", tmp_path)["parallel_run_step.txt"].splitlines()
    assert lines == [f"f{n:02},{n}" for n in range(FILES) if n not in (3, 4, 5, 15, 16, 17)]
    found = run.find_step_run("scores")[0]
    for line in (
        "Groups were lost: their 2 mini-batches are done again, each by itself.",
        "8 mini-batches: 6 ended well, 2 failed; of 24 items 6 failed.",
        "Mini-batch 1, after 2 tries: ValueError: f05 is bad",
        "Mini-batch 5, after 1 try: ScriptKilled: The script was ended by SIGKILL.",
    ):
        assert line in found.get_stdout_log()
    logs = {"logs/job_result.txt", "logs/job_progress_overview.txt", "logs/user/error.txt"}
    assert logs <= set(found.get_file_names())
    assert found.get_properties()["failed_mini_batches"] == "2"


def test_more_failures_fail_the_step_with_the_first_errors(steps: Steps, store: Datastore) -> None:
    damaged = Dataset.File.from_files(DataPath(store, "parallel/damaged")).as_named_input("numbers")
    with pytest.raises(RunFailed) as failed:
        steps.run(steps("scores", SCORE, [damaged], {"mini_batch_size": 3, "error_threshold": 2, "run_max_try": 1}))
    assert "items failed; error_threshold allows 2." in str(failed.value)
    assert "Mini-batch 1, after 1 try: ValueError: f05 is bad" in str(failed.value)


def test_workers_are_killed_and_every_mini_batch_counts_once(
    steps: Steps, service: Service, store: Datastore, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for number in range(MANY):
        (raw / f"f{number:03}").write_text(str(number))
    store.upload(raw, "parallel-many", overwrite=True, show_progress=False)
    many = Dataset.File.from_files(DataPath(store, "parallel-many")).as_named_input("many")
    step = steps("slow", SLOW, [many], {"mini_batch_size": 4, "error_threshold": 0})
    run = Pipeline(steps.workspace, steps=[step]).submit("parallel")

    def groups() -> dict[str, dict[str, Any]]:
        """The steps of the child run; none, while a worker is dead and nobody answers."""
        reply = service.call("GET", f"runs?parent_run={run.id}")
        children = reply.json()["runs"] if reply.status == 200 else []
        reply = service.call("GET", f"runs/{children[0]['id']}/steps") if children else reply
        return {step["id"]: step for step in reply.json()["steps"]} if children and reply.status == 200 else {}

    def done() -> int:
        return sum(group["status"] == "Completed" for group in groups().values())

    for enough in (1, 4):
        eventually(lambda enough=enough: done() >= enough, 60.0, service.host.log)  # type: ignore[misc]
        os.kill(service.host.ready["worker_pid"], signal.SIGKILL)
    eventually(lambda: service.call("GET", "health").status == 200, 60.0, service.host.log)
    run.wait_for_completion(show_output=False, timeout_seconds=120)

    rows = output_of(run, "slow", tmp_path)["parallel_run_step.txt"].splitlines()
    assert rows == [f"f{number:03}={number}" for number in range(MANY)]
    assert (
        "100 mini-batches: 100 ended well, 0 failed; of 400 items 0 failed."
        in run.find_step_run("slow")[0].get_stdout_log()
    )
    assert len(groups()) == 8
    assert any(group["attempt"] > 1 for group in groups().values())


def test_a_driver_of_v1_runs_unmodified_and_again(service: Service, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "make.py").write_text(V1_MAKE)
    (tmp_path / "src" / "score.py").write_text(V1_SCORE)
    (tmp_path / "driver.py").write_text(V1_DRIVER)
    (tmp_path / "config.json").write_text(CONFIG)
    variables = {"MILLSTREAM_ENDPOINT": service.url, "MILLSTREAM_TOKEN": TOKEN}
    own = {name: value for name, value in os.environ.items() if not name.startswith("MILLSTREAM_")}
    command = [sys.executable, "-m", "millstream", "run", "driver.py"]
    done = subprocess.run(command, cwd=tmp_path, env={**own, **variables}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert [line for line in told if line.startswith("Finished")] == [
        "Finished 3 [4, 9, 11]",
        "Finished 3 [4, 9, 11]",
        "Finished 3 [3, 7, 11]",
    ]
    assert sum("score: Reused from run" in line for line in told) == 1
    assert [path.read_text() for path in tmp_path.glob("down/**/squares.txt")] == [
        "".join(f"{number:02}.txt {number * number}\n" for number in range(12))
    ] * 2

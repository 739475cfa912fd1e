"""From an uploaded blob to a run, in the real host on a real Azurite: by polling, events, sweep, in batches."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from azurerest import Account, Blobs, Queues, Transport
from millstream import DataPath, Pipeline, PipelineParameter, PythonScriptStep, Workspace
from orchestrator.core.datachange import COPY_OWNER
from tests.azurite import running_azurite
from tests.docs.markdown import ROOT, blocks
from tests.e2e.devhost.harness import eventually
from tests.service import QUICK, TOKEN, Service, arguments, running_service, script_step

pytestmark = pytest.mark.azurite

DOCUMENT = ROOT / "docs" / "data-changes.md"
STORE, CONTAINER = "reactive", "reactivedata"
SETTINGS = {
    **QUICK,
    "MILLSTREAM_DATASTORES": json.dumps({STORE: CONTAINER}),
    "DEVHOST_BLOB_SCAN_SECONDS": "0.3",
    "DEVHOST_BREAK_DEAD_LOCKS": "1",
}
SCRIPT = """
import json, os, sys
from pathlib import Path
from millstream import Run

data = Path(sys.argv[1])
for blob in Run.get_context().changed_blobs:
    file = data / blob.name if data.is_dir() else data
    print(blob.path, blob.size, file.read_text())
document = json.loads(Path(os.environ["MILLSTREAM_CHANGES"]).read_text())
print(document["schema"], document["datastore"], document["folder"], len(document["changes"]))
"""


class Watched(NamedTuple):
    """A service with an account of its own, which nobody else's schedules watch."""

    service: Service
    blobs: Blobs
    queues: Queues


@contextmanager
def watched(folder: Path, events: str) -> Iterator[Watched]:
    with running_azurite() as azurite, closing(Transport()) as transport:
        account = Account.from_connection_string(azurite.connection)
        blobs = Blobs(account, transport)
        blobs.create_container(CONTAINER)
        with running_service(azurite, folder, {**SETTINGS, "MILLSTREAM_BLOB_EVENTS": events}) as service:
            yield Watched(service, blobs, Queues(account, transport))


@pytest.fixture(scope="module")
def polling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("polling"), "polling") as found:
        yield found


@pytest.fixture(scope="module")
def eventgrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("eventgrid"), "eventgrid") as found:
        yield found


def schedule(service: Service, **change: Any) -> str:
    """A schedule on a pipeline that reads what changed."""
    snapshot = service.upload({"look.py": SCRIPT})
    source = {"kind": "parameter", "name": "where"}
    step = script_step(
        "look", snapshot, "look.py", arguments=arguments(("input", "data")), inputs=[{"name": "data", "source": source}]
    )
    default = {"kind": "datapath", "datastore": STORE, "path": "nothing"}
    definition = {
        "name": "reactive",
        "parameters": [{"name": "where", "type": "datapath", "default": default}],
        "steps": [step],
    }
    pipeline = service.ask("POST", "pipelines", {"definition": definition})["id"]
    body = {
        "name": "reactive",
        "experiment_name": "reactive",
        "pipeline_id": pipeline,
        "data_change": {"datastore": STORE, "data_path_parameter_name": "where", **change},
    }
    return str(service.ask("POST", "schedules", body)["id"])


def runs(service: Service, schedule_id: str) -> list[str]:
    """The ids of the schedule's runs, the latest first."""
    return [run["run_id"] for run in service.ask("GET", f"schedules/{schedule_id}/runs")["runs"]]


def wait_runs(service: Service, schedule_id: str, count: int) -> list[str]:
    """The logs of the schedule's runs once there are `count` of them and they have completed, sorted."""
    eventually(lambda: len(runs(service, schedule_id)) >= count, 40, service.host.log)
    found = runs(service, schedule_id)
    assert len(found) == count
    assert [service.wait(run)["status"] for run in found] == ["Completed"] * count
    return sorted(service.log(run, "look") for run in found)


def test_an_uploaded_blob_starts_a_run(polling: Watched) -> None:
    service, blobs, _ = polling
    blobs.put(CONTAINER, "one/old.csv", b"old")
    made = schedule(service, path="one", pattern="*.csv")
    blobs.put(CONTAINER, "one/a.csv", b"first")
    blobs.put(CONTAINER, "one/a.txt", b"other")
    blobs.put(CONTAINER, "one/kept.csv", b"copy", metadata={COPY_OWNER: "run_step"})
    assert wait_runs(service, made, 1) == ["one/a.csv 5 first\nmillstream/changes/1 reactive one 1\n"]
    blobs.put(CONTAINER, "one/a.csv", b"second")
    logs = wait_runs(service, made, 2)
    assert logs[1] == "one/a.csv 6 second\nmillstream/changes/1 reactive one 1\n"
    run = service.ask("GET", f"runs/{runs(service, made)[0]}")
    assert (run["source"], run["experiment"]) == ("schedule", "reactive")
    assert run["parameters"]["where"]["path"] == "one/a.csv"


def test_blobs_that_come_together_start_one_run(polling: Watched) -> None:
    service, blobs, _ = polling
    made = schedule(
        service, path="many", recursive=True, per="batch", debounce_seconds=2, max_wait_seconds=20, polling_interval=1
    )
    for number in range(10):
        blobs.put(CONTAINER, f"many/{number % 2}/{number}.csv", str(number).encode())
    (log,) = wait_runs(service, made, 1)
    lines = log.splitlines()
    assert sorted(lines[:-1]) == sorted(f"many/{n % 2}/{n}.csv 1 {n}" for n in range(10))
    assert lines[-1] == "millstream/changes/1 reactive many 10"


def test_event_grid_starts_a_run_once_however_often_it_tells(eventgrid: Watched) -> None:
    service, blobs, queues = eventgrid
    made = schedule(service, path="grid")
    blobs.put(CONTAINER, "grid/a.csv", b"by event")
    event = {"eventType": "Microsoft.Storage.BlobCreated", "data": {"url": blobs.url(CONTAINER, "grid/a.csv")}}
    key = service.host.ready["blobs_extension_key"]
    path = f"/runtime/webhooks/blobs?functionName=Host.Functions.changed_in_{CONTAINER}&code={key}"
    for _ in range(3):
        assert service.host.request("POST", path, json.dumps([event, event]).encode()).status == 202
    logs = wait_runs(service, made, 1)
    assert logs == ["grid/a.csv 8 by event\nmillstream/changes/1 reactive grid 1\n"]
    queue = f"azure-webjobs-blobtrigger-{service.host.ready['host_id']}"
    eventually(lambda: queues.approximate_count(queue) == 0, 20, service.host.log)
    assert len(runs(service, made)) == 1


def test_without_events_the_sweep_finds_the_blob(eventgrid: Watched) -> None:
    service, blobs, _ = eventgrid
    made = schedule(service, path="missed", polling_interval=1)
    blobs.put(CONTAINER, "missed/a.csv", b"unheard of")

    def swept() -> bool:
        answer = service.host.admin("POST", "/admin/functions/sweep_changes", json.dumps({"input": ""}).encode())
        assert answer.status == 202, answer
        return bool(runs(service, made))

    eventually(swept, 30, service.host.log)
    assert wait_runs(service, made, 1) == ["missed/a.csv 10 unheard of\nmillstream/changes/1 reactive missed 1\n"]


def test_a_schedule_that_is_disabled_starts_nothing(polling: Watched) -> None:
    service, blobs, _ = polling
    made = schedule(service, path="off")
    service.ask("PATCH", f"schedules/{made}", {"status": "Disabled"})
    probe = schedule(service, path="probe")
    blobs.put(CONTAINER, "off/a.csv", b"x")
    blobs.put(CONTAINER, "probe/a.csv", b"x")
    wait_runs(service, probe, 1)  # what was uploaded before has been seen as well
    service.ask("PATCH", f"schedules/{made}", {"status": "Active"})
    blobs.put(CONTAINER, "off/b.csv", b"y")
    assert wait_runs(service, made, 1) == ["off/b.csv 1 y\nmillstream/changes/1 reactive off 1\n"]


def test_a_host_that_is_killed_again_and_again_starts_one_run_a_blob(polling: Watched) -> None:
    service, blobs, _ = polling
    made = schedule(service, path="killed", polling_interval=1)
    chance = random.Random(11)
    for number in range(12):
        blobs.put(CONTAINER, f"killed/{number:02}.csv", b"x")
        if number % 4 == 3:
            time.sleep(chance.uniform(0.0, 0.6))  # somewhere between the notice and the run
            service.kill()
            service.restart()

    def all_there() -> bool:
        service.host.admin("POST", "/admin/functions/sweep_changes", json.dumps({"input": ""}).encode())
        return len(runs(service, made)) >= 12

    eventually(all_there, 90, service.host.log)
    logs = wait_runs(service, made, 12)
    assert logs == [f"killed/{n:02}.csv 1 x\nmillstream/changes/1 reactive killed 1\n" for n in range(12)]


DRIVER = """
import time
from azureml.core import Workspace
from azureml.core.datastore import Datastore
from azureml.data.datapath import DataPath, DataPathComputeBinding
from azureml.pipeline.core import Pipeline, PipelineParameter, Schedule
from azureml.pipeline.steps import PythonScriptStep

ws = Workspace.from_config()
store = Datastore.get(ws, "reactive")
where = (PipelineParameter("where", DataPath(store, "nothing")), DataPathComputeBinding(mode="mount"))
step = PythonScriptStep("look.py", arguments=[where], inputs=[where], source_directory="src")
published = Pipeline(ws, steps=[step]).publish(name="reactive")


def create(name, path, **more):
    return Schedule.create(ws, name=name, pipeline_id=published.id, experiment_name="Reactive", datastore=store,
                           path_on_datastore=path, polling_interval=1, data_path_parameter_name="where", **more)


def wait(schedule, count):
    while len(schedule.get_pipeline_runs()) < count:
        time.sleep(0.2)
    runs = schedule.get_pipeline_runs()
    print(schedule.name, [run.wait_for_completion(show_output=False) for run in runs])
    print(sorted(run.find_step_run("look.py")[0].get_stdout_log() for run in runs))


one, many = create("one", "driver/one"), create("many", "driver/many", per="batch", debounce_seconds=2, recursive=True)
store.upload_files(["a.txt", "b.txt"], target_path="driver/one")
wait(one, 2)
store.upload_files(["a.txt", "b.txt"], target_path="driver/many/x")
store.upload_files(["a.txt"], target_path="driver/many/y")
wait(many, 1)
store.upload_files(["a.txt"], target_path="driver/one", overwrite=True)
wait(one, 3)
print(one.datastore_name, one.path_on_datastore, one.polling_interval, one.data_path_parameter_name, one.recurrence)
"""
LOOK = """
import os, sys
from azureml.core import Run
print(os.path.isdir(sys.argv[1]), [blob.name for blob in Run.get_context().changed_blobs])
"""


def test_a_driver_of_version_1(polling: Watched, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "look.py").write_text(LOOK)
    (tmp_path / "driver.py").write_text(DRIVER)
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment |= {"MILLSTREAM_ENDPOINT": polling.service.url, "MILLSTREAM_TOKEN": TOKEN}
    command = [sys.executable, "-m", "millstream", "run", "driver.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("one", "many", "[", "reactive"))]
    assert lines == [
        "one ['Finished', 'Finished']",
        str(["False ['a.txt']\n", "False ['b.txt']\n"]),
        "many ['Finished']",
        str(["True ['x/a.txt', 'x/b.txt', 'y/a.txt']\n"]),
        "one ['Finished', 'Finished', 'Finished']",
        str(["False ['a.txt']\n", "False ['a.txt']\n", "False ['b.txt']\n"]),
        "reactive driver/one 1 where None",
    ]


def test_the_document(polling: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs of docs/data-changes.md, in their order; the last one is a step's."""
    service, blobs, _ = polling
    monkeypatch.setenv("MILLSTREAM_ENDPOINT", service.url)
    monkeypatch.setenv("MILLSTREAM_TOKEN", TOKEN)
    create, batch, script = blocks(DOCUMENT, "python")
    (tmp_path / "step.py").write_text(f"import sys\nfrom pathlib import Path\nfolder = Path(sys.argv[1])\n{script}")
    workspace = Workspace.from_config()
    readings = PipelineParameter("readings", DataPath(workspace.get_default_datastore(), "none"))
    step = PythonScriptStep(
        "step.py", name="look", arguments=[readings], inputs=[readings], source_directory=str(tmp_path)
    )
    names: dict[str, Any] = {"workspace": workspace, "published": Pipeline(workspace, steps=[step]).publish("readings")}
    exec(create, names)
    made = names["schedule"]
    blobs.put(CONTAINER, "incoming/deep/a.csv", b"one")
    blobs.put(CONTAINER, "incoming/deep/a.txt", b"none")
    eventually(made.get_pipeline_runs, 30, service.host.log)
    exec(batch, names)
    for name in ("b", "c"):
        blobs.put(CONTAINER, f"incoming/{name}.csv", b"more")
    eventually(lambda: len(made.get_pipeline_runs()) == 2, 40, service.host.log)
    logs = []
    for run in made.get_pipeline_runs():
        assert run.wait_for_completion(show_output=False) == "Finished"
        logs.append([line.split()[:2] for line in run.find_step_run("look")[0].get_stdout_log().splitlines()])
    assert logs == [[["incoming/b.csv", "4"], ["incoming/c.csv", "4"]], [["incoming/deep/a.csv", "3"]]]

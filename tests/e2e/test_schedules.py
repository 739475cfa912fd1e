"""Schedules in the whole service: v1's names through the shim, the real timer, kills, the document and its commands."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from millstream import Pipeline, PipelineEndpoint, PipelineParameter, PublishedPipeline, PythonScriptStep, Workspace
from tests.azurite import Azurite
from tests.docs.markdown import ROOT, blocks
from tests.service import TOKEN, Service, running_service

pytestmark = pytest.mark.azurite

DOCUMENT = ROOT / "docs" / "schedules.md"


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    ahead = {"MILLSTREAM_FIRE_AHEAD_SECONDS": "50"}
    with running_service(azurite, tmp_path_factory.mktemp("schedules"), ahead) as service:
        yield service


@pytest.fixture(autouse=True)
def environment(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLSTREAM_ENDPOINT", service.url)
    monkeypatch.setenv("MILLSTREAM_TOKEN", TOKEN)


@pytest.fixture
def workspace() -> Workspace:
    return Workspace.from_config()


@pytest.fixture
def published(workspace: Workspace, tmp_path: Path) -> PublishedPipeline:
    (tmp_path / "train.py").write_text("import sys; print('rate', sys.argv[1])")
    rate = PipelineParameter("rate", 0.5)
    step = PythonScriptStep("train.py", arguments=[rate], source_directory=str(tmp_path))
    return Pipeline(workspace, steps=[step]).publish(name="training")


def eventually(look: Callable[[], Any], seconds: float) -> Any:
    """What `look` finds, when it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.2)
    return found


DRIVER = """
import sys
from datetime import datetime, timedelta, timezone
from azureml.core import Workspace
from azureml.core.datastore import Datastore
from azureml.pipeline.core import PublishedPipeline, Schedule, ScheduleRecurrence
from azureml.pipeline.core.schedule import TimeZone

ws = Workspace.from_config()
published = PublishedPipeline.get(ws, sys.argv[1])
daily = ScheduleRecurrence(frequency="Day", interval=1)
schedule = Schedule.create(ws, name="Daily Training", description="...", pipeline_id=published.id,
                           experiment_name="Training_Pipeline", recurrence=daily, wait_for_provisioning=True)
run = schedule.get_last_pipeline_run()
print(run.wait_for_completion(show_output=False), run.experiment.name)
print(len(schedule.get_pipeline_runs()), schedule.status, schedule.recurrence.frequency)

reactive = Schedule.create(ws, name="Reactive Training", description="...", pipeline_id=published.id,
                           experiment_name="Training_Pipeline", datastore=Datastore(ws, "workspaceblobstore"),
                           path_on_datastore="data/training")
reactive.disable()
print(reactive.datastore_name, reactive.path_on_datastore, reactive.polling_interval, reactive.recurrence)

schedule.update(name="Weekly", recurrence=ScheduleRecurrence(
    "Week", 1, start_time="2026-01-05T03:00:00", time_zone=TimeZone.PacificStandardTime, week_days=["Monday"]))
print(Schedule.get(ws, schedule.id).name, Schedule.get(ws, schedule.id).recurrence.time_zone)
schedule.disable(wait_for_provisioning=True)
names = sorted(found.name for found in Schedule.get_schedules_for_pipeline_id(ws, published.id))
print(names, [found.name for found in Schedule.list(ws, pipeline_id=published.id)])
try:
    Schedule.create(ws, "both", published.id, "e", recurrence=daily, datastore=Datastore(ws, "workspaceblobstore"))
except ValueError as error:
    print("refused:", error)
"""


def test_a_driver_of_version_1(published: PublishedPipeline, tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(DRIVER)
    command = [sys.executable, "-m", "millstream", "run", "driver.py", published.id]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("Created Schedule")]
    assert lines == [
        "Finished Training_Pipeline",
        "1 Active Day",
        "workspaceblobstore data/training 5 None",
        "Weekly TimeZone.PacificStandardTime",
        "['Reactive Training', 'Weekly'] []",
        "refused: Give only one of recurrence and datastore: a schedule has one trigger.",
    ]


@pytest.mark.timeout(300)
def test_the_timer_fires_each_occurrence_once_even_if_its_host_is_killed(
    service: Service, workspace: Workspace, published: PublishedPipeline
) -> None:
    from millstream import Schedule, ScheduleRecurrence

    start = datetime.now(UTC).replace(microsecond=0, tzinfo=None) + timedelta(seconds=5)
    schedule = Schedule.create(
        workspace,
        name="every minute",
        pipeline_id=published.id,
        experiment_name="punctual",
        recurrence=ScheduleRecurrence("Minute", 1, start_time=start),
        pipeline_parameters={"rate": 0.25},
        catch_up="all",
    )
    assert schedule.get_last_pipeline_run() is None
    first = eventually(schedule.get_last_pipeline_run, 100)
    assert first.wait_for_completion(show_output=False) == "Finished"
    assert first.parameters == {"rate": 0.25}
    assert first.properties["millstream.schedule_id"] == schedule.id
    service.kill()
    minute = time.time() // 60 * 60 + 60
    time.sleep(max(0.0, minute + 3 - time.time()))  # until the timer's next moment is past
    service.restart()
    os.environ["MILLSTREAM_ENDPOINT"] = service.url
    schedule = Schedule.get(Workspace.from_config(), schedule.id)

    def all_there() -> list[float]:
        due = int((datetime.now(UTC).replace(tzinfo=None) - start).total_seconds() // 60) + 1
        found = [item.occurrence for item in schedule.workspace.api.schedule_runs(schedule.id)]
        return found if len(found) >= max(due, 2) else []

    occurrences = eventually(all_there, 100)
    schedule.disable()
    began = start.replace(tzinfo=UTC).timestamp()
    assert sorted(occurrences) == [began + 60 * n for n in range(len(occurrences))]
    for run in schedule.get_pipeline_runs():
        assert run.wait_for_completion(show_output=False) == "Finished"
    assert "incident" not in service.host.log()


def test_an_endpoint_on_a_schedule(workspace: Workspace, published: PublishedPipeline) -> None:
    from millstream import Schedule, ScheduleRecurrence

    endpoint = PipelineEndpoint.publish(workspace, "live", "", published)
    schedule = Schedule.create_for_pipeline_endpoint(
        workspace,
        "by endpoint",
        endpoint.id,
        "endpoint",
        recurrence=ScheduleRecurrence("Day", 1),
        pipeline_parameters={"rate": 1},
    )
    assert schedule.pipeline_endpoint_id == endpoint.id
    (found,) = Schedule.get_schedules_for_pipeline_endpoint_id(workspace, endpoint.id)
    run = found.get_last_pipeline_run()
    assert run is not None
    assert run.wait_for_completion(show_output=False) == "Finished"
    assert run.parameters == {"rate": 1.0}
    found.disable()


@pytest.mark.timeout(200)
def test_the_document(workspace: Workspace, published: PublishedPipeline, tmp_path: Path) -> None:
    """Every program and every command of docs/schedules.md, in their order."""
    names: dict[str, Any] = {"workspace": workspace, "published": published}
    for program in blocks(DOCUMENT, "python"):
        exec(compile(program, str(DOCUMENT), "exec"), names)
    assert [item.state for item in names["done"]] == ["started", "started"]
    assert names["schedule"].catch_up == "all"
    assert {run.id for run in names["schedule"].get_pipeline_runs()} >= {item.run_id for item in names["done"]}
    printed: dict[str, str] = {}
    for line in blocks(DOCUMENT, "sh")[0].splitlines():
        command = line.replace("millstream ", f"{sys.executable} -m millstream ", 1)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (line, done.stderr)
        printed[line.split()[2]] = done.stdout
    assert "nightly training" in printed["list"]
    assert len(printed["next"].splitlines()) == 3
    assert "Completed" in printed["runs"] or "Running" in printed["runs"]
    assert "every 6 Hours" in printed["show"]
    assert "planned" in printed["backfill"]
    assert printed["disable"].strip().endswith("Disabled")
    assert printed["enable"].strip().endswith("Active")
    for name in ("schedule", "weekdays", "reactive"):
        names[name].disable()


def test_runs_of_a_schedule_cannot_be_mistaken(workspace: Workspace, published: PublishedPipeline) -> None:
    """Two schedules of one pipeline at the same moments: each has its own runs, found without a look at all runs."""
    from millstream import Schedule, ScheduleRecurrence

    start = (datetime.now(UTC) - timedelta(hours=5, minutes=30)).replace(microsecond=0, tzinfo=None)
    hourly = ScheduleRecurrence("Hour", 1, start_time=start)
    both = [Schedule.create(workspace, name, published.id, "both", recurrence=hourly) for name in "ab"]
    done = [schedule.backfill(start) for schedule in both]
    assert [len(found) for found in done] == [6, 6]
    runs = [{run.id for run in schedule.get_pipeline_runs()} for schedule in both]
    assert [len(found) for found in runs] == [6, 6]
    assert not runs[0] & runs[1]
    assert both[0].backfill(start) == [type(item)(item.occurrence, item.run_id, "exists") for item in done[0]]
    for schedule in both:
        schedule.disable()

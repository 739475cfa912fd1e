"""Steps whose work a service does, end to end: a stand-in of Databricks, and a host that holds one step at a time."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.azurite import Azurite
from tests.databricks_standin import Databricks, Ending
from tests.e2e.devhost.harness import eventually
from tests.json_standin import TOKEN as SECRET
from tests.json_standin import serving
from tests.service import QUICK, Service, running_service, script_step
from tests.spark import ROOT

pytestmark = [pytest.mark.azurite, pytest.mark.timeout(240)]

MANY = 50
TIMEOUT = 12.0
"""Seconds after which the host ends a function, and all that its process does."""


@pytest.fixture(scope="module")
def databricks() -> Iterator[Databricks]:
    with serving(Databricks()) as kept:
        yield kept


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory, databricks: Databricks) -> Iterator[Service]:
    """This app, under a host.json by which one step runs at a time, and not for long."""
    app = tmp_path_factory.mktemp("app")
    for entry in ROOT.iterdir():
        if not entry.name.startswith(".") and entry.name != "host.json":
            (app / entry.name).symlink_to(entry)
    host = json.loads((ROOT / "host.json").read_text())
    host["functionTimeout"] = f"00:00:{TIMEOUT:.0f}"
    host["extensions"]["queues"] |= {"batchSize": 1, "newBatchThreshold": 0, "maxPollingInterval": "00:00:00.2"}
    (app / "host.json").write_text(json.dumps(host))
    settings = {
        **QUICK,
        "MILLSTREAM_SECRET_KEYS": base64.b64encode(b"k" * 32).decode(),
        "MILLSTREAM_LOOK_DELAYS": "1,2",
    }
    with running_service(azurite, tmp_path_factory.mktemp("service"), settings, app=app) as service:
        wish = {"type": "Databricks", "url": databricks.url, "auth": "token", "secret": SECRET}
        service.ask("PUT", "attachments/spark", wish)
        service.ask("PUT", "computes/spark", {"kind": "function", "settings": {"attached": "Databricks"}})
        yield service


def remote(name: str, **more: Any) -> dict[str, Any]:
    settings = {"notebook": f"/{name}", "run_name": name}
    return {"id": name, "name": name, "kind": "databricks", "compute": "spark", "settings": settings, **more}


def jobs(databricks: Databricks, name: str) -> list[Any]:
    with databricks.lock:
        return [run for run in databricks.runs if run.body["run_name"].startswith(name)]


def test_many_wait_while_the_only_worker_is_free(service: Service, databricks: Databricks) -> None:
    """They wait longer than a function may take, and a host that is killed meanwhile changes nothing."""
    databricks.held, begun = True, time.monotonic()
    many = service.submit([remote(f"many{number}", timeout_seconds=3600) for number in range(MANY)])
    eventually(lambda: len(jobs(databricks, "many")) == MANY, 90.0, service.host.log)
    snapshot = service.upload({"step.py": "print('free')"})
    assert service.wait(service.submit([script_step("a", snapshot)]), 30.0)["status"] == "Completed"
    service.kill()
    service.restart()
    eventually(lambda: time.monotonic() - begun > TIMEOUT, 30.0)
    assert {step["status"] for step in service.steps(many).values()} == {"Running"}
    databricks.work = lambda run: Ending(logs=f"worked for {run.body['run_name']}\n")
    databricks.held = False
    ended = service.wait(many, 120.0)
    assert ended["status"] == "Completed", service.steps(many)
    assert len(jobs(databricks, "many")) == MANY
    log = service.log(many, "many7")
    assert "worked for many7" in log and log.count("is submitted") == 1
    assert service.steps(many)["many7"]["properties"]["databricks_run_id"]


def test_cancelling_a_run_ends_its_jobs_though_the_host_is_killed(service: Service, databricks: Databricks) -> None:
    databricks.held = True
    run = service.submit([remote(f"doomed{number}") for number in range(3)])
    eventually(lambda: len(jobs(databricks, "doomed")) == 3, 60.0, service.host.log)
    service.ask("POST", f"runs/{run}/cancel")
    service.kill()
    service.restart()
    eventually(lambda: all(job.ending for job in jobs(databricks, "doomed")), 60.0, service.host.log)
    assert {job.ending.result for job in jobs(databricks, "doomed")} == {"CANCELED"}
    assert service.wait(run)["status"] == "Canceled"
    assert {step["status"] for step in service.steps(run).values()} == {"Canceled"}


def test_a_job_past_its_time_is_cancelled(service: Service, databricks: Databricks) -> None:
    databricks.held = True
    run = service.submit([remote("slow", timeout_seconds=3.0)])
    assert service.wait(run, 60.0)["status"] == "Failed"
    assert service.steps(run)["slow"]["error"]["code"] == "TimedOut"
    (job,) = jobs(databricks, "slow")
    assert job.ending.result in ("CANCELED", "TIMEDOUT"), json.dumps(job.body)

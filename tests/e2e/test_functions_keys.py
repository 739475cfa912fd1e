"""A service that keys of the Functions host open: callers have one, the scripts of steps need none and get none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.azurite import Azurite
from tests.service import TOKEN, Service, running_service

pytestmark = pytest.mark.azurite

SCRIPT = """
import json, os, urllib.error, urllib.request
from azureml.core import Run
run = Run.get_context()
run.log("rows", 3)
run.tag("kind", "tree")
run.parent.add_properties({"seed": "17"})
print("workspace", run.experiment.workspace.name, "workspaceblobstore" in run.experiment.workspace.datastores)
print("held", [name for name in os.environ if "FUNCTIONS_KEY" in name])
with urllib.request.urlopen(os.environ["AZUREML_DISCOVERY_SERVICE_ENDPOINT"]) as answer:
    print("discovered", set(json.loads(answer.read()).values()) == {os.environ["AZUREML_SERVICE_ENDPOINT"]})
token = {"Authorization": "Bearer " + os.environ["AZUREML_RUN_TOKEN"]}
for path in ("runs", "in-step/api/runs", "workspace", "in-step/api/workspace"):
    url = os.environ["MILLSTREAM_ENDPOINT"].removesuffix("/api/in-step") + "/api/" + path
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=token)) as answer:
            print(path, answer.status)
    except urllib.error.HTTPError as error:
        print(path, error.code)
"""

DRIVER = """
from azureml.core import Experiment, Workspace
from azureml.pipeline.core import Pipeline
from azureml.pipeline.steps import PythonScriptStep
ws = Workspace.from_config()
run = Experiment(ws, "keyed").submit(Pipeline(ws, [PythonScriptStep("step.py", source_directory="src")]))
print(run.wait_for_completion(show_output=True), run.find_step_run("step.py")[0].get_metrics())
"""


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {"MILLSTREAM_ROLE_OF_FUNCTIONS_KEYS": "Submitter"}
    with running_service(azurite, tmp_path_factory.mktemp("service"), settings) as service:
        yield service


def key_of(service: Service) -> str:
    return str(service.host.ready["host_key"])


def test_the_host_lets_nobody_in_without_a_key(service: Service) -> None:
    key = {"x-functions-key": key_of(service)}
    for headers in ({}, {"x-functions-key": "wrong"}):
        for token in (None, TOKEN):
            refused = service.call("GET", "workspace", headers=headers, token=token)
            assert (refused.status, refused.body) == (401, b"")
    assert service.call("GET", "workspace", headers=key, token=None).status == 200
    assert service.call("GET", f"runs?limit=5&code={key_of(service)}", token=None).status == 200
    assert service.call("POST", "webhooks", {}, headers=key, token=None).status in (403, 404, 405)
    made = service.call("PUT", "computes/mine", {"kind": "process"}, headers=key, token=None)
    assert (made.status, made.json()["error"]["code"]) == (403, "Forbidden"), "a key has the role Submitter"
    made = service.call("PUT", "computes/mine", {"kind": "function"}, headers=key)
    assert made.status != 403, "the token beside it is the owner's"
    health = service.call("GET", "health", token=None)
    assert (health.status, health.json()["sign_in"]["functions_key"]) == (200, True)


def test_at_the_door_of_scripts_no_key_opens(service: Service) -> None:
    for headers in ({}, {"x-functions-key": key_of(service)}):
        for token in (None, TOKEN):
            refused = service.call("GET", "in-step/api/workspace", headers=headers, token=token)
            assert (refused.status, refused.json()["error"]["code"]) == (401, "Unauthorized")


def test_a_driver_has_a_key_and_its_scripts_have_none(service: Service, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/step.py").write_text(SCRIPT)
    (tmp_path / "driver.py").write_text(DRIVER)
    (tmp_path / "config.json").write_text('{"workspace_name": "w", "resource_group": "g", "subscription_id": "s"}')
    environment = {name: value for name, value in os.environ.items() if name != "MILLSTREAM_TOKEN"}
    environment |= {"MILLSTREAM_ENDPOINT": service.url, "MILLSTREAM_FUNCTIONS_KEY": key_of(service)}
    command = [sys.executable, "-m", "millstream", "run", "driver.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr + service.host.log()[-3000:]
    assert "Finished {'rows': 3}" in done.stdout, done.stdout
    for said in (
        "workspace millstream True",
        "held []",
        "discovered True",
        "runs 401",
        "in-step/api/runs 404",
        "workspace 401",
        "in-step/api/workspace 200",
    ):
        assert said in done.stdout
    assert key_of(service) not in done.stdout + service.host.log()

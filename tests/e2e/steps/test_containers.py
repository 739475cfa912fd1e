"""A real container, of the image that infra/worker/Dockerfile makes, runs steps of a container compute on Azurite."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.azurite import Azurite
from tests.driver import RunningDriver, running_driver
from tests.e2e.devhost.harness import ROOT, eventually
from tests.service import QUICK, Service, arguments, from_step, running_service, script_step

TOOLS = ("podman", "buildah", "runc", "debootstrap")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
IMAGE = "localhost/millstream-worker:test"
COMMAND = ["podman", "--runtime", "runc"]
# What a machine without a bridge, and without the right to raise limits, needs.
OPTIONS = "--network host --ulimit nofile=4096:4096 --ulimit nproc=4096:4096"

pytestmark = [
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"without {', '.join(MISSING)}: apt-get install {' '.join(TOOLS)}, as .ci/run does for root",
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="debootstrap lays out the image's base as root only"),
    pytest.mark.timeout(400),
]

SCRIPTS = {
    "where.py": """
import os, pathlib, sys
print("user", os.getuid())
for place in ("/", "/app"):
    try:
        pathlib.Path(place, "mark").touch()
        print("can write to", place)
    except OSError as error:
        print("cannot write to", place)
pathlib.Path(sys.argv[1]).write_text("from a container")
""",
    "reads.py": "import sys\nprint(open(sys.argv[1]).read())\n",
    "sleeps.py": "import time\nprint('waiting', flush=True)\ntime.sleep(600)\n",
}


@pytest.fixture(scope="module")
def image() -> str:
    built = subprocess.run(
        [ROOT / "scripts" / "worker-image", "--debian", IMAGE], capture_output=True, text=True, check=False, timeout=350
    )
    assert built.returncode == 0, built.stderr[-3000:]
    return IMAGE


@pytest.fixture(scope="module")
def service(azurite: Azurite, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {
        **QUICK,
        "MILLSTREAM_EXECUTIONS": "local",
        "MILLSTREAM_WORKER_VISIBILITY_SECONDS": "5",
        "MILLSTREAM_WORKER_IMAGE": image,
        "MILLSTREAM_CONTAINER_COMMAND": " ".join(COMMAND),
        "MILLSTREAM_CONTAINER_OPTIONS": OPTIONS,
    }
    with running_service(azurite, tmp_path_factory.mktemp("containers"), settings) as running:
        running.ask("PUT", "computes/boxes", {"kind": "container", "executions": {"most": 2}})
        yield running


@pytest.fixture(scope="module")
def driver(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDriver]:
    with running_driver(service.settings, tmp_path_factory.mktemp("driver")) as running:
        eventually(lambda: "container computes run in containers (podman)" in running.log(), 30.0, running.log)
        yield running


def containers() -> list[str]:
    """Those of this test's image."""
    listed = [*COMMAND, "ps", "--quiet", "--filter", f"ancestor={IMAGE}"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()


def test_a_step_runs_in_a_container(service: Service, driver: RunningDriver) -> None:
    snapshot = service.upload(SCRIPTS)
    made = script_step(
        "made", snapshot, "where.py", compute="boxes", arguments=arguments(("output", "o")), outputs=[{"name": "o"}]
    )
    read = script_step(
        "read", snapshot, "reads.py", arguments=arguments(("input", "i")), inputs=[from_step("i", "made", "o")]
    )
    run = service.submit([made, read])
    assert service.wait(run, 120.0)["status"] == "Completed", driver.log()
    assert service.log(run, "made") == "user 10001\ncannot write to /\ncannot write to /app\n"
    assert service.log(run, "read") == "from a container\n", "a step of the Functions app has read what it made"


def test_the_container_of_a_cancelled_run_ends(service: Service, driver: RunningDriver) -> None:
    snapshot = service.upload(SCRIPTS)
    run = service.submit([script_step("long", snapshot, "sleeps.py", compute="boxes")])
    eventually(lambda: "waiting" in service.log(run, "long"), 60.0, driver.log)
    assert len(containers()) == 1
    service.ask("POST", f"runs/{run}/cancel")
    eventually(lambda: not containers(), 40.0, driver.log)


def test_a_container_that_is_killed_costs_one_redelivery(service: Service, driver: RunningDriver) -> None:
    snapshot = service.upload({**SCRIPTS, "once.py": "import time\nprint('begun', flush=True)\ntime.sleep(8)\n"})
    run = service.submit([script_step("again", snapshot, "once.py", compute="boxes")])
    eventually(lambda: "begun" in service.log(run, "again"), 60.0, driver.log)
    subprocess.run([*COMMAND, "kill", *containers()], check=True, capture_output=True)
    assert service.wait(run, 120.0)["status"] == "Completed", driver.log()
    assert service.steps(run)["again"]["attempt"] == 2

"""Steps that take along the process that runs them, and steps past their deadline: they fail in time, alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.azurite import Azurite
from tests.driver import running_driver
from tests.e2e.devhost.harness import eventually
from tests.service import QUICK, Service, running_service, script_step

SETTINGS = {**QUICK, "MILLSTREAM_EXECUTIONS": "local", "MILLSTREAM_WORKER_VISIBILITY_SECONDS": "90"}
"""Messages are hidden for as long as in production: nobody waits for that."""
LATEST = 120.0
"""Seconds within which the run of a step that kills its process each time has ended."""
DEADLINE = 1.0
GRACE = 5.0
SLACK = 30.0
"""What a machine that has much else to do may add."""

SCRIPTS = {
    # The nearest ancestor that runs steps: the Functions worker, or the worker process of a compute.
    "kills.py": """
import os, pathlib, signal, time
pid = os.getppid()
while pid > 1:
    line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\\0")
    if b"worker" in line or any(b"devhost.worker" in word for word in line):
        os.kill(pid, signal.SIGKILL)
        break
    pid = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
time.sleep(60)
""",
    "stays.py": """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("staying", flush=True)
time.sleep(600)
""",
    "works.py": "import time\ntime.sleep(2)\nprint('worked')\n",
}


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("poison")
    with running_service(azurite, folder, SETTINGS) as running, running_driver(running.settings, folder):
        running.ask("PUT", "computes/pool", {"kind": "process", "executions": {"most": 2}})
        running.ask("PUT", "computes/boxes", {"kind": "container", "executions": {"most": 4}})
        yield running


@pytest.fixture(scope="module")
def snapshot(service: Service) -> str:
    return service.upload(SCRIPTS)


def wait(service: Service, run: str) -> dict[str, Any]:
    """Follow the run to its end, past the moments in which the app is being started again."""

    def ended() -> dict[str, Any] | None:
        reply = service.call("GET", f"runs/{run}")
        assert reply.status in (200, 500, 502, 503), reply
        return reply.json() if reply.status == 200 and reply.json()["status"] != "Running" else None

    found = eventually(ended, LATEST, service.host.log)
    assert found is not None
    return found


@pytest.mark.timeout(240)
@pytest.mark.parametrize("compute", ["function", "boxes"])
def test_a_step_that_kills_its_process_each_time_fails_alone(service: Service, snapshot: str, compute: str) -> None:
    siblings = [script_step(f"s{n}", snapshot, "works.py", compute=compute, allow_reuse=False) for n in range(3)]
    began = time.monotonic()
    run = service.submit(
        [script_step("killer", snapshot, "kills.py", compute=compute, allow_reuse=False), *siblings],
        continue_on_step_failure=True,
    )
    ended = wait(service, run)
    assert time.monotonic() - began <= LATEST
    steps = service.steps(run)
    assert (ended["status"], ended["steps_failed"], ended["steps_done"]) == ("Failed", 1, 3), steps
    assert steps["killer"]["error"]["code"] == "Crashed"
    assert all(steps[step["id"]]["status"] == "Completed" for step in siblings)


@pytest.mark.timeout(150)
@pytest.mark.parametrize("compute", ["function", "pool", "boxes"])
def test_a_step_past_its_deadline_fails_in_time_and_alone(service: Service, snapshot: str, compute: str) -> None:
    late = script_step("late", snapshot, "stays.py", compute=compute, timeout_seconds=DEADLINE)
    siblings = [script_step(f"s{n}", snapshot, "works.py", compute=compute, allow_reuse=False) for n in range(2)]
    run = service.submit([late, *siblings], continue_on_step_failure=True)
    assert service.wait(run, 120.0)["status"] == "Failed"
    steps = service.steps(run)
    assert steps["late"]["error"]["code"] == "TimedOut"
    took = steps["late"]["ended_at"] - steps["late"]["started_at"]
    assert DEADLINE <= took <= DEADLINE + GRACE + SLACK
    assert {(steps[step["id"]]["status"], steps[step["id"]]["attempt"]) for step in siblings} == {("Completed", 1)}

"""The real host is killed with SIGKILL at random moments of a run, and started again: every run ends right."""

from __future__ import annotations

import http.client
import os
import random
import threading
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.azurite import Azurite
from tests.e2e.devhost.harness import eventually
from tests.service import QUICK, Service, arguments, from_step, running_service, script_step

KILLS = int(os.environ.get("MILLSTREAM_KILLS", "20"))
WIDTH = 3

COUNT = """
import pathlib, sys, time
out, *inputs = sys.argv[1:]
total = 1 + sum(int(pathlib.Path(name).read_text()) for name in inputs)
print("counted", total)
time.sleep(0.05)
pathlib.Path(out).write_text(str(total))
"""


def graph(snapshot: str, work: str) -> tuple[list[dict[str, Any]], int]:
    """Three layers of three, all connected, and a last step; with the number that the last step must come to.

    Graphs of the same `work` may take each other's outputs.
    """
    steps: list[dict[str, Any]] = []
    above: list[str] = []
    value, expected = 1, 0
    for layer in range(3):
        names = [f"l{layer}s{position}" for position in range(WIDTH)]
        steps += [_step(name, snapshot, above, work) for name in names]
        value = 1 + WIDTH * value if above else 1
        above = names
    expected = 1 + WIDTH * value
    return [*steps, _step("last", snapshot, above, work)], expected


def _step(name: str, snapshot: str, above: list[str], work: str) -> dict[str, Any]:
    ports = [(f"from_{parent}", parent) for parent in above]
    return script_step(
        name,
        snapshot,
        arguments=arguments(("output", "n"), *(("input", port) for port, _ in ports)),
        inputs=[from_step(port, parent, "n") for port, parent in ports],
        outputs=[{"name": "n"}],
        environment={"WORK": {"kind": "literal", "value": work}},
    )


def submit_until_answered(service: Service, body: dict[str, Any]) -> None:
    """A start is repeated with the same run id until it is acknowledged, as every client does."""

    eventually(lambda: submitted(service, body), 30.0, service.host.log)


def submitted(service: Service, body: dict[str, Any]) -> bool:
    """Start a run; whether that was acknowledged. The host may die before it is."""
    try:
        return service.call("POST", "runs", body).status in (200, 202)
    except (OSError, http.client.HTTPException):
        return False


@pytest.mark.timeout(400)
def test_runs_survive_kills_of_the_host(azurite: Azurite, tmp_path: Path) -> None:
    """Two runs at a time that need the same work: one does it, the other waits for it, and the host dies meanwhile."""
    chance = random.Random(20)
    with running_service(azurite, tmp_path / "service", QUICK) as service:
        snapshot = service.upload({"step.py": COUNT})
        moments = []
        for number in range(KILLS):
            steps, expected = graph(snapshot, f"work {number}")
            runs = [str(uuid.uuid4()) for _ in range(2)]
            wish = {"experiment_name": "kills", "definition": {"name": "kills", "steps": steps}}
            moment = chance.uniform(0.0, 0.9)
            killer = threading.Timer(moment, service.kill)
            killer.start()
            if moment > 0.1:
                for run in runs:
                    submitted(service, {**wish, "run_id": run})
            killer.join()
            assert not scripts_of(service), "a killed host left scripts behind"
            service.restart()
            for run in runs:
                submit_until_answered(service, {**wish, "run_id": run})
                ended = service.wait(run, 60.0)
                assert ended["status"] == "Completed", (moment, service.steps(run))
                assert ended["steps_done"] == len(steps)
                assert result_of(service, run) == expected
            moments.append(moment)
        assert len(moments) == KILLS


def result_of(service: Service, run: str) -> int:
    """What the last step wrote, by the URL that the service gives for it."""
    outputs = service.ask("GET", f"runs/{run}/outputs?step=last")["steps"]["last"]["outputs"]["n"]
    with urllib.request.urlopen(outputs["files"][0]["url"], timeout=10) as answer:
        return int(answer.read())


def scripts_of(service: Service) -> list[str]:
    """Processes whose working folder lies in the service's cache, a moment after the kill."""
    cache = str(service.folder / "cache")
    deadline = time.monotonic() + 5.0
    while True:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    where = os.readlink(entry / "cwd")
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                except OSError:
                    continue
                if where.startswith(cache) and state != "Z":
                    found.append(f"{entry.name} {where}")
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)

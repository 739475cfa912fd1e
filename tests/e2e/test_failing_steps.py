"""Steps that fail, through the whole service: the reason, the log's tail, what was skipped, and nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.azurite import Azurite
from tests.e2e.devhost.harness import eventually
from tests.service import QUICK, Service, arguments, from_step, running_service, script_step

SCRIPTS = {
    "fine.py": "import sys\nopen(sys.argv[1], 'w').write('made')\nprint('fine')\n",
    "raises.py": "print('before the end')\nraise ValueError('no such colour')\n",
    "exits.py": "import sys\nprint('leaving')\nsys.exit(7)\n",
    "dies.py": "import os, signal\nprint('dying', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n",
    "sleeps.py": "import time\nprint('waiting', flush=True)\ntime.sleep(600)\n",
    "forgets.py": "print('wrote nothing')\n",
}
RETRY = {"max_retries": 2, "delay_seconds": 0.0}


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("failing"), QUICK) as running:
        yield running


@pytest.fixture(scope="module")
def snapshot(service: Service) -> str:
    return service.upload(SCRIPTS)


@pytest.mark.parametrize(
    ("script", "more", "code", "says", "tail"),
    [
        ("missing.py", {}, "ScriptMissing", "missing.py", ""),
        ("raises.py", {}, "ScriptFailed", "1", "ValueError: no such colour"),
        ("exits.py", {}, "ScriptFailed", "7", "leaving"),
        ("dies.py", {}, "ScriptKilled", "SIGKILL", "dying"),
        ("sleeps.py", {"timeout_seconds": 0.5}, "TimedOut", "0.5", "waiting"),
        ("forgets.py", {"outputs": [{"name": "o"}]}, "OutputNotWritten", "o", "wrote nothing"),
    ],
)
def test_a_failed_step_tells_why(
    service: Service, snapshot: str, script: str, more: dict[str, Any], code: str, says: str, tail: str
) -> None:
    bad = script_step("bad", snapshot, script, **more)
    after = script_step("after", snapshot, "fine.py", run_after=["bad"], outputs=[{"name": "o"}])
    run = service.submit([bad, after])
    ended = service.wait(run)
    steps = service.steps(run)
    assert (ended["status"], ended["steps_failed"], ended["steps_skipped"]) == ("Failed", 1, 1)
    assert (steps["bad"]["status"], steps["after"]["status"]) == ("Failed", "Skipped")
    error = steps["bad"]["error"]
    assert error["code"] == code, error
    assert says in error["message"]
    assert tail in error.get("log_tail", "")
    assert tail in service.log(run, "bad")


def test_what_was_made_before_a_failure_is_kept(service: Service, snapshot: str) -> None:
    good = script_step("good", snapshot, "fine.py", arguments=arguments(("output", "o")), outputs=[{"name": "o"}])
    bad = script_step("bad", snapshot, "raises.py", inputs=[from_step("i", "good", "o")])
    run = service.submit([good, bad])
    assert service.wait(run)["status"] == "Failed"
    assert service.steps(run)["good"]["status"] == "Completed"
    assert service.log(run, "good") == "fine\n"
    outputs = service.ask("GET", f"runs/{run}/outputs?step=good")["steps"]["good"]["outputs"]
    assert [file["size"] for file in outputs["o"]["files"]] == [4]


def test_steps_that_do_not_depend_on_the_failure_go_on_when_asked_to(service: Service, snapshot: str) -> None:
    write = {"arguments": arguments(("output", "o")), "outputs": [{"name": "o"}]}
    steps = [
        script_step("bad", snapshot, "raises.py"),
        script_step("lost", snapshot, "fine.py", run_after=["bad"], **write),
        script_step("first", snapshot, "fine.py", **write),
        script_step("second", snapshot, "fine.py", run_after=["first"], **write),
    ]
    run = service.submit(steps, continue_on_step_failure=True)
    assert service.wait(run)["status"] == "Failed"
    statuses = {name: step["status"] for name, step in service.steps(run).items()}
    assert statuses == {"bad": "Failed", "lost": "Skipped", "first": "Completed", "second": "Completed"}


def test_a_step_is_tried_again_as_often_as_its_policy_says(service: Service, snapshot: str) -> None:
    run = service.submit([script_step("stubborn", snapshot, "exits.py", retry=RETRY)])
    assert service.wait(run)["status"] == "Failed"
    step = service.steps(run)["stubborn"]
    assert (step["attempt"], step["error"]["code"], step["exit_code"]) == (3, "ScriptFailed", 7)


def test_a_delayed_retry_comes_and_can_succeed(service: Service, tmp_path: Path) -> None:
    mark = tmp_path / "tried"
    snapshot = service.upload(
        {
            "step.py": f"import pathlib, sys\nmark = pathlib.Path({str(mark)!r})\n"
            "if not mark.exists():\n    mark.touch()\n    sys.exit('not yet')\nprint('now')\n"
        }
    )
    run = service.submit([script_step("late", snapshot, retry={"max_retries": 1, "delay_seconds": 2.0})])
    assert service.wait(run)["status"] == "Completed"
    assert service.steps(run)["late"]["attempt"] == 2
    assert service.log(run, "late") == "now\n"


def test_a_cancelled_run_stops_its_scripts_and_starts_nothing_new(service: Service, snapshot: str) -> None:
    steps = [script_step("long", snapshot, "sleeps.py"), script_step("next", snapshot, "exits.py", run_after=["long"])]
    run = service.submit(steps)
    eventually(lambda: "waiting" in service.log(run, "long"), 15.0)
    assert service.ask("POST", f"runs/{run}/cancel")["status"] == "Canceled"
    assert service.ask("POST", f"runs/{run}/cancel")["status"] == "Canceled", "a second cancel says the same"
    statuses = {name: step["status"] for name, step in service.steps(run).items()}
    assert statuses == {"long": "Canceled", "next": "Canceled"}

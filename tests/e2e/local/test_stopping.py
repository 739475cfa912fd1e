"""What becomes of a run whose service is stopped in the middle of a step."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from millstream import Pipeline, PythonScriptStep, Workspace
from tests.e2e.local.upprocess import Up
from tests.e2e.local.waiting import wait_for, wait_until_gone

_SCRIPT = """
import os, sys, time
from pathlib import Path

folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
with (folder / "starts").open("a") as starts:
    starts.write(f"{os.getpid()}\\n")
deadline = time.monotonic() + seconds
while time.monotonic() < deadline and not (folder / "go").exists():
    time.sleep(0.02)
"""


@pytest.fixture
def ups() -> Iterator[list[Up]]:
    """Services to be ended with the test."""
    started: list[Up] = []
    yield started
    for up in started:
        up.kill()


def test_a_step_that_runs_is_finished_and_the_run_is_there_afterwards(tmp_path: Path, ups: list[Up]) -> None:
    first = _up(tmp_path, ups)
    run, _ = _start(first.workspace, tmp_path, seconds=2)
    assert first.stop() == 0
    assert "draining" in first.log.read_text()
    second = _up(tmp_path, ups)
    assert _status(second.workspace, run) == "Completed"
    assert len((tmp_path / "starts").read_text().splitlines()) == 1


def test_a_second_signal_ends_it_at_once_and_the_step_is_taken_up_again(tmp_path: Path, ups: list[Up]) -> None:
    first = _up(tmp_path, ups)
    run, script = _start(first.workspace, tmp_path, seconds=600)
    children = first.children()
    first.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "draining" in first.log.read_text(), told=first.log.read_text)
    assert first.stop() == 130
    wait_until_gone(script, *children)

    (tmp_path / "go").touch()
    second = _up(tmp_path, ups)
    wait_for(lambda: _status(second.workspace, run) == "Completed", seconds=90, told=second.log.read_text)
    assert len((tmp_path / "starts").read_text().splitlines()) == 2


def _up(folder: Path, ups: list[Up]) -> Up:
    # A message of a host that was killed is seen again after two seconds, not sixty.
    ups.append(Up(folder / "state", "--port", "0", DEVHOST_QUEUE_LEASE_SECONDS="2"))
    assert ups[-1].url
    return ups[-1]


def _start(workspace: Workspace, folder: Path, seconds: float) -> tuple[str, int]:
    """A run of one step, once its script runs: the run's id, and that of the script's process."""
    source = folder / "source"
    source.mkdir()
    (source / "wait.py").write_text(_SCRIPT)
    step = PythonScriptStep("wait.py", arguments=[str(folder), seconds], source_directory=source)
    run = Pipeline(workspace, steps=[step]).submit("stopping")
    starts = folder / "starts"
    wait_for(lambda: starts.exists() and starts.read_text().endswith("\n"))
    script = int(starts.read_text())
    assert psutil.pid_exists(script)
    return run.id, script


def _status(workspace: Workspace, run: str) -> str:
    return workspace.get_run(run).status

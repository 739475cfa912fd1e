"""The commands and programs of the documents, run as a reader would, on a live service."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, Console, blocks, consoles, first_missing
from tests.e2e.local.waiting import wait_for

README = ROOT / "README.md"
SHOWN = {console.command: console for console in consoles(README)}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Variables with which scripts/up and scripts/demo find a service that runs already."""
    state = tmp_path_factory.mktemp("service") / "state"
    environment = {**os.environ, "MILLSTREAM_STATE": str(state)}
    log = state.with_suffix(".log")
    with log.open("w") as sink:
        service = subprocess.Popen(
            [sys.executable, "-m", "scripts.up", "--in-memory", "--port", "0"],
            cwd=ROOT,
            env=environment,
            stdout=sink,
            stderr=sink,
        )
    try:
        wait_for(lambda: (state / "service.json").exists() or service.poll() is not None, told=log.read_text)
        assert service.poll() is None, log.read_text()
        yield environment
        service.terminate()
        assert service.wait(60) == 0, log.read_text()
    finally:
        service.kill()
        service.wait()


def test_the_first_program_prints_what_it_says(environment: Mapping[str, str]) -> None:
    (shown,) = [console for command, console in SHOWN.items() if "examples/first" in command]
    _check(shown, environment)


def test_the_demo_prints_what_it_says_and_its_pipeline_is_started_by_curl(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    printed = _check(SHOWN["scripts/demo"], environment)
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    found = re.search(r"^POST (\S+)$", printed, re.MULTILINE)
    assert found is not None
    (tmp_path / ".millstream").symlink_to(environment["MILLSTREAM_STATE"])
    (command,) = blocks(README, "sh")
    answer = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env={**environment, "ENDPOINT": found.group(1)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Id" in json.loads(answer.stdout), answer.stdout


def test_the_first_pipeline_runs_as_written(environment: Mapping[str, str], tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("\n".join(blocks(ROOT / "docs" / "first-pipeline.md", "python")))
    up = [str(ROOT / "scripts" / "up"), "--", sys.executable, "-W", "error", str(program)]
    printed = _run(up, environment, folder=tmp_path)
    wanted = ("measure | measured 3 bytes", "{'size': 6.0}", "{'size': 30.0}")
    assert first_missing(wanted, printed) is None, printed


def test_publishing_runs_as_written(environment: Mapping[str, str], tmp_path: Path) -> None:
    page = ROOT / "docs" / "publishing.md"
    program = tmp_path / "program.py"
    asked = "\nprint('ENDPOINT', published.endpoint)\nprint(header['Authorization'].replace('Bearer', 'TOKEN'))\n"
    program.write_text("\n".join(blocks(page, "python")) + asked)
    up = [str(ROOT / "scripts" / "up"), "--", sys.executable, "-W", "error", str(program)]
    printed = _run(up, environment, folder=tmp_path)
    wanted = (
        "train | trained with --reg=0.2",
        "['0', '1'] 1",
        "train | trained with --reg=0.5",
        "{'reg_rate': 0.6}",
    )
    assert first_missing(wanted, printed) is None, printed
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    names = dict(line.split() for line in printed.splitlines() if line.startswith(("ENDPOINT ", "TOKEN ")))
    (command,) = blocks(page, "sh")
    answer = _run(["bash", "-c", command], {**environment, **names})
    assert json.loads(answer)["ParameterAssignments"] == {"reg_rate": "0.3"}


def _check(shown: Console, environment: Mapping[str, str]) -> str:
    printed = _run(["bash", "-c", shown.command], environment)
    missing = first_missing(shown.lines, printed)
    assert missing is None, f"{shown.command} did not print {missing!r} where README.md has it; it printed:\n{printed}"
    return printed


def _run(command: list[str], environment: Mapping[str, str], folder: Path = ROOT) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout

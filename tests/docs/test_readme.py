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

from tests.docs.cost_page import table
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
    _check_cost(printed, environment)
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


def _check_cost(printed: str, environment: Mapping[str, str]) -> None:
    """docs/cost.md says what the demo's first run has used: as it is counted now, give or take what depends on time."""
    found = re.search(r"the answer's Id is (\S+)", printed)
    assert found is not None
    look = (
        "from millstream import Workspace\nfrom millstream.pipeline_run import PipelineRun\n"
        f"cost = PipelineRun.get(Workspace.from_config(), {found[1]!r}).get_cost()\n"
        "assert cost.complete, cost\nimport json\n"
        "print(json.dumps({**cost.used.requests, 'function_calls': cost.used.calls, 'stored': cost.used.stored}))"
    )
    told_by = _run([str(ROOT / "scripts" / "up"), "--", sys.executable, "-c", look], environment)
    counted = json.loads(told_by.splitlines()[-1])
    *rows, _ = table("An example")
    told = {billed: int(quantity) for billed, quantity, _ in rows if billed != "function_gb_seconds"}
    assert counted.pop("stored") == pytest.approx(135_400, rel=0.05)
    assert told.keys() == counted.keys()
    assert counted["function_calls"] == told["function_calls"]
    for billed, count in told.items():
        assert counted[billed] == pytest.approx(count, rel=0.5, abs=6), (billed, counted)


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

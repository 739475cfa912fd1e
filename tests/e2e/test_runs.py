"""Runs from outside, as docs/runs.md tells of them: found, tagged, cancelled, repeated; by client and command line."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from millstream import (
    Conflict,
    Experiment,
    InvalidRequest,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PipelineRun,
    PythonScriptStep,
    Run,
    StepRun,
    Workspace,
)
from tests.azurite import Azurite
from tests.e2e.devhost.harness import ROOT
from tests.service import QUICK, TOKEN, Service, running_service

pytestmark = pytest.mark.azurite


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("runs"), QUICK) as running:
        yield running


@pytest.fixture(scope="module")
def workspace(service: Service) -> Workspace:
    return Workspace(url=service.url, token=TOKEN)


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        folder = tmp_path / "src"
        folder.mkdir(exist_ok=True)
        (folder / "main.py").write_text(text)
        return str(folder)

    return write


def command(service: Service, *arguments: str) -> tuple[int, str, str]:
    answer = subprocess.run(
        [sys.executable, "-m", "millstream", *arguments],
        cwd=ROOT,
        env={"PATH": "", "MILLSTREAM_ENDPOINT": service.url, "MILLSTREAM_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return answer.returncode, answer.stdout, answer.stderr


def one_step(workspace: Workspace, folder: str, **more: object) -> Pipeline:
    step = PythonScriptStep("main.py", source_directory=folder, allow_reuse=False, **more)  # type: ignore[arg-type]
    return Pipeline(workspace, steps=[step])


def test_runs_are_found_by_what_is_known_of_them(
    workspace: Workspace, service: Service, script: Callable[[str], str]
) -> None:
    pipeline = one_step(workspace, script("print('hello')"))
    began = datetime.now(UTC) - timedelta(seconds=1)
    first = pipeline.submit("found", tags={"team": "red", "draft": ""}, properties={"ticket": 7})
    first.wait_for_completion(show_output=False)
    child = pipeline.submit("found", tags={"team": "red"}, parent_run_id=first.id)
    child.wait_for_completion(show_output=False)
    failed = one_step(workspace, script("raise SystemExit(1)")).submit("found", tags={"team": "blue"})
    failed.wait_for_completion(show_output=False, raise_on_error=False)
    experiment = Experiment(workspace, "found")

    def ids(**wanted: object) -> list[str]:
        return [run.id for run in experiment.get_runs(**wanted)]  # type: ignore[arg-type]

    assert ids() == [failed.id, first.id]
    assert ids(include_children=True, type="azureml.PipelineRun") == [failed.id, child.id, first.id]
    assert ids(include_children=True, type="azureml.StepRun")[-1].startswith(f"{first.id}_")
    assert len(ids(include_children=True)) == 6
    assert ids(tags="draft") == [first.id]
    assert ids(tags={"team": "red"}, include_children=True, type="azureml.PipelineRun") == [child.id, first.id]
    assert ids(properties={"ticket": 7}) == [first.id]
    assert ids(status="Failed") == [failed.id]
    assert ids(submitted_after=began) == [failed.id, first.id]
    assert ids(submitted_before=began) == []
    assert [run.id for run in Run.list(experiment, tags={"team": "blue"})] == [failed.id]
    assert child.parent == first
    assert first.parent is None
    first.remove_tags("draft")
    first.set_tags({"good": "yes", "n": 3})
    assert ids(tags="draft") == []
    assert ids(tags={"good": "yes", "n": 3}) == [first.id]

    code, out, err = command(
        service, "runs", "list", "--experiment", "found", "--tag", "team=red", "--tag", "good", "--since", "1h"
    )
    assert (code, err) == (0, "")
    heading, line = out.splitlines()
    assert heading.split()[-1] == "TAGS"
    assert line.split()[0] == first.id
    assert line.endswith("team=red, good=yes, n=3")
    assert command(service, "runs", "list", "--parent", first.id)[1].splitlines()[1].split()[0] == child.id
    assert len(command(service, "runs", "list", "--source", "sdk", "--until", "1d")[1].splitlines()) == 1
    assert command(service, "runs", "list", "--since", "yesterday-ish")[0] == 2
    assert command(service, "runs", "tag", first.id, "x=1", "y", "--remove", "n")[1] == "team=red, good=yes, x=1, y\n"


def test_a_run_is_submitted_again_with_another_value(
    workspace: Workspace, service: Service, script: Callable[[str], str]
) -> None:
    code = "import sys; print('rate', sys.argv[1])"
    rate = PipelineParameter("rate", default_value=0.5)
    pipeline = one_step(workspace, script(code), arguments=[rate])
    first = pipeline.submit("again", {"rate": 1.5}, tags={"a": "1", "b": "2"})
    first.wait_for_completion(show_output=False)
    same = first.resubmit()
    other = first.resubmit({"rate": 2}, tags={"a": None, "c": 3}, description="more")
    for run, value in ((same, 1.5), (other, 2.0)):
        run.wait_for_completion(show_output=False)
        assert next(run.get_steps()).get_stdout_log() == f"rate {value}\n"
    assert other.tags == {"b": "2", "c": "3"}
    assert other.description == "more"
    assert other.properties["millstream.resubmit_of"] == first.id
    with pytest.raises(InvalidRequest, match="no parameter"):
        first.resubmit({"rat": 2})
    done, out, err = command(service, "runs", "resubmit", first.id, "-p", "rate=4", "--tag", "c=5", "--follow")
    assert (done, err) == (0, "")
    assert "rate 4.0" in out
    with pytest.raises(Conflict, match="nothing left to run"):
        first.rerun()
    assert command(service, "runs", "rerun", first.id)[0] == 3


@pytest.mark.parametrize("by", ["client", "command line"])
def test_a_run_is_cancelled_while_its_steps_wait(
    workspace: Workspace, service: Service, script: Callable[[str], str], by: str
) -> None:
    """One step sleeps, one has failed, one waits for the first."""
    folder = script(
        "import sys, time\n"
        "if sys.argv[1] == 'fails': raise SystemExit(1)\n"
        "print('started', flush=True)\n"
        "time.sleep(60)\n"
    )

    def step(name: str) -> PythonScriptStep:
        return PythonScriptStep("main.py", name=name, arguments=[name], source_directory=folder, allow_reuse=False)

    sleeps, fails, waits = step("sleeps"), step("fails"), step("waits")
    waits.run_after(sleeps)
    definition = Pipeline(workspace, steps=[sleeps, fails, waits])
    run = definition.submit(f"cancelled-by-{by.replace(' ', '-')}", continue_on_step_failure=True)
    deadline = time.monotonic() + 60
    while "started" not in run.find_step_run("sleeps")[0].get_stdout_log():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    if by == "client":
        run.cancel()
    else:
        assert command(service, "runs", "cancel", run.id)[1] == f"{run.id} Canceled\n"
    assert run.wait_for_completion(show_output=False, raise_on_error=False) == "Canceled"
    while (statuses := {step.name: step.status for step in run.get_steps()})["sleeps"] == "Running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (statuses["sleeps"], statuses["waits"]) == ("Canceled", "Canceled")
    assert isinstance(run.find_step_run("waits")[0], StepRun)
    assert run.find_step_run("waits")[0].get_stdout_log() == ""
    again = PipelineRun.get(workspace, run.id)
    again.cancel()
    assert again.status == "Canceled"


@pytest.mark.parametrize("by", ["client", "command line"])
def test_what_failed_is_run_again_and_what_was_finished_is_kept(
    workspace: Workspace, service: Service, script: Callable[[str], str], tmp_path: Path, by: str
) -> None:
    """The second of three steps fails until a file is there; the first leaves something new at each execution."""
    folder = script(
        "import os, pathlib, sys, uuid\n"
        "step, fixed, own, given = sys.argv[1:]\n"
        "if step == 'second' and not os.path.exists(fixed): raise SystemExit('not fixed yet')\n"
        "text = pathlib.Path(given, 'x').read_text() if given != '-' else str(uuid.uuid4())\n"
        "os.makedirs(own, exist_ok=True)\n"
        "pathlib.Path(own, 'x').write_text(text)\n"
        "print('made of', text)\n"
    )
    fixed = tmp_path / "fixed"
    data = [PipelineData(name) for name in ("one", "two", "three")]
    steps = [
        PythonScriptStep(
            "main.py",
            name=name,
            arguments=[name, str(fixed), own, given or "-"],
            inputs=[given] if given else [],
            outputs=[own],
            source_directory=folder,
            allow_reuse=False,
        )
        for name, own, given in zip(("first", "second", "third"), data, (None, *data), strict=False)
    ]
    first = Pipeline(workspace, steps=steps).submit(f"rerun-{by.replace(' ', '-')}", tags={"k": "v"})
    assert first.wait_for_completion(show_output=False, raise_on_error=False) == "Failed"
    made = first.find_step_run("first")[0].get_stdout_log()
    fixed.touch()
    if by == "client":
        again = first.rerun(tags={"attempt": 2})
        again.wait_for_completion(show_output=False)
    else:
        code, _, err = command(service, "runs", "rerun", first.id, "--tag", "attempt=2", "--follow")
        assert (code, err) == (0, "")
        found = Experiment(workspace, first.experiment.name).get_runs(tags={"attempt": 2})
        again = PipelineRun.get(workspace, next(found).id)
    assert again.get_status() == "Finished"
    assert again.tags == {"k": "v", "attempt": "2"}
    view = service.ask("GET", f"runs/{again.id}")
    assert (view["rerun_of"], view["steps_done"]) == (first.id, 3)
    decisions = {name: step["decision"] for name, step in service.steps(again.id).items()}
    kept = [name for name, decision in decisions.items() if decision and decision["action"] == "keep"]
    assert [service.steps(again.id)[name]["name"] for name in kept] == ["first"]
    for name in ("second", "third"):
        assert again.find_step_run(name)[0].get_stdout_log() == made, "it was given what the first run had made"
    with pytest.raises(Conflict):
        again.rerun()

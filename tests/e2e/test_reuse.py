"""Reuse through the whole service: real scripts, real blobs that change and go, several runs at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from millstream import (
    DataReference,
    OutputFileDatasetConfig,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PipelineRun,
    PythonScriptStep,
    RunFailed,
    Workspace,
)
from millstream.views import DecisionView
from tests.azurite import Azurite
from tests.service import TOKEN, Service, running_service

pytestmark = pytest.mark.azurite

SCRIPT = """
import pathlib, sys, time
source, target, *rest = sys.argv[1:]
where = pathlib.Path(source)
files = sorted(where.rglob("*")) if where.is_dir() else [where]
text = "".join(file.read_text() for file in files if file.is_file())
target = pathlib.Path(target)
target.mkdir(parents=True, exist_ok=True)
(target / "text").write_text(text.upper() + " ".join(rest))
print("it ran")
"""


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture(scope="module")
def workspace(service: Service) -> Workspace:
    return Workspace(url=service.url, token=TOKEN)


class Project:
    """A source folder, a file in the datastore, and a pipeline of two steps over them: first -> second."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace = workspace
        self.folder = folder
        self.name = folder.parent.name
        self.store = workspace.get_default_datastore()
        self.upload("a")
        (folder / "step.py").write_text(SCRIPT)

    def upload(self, text: str, name: str = "raw.txt") -> None:
        place = self.folder.parent / "data"
        place.mkdir(exist_ok=True)
        (place / name).write_text(text)
        self.store.upload_files([str(place / name)], target_path=f"reuse/{self.name}", overwrite=True)

    def pipeline(self, script: str = SCRIPT) -> Pipeline:
        (self.folder / "step.py").write_text(script)
        raw = DataReference(self.store, "raw", path_on_datastore=f"reuse/{self.name}")
        middle, end = PipelineData("middle"), PipelineData("end")
        rate = PipelineParameter("rate", 0.1)
        first = PythonScriptStep(
            "step.py", name=f"first {self.name}", arguments=[raw, middle], inputs=[raw], outputs=[middle]
        )
        second = PythonScriptStep(
            "step.py", name=f"second {self.name}", arguments=[middle, end, rate], inputs=[middle], outputs=[end]
        )
        return Pipeline(self.workspace, [first, second], default_source_directory=str(self.folder))

    def run(self, script: str = SCRIPT, **how: object) -> PipelineRun:
        run = self.pipeline(script).submit(self.name, **how)  # type: ignore[arg-type]
        run.wait_for_completion(show_output=False)
        return run

    def decisions(self, run: PipelineRun) -> dict[str, DecisionView]:
        return {step.name.split()[0]: decision(step.decision) for step in self.workspace.api.steps(run.id)}

    def actions(self, run: PipelineRun) -> list[str]:
        found = self.decisions(run)
        return [found["first"].action, found["second"].action]


def decision(given: DecisionView | None) -> DecisionView:
    assert given is not None
    return given


@pytest.fixture
def project(workspace: Workspace, tmp_path: Path) -> Project:
    folder = tmp_path / "src"
    folder.mkdir()
    return Project(workspace, folder)


def end_of(run: PipelineRun, folder: Path) -> str:
    (step,) = [step for step in run.get_steps() if step.name.startswith("second")]
    step.get_output_data("end").download(str(folder))
    (file,) = folder.rglob("text")
    return file.read_text()


def test_nothing_has_changed(project: Project, tmp_path: Path) -> None:
    first = project.run()
    again = project.run()
    assert project.actions(again) == ["reuse", "reuse"]
    assert {it.from_run for it in project.decisions(again).values()} == {first.id}
    assert end_of(again, tmp_path / "out") == "A0.1"
    (step,) = again.find_step_run(f"first {project.name}")
    assert step.get_stdout_log() == "it ran\n"
    assert step.properties["azureml.reusedrunid"] == first.find_step_run(f"first {project.name}")[0].id


def test_what_follows_from_a_parameter_runs_again(project: Project, tmp_path: Path) -> None:
    project.run()
    changed = project.run(pipeline_parameters={"rate": 0.2})
    assert project.actions(changed) == ["reuse", "run"]
    assert project.decisions(changed)["second"].text == "parameter rate 0.1 -> 0.2"
    assert end_of(changed, tmp_path / "out") == "A0.2"
    assert project.actions(project.run()) == ["reuse", "reuse"]


def test_a_changed_blob_is_noticed_and_an_equal_one_is_not(project: Project, tmp_path: Path) -> None:
    project.run()
    project.upload("a")
    assert project.actions(project.run()) == ["reuse", "reuse"]
    project.upload("b")
    changed = project.run()
    assert project.actions(changed) == ["run", "run"]
    assert f"reuse/{project.name}): raw.txt changed" in project.decisions(changed)["first"].text
    assert end_of(changed, tmp_path / "out") == "B0.1"
    project.upload("c", "more.txt")
    added = project.run()
    assert f"reuse/{project.name}): more.txt added" in project.decisions(added)["first"].text


def test_equal_bytes_cut_a_change_off(project: Project) -> None:
    """The script changes, what it makes does not: what follows from it is not run again."""
    raw = DataReference(project.store, "raw", path_on_datastore=f"reuse/{project.name}")

    def run(text: str) -> PipelineRun:
        one, two = project.folder / "one", project.folder / "two"
        for folder, script in ((one, f"{SCRIPT}# {text}\n"), (two, SCRIPT)):
            folder.mkdir(exist_ok=True)
            (folder / "step.py").write_text(script)
        middle, end = PipelineData("middle"), PipelineData("end")
        first = PythonScriptStep(
            "step.py", name="first", arguments=[raw, middle], inputs=[raw], outputs=[middle], source_directory=one
        )
        second = PythonScriptStep(
            "step.py", name="second", arguments=[middle, end], inputs=[middle], outputs=[end], source_directory=two
        )
        found = Pipeline(project.workspace, [first, second]).submit(project.name)
        found.wait_for_completion(show_output=False)
        return found

    run("before")
    after = run("after")
    assert project.actions(after) == ["run", "reuse"]
    assert project.decisions(after)["first"].text == "file step.py changed"


def test_what_is_gone_is_made_again_in_the_same_run(project: Project, azurite: Azurite, tmp_path: Path) -> None:
    first = project.run()
    (made,) = [step for step in first.get_steps() if step.name.startswith("second")]
    place = made.get_output_data("end").path_on_datastore
    with BlobServiceClient.from_connection_string(azurite.connection) as blobs:
        container = blobs.get_container_client(project.store.container_name)
        for blob in list(container.list_blobs(name_starts_with=place)):
            container.delete_blob(blob.name)
    again = project.run()
    assert project.actions(again) == ["reuse", "run"]
    assert "not there any more" in project.decisions(again)["second"].text
    assert end_of(again, tmp_path / "out") == "A0.1"


def test_runs_may_force_steps(project: Project) -> None:
    project.run()
    assert project.actions(project.run(regenerate_outputs=True)) == ["run", "run"]
    assert project.actions(project.run(regenerate_outputs=[f"first {project.name}"])) == ["run", "reuse"]
    assert project.actions(project.run(regenerate=[f"second {project.name}"])) == ["reuse", "run"]
    with pytest.raises(Exception, match="no step"):
        project.run(regenerate_outputs=["frist"])


def test_eight_runs_at_once_do_the_work_once(project: Project) -> None:
    slow = SCRIPT.replace("print(", "time.sleep(1)\nprint(")
    pipeline = project.pipeline(slow)
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: pipeline.submit(project.name), range(8)))
        list(pool.map(lambda run: run.wait_for_completion(show_output=False), runs))
    actions = [action for run in runs for action in project.actions(run)]
    assert sorted(actions) == ["reuse"] * 14 + ["run"] * 2
    ran = {it.from_run or run.id for run in runs for it in project.decisions(run).values()}
    assert len(ran) <= 2


def test_a_plan_tells_what_would_be_done(project: Project) -> None:
    planned = project.pipeline().plan(project.name)
    assert [step.decision.action for step in planned.steps] == ["run", "undecided"]
    first = project.run()
    planned = project.pipeline().plan(project.name)
    assert [(step.decision.action, step.decision.from_run) for step in planned.steps] == [("reuse", first.id)] * 2
    planned = project.pipeline().plan(project.name, {"rate": 0.3})
    assert [(step.decision.action, step.decision.text) for step in planned.steps][1] == (
        "run",
        "parameter rate 0.1 -> 0.3",
    )
    assert str(planned).splitlines()[1].split(None, 2)[2].startswith("runs")
    project.upload("b")
    assert [step.decision.action for step in project.pipeline().plan(project.name).steps] == ["run", "undecided"]
    assert len(list(project.workspace.api.runs(experiment=project.name))) == 1


def test_a_fixed_destination_holds_what_the_last_run_put_there(project: Project) -> None:
    """Two values take turns at one destination: the outputs of an earlier run are not what lies there."""

    def run(rate: str) -> PipelineRun:
        out = OutputFileDatasetConfig("out", destination=(project.store, f"latest/{project.name}"))
        raw = DataReference(project.store, "raw", path_on_datastore=f"reuse/{project.name}")
        step = PythonScriptStep("step.py", name="first", arguments=[raw, out, rate], inputs=[raw])
        found = Pipeline(project.workspace, [step], default_source_directory=str(project.folder)).submit(project.name)
        found.wait_for_completion(show_output=False)
        return found

    run("1")
    assert project.decisions(run("1"))["first"].action == "reuse"
    run("2")
    back = run("1")
    assert project.decisions(back)["first"].action == "run"
    assert f"latest/{project.name}/text" in project.decisions(back)["first"].text
    assert project.decisions(run("1"))["first"].action == "reuse"


def test_a_rerun_keeps_what_was_finished(project: Project) -> None:
    broken = SCRIPT + "\nraise SystemExit(rest == ['0.5'])\n"
    run = project.pipeline(broken).submit(project.name, pipeline_parameters={"rate": 0.5})
    with pytest.raises(RunFailed):
        run.wait_for_completion(show_output=False)
    again = run.rerun()
    with pytest.raises(RunFailed):
        again.wait_for_completion(show_output=False)
    found = project.decisions(again)
    assert (found["first"].action, found["first"].from_run) == ("keep", run.id)
    assert found["second"].action == "run"


def test_the_command_line_plans_and_explains(project: Project, service: Service, tmp_path: Path) -> None:
    driver = tmp_path / "driver.py"
    driver.write_text(
        f"""
from azureml.core import Workspace
from azureml.pipeline.core import Pipeline
from azureml.pipeline.steps import PythonScriptStep
ws = Workspace.from_config()
step = PythonScriptStep("hello.py", name="hello {project.name}", source_directory={str(project.folder)!r})
run = Pipeline(ws, [step]).submit("planned")
run.wait_for_completion(show_output=False)
print(run.id)
"""
    )
    (project.folder / "hello.py").write_text("print('hello')")

    def millstream(*arguments: str) -> str:
        command = [sys.executable, "-m", "millstream", *arguments]
        variables = {**os.environ, "MILLSTREAM_ENDPOINT": service.url, "MILLSTREAM_TOKEN": TOKEN}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path, env=variables
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "it has not run before" in millstream("plan", str(driver))
    run = millstream("run", str(driver)).split()[-1]
    assert f"hello {project.name}  reused" in millstream("plan", str(driver))
    assert "ran: it has not run before" in millstream("runs", "show", run)
    again = millstream("run", str(driver)).split()[-1]
    assert f"nothing has changed since run {run}" in millstream("runs", "show", again)

"""Steps in environments of their own, end to end: packages, reuse and its reasons, failures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from millstream import (
    CondaDependencies,
    Environment,
    Pipeline,
    PipelineRun,
    PythonScriptStep,
    RunConfiguration,
    UnknownThing,
    Workspace,
)
from tests.azurite import Azurite
from tests.service import TOKEN, running_service
from tests.wheels import wheel

pytestmark = pytest.mark.azurite

SCRIPT = """
import os, millfirst
from azureml.core import Run
Run.get_context().log("version", millfirst.VERSION)
print("in", os.environ["VIRTUAL_ENV"], os.environ["MODE"])
"""


@pytest.fixture(scope="module")
def workspace(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    index = tmp_path_factory.mktemp("index")
    wheel(index, "millfirst", "1.0")
    wheel(index, "millfirst", "2.0")
    folder = tmp_path_factory.mktemp("service")
    with running_service(azurite, folder, {"UV_FIND_LINKS": str(index)}) as service:
        yield Workspace(url=service.url, token=TOKEN)


def ran(workspace: Workspace, folder: Path, *packages: str, name: str = "training") -> PipelineRun:
    config = RunConfiguration()
    config.environment = Environment(name)
    config.environment.python.conda_dependencies = CondaDependencies.create(pip_packages=packages)
    config.environment.environment_variables = {"MODE": "fast"}
    (folder / "step.py").write_text(SCRIPT)
    step = PythonScriptStep("step.py", source_directory=folder, runconfig=config)
    run = Pipeline(workspace, steps=[step]).submit("environments")
    run.wait_for_completion(show_output=False, raise_on_error=False)
    return run


def test_a_step_has_its_packages_and_runs_again_when_they_change(workspace: Workspace, tmp_path: Path) -> None:
    (first,) = ran(workspace, tmp_path, "millfirst==1.0").find_step_run("step.py")
    assert first.get_metrics() == {"version": "1.0"}
    log = first.get_stdout_log()
    assert log.startswith("[millstream] Environment training (")
    assert "/environments/" in log and log.endswith(" fast\n")
    (same,) = ran(workspace, tmp_path, "Millfirst == 1.0", name="other").find_step_run("step.py")
    assert same.details.decision is not None
    assert same.details.decision.action == "reuse"
    (changed,) = ran(workspace, tmp_path, "millfirst==2.0").find_step_run("step.py")
    assert changed.get_metrics() == {"version": "2.0"}
    assert changed.details.decision is not None
    (reason,) = changed.details.decision.reasons
    assert (reason.code, reason.text) == (
        "environment",
        "the environment that it runs in changed: millfirst==1.0 -> millfirst==2.0",
    )


def test_packages_that_do_not_exist_fail_the_step(workspace: Workspace, tmp_path: Path) -> None:
    (step,) = ran(workspace, tmp_path, "millfirst==3.0").find_step_run("step.py")
    error = step.details.error
    assert error is not None
    assert error.code == "EnvironmentImpossible"
    assert "no version of millfirst==3.0" in error.message


def test_one_that_is_kept_by_name_is_content_of_the_step(workspace: Workspace, tmp_path: Path) -> None:
    mine = Environment("mine")
    mine.python.conda_dependencies = CondaDependencies.create(pip_packages=["millfirst==1.0"])
    mine.environment_variables = {"MODE": "kept"}
    assert [mine.register(workspace).version for _ in range(2)] == ["1", "1"]
    mine.python.conda_dependencies.add_pip_package("millfirst==2.0")
    assert mine.register(workspace=workspace).version == "2"
    assert {name: it.version for name, it in Environment.list(workspace).items()} == {"mine": "2"}
    assert workspace.environments["mine"].environment_variables == {"MODE": "kept"}
    config = RunConfiguration()
    config.environment = Environment.get(workspace, "mine", version="1")
    (tmp_path / "step.py").write_text(SCRIPT)
    pipeline = Pipeline(workspace, steps=[PythonScriptStep("step.py", source_directory=tmp_path, runconfig=config)])
    run = pipeline.submit("environments")
    run.wait_for_completion(show_output=False)
    (step,) = run.find_step_run("step.py")
    assert step.get_metrics() == {"version": "1.0"}
    assert step.get_stdout_log().endswith(" kept\n")
    asked = workspace.api.run_definition(run.id).steps[0].settings["environment"]
    assert (asked["name"], asked["version"]) == ("mine", "1")
    assert asked["conda"]["dependencies"][-1] == {"pip": ["millfirst==1.0"]}
    with pytest.raises(UnknownThing, match="no version"):
        Environment.get(workspace, "mine", "3")

"""Steps that run programs: commands, MPI and R, as v1's drivers write them."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millstream.command_step import CommandStep
from millstream.compiler import compile_pipeline
from millstream.data import PipelineData
from millstream.distribution import MpiConfiguration
from millstream.environment import Environment
from millstream.estimator import Estimator
from millstream.estimator_step import EstimatorStep
from millstream.graph import build
from millstream.mpi_step import MpiStep
from millstream.parameter import PipelineParameter
from millstream.r_script_step import RScriptStep
from millstream.r_section import RCranPackage, RGitHubPackage, RSection
from millstream.run_configuration import RunConfiguration
from millstream.script_run_config import ScriptRunConfig
from millstream.steps import PipelineStep, PythonScriptStep
from orchestrator.core.definition import Definition, FromOutput, FromParameter, Literal, Step
from orchestrator.core.validation import validate

VALUES = ("plain", "two words", "$(touch pwned)", "`touch pwned`", '"; touch pwned; "', "'; touch pwned; '", "*", "")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def problems(step: PipelineStep) -> list[str]:
    made = Step(
        id="a",
        name="a",
        kind=step.kind,
        compute="function",
        snapshot="0" * 64,
        settings=step.settings,
        arguments=tuple(step.wiring.arguments),
        outputs=tuple(handle.output("workspaceblobstore") for handle in step.wiring.outputs),
    )
    parameters = {parameter.declaration for parameter in step.wiring.parameters}
    definition = Definition(name="p", steps=(made,), parameters=tuple(parameters))
    return [str(it) for it in validate(definition, computes=["function"], datastores=["workspaceblobstore"])]


class TestCommandStep:
    def test_a_list_is_a_program_and_its_arguments(self) -> None:
        data, rate = PipelineData("data"), PipelineParameter("rate", 1)
        step = CommandStep(["python -u 'a b.py'", "--rate", rate, data, 5, "$HOME"], outputs=[data])
        assert step.wiring.arguments == [
            *(Literal(value=it) for it in ("python", "-u", "a b.py", "--rate")),
            FromParameter(name="rate"),
            FromOutput(name="data"),
            *(Literal(value=it) for it in ("5", "$HOME")),
        ]
        assert (step.name, step.settings, step.needs_snapshot) == ("CommandStep_python", {}, True)
        assert problems(step) == []

    def test_a_text_is_for_a_shell_and_its_handles_are_values(self) -> None:
        data, rate = PipelineData("data"), PipelineParameter("rate", 1)
        step = CommandStep(f"echo {rate} | tee {data}/x '{rate}' \"<{rate}>\"", outputs=[data])
        assert step.settings == {"shell": 'echo "${1}" | tee "${2}"/x \'\'"${3}"\'\' "<${4}>"'}
        assert step.wiring.arguments == [
            FromParameter(name="rate"),
            FromOutput(name="data"),
            *[FromParameter(name="rate")] * 2,
        ]
        assert problems(step) == []

    @pytest.mark.parametrize("value", VALUES)
    def test_no_value_is_ever_read_by_the_shell(self, value: str, tmp_path: Path) -> None:
        rate = PipelineParameter("rate", "x")
        step = CommandStep(f"printf '%s\\n' {rate} 'a {rate} b' \"c {rate} d\" x\\'{rate}")
        command = ["sh", "-c", step.settings["shell"], "command", *[value] * 4]
        shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        assert shown == f"{value}\na {value} b\nc {value} d\nx'{value}\n"
        assert list(tmp_path.iterdir()) == []

    def test_what_a_script_run_config_says_is_taken(self, tmp_path: Path) -> None:
        config = ScriptRunConfig(tmp_path, command=["echo", "x"], compute_target="cpu", environment=Environment("e"))
        config.run_config.environment.environment_variables = {"MODE": "fast"}
        for step in (CommandStep(name="say", runconfig=config), config.as_step()):
            assert step.wiring.arguments == [Literal(value="echo"), Literal(value="x")]
            assert (step.kind, step.compute, step.source_directory) == ("command", "cpu", tmp_path)
            assert list(step.environment) == ["MODE"]
        assert not config.as_step().allow_reuse

    def test_what_a_run_configuration_says_is_taken(self) -> None:
        assert CommandStep(runconfig=RunConfiguration(command="echo x")).settings == {"shell": "echo x"}

    def test_it_runs_from_a_source_folder(self, tmp_path: Path) -> None:
        graph = build([CommandStep("echo x", source_directory=tmp_path)])
        compiled = compile_pipeline(
            graph,
            name="p",
            description="",
            default_datastore="d",
            snapshots={tmp_path: "0" * 64},
            default_folder=tmp_path,
        )
        assert compiled.steps[0].snapshot == "0" * 64

    @pytest.mark.parametrize("command", [None, "", []])
    def test_without_a_command_there_is_no_step(self, command: Any) -> None:
        with pytest.raises(ValueError, match="needs a command"):
            CommandStep(command)


class TestMpi:
    def config(self, communicator: str = "OpenMpi", nodes: int = 2, processes: int = 3) -> RunConfiguration:
        config = RunConfiguration(communicator=communicator)
        config.node_count, config.mpi.process_count_per_node = nodes, processes
        return config

    def test_a_script_with_a_communicator_runs_in_processes(self) -> None:
        step = PythonScriptStep("a.py", runconfig=self.config())
        assert step.kind == "mpi"
        assert step.settings == {"script": "a.py", "node_count": 2, "process_count_per_node": 3}
        assert problems(step) == []

    def test_without_one_it_does_not(self) -> None:
        step = PythonScriptStep(
            "a.py", runconfig=self.config("None"), runconfig_pipeline_params={"MpiProcessCountPerNode": 2}
        )
        assert step.kind == "python_script"
        assert step.settings == {"script": "a.py", "run_settings": {"MpiProcessCountPerNode": 2}}

    def test_a_parameter_says_how_many(self) -> None:
        count = PipelineParameter("count", 4)
        step = PythonScriptStep(
            "a.py", runconfig=self.config(), runconfig_pipeline_params={"MpiProcessCountPerNode": count}
        )
        assert step.settings["process_count_per_node"] == {"kind": "parameter", "name": "count"}
        assert problems(step) == []

    def test_a_job_of_mpi(self) -> None:
        config = ScriptRunConfig(".", "a.py", distributed_job_config=MpiConfiguration(2, 3))
        assert config.as_step().settings == {"script": "a.py", "node_count": 3, "process_count_per_node": 2}

    def test_an_estimator_of_mpi(self) -> None:
        estimator = Estimator(
            ".", entry_script="a.py", node_count=2, distributed_training=MpiConfiguration(process_count_per_node=2)
        )
        step = EstimatorStep("x", estimator, [], compute_target="function")
        assert step.settings == {"script": "a.py", "node_count": 2, "process_count_per_node": 2}

    def test_an_mpi_step(self) -> None:
        step = MpiStep(
            "x", ".", "a.py", [], "function", node_count=1, process_count_per_node=2, pip_packages=["mpi4py"]
        )
        assert step.kind == "mpi"
        assert step.settings["environment"]["conda"]["dependencies"][-1] == {"pip": ["mpi4py"]}
        assert step.settings["process_count_per_node"] == 2
        with pytest.raises(ValueError, match="compute_target"):
            MpiStep("x", ".", "a.py")
        with pytest.raises(TypeError, match="has no argument 'nodes'"):
            MpiStep("x", ".", "a.py", [], "function", nodes=1)

    @pytest.mark.parametrize(("nodes", "processes"), [(0, 1), (1, 0), (1024, 2)])
    def test_too_few_or_too_many(self, nodes: int, processes: int) -> None:
        step = PythonScriptStep("a.py", runconfig=self.config(nodes=1))
        step.processes = {"node_count": nodes, "process_count_per_node": processes}
        (problem,) = problems(step)
        assert problem.startswith("steps[0].settings.")


class TestRScriptStep:
    def test_packages_are_known_by_their_names(self) -> None:
        step = RScriptStep(
            "a.R",
            cran_packages=["dplyr", RCranPackage("ggplot2", version="3.3")],
            github_packages=[RGitHubPackage("tidyverse/readr@v1", auth_token="hush")],
            custom_url_packages=["https://cran.test/src/jsonlite_1.8.tar.gz"],
            custom_docker_image="image:1",
        )
        assert step.kind == "r_script"
        assert step.settings["environment"] == {
            "name": "project",
            "image": "image:1",
            "r": {"names": ["dplyr", "ggplot2", "jsonlite", "readr"]},
        }
        assert "hush" not in repr(RGitHubPackage("x/y", auth_token="hush"))
        assert problems(step) == []

    def test_an_environment_may_have_them(self) -> None:
        config = RunConfiguration()
        config.environment.r = RSection(cran_packages=["dplyr"])
        assert RScriptStep("a.R", runconfig=config).settings["environment"]["r"] == {"names": ["dplyr"]}
        config.environment.r.user_managed = True
        assert RScriptStep("a.R", runconfig=config).settings == {"script": "a.R"}

    def test_a_script_that_is_missing_is_named_with_those_there_are(self, tmp_path: Path) -> None:
        (tmp_path / "b.R").write_text("")
        problem = RScriptStep("a.R").source_problem(tmp_path)
        assert problem is not None
        assert '"b.R"' in problem.fix

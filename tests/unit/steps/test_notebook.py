"""Notebooks: where parameters go, and what is refused."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from millstream import (
    CondaDependencies,
    NotebookRunConfig,
    NotebookRunnerStep,
    PipelineData,
    PipelineParameter,
    RunConfiguration,
)
from orchestrator.core.definition import FromInput, FromOutput, Literal
from orchestrator.core.kinds import settings_of
from orchestrator.core.kinds.notebook import NotebookRun
from steps.notebook_process import inject

ROOT = Path(__file__).parents[3]


def cells(*tags: str) -> Any:
    made: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "source": f"a = {at}",
            "metadata": {"tags": [tag]},
            "outputs": [],
            "execution_count": None,
            "id": f"cell-{at}",
        }
        for at, tag in enumerate(tags)
    ]
    return nbformat.from_dict({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})  # type: ignore[no-untyped-call]


class TestInjected:
    @pytest.mark.parametrize(
        ("tags", "at"), [(("", "parameters", ""), 2), (("", ""), 0), (("parameters", "injected-parameters", ""), 1)]
    )
    def test_after_the_cell_of_the_parameters_or_first(self, tags: tuple[str, ...], at: int) -> None:
        notebook = cells(*tags)
        inject(notebook, {"rate": 0.5})
        tagged = [place for place, cell in enumerate(notebook.cells) if "injected-parameters" in cell.metadata["tags"]]
        assert tagged == [at]
        assert notebook.cells[at].source == "# Parameters\nrate = 0.5"

    def test_values_are_what_they_were(self) -> None:
        given = {"a": 'it\'s "x"\n', "b": True, "c": None, "d": 1e300, "e": -3}
        notebook = cells()
        inject(notebook, given)
        tree = ast.parse(notebook.cells[0].source)
        lines = [node for node in tree.body if isinstance(node, ast.Assign)]
        assert {ast.unparse(line.targets[0]): ast.literal_eval(line.value) for line in lines} == given


class TestStep:
    def test_handles_become_arguments_and_values_settings(self, tmp_path: Path) -> None:
        data, out, rate = PipelineData("data"), PipelineData("out"), PipelineParameter("speed", 1.0)
        config = NotebookRunConfig(
            tmp_path, "./a.ipynb", parameters={"n": 1, "data": data, "out": out, "rate": rate, "w": None}
        )
        step = NotebookRunnerStep(notebook_run_config=config, outputs=out, output_notebook_pipeline_data_name="book")
        assert step.wiring.arguments == [
            Literal(value="data"),
            FromInput(name="data"),
            Literal(value="out"),
            FromOutput(name="out"),
        ]
        assert step.settings == {
            "notebook": "a.ipynb",
            "parameters": {"n": 1, "rate": {"kind": "parameter", "name": "speed"}, "w": None},
            "output_notebook": "outputs/a.ipynb",
            "output": "book",
        }
        assert [output.output_name for output in step.wiring.outputs] == ["out", "book"]

    def test_a_notebook_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        problem = NotebookRunnerStep(notebook_run_config=NotebookRunConfig(tmp_path, "a.ipynb")).source_problem(
            tmp_path
        )
        assert problem is not None and "no notebook" in problem.message

    def test_a_configuration_is_needed(self) -> None:
        with pytest.raises(TypeError, match="NotebookRunConfig"):
            NotebookRunnerStep("a")


@pytest.mark.parametrize(
    "wrong",
    [
        {"notebook": "../a.ipynb"},
        {"output_notebook": "a.ipynb"},
        {"parameters": {"a b": 1}},
        {"parameters": {"class": 1}},
        {"cell_timeout_seconds": 0.0},
    ],
)
def test_settings_that_cannot_work_are_told(wrong: dict[str, Any]) -> None:
    assert list(NotebookRun(**{"notebook": "a.ipynb", **wrong}).problems("settings"))
    assert not list(NotebookRun(notebook="a.ipynb").problems("settings"))


def test_packages_that_are_asked_for_are_the_notebooks(tmp_path: Path) -> None:
    config = RunConfiguration()
    config.environment.python.conda_dependencies = CondaDependencies.create(pip_packages=["nbclient", "ipykernel"])
    step = NotebookRunnerStep(notebook_run_config=NotebookRunConfig(tmp_path, "a.ipynb", run_config=config))
    assert "nbclient" in json.dumps(step.settings["environment"])
    assert not list(settings_of("notebook", step.settings).problems("settings"))


def test_an_environment_without_a_kernel_says_so() -> None:
    code = "import sys; sys.path.insert(0, '.'); import steps.notebook_process"
    ended = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "has no nbformat: add nbclient and ipykernel" in ended.stderr

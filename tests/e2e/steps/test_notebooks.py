"""Notebooks as steps, end to end, in a real kernel: parameters, data, the executed notebook, a cell that fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millstream import (
    NotebookRunConfig,
    NotebookRunnerStep,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PythonScriptStep,
    Workspace,
)
from tests.azurite import Azurite
from tests.service import TOKEN, Service, running_service

pytestmark = pytest.mark.azurite


def notebook(*cells: str, tagged: str = "") -> str:
    """A notebook of code cells; `tagged` is that of the parameters, first."""
    made: list[dict[str, Any]] = [
        {"cell_type": "code", "source": cell, "metadata": {}, "outputs": [], "execution_count": None} for cell in cells
    ]
    if tagged:
        made.insert(0, {**made[0], "source": tagged, "metadata": {"tags": ["parameters"]}})
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4})


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("service")) as service:
        yield service


def test_a_notebook_is_a_step(service: Service, tmp_path: Path) -> None:
    workspace = Workspace(url=service.url, token=TOKEN)
    source = tmp_path / "src"
    source.mkdir()
    (source / "report.ipynb").write_text(
        notebook(
            "from millstream import Run\nprint('rate is', rate, who)\nRun.get_context().log('rate', rate)",
            "open(result, 'w').write(open(numbers).read() * times)\n'written'",
            tagged="rate = 1\ntimes = 1\nwho = None\nresult = numbers = ''",
        )
    )
    (source / "broken.ipynb").write_text(notebook("print('so far')", "1 / 0", "print('never')"))
    (source / "numbers.py").write_text("import sys; open(sys.argv[1], 'w').write('12')")
    numbers, result, report = PipelineData("numbers"), PipelineData("result"), PipelineData("report")
    rate = PipelineParameter("rate", 0.5)
    config = NotebookRunConfig(
        source,
        "report.ipynb",
        parameters={"rate": rate, "times": 3, "who": "me", "numbers": numbers, "result": result},
    )
    steps = [
        PythonScriptStep("numbers.py", arguments=[numbers], outputs=[numbers], source_directory=source),
        NotebookRunnerStep("report", config, outputs=[result, report], output_notebook_pipeline_data_name="report"),
        NotebookRunnerStep("broken", NotebookRunConfig(source, "broken.ipynb", output_notebook="end.ipynb")),
    ]
    run = Pipeline(workspace, steps=steps).submit(
        "notebooks", pipeline_parameters={"rate": 2.0}, continue_on_step_failure=True
    )
    run.wait_for_completion(show_output=False, raise_on_error=False)
    made = run.find_step_run("report")[0]
    assert made.get_status() == "Finished", made.get_stdout_log()
    assert made.get_metrics() == {"rate": 2.0}
    assert "rate is 2.0 me" in made.get_stdout_log()
    made.get_output_data("result").download(tmp_path / "result", flatten=True)
    assert next(path for path in (tmp_path / "result").rglob("*") if path.is_file()).read_text() == "121212"
    made.get_output_data("report").download(tmp_path / "report", flatten=True)
    executed = json.loads(next(path for path in (tmp_path / "report").rglob("*") if path.is_file()).read_text())
    assert "rate = 2.0" in executed["cells"][1]["source"]
    assert executed["cells"][3]["outputs"][0]["data"]["text/plain"] == "'written'"
    assert "outputs/report.ipynb" in made.get_file_names()
    broken = run.find_step_run("broken")[0]
    error = broken.details.error
    assert error is not None and "ZeroDivisionError" in error.log_tail and "never" not in broken.get_stdout_log()
    assert "outputs/end.ipynb" in broken.get_file_names()

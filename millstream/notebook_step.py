"""NotebookRunnerStep: a Jupyter notebook as a step, with parameters, under the names of azureml-contrib-notebook."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from millstream.arguments import refuse_unknown
from millstream.data import PipelineData
from millstream.parameter import PipelineParameter
from millstream.steps import PipelineStep, missing_file, script_path
from millstream.tokens import Token
from orchestrator.core.errors import Problem
from orchestrator.core.names import PATH, shown
from orchestrator.core.retry import RetryPolicy


class NotebookRunConfig:
    """Which notebook of which folder, and with which parameters.

    `parameters`: numbers, texts, True, False and None; PipelineParameters; and data handles, of which the notebook gets
    the path. `output_notebook`: where it is kept with its results, among the run's files. `handler` means nothing.
    """

    def __init__(
        self,
        source_directory: str | Path,
        notebook: str,
        output_notebook: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        handler: Any = None,
        run_config: Any = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(NotebookRunConfig.__init__, unknown)
        del handler
        self.source_directory = Path(source_directory)
        self.notebook = script_path(notebook, "notebook")
        kept = (output_notebook or Path(self.notebook).name).removeprefix("./").removeprefix("outputs/")
        self.output_notebook = PATH.check(f"outputs/{kept}", "output_notebook")
        self.parameters = dict(parameters or {})
        self.run_config = run_config


class NotebookRunnerStep(PipelineStep):
    """Runs a notebook from its first cell to its last.

    The parameters of the `notebook_run_config` follow the cell that is tagged "parameters". The executed notebook is a
    file of the run, and, with `output_notebook_pipeline_data_name`, the output of that name. Beside these arguments:
    `retry` and `timeout_seconds` as of PythonScriptStep, and `cell_timeout_seconds`.
    """

    kind = "notebook"

    def __init__(
        self,
        name: str | None = None,
        notebook_run_config: NotebookRunConfig | None = None,
        params: Mapping[str, Any] | None = None,
        inputs: Any = None,
        outputs: Any = None,
        compute_target: Any = None,
        runconfig_pipeline_params: Mapping[str, Any] | None = None,
        allow_reuse: bool = True,
        version: str | None = None,
        output_notebook_pipeline_data_name: str | None = None,
        *,
        retry: RetryPolicy | int | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        priority: int | None = None,
        cell_timeout_seconds: float | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(NotebookRunnerStep.__init__, unknown)
        del runconfig_pipeline_params
        if not isinstance(notebook_run_config, NotebookRunConfig):
            raise TypeError(f"NotebookRunnerStep needs a NotebookRunConfig, not {notebook_run_config!r}.")
        config = self.notebook_run_config = notebook_run_config
        data = {key: it for key, it in config.parameters.items() if _is_data(it)}
        super().__init__(
            name or config.notebook,
            inputs=inputs,
            outputs=_with_notebook(outputs, output_notebook_pipeline_data_name),
            arguments=[part for pair in data.items() for part in pair],
            compute_target=compute_target,
            params=params,
            runconfig=config.run_config,
            source_directory=config.source_directory,
            allow_reuse=allow_reuse,
            version=version,
            retry=retry,
            timeout_seconds=timeout_seconds,
            priority=priority,
        )
        plain = {key: it for key, it in config.parameters.items() if key not in data}
        self._parameters = self.wiring.setting(plain, f"Step {shown(self.name)}, parameters")
        self.output_notebook = output_notebook_pipeline_data_name or ""
        self.cell_timeout_seconds = cell_timeout_seconds

    @property
    def settings(self) -> dict[str, Any]:
        made = {
            "notebook": self.notebook_run_config.notebook,
            "parameters": self._parameters,
            "output_notebook": self.notebook_run_config.output_notebook,
            "output": self.output_notebook,
            "cell_timeout_seconds": self.cell_timeout_seconds,
            "environment": self.wishes,
        }
        return {key: value for key, value in made.items() if value not in (None, "", {})}

    def source_problem(self, folder: Path) -> Problem | None:
        fix = "Give the NotebookRunConfig the source_directory in which it is."
        return missing_file(self, folder / self.notebook_run_config.notebook, "notebook", fix)


def _is_data(item: Any) -> bool:
    """Whether it stands for data, and its path is known when the step runs."""
    if isinstance(item, PipelineParameter):
        return item.is_data
    return isinstance(item, Token) or not isinstance(item, bool | int | float | str | None)


def _with_notebook(outputs: Any, name: str | None) -> Any:
    """The outputs, with PipelineData of this name for the notebook if none of them has it."""
    if not name:
        return outputs
    given = [] if outputs is None else list(outputs) if isinstance(outputs, list | tuple) else [outputs]
    if any(getattr(item, "name", None) == name for item in given):
        return given
    return [*given, PipelineData(name)]

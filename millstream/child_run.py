"""v1's child runs inside a script: they log to the step, each under its own name. Standard library only."""

from __future__ import annotations

from millstream.script_run import ScriptRun

TYPE_CHECKING = False  # as in run_context
if TYPE_CHECKING:
    from typing import Any

    from millstream.experiment import Experiment


class ChildRun(ScriptRun):
    """A part of a step's run. Its metrics, tags, properties and files are those of the step, as `<name>/<its name>`."""

    type = "azureml.scriptrun"

    def __init__(self, parent: ScriptRun, name: str, number: int, run_id: str | None) -> None:
        super().__init__()
        self._parent = parent
        self.name = name
        self.number = number
        self.id = run_id or f"{parent.id}_{number}"
        self.step_id = parent.step_id
        self.attempt = parent.attempt
        self.pipeline_run_id = parent.pipeline_run_id
        self.parameters = parent.parameters
        self.input_datasets = parent.input_datasets
        self.output_datasets = parent.output_datasets

    def __repr__(self) -> str:
        return f"Run(child {self.name!r} of {self._parent!r})"

    @property
    def experiment(self) -> Experiment:
        return self._parent.experiment

    @property
    def parent(self) -> ScriptRun:
        """The run that this one is a part of."""
        return self._parent

    def _emit(self, record: dict[str, Any]) -> None:
        key = "key" if "key" in record else "name"
        named = record[key] if record["op"] == "model" else f"{self.name}/{record[key]}"
        self._parent._emit({**record, key: named})

    def _keep(self, name: str, path: str) -> str:
        self._parent.upload_file(f"{self.name}/{name}", path)
        return path

    def _has(self, path: str) -> bool:
        return super()._has(path) or self._parent._has(path)

    def _scratch(self, name: str) -> str:
        return self._parent._scratch(name)

"""A Python script in the step's source folder."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.core.errors import Problem
from orchestrator.core.kinds.settings import RunsPrograms
from orchestrator.core.names import SCRIPT, shown, suggestion

RUN_SETTINGS = ("NodeCount", "MpiProcessCountPerNode", "TensorflowWorkerCount", "TensorflowParameterServerCount")
MOST_NODES = 100_000


class PythonScript(RunsPrograms, frozen=True, kw_only=True):
    """Runs `python <script> <arguments>` in the unpacked source folder. `script` is relative to that folder.

    `run_settings` records on how many nodes and processes it was to run (azureml-v1: runconfig_pipeline_params), which
    decides nothing: a step runs on one node.
    """

    script: str
    run_settings: dict[str, int] = {}

    def problems(self, field: str) -> Iterator[Problem]:
        yield from super().problems(field)
        if problem := SCRIPT.problem(self.script, f"{field}.script"):
            yield problem
        for name, value in self.run_settings.items():
            where = f"{field}.run_settings.{shown(name)[1:-1]}"
            if name not in RUN_SETTINGS:
                hint = suggestion(name, RUN_SETTINGS, "names")
                yield Problem("InvalidSettings", where, f"There is no run setting {shown(name)}.", hint)
            elif not 1 <= value <= MOST_NODES:
                fix = f"Use 1 to {MOST_NODES:,}."
                yield Problem("InvalidNumber", where, f"{shown(name)} is {value}.", fix)

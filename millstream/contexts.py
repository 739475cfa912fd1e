"""The two places where a script can find itself: in a step, or not.

In a step, what is logged goes to a spool file that the worker reads while the script runs: one JSON object a line,
written by one call, so that several processes of a script may log at once. Elsewhere it is printed.
"""

# pathlib would double the time that this import takes
# ruff: noqa: PTH103, PTH118, PTH122, PTH123
from __future__ import annotations

import json
import os
import sys

from millstream.run_context import late
from millstream.script_run import ScriptRun
from millstream.step_data import Inputs, Outputs

TYPE_CHECKING = False  # as in run_context
if TYPE_CHECKING:
    from typing import Any

    from millstream.experiment import Experiment

SPOOL = "MILLSTREAM_SPOOL"
ENDPOINT = "MILLSTREAM_ENDPOINT"


class SubmittedRun(ScriptRun):
    """The run of a step that is being executed."""

    def __init__(self, info_path: str) -> None:
        super().__init__()
        with open(info_path, encoding="utf-8") as file:
            info = json.load(file)
        self.id = info["step_run_id"]
        self.name = info["step_name"]
        self.step_id = info["step_id"]
        self.attempt = info["attempt"]
        self.pipeline_run_id = info["run_id"]
        self.parameters = info["parameters"]
        self.input_datasets = Inputs(info["inputs"], info.get("datasets", {}))
        self.output_datasets = Outputs(info["outputs"], info.get("links", []), self._emit)
        self._experiment = info["experiment"]
        self._tags = dict(info["tags"])
        self._spool = os.environ[SPOOL]
        self._descriptor = os.open(self._spool, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._scratched = 0

    def __repr__(self) -> str:
        return f"Run(experiment: {self._experiment}, id: {self.id}, type: {self.type}, status: {self.status})"

    @property
    def experiment(self) -> Experiment:
        return _experiment(late("millstream.workspace").Workspace.of_this_step(), self._experiment)

    @property
    def parent(self) -> ScriptRun:
        """The pipeline run. What is logged on it is kept with this step, and shown among the metrics of both.

        Its tags are its own, where the step has access to the service; else they are kept with the step, too.
        """
        if ENDPOINT not in os.environ:
            return super().parent
        parent: ScriptRun = late("millstream.parent_run").ParentRun.of(self)
        return parent

    def _emit(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        if os.write(self._descriptor, line) != len(line):
            raise OSError("The disk is full: what was logged could not be kept.")

    def _keep(self, name: str, path: str) -> str:
        # v1 uploads at once. What the script does to the file afterwards must not show, so a copy is kept; what lies
        # in ./outputs under the same name is uploaded from there anyway.
        if os.path.realpath(path) != os.path.realpath(name):
            target = self._scratch(name)
            with open(path, "rb") as source, open(target, "wb") as copy:
                while chunk := source.read(1 << 20):
                    copy.write(chunk)
            path = target
        self._emit({"op": "file", "name": name, "path": path})
        return path

    def _scratch(self, name: str) -> str:
        folder = f"{self._spool}.files"
        os.makedirs(folder, exist_ok=True)
        self._scratched += 1
        return os.path.join(folder, f"{os.getpid()}-{self._scratched}{os.path.splitext(name)[1]}")


class OfflineRun(ScriptRun):
    """Stands in for the run of a step where there is none, and prints what would be logged."""

    type = "azureml.OfflineRun"

    def __init__(self) -> None:
        super().__init__()
        self.id = f"OfflineRun_{os.urandom(8).hex()}"
        self.name = "offline"
        self.step_id = "offline"
        self.attempt = 1
        self.pipeline_run_id = self.id
        self.parameters = {}
        self.input_datasets = {}
        self.output_datasets = {}

    def __repr__(self) -> str:
        return f"Run(offline, id: {self.id})"

    @property
    def experiment(self) -> Experiment:
        """An experiment called "offline" in the workspace that Workspace.from_config() finds."""
        return _experiment(late("millstream.workspace").Workspace.from_config(), "offline")

    def _emit(self, record: dict[str, Any]) -> None:
        match record["op"]:
            case "metric":
                text = f"{record['kind']} {record['name']} = {json.dumps(record['value'])}"
            case "model":
                text = f"model {record['name']} from {record['path']}"
            case operation:
                text = f"{operation} {record['key']} = {record['value']}"
        sys.stdout.write(f"[not in a step] {text}\n")

    def _keep(self, name: str, path: str) -> str:
        sys.stdout.write(f"[not in a step] file {name} from {path}\n")
        return path

    def _scratch(self, name: str) -> str:
        import tempfile

        descriptor, path = tempfile.mkstemp(suffix=os.path.splitext(name)[1])
        os.close(descriptor)
        return path


def _experiment(workspace: Any, name: str) -> Experiment:
    experiment: Experiment = late("millstream.experiment").Experiment(workspace, name)
    return experiment

"""v1's SynapseSparkStep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from millstream.arguments import refuse_unknown
from millstream.dataset_consumption import DatasetConsumptionConfig
from millstream.file_dataset import FileDataset
from millstream.parameter import PipelineParameter
from millstream.steps import PipelineStep, missing_file, script_path
from orchestrator.core.errors import Problem
from orchestrator.core.names import shown
from orchestrator.core.retry import RetryPolicy


class SynapseSparkStep(PipelineStep):
    """Runs the Python script `file` of `source_directory` in a Spark pool of Synapse; docs/spark.md says how.

    `compute_target` is an attached pool (SynapseCompute); with any other compute the script runs on the Spark of the
    service's own node. Datasets `as_hdfs()` and outputs (HDFSOutputDatasetConfig) are URLs there, and paths here.
    `py_files`, `jars` and `files` are paths below `source_directory`, or URLs. `environment` means nothing. Beside v1's
    arguments: `retry`, `timeout_seconds` and `source_files`, as of PythonScriptStep.
    """

    kind = "synapse_spark"

    def __init__(
        self,
        file: str,
        source_directory: str | Path,
        compute_target: Any,
        driver_memory: str,
        driver_cores: int,
        executor_memory: str,
        executor_cores: int,
        num_executors: int,
        name: str | None = None,
        app_name: str | None = None,
        environment: Any = None,
        arguments: Any = None,
        inputs: Any = None,
        outputs: Any = None,
        conf: Mapping[str, Any] | None = None,
        py_files: Iterable[str] | None = None,
        jars: Iterable[str] | None = None,
        files: Iterable[str] | None = None,
        allow_reuse: bool = True,
        version: str | None = None,
        *,
        retry: RetryPolicy | int | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        priority: int | None = None,
        source_files: Iterable[str] = (),
        **unknown: Any,
    ) -> None:
        del environment
        refuse_unknown(SynapseSparkStep.__init__, unknown)
        self.file = script_path(file, "file")
        super().__init__(
            name or str(file),
            inputs=_as_files(inputs),
            outputs=outputs,
            arguments=_as_files(arguments),
            compute_target=compute_target,
            source_directory=source_directory,
            allow_reuse=allow_reuse,
            version=version,
            retry=retry,
            timeout_seconds=timeout_seconds,
            priority=priority,
            source_files=source_files,
        )
        wanted = {
            "file": self.file,
            "driver_memory": driver_memory,
            "driver_cores": driver_cores,
            "executor_memory": executor_memory,
            "executor_cores": executor_cores,
            "num_executors": num_executors,
            "app_name": app_name,
            "conf": {name: _text(value) for name, value in (conf or {}).items()},
            "py_files": _paths(py_files),
            "jars": _paths(jars),
            "files": _paths(files),
        }
        given = {name: value for name, value in wanted.items() if value not in (None, {}, [])}
        self._settings: dict[str, Any] = self.wiring.setting(given, f"SynapseSparkStep {shown(self.name)}")

    @property
    def settings(self) -> dict[str, Any]:
        return self._settings

    def source_problem(self, folder: Path) -> Problem | None:
        fix = "Give the step the source_directory in which it is."
        return missing_file(self, folder / self.file, "script", fix)


def _as_files(given: Any) -> Any:
    """Where a script of Spark is to read a dataset of files: a URL there and a path here, never a dataset's id."""
    if isinstance(given, list | tuple) and not hasattr(given, "_fields"):
        return [_as_files(item) for item in given]
    if isinstance(given, DatasetConsumptionConfig) and given.mode == "hdfs" and isinstance(given.dataset, FileDataset):
        return given.as_mount()
    return given


def _paths(given: Iterable[str] | None) -> list[str]:
    items = [given] if isinstance(given, str) else list(given or ())
    return [str(item).replace("\\", "/").removeprefix("./") for item in items]


def _text(value: Any) -> Any:
    """A number or flag as Spark writes it; texts and parameters as they are."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value

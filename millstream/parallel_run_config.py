"""v1's ParallelRunConfig: how an input is divided into mini-batches, and how they are processed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream.arguments import refuse_unknown
from millstream.environment import Environment
from millstream.errors import ConfigurationError
from millstream.parameter import PipelineParameter
from millstream.steps import script_path
from orchestrator.core.kinds.parallel_run import APPEND_ROW_FILE, LEVELS, size_of

if TYPE_CHECKING:
    from millstream.workspace import Workspace

ACTIONS = ("append_row", "summary_only")
_FILE_NAME = re.compile(r"[^\x00-\x1f/\\:*?\"<>|]{1,255}").fullmatch
_WRITTEN = (
    *("entry_script", "error_threshold", "output_action", "node_count", "process_count_per_node", "mini_batch_size"),
    *("source_directory", "description", "logging_level", "run_invocation_timeout", "run_max_try"),
    *("append_row_file_name", "allowed_failed_count", "allowed_failed_percent", "partition_keys"),
    "environment_variables",
)


class ParallelRunConfig:
    """`mini_batch_size`: files (10, unless given), or, of a tabular dataset, roughly bytes: "1MB", the default.
    `partition_keys`, instead: a mini-batch for each combination of their values.

    `error_threshold`: files or rows that may fail, -1: any number. `run_max_try`: how often a mini-batch is tried in
    all. `run_invocation_timeout`: seconds for one call of run(). `node_count`: steps that work on groups of
    mini-batches at once; `process_count_per_node`: processes of each, without it one a processor. These five and
    `logging_level` and `partition_keys` (as a JSON text) may be PipelineParameters.

    Raises ValueError, TypeError for what cannot be.
    """

    def __init__(
        self,
        environment: Environment | None,
        entry_script: str,
        error_threshold: int,
        output_action: str,
        compute_target: Any,
        node_count: int | PipelineParameter,
        process_count_per_node: int | PipelineParameter | None = None,
        mini_batch_size: int | str | PipelineParameter | None = None,
        source_directory: str | os.PathLike[str] | None = None,
        description: str | None = None,
        logging_level: str | PipelineParameter = "INFO",
        run_invocation_timeout: float | PipelineParameter = 60,
        run_max_try: int | PipelineParameter = 3,
        append_row_file_name: str | None = None,
        allowed_failed_count: int | None = None,
        allowed_failed_percent: float | None = None,
        partition_keys: Sequence[str] | PipelineParameter | None = None,
        environment_variables: Mapping[str, Any] | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(ParallelRunConfig.__init__, unknown)
        if environment is not None and not isinstance(environment, Environment):
            raise TypeError(f"environment must be an Environment, not {environment!r}.")
        if not isinstance(entry_script, str | os.PathLike) or not str(entry_script):
            raise ValueError("ParallelRunConfig needs an entry_script.")
        self.environment = environment
        self.entry_script = script_path(entry_script, "entry_script")
        self.error_threshold = _whole("error_threshold", error_threshold, -1)
        self.output_action = _choice("output_action", str(output_action).lower(), ACTIONS)
        self.compute_target = compute_target
        self.node_count = _whole("node_count", node_count, 1, parameter=True)
        self.process_count_per_node = _whole(
            "process_count_per_node", process_count_per_node, 1, parameter=True, optional=True
        )
        self.mini_batch_size = _size(mini_batch_size)
        self.source_directory = None if source_directory is None else Path(source_directory)
        self.description = description
        self.logging_level = _level(logging_level)
        self.run_invocation_timeout = _seconds(run_invocation_timeout)
        self.run_max_try = _whole("run_max_try", run_max_try, 1, parameter=True)
        self.append_row_file_name = _file_name(append_row_file_name, self.output_action)
        self.allowed_failed_count = _whole("allowed_failed_count", allowed_failed_count, -1, optional=True)
        self.allowed_failed_percent = _percent(allowed_failed_percent)
        self.partition_keys = _keys(partition_keys)
        self.environment_variables = dict(environment_variables or {})
        if self.partition_keys is not None and self.mini_batch_size is not None:
            raise ValueError("A mini-batch has a mini_batch_size or partition_keys, not both. Leave one of them out.")
        _check_nodes(self.node_count, compute_target)

    @staticmethod
    def load_yaml(workspace: Workspace, path: str | os.PathLike[str]) -> ParallelRunConfig:
        """A configuration from a file that `save_to_yaml` has written, or one like it. Needs pyyaml.

        Raises ConfigurationError.
        """
        try:
            yaml: Any = import_module("yaml")
        except ModuleNotFoundError:
            raise ConfigurationError("The file is YAML: install the package pyyaml to read it.") from None
        try:
            found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise ConfigurationError(f"{path} could not be read: {error}") from error
        if not isinstance(found, dict):
            raise ConfigurationError(f"{path} is no configuration: it must have a line for each argument.")
        asked = found.pop("environment", None)
        if isinstance(asked, str):
            asked = Environment.get(workspace, asked)
        elif asked is not None:
            asked = Environment.recorded(asked)
        return ParallelRunConfig(environment=asked, **{"compute_target": None, **found})

    def save_to_yaml(self, path: str | os.PathLike[str]) -> None:
        """Write what can be written: of a PipelineParameter its default, of the compute its name."""
        values = {name: _written(getattr(self, name)) for name in _WRITTEN}
        values["compute_target"] = _written(getattr(self.compute_target, "name", self.compute_target))
        values["environment"] = None if self.environment is None else self.environment.wishes() or None
        lines = [f"{name}: {json.dumps(value)}\n" for name, value in values.items() if value is not None]
        Path(path).write_text("".join(lines), encoding="utf-8")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.entry_script!r})"


def _written(value: Any) -> Any:
    value = value.default_value if isinstance(value, PipelineParameter) else value
    return str(value) if isinstance(value, os.PathLike) else value


def _whole(name: str, value: Any, least: int, *, parameter: bool = False, optional: bool = False) -> Any:
    if (value is None and optional) or (isinstance(value, PipelineParameter) and parameter):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number{' or a PipelineParameter' * parameter}, not {value!r}.")
    if value < least:
        raise ValueError(f"{name} is {value}; it must be {least} or more.")
    return value


def _choice(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ValueError(f"{name} cannot be {value!r}. Use {' or '.join(map(repr, allowed))}.")
    return value


def _size(value: Any) -> Any:
    if value is None or isinstance(value, PipelineParameter):
        return value
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"mini_batch_size must be a number, a text like '1MB' or a PipelineParameter, not {value!r}.")
    if size_of(value) is None:
        raise ValueError(
            f"mini_batch_size cannot be {value!r}. Use a number of files, or, for a tabular dataset, a size like '1MB'."
        )
    return value


def _level(value: Any) -> Any:
    if isinstance(value, PipelineParameter):
        return value
    return _choice("logging_level", str(value).upper(), LEVELS)


def _seconds(value: Any) -> Any:
    if isinstance(value, PipelineParameter):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"run_invocation_timeout must be a number of seconds, not {value!r}.")
    if value <= 0:
        raise ValueError(f"run_invocation_timeout is {value}; it must be more than 0 seconds.")
    return value


def _percent(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"allowed_failed_percent must be a number, not {value!r}.")
    if not 0 <= value <= 100:
        raise ValueError(f"allowed_failed_percent is {value}; it must be 0 to 100.")
    return float(value)


def _file_name(name: Any, action: str) -> str:
    if name is None:
        return APPEND_ROW_FILE
    if action != "append_row":
        raise ValueError("append_row_file_name belongs to the output_action 'append_row'.")
    if not isinstance(name, str) or not _FILE_NAME(name) or name in (".", ".."):
        raise ValueError(f"append_row_file_name cannot be {name!r}. Use a plain file name.")
    return name


def _keys(keys: Any) -> Any:
    if keys is None or isinstance(keys, PipelineParameter):
        return keys
    if isinstance(keys, str) or not isinstance(keys, Sequence) or not all(isinstance(key, str) for key in keys):
        raise TypeError(f"partition_keys must be a list of names or a PipelineParameter, not {keys!r}.")
    if not keys or len(set(keys)) != len(keys):
        raise ValueError(f"partition_keys are {keys!r}; name one or more keys, each once.")
    return list(keys)


def _check_nodes(count: Any, compute: Any) -> None:
    most = getattr(getattr(compute, "scale_settings", None), "maximum_node_count", None)
    if isinstance(count, int) and isinstance(most, int) and count > most:
        raise ValueError(f"node_count is {count}; the compute {compute.name!r} has {most} nodes at most.")

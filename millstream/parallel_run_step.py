"""v1's ParallelRunStep: an entry script over the mini-batches of an input, many at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from pathlib import Path
from typing import Any

from millstream.arguments import refuse_unknown
from millstream.dataset_consumption import DatasetConsumptionConfig
from millstream.environment import Environment
from millstream.file_dataset import FileDataset
from millstream.parallel_run_config import ParallelRunConfig
from millstream.parameter import PipelineParameter
from millstream.run_configuration import RunConfiguration
from millstream.steps import PipelineStep, missing_file
from millstream.tabular_dataset import TabularDataset
from orchestrator.core.definition import Argument, FromInput, parts_of
from orchestrator.core.errors import Problem
from orchestrator.core.names import shown

RESERVED = (
    *("client_sdk_version", "scoring_module_name", "mini_batch_size", "error_threshold", "output_action"),
    *("logging_level", "run_invocation_timeout", "run_max_try", "append_row_file_name", "partition_keys"),
    *("process_count_per_node", "node_count", "allowed_failed_count", "allowed_failed_percent"),
)
"""Names of arguments that v1 takes for itself."""


class ParallelRunStep(PipelineStep):
    """Calls `run(mini_batch)` of the entry script with each mini-batch of `inputs`: a list of paths, or a DataFrame.

    `inputs`: datasets, or what earlier steps write as datasets; all are files or all are tables. `output`: gets the
    file of rows, and what the script writes there. `side_inputs`: data that each process finds whole, as in other
    steps. `arguments`: "--name", value ..., which init() reads from sys.argv.
    """

    kind = "parallel_run"

    def __init__(
        self,
        name: str,
        parallel_run_config: ParallelRunConfig,
        inputs: Sequence[Any],
        output: Any = None,
        side_inputs: Sequence[Any] | None = None,
        arguments: Sequence[Any] | None = None,
        allow_reuse: bool = True,
        *,
        version: str | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        priority: int | None = None,
        source_files: Iterable[str] = (),
        **unknown: Any,
    ) -> None:
        refuse_unknown(ParallelRunStep.__init__, unknown)
        what = f"Step {shown(str(name))}"
        if not isinstance(parallel_run_config, ParallelRunConfig):
            raise TypeError(f"{what}: parallel_run_config must be a ParallelRunConfig, not {parallel_run_config!r}.")
        config = self.config = parallel_run_config
        divided = _inputs(what, inputs, config.mini_batch_size)
        if output is None and config.output_action == "append_row":
            raise ValueError(f"{what}: with the output_action 'append_row' it needs an output for the rows.")
        _check_arguments(what, arguments or ())
        super().__init__(
            name,
            inputs=[*divided, *(side_inputs or ())],
            outputs=[] if output is None else [output],
            arguments=arguments,
            compute_target=config.compute_target,
            runconfig=_run_config(config),
            source_directory=config.source_directory,
            allow_reuse=allow_reuse,
            version=version,
            timeout_seconds=timeout_seconds,
            priority=priority,
            source_files=source_files,
        )
        self._divided = [self.wiring.add_input(item, place).name for place, item in enumerate(divided)]
        _check_references(what, self.wiring.arguments, self._divided)
        self._output = "" if output is None else self.wiring.add_output(output).output_name
        self._settings = self._made(what)

    def _made(self, what: str) -> dict[str, Any]:
        config = self.config
        given = {
            "append_row_file_name": config.append_row_file_name,
            "mini_batch_size": config.mini_batch_size,
            "partition_keys": config.partition_keys,
            "error_threshold": config.error_threshold,
            "allowed_failed_count": config.allowed_failed_count,
            "allowed_failed_percent": config.allowed_failed_percent,
            "run_max_try": config.run_max_try,
            "run_invocation_timeout": config.run_invocation_timeout,
            "process_count_per_node": config.process_count_per_node,
            "node_count": config.node_count,
            "logging_level": config.logging_level,
            "environment": self.wishes or None,
        }
        plain = {name: value for name, value in given.items() if value is not None}
        made: dict[str, Any] = self.wiring.setting(plain, what)
        return {
            "entry_script": config.entry_script,
            "inputs": self._divided,
            "output": self._output,
            "output_action": config.output_action,
            **made,
        }

    @property
    def settings(self) -> dict[str, Any]:
        return self._settings

    def source_problem(self, folder: Path) -> Problem | None:
        fix = "Give the ParallelRunConfig a source_directory in which it is."
        return missing_file(self, folder / self.config.entry_script, "entry script", fix)


def _check_references(what: str, arguments: Iterable[Argument], divided: Sequence[str]) -> None:
    """Raises ValueError for an argument that is a divided input."""
    for part in (part for argument in arguments for part in parts_of(argument)):
        if isinstance(part, FromInput) and part.name in divided:
            raise ValueError(
                f"{what}: the input {shown(part.name)} is divided, and run() is given its parts; it cannot be an "
                "argument. What each process needs whole belongs to the side_inputs."
            )


def _run_config(config: ParallelRunConfig) -> RunConfiguration:
    """What the step's processes run with."""
    made = RunConfiguration()
    environment = copy(config.environment) if config.environment is not None else Environment("service")
    environment.environment_variables = {**environment.environment_variables, **config.environment_variables}
    made.environment = environment
    return made


def _inputs(what: str, inputs: Any, size: Any) -> list[Any]:
    """What is to be divided. Raises ValueError, TypeError."""
    if not isinstance(inputs, list | tuple):
        raise TypeError(f"{what}: inputs must be a list, not {inputs!r}.")
    if not inputs:
        raise ValueError(f"{what}: there is nothing to divide. Give it inputs.")
    kinds = {_type(item) for item in inputs} - {None}
    if len(kinds) > 1:
        raise ValueError(f"{what}: its inputs are files and tables. Make two steps of it.")
    if kinds == {"file"} and isinstance(size, str) and not size.isdigit():
        raise ValueError(f"{what}: its inputs are files, of which mini_batch_size is a number, not {size!r}.")
    for item in inputs:
        if isinstance(item, DatasetConsumptionConfig) and _type(item) == "tabular" and item.mode != "direct":
            raise ValueError(f"{what}: the input {shown(item.name)} is a table, whose mode must be direct.")
    return list(inputs)


def _type(item: Any) -> str | None:
    """Whether it is files or a table; None: that is not known here."""
    if isinstance(item, DatasetConsumptionConfig):
        return _type(item.dataset)
    if isinstance(item, PipelineParameter):
        return _type(item.default_value) if item.is_data else None
    if isinstance(item, FileDataset):
        return "file"
    if isinstance(item, TabularDataset):
        return "tabular"
    found = getattr(getattr(item, "view", None), "type", None)
    return found if isinstance(found, str) else None


def _check_arguments(what: str, arguments: Sequence[Any]) -> None:
    """Raises ValueError for a value without a name, and for a name that is v1's own."""
    for place, item in enumerate(arguments):
        if not isinstance(item, str) or not item.startswith("-"):
            if place == 0:
                raise ValueError(f"{what}: its arguments begin with {item!r}. Write them as '--name', value.")
            continue
        name = item.lstrip("-").partition("=")[0].replace("-", "_")
        if name in RESERVED:
            raise ValueError(f"{what}: the argument {item!r} belongs to the ParallelRunConfig. Use another name.")

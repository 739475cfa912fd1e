"""The ports of a module as v1 declares them: names that a step of the module gives data to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from millstream.data import INPUT_MODES, OUTPUT_MODES, compute_path
from orchestrator.core.module import ModuleInput, ModuleOutput
from orchestrator.core.names import PORT, shown


class InputPortDef:
    """An input of a module. `default_datastore_mode` "mount" or "download"; an optional one may be left without data.

    A step of the module finds the data under `name`. `default_overwrite` and `additional_transformations` mean nothing.
    """

    def __init__(
        self,
        name: str,
        data_types: Iterable[Any] | None = None,
        default_datastore_mode: str | None = None,
        default_path_on_compute: str | None = None,
        is_optional: bool = False,
        default_overwrite: bool | None = None,
        default_data_reference_name: str | None = None,
        is_resource: bool = False,
        label: str | None = None,
        additional_transformations: Any = None,
    ) -> None:
        del default_overwrite, additional_transformations
        self.name = PORT.check(name, "name")
        self.data_types = tuple(map(str, data_types or ()))
        self.default_datastore_mode = _mode(default_datastore_mode, INPUT_MODES, name)
        self.default_path_on_compute = compute_path(default_path_on_compute)
        self.is_optional = is_optional
        self.default_data_reference_name = default_data_reference_name
        self.is_resource = is_resource
        self.label = label or ""

    def declaration(self) -> ModuleInput:
        return ModuleInput(
            name=self.name,
            mode=self.default_datastore_mode,
            path_on_compute=self.default_path_on_compute,
            optional=self.is_optional,
            data_types=self.data_types,
            label=self.label,
        )

    def __repr__(self) -> str:
        return f"InputPortDef({self.name!r})"


class OutputPortDef:
    """An output of a module. Where and how it is kept says the PipelineData of the step: the defaults are recorded."""

    def __init__(
        self,
        name: str,
        default_datastore_name: str | None = None,
        default_datastore_mode: str | None = None,
        default_path_on_compute: str | None = None,
        is_directory: bool = False,
        data_type: Any = None,
        default_overwrite: bool | None = None,
        training_output: Any = None,
        label: str | None = None,
    ) -> None:
        del default_overwrite, training_output
        self.name = PORT.check(name, "name")
        self.default_datastore_name = default_datastore_name
        self.default_datastore_mode = _mode(default_datastore_mode, OUTPUT_MODES, name)
        self.default_path_on_compute = compute_path(default_path_on_compute)
        self.is_directory = is_directory
        self.data_type = None if data_type is None else str(data_type)
        self.label = label or ""

    def declaration(self) -> ModuleOutput:
        return ModuleOutput(
            name=self.name,
            datastore=self.default_datastore_name,
            mode=self.default_datastore_mode,
            path_on_compute=self.default_path_on_compute,
            is_directory=self.is_directory or None,
            data_type=self.data_type,
            label=self.label,
        )

    def __repr__(self) -> str:
        return f"OutputPortDef({self.name!r})"


def _mode(mode: str | None, known: tuple[str, ...], name: str) -> str:
    if mode is not None and mode not in known:
        raise ValueError(f"The port {shown(name)} cannot have the mode {mode!r}. Use {' or '.join(map(repr, known))}.")
    return mode or "mount"

"""Pipelines and schedules that are written in v1's YAML."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from millstream.data import DataReference, InputPortBinding, PipelineData
from millstream.data_path import DataPath, DataPathComputeBinding
from millstream.dataset import AbstractDataset
from millstream.datastore import Datastore
from millstream.errors import ConfigurationError, InvalidRequest
from millstream.parameter import PipelineParameter
from orchestrator.core.names import shown, suggestion

if TYPE_CHECKING:
    from millstream.steps import PipelineStep
    from millstream.workspace import Workspace

_PIPELINE: Final = ("name", "description", "parameters", "data_references", "default_compute", "steps")
_OWN: Final = ("type", "inputs", "outputs", "parameters", "arguments", "compute", "compute_target", "runconfig")
_PREFIXES: Final = ("input", "output", "parameter")
_TYPES: Final[dict[str, Callable[[Any], Any]]] = {"int": int, "float": float, "string": str, "str": str, "bool": bool}


def load(path: str | os.PathLike[str], key: str) -> dict[str, Any]:
    """What is below the key of a YAML file, which may be written in capitals or not.

    Raises InvalidRequest, and ConfigurationError where YAML cannot be read.
    """
    try:
        yaml: Any = import_module("yaml")
    except ModuleNotFoundError:
        raise ConfigurationError("Install the package pyyaml to read YAML files.") from None
    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidRequest(f"{os.fspath(path)} cannot be read: {error}", field="filename") from error
    found = {str(name).lower(): value for name, value in document.items()} if isinstance(document, dict) else {}
    if not isinstance(found.get(key), dict):
        raise InvalidRequest(f"{os.fspath(path)} has no {key!r} at its top.", field="filename")
    return dict(found[key])


@dataclass(slots=True)
class PipelineFile:
    """A pipeline's parts by the names that the file gives them. Raises InvalidRequest that names the place."""

    workspace: Workspace
    document: Mapping[str, Any]
    folder: Path
    parameters: dict[str, PipelineParameter] = field(default_factory=dict)
    references: dict[str, Any] = field(default_factory=dict)
    data: dict[str, PipelineData] = field(default_factory=dict)

    def steps(self) -> list[PipelineStep]:
        """The steps, in the order of the file: data is named by the `destination` of the output that makes it."""
        _known("pipeline", self.document, _PIPELINE)
        for name, facts in _mapping(self.document, "parameters").items():
            self.parameters[name] = self._parameter(name, facts)
        for name, facts in _mapping(self.document, "data_references").items():
            self.references[name] = self._reference(name, _facts(f"data_references.{name}", facts))
        steps = _mapping(self.document, "steps")
        for name, facts in steps.items():
            for port, output in _mapping(_facts(f"steps.{name}", facts), "outputs").items():
                made = self._output(port, _facts(f"steps.{name}.outputs.{port}", output))
                self.data[made.name] = made
        return [self._step(name, facts) for name, facts in steps.items()]

    def _store(self, name: str | None) -> Datastore:
        return Datastore(self.workspace, name)

    def _parameter(self, name: str, given: Any) -> PipelineParameter:
        facts = _facts(f"parameters.{name}", given)
        kind, default = str(facts.get("type", "string")), facts.get("default")
        if kind == "datapath":
            place = _facts(f"parameters.{name}.default", default)
            path = DataPath(self._store(place.get("datastore")), place.get("path_on_datastore"))
            return PipelineParameter(name, path)
        if kind not in _TYPES:
            hint = suggestion(kind, [*_TYPES, "datapath"], "types")
            raise InvalidRequest(f"Parameter {shown(name)}: {shown(kind)}. {hint}", field=f"parameters.{name}.type")
        return PipelineParameter(name, _TYPES[kind](default))

    def _reference(self, name: str, facts: Mapping[str, Any]) -> Any:
        if "dataset_name" in facts or "dataset_id" in facts:
            return (
                AbstractDataset.get_by_id(self.workspace, str(facts["dataset_id"]))
                if "dataset_id" in facts
                else AbstractDataset.get_by_name(self.workspace, facts["dataset_name"], facts.get("version", "latest"))
            )
        return DataReference(self._store(facts.get("datastore")), name, facts.get("path_on_datastore"))

    def _output(self, port: str, facts: Mapping[str, Any]) -> PipelineData:
        return PipelineData(
            str(facts.get("destination", port)),
            self._store(facts.get("datastore")),
            output_name=port,
            output_mode=facts.get("bind_mode", "mount"),
            output_path_on_compute=facts.get("path_on_compute"),
            output_overwrite=facts.get("overwrite"),
        )

    def _step(self, key: str, given: Mapping[str, Any]) -> PipelineStep:
        where = f"steps.{key}"
        make = self._class(where, given.get("type"))
        inputs = {port: self._input(where, port, facts) for port, facts in _mapping(given, "inputs").items()}
        made = {data.output_name: data for data in self.data.values()}
        outputs = {port: made[port] for port in _mapping(given, "outputs")}
        params = {name: self._value(where, value) for name, value in _mapping(given, "parameters").items()}
        rest = {name: value for name, value in given.items() if name not in _OWN}
        if "source_directory" in rest:
            rest["source_directory"] = self.folder / rest["source_directory"]
        compute = given.get("compute_target") or given.get("compute") or self.document.get("default_compute")
        arguments = [self._argument(where, text, inputs, outputs) for text in given.get("arguments") or []]
        rest |= {"arguments": arguments} if arguments else {}
        rest |= {"params": params} if params else {}
        step: PipelineStep = make(
            **{"name": key, **rest},
            inputs=list(inputs.values()),
            outputs=list(outputs.values()),
            compute_target=compute,
        )
        return step

    def _class(self, where: str, kind: Any) -> Any:
        """A class of steps by its name in v1."""
        steps = import_module("millstream")
        known = [name for name in steps.__all__ if name.endswith("Step") and name != "PipelineStep"]
        if kind not in known:
            hint = suggestion(str(kind), known, "types of steps")
            raise InvalidRequest(f"{where}: {shown(str(kind))}. {hint}", field=f"{where}.type")
        return getattr(steps, str(kind))

    def _input(self, where: str, port: str, given: Any) -> Any:
        facts = _facts(f"{where}.inputs.{port}", given)
        source, mode = str(facts.get("source", port)), facts.get("bind_mode", "mount")
        path, overwrite = facts.get("path_on_compute"), facts.get("overwrite")
        if source in self.parameters:
            return self.parameters[source], DataPathComputeBinding(mode, path, bool(overwrite))
        found = self.references.get(source) or self.data.get(source)
        if found is None:
            hint = suggestion(source, [*self.references, *self.data, *self.parameters], "sources")
            raise InvalidRequest(f"{where}: input {shown(port)} has the source {shown(source)}. {hint}", field=where)
        if isinstance(found, AbstractDataset):
            named = found.as_named_input(port)
            return named.as_download(path) if mode == "download" else named
        return InputPortBinding(port, found, mode, path, overwrite)

    def _value(self, where: str, given: Any) -> Any:
        """A value, or {"source": the name of a parameter of the pipeline}."""
        if not isinstance(given, dict):
            return given
        source = str(given.get("source"))
        if source not in self.parameters:
            hint = suggestion(source, self.parameters, "parameters")
            raise InvalidRequest(f"{where}: there is no parameter {shown(source)}. {hint}", field=f"{where}.parameters")
        return self.parameters[source]

    def _argument(self, where: str, given: Any, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
        """A text, or input:NAME, output:NAME or parameter:NAME."""
        kind, mark, name = str(given).partition(":")
        known: Mapping[str, Any] = {"input": inputs, "output": outputs, "parameter": self.parameters}.get(kind, {})
        if not mark or kind not in _PREFIXES:
            return given
        if name not in known:
            raise InvalidRequest(
                f"{where}: the argument {shown(str(given))}: {suggestion(name, known, f'{kind}s')}",
                field=f"{where}.arguments",
            )
        return known[name]


def _mapping(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {str(name): value for name, value in _facts(key, document.get(key) or {}).items()}


def _facts(where: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise InvalidRequest(f"{where}: names with values are expected, not {shown(str(given))}.", field=where)
    return given


def _known(where: str, document: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in document:
        if name not in names:
            raise InvalidRequest(f"{where}: {shown(str(name))}. {suggestion(str(name), names, 'keys')}", field=where)

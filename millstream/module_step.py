"""ModuleStep: a step made of a version of a module. It compiles to the kind of step that the module holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from millstream.arguments import refuse_unknown
from millstream.module import Module, ModuleVersion, usable
from millstream.parameter import PipelineParameter
from millstream.port_defs import InputPortDef, OutputPortDef
from millstream.steps import PipelineStep, run_settings
from millstream.tokens import data_variable
from millstream.wiring import Named, OutputHandle, literal
from orchestrator.core.definition import (
    Argument,
    FromInput,
    FromOutput,
    FromParameter,
    Literal,
    Text,
    parts_of,
)
from orchestrator.core.module import ModuleDocument, ModuleInput
from orchestrator.core.names import shown, suggestion
from orchestrator.core.retry import RetryPolicy


class ModuleStep(PipelineStep):
    """Runs a version of a module: `module_version`, or the `version` of `module`, by default its default one.

    `inputs_map` and `outputs_map` give the module's ports, by name, the data of this pipeline. `arguments` replace the
    module's own and refer to that data or to the ports. `params` replace defaults of the module's. Beside v1's
    arguments: `allow_reuse`, and `retry` and `timeout_seconds` as of PythonScriptStep.
    """

    def __init__(
        self,
        module: Module | None = None,
        version: str | None = None,
        module_version: ModuleVersion | None = None,
        inputs_map: Mapping[Any, Any] | None = None,
        outputs_map: Mapping[Any, Any] | None = None,
        compute_target: Any = None,
        runconfig: Any = None,
        runconfig_pipeline_params: Mapping[str, Any] | None = None,
        arguments: Iterable[Any] | None = None,
        params: Mapping[str, Any] | None = None,
        name: str | None = None,
        *,
        allow_reuse: bool = True,
        retry: RetryPolicy | int | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        priority: int | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(ModuleStep.__init__, unknown)
        self.module_version = _chosen(module, version, module_version)
        document = self.document = self.module_version.document
        what = f"ModuleStep {shown(name or self.module_version.version)}"
        ports = _Ports(document, what, inputs_map, outputs_map)
        self.kind = document.kind
        self.kept_snapshot = document.snapshot
        values = _values(document, params, what)
        super().__init__(
            name or self.module_version.module().name,
            inputs=list(ports.inputs.values()),
            outputs=list(ports.outputs.values()),
            arguments=None if arguments is None else [ports.replaced(item) for item in arguments],
            compute_target=compute_target,
            params={it.name: values[it.name] for it in document.parameters},
            runconfig=runconfig,
            allow_reuse=allow_reuse,
            version=self.module_version.version,
            retry=retry,
            timeout_seconds=timeout_seconds,
            priority=priority,
            source_files=document.source_files,
        )
        own: dict[str, Any] = {key: Literal(value=text) for key, text in document.environment.items()}
        self.environment = {**own, **ports.variables(), **self.environment}
        if arguments is None:
            self.wiring.arguments.extend(ports.translated(values))
        self.run_settings = run_settings(runconfig_pipeline_params, self.wiring, what)

    @property
    def settings(self) -> dict[str, Any]:
        given = {"environment": self.wishes, "run_settings": self.run_settings}
        return {**self.document.settings, **{name: value for name, value in given.items() if value}}


def _chosen(module: Module | None, version: str | None, module_version: ModuleVersion | None) -> ModuleVersion:
    """Raises TypeError, UnknownThing, Conflict."""
    if module_version is not None:
        if not isinstance(module_version, ModuleVersion):
            raise TypeError(f"ModuleStep: module_version must be a ModuleVersion, not {module_version!r}.")
        return usable(module_version)
    if not isinstance(module, Module):
        raise TypeError(f"ModuleStep needs a module or a module_version; module is {module!r}.")
    return usable(module.resolve(version))


@dataclass(frozen=True, slots=True, init=False)
class _Ports:
    """The module's ports with the data that they stand for."""

    document: ModuleDocument
    inputs: dict[str, Named]
    outputs: dict[str, OutputHandle]

    def __init__(
        self,
        document: ModuleDocument,
        what: str,
        inputs: Mapping[Any, Any] | None,
        outputs: Mapping[Any, Any] | None,
    ) -> None:
        declared = {port.name: port for port in document.inputs}
        given = _by_name(inputs, declared, f"{what}, inputs_map")
        made = _by_name(outputs, {port.name for port in document.outputs}, f"{what}, outputs_map")
        missing = [name for name, port in declared.items() if name not in given and not port.optional]
        missing += [port.name for port in document.outputs if port.name not in made]
        if missing:
            raise ValueError(f"{what}: nothing is given for the port {shown(missing[0])} of the module.")
        object.__setattr__(self, "document", document)
        object.__setattr__(self, "inputs", {name: _named(declared[name], item) for name, item in given.items()})
        object.__setattr__(self, "outputs", made)

    def replaced(self, item: Any) -> Any:
        """An argument of the step: data that a port stands for is taken by the port's name."""
        if isinstance(item, InputPortDef):
            return self.inputs.get(item.name, item)
        if isinstance(item, OutputPortDef):
            return self.outputs.get(item.name, item)
        return next((port for port in self.inputs.values() if port.item is item), item)

    def variables(self) -> dict[str, Text]:
        """The script finds an output under the module's name for it, too."""
        names = {name: handle.output_name for name, handle in self.outputs.items()}
        return {data_variable(n): Text(parts=(FromOutput(name=o),)) for n, o in names.items() if n != o}

    def translated(self, values: Mapping[str, Any]) -> list[Argument]:
        """The module's own arguments; without that of an optional port with no data, and the option before it."""
        made: list[Argument] = []
        for argument in self.document.arguments:
            named = [part.name for part in parts_of(argument) if isinstance(part, FromInput)]
            if all(name in self.inputs for name in named):
                made.append(self._translated(argument, values))
            elif made and isinstance(made[-1], Literal) and made[-1].value.startswith("-"):
                made.pop()
        return made

    def _translated(self, argument: Argument, values: Mapping[str, Any]) -> Any:
        match argument:
            case Text(parts=parts):
                return Text(parts=tuple(self._translated(part, values) for part in parts))
            case FromOutput(name=name):
                return FromOutput(name=self.outputs[name].output_name)
            case FromParameter(name=name):
                value = values[name]
                if isinstance(value, PipelineParameter):
                    return FromParameter(name=value.name)
                return Literal(value=literal(value, f"params, {name}"))
            case _:
                return argument


def _by_name(given: Mapping[Any, Any] | None, known: Iterable[str], where: str) -> dict[str, Any]:
    """Keys may be names or port definitions. Raises ValueError for a port that the module does not have."""
    names = list(known)
    made = {str(getattr(key, "name", key)): item for key, item in (given or {}).items()}
    for name in made:
        if name not in names:
            raise ValueError(f"{where}: the module has no port {shown(name)}. {suggestion(name, names, 'ports')}")
    return made


def _named(port: ModuleInput, item: Any) -> Named:
    return Named(name=port.name, item=item, mode=port.mode, path_on_compute=port.path_on_compute)


def _values(document: ModuleDocument, params: Mapping[str, Any] | None, what: str) -> dict[str, Any]:
    """The module's parameters with the step's values. Raises ValueError for one that it does not have."""
    values: dict[str, Any] = {it.name: it.default for it in document.parameters}
    for name, value in (params or {}).items():
        if name not in values:
            hint = suggestion(name, values, "parameters of the module")
            raise ValueError(f"{what}: params has {shown(name)}, which the module does not have. {hint}")
        values[name] = value
    return values

"""From a step, and the ports that stand for its data, to what a version of a module holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from millstream.parameter import PipelineParameter
from millstream.port_defs import InputPortDef, OutputPortDef
from millstream.steps import PipelineStep
from millstream.tokens import refuse_tokens
from millstream.wiring import literal
from orchestrator.core.definition import Argument, FromInput, FromOutput, FromParameter, Literal
from orchestrator.core.module import ModuleDocument, ModuleParameter
from orchestrator.core.names import shown


@dataclass(frozen=True, slots=True)
class Parts:
    """The ports, parameters and arguments as they are given."""

    inputs: Iterable[InputPortDef] | None
    outputs: Iterable[OutputPortDef] | None
    params: Mapping[str, Any] | None
    arguments: Iterable[Any] | None


def document_of(step: PipelineStep, parts: Parts, snapshot: str) -> ModuleDocument:
    """What a version holds that runs this step from the source folder `snapshot`. Raises ValueError."""
    if step.wiring.parameters:
        name = shown(step.wiring.parameters[0].name)
        raise ValueError(f"The parameter {name} stands in the run configuration, which a module keeps as it is.")
    parameters: dict[str, bool | int | float | str] = {}
    for name, value in (parts.params or {}).items():
        given = value.default_value if isinstance(value, PipelineParameter) else value
        parameters[str(name)] = given if isinstance(given, bool | int | float) else literal(given, f"params, {name}")
    arguments = tuple(_argument(item, parameters) for item in parts.arguments or ())
    return ModuleDocument(
        kind=step.kind,
        snapshot=snapshot,
        settings=step.settings,
        arguments=arguments,
        environment={name: it.value for name, it in step.environment.items() if isinstance(it, Literal)},
        inputs=tuple(port.declaration() for port in parts.inputs or ()),
        outputs=tuple(port.declaration() for port in parts.outputs or ()),
        parameters=tuple(ModuleParameter(name=name, default=value) for name, value in parameters.items()),
        source_files=step.source_files,
    )


def _argument(item: Any, parameters: dict[str, Any]) -> Argument:
    match item:
        case InputPortDef():
            return FromInput(name=item.name)
        case OutputPortDef():
            return FromOutput(name=item.name)
        case PipelineParameter() if not item.is_data:
            parameters.setdefault(item.name, item.default_value)
            return FromParameter(name=item.name)
        case _:
            return Literal(value=refuse_tokens(literal(item, "arguments"), "arguments"))

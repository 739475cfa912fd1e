"""Putting values in the place of pipeline parameters, where a step refers to them outside its arguments.

Settings are free JSON, so a reference in them is the object that it is among the arguments, and nothing else:

    {"kind": "parameter", "name": "nodes"}                       the value itself, with its type
    {"kind": "text", "parts": [{"kind": "literal", "value": "v"}, {"kind": "parameter", "name": "nodes"}]}    a text

The engine resolves the step of a job once (`resolve_step`); the worker sees plain values. All functions are pure: equal
steps and values give equal results, so that what they give can be compared and summed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from orchestrator.core.definition import (
    DataPathValue,
    DatasetSource,
    DatasetValue,
    DatastoreSource,
    FromParameter,
    Literal,
    ParameterSource,
    ParameterValue,
    Source,
    Step,
    Text,
    parts_of,
)
from orchestrator.core.errors import Broken
from orchestrator.core.parameters import text_of

Values = Mapping[str, ParameterValue]
_PARTS = {"literal": "value", "parameter": "name"}


def resolve_settings(step: Step, parameters: Values) -> dict[str, Any]:
    """The settings of the step, with values instead of references. Raises Broken for a parameter without a value."""
    return {name: _resolved(value, parameters) for name, value in step.settings.items()}


def resolve_timeout(step: Step, parameters: Values) -> float | None:
    """Its limit in seconds; None: it has none of its own. Raises Broken, and TypeError for what is no number."""
    limit = step.timeout_seconds
    if not isinstance(limit, FromParameter):
        return limit
    value = _value(limit.name, parameters)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number of seconds")
    return float(value)


def resolve_path(path: str | Text, parameters: Values) -> str:
    """The path of a datastore that a source names, "/" at its ends left out. Raises Broken."""
    return path if isinstance(path, str) else resolve_text(path, parameters).strip("/")


def resolve_text(text: Text, parameters: Values) -> str:
    """The text. Only literals and parameters may be part of it. Raises Broken."""
    return "".join(_part(part, parameters) for part in text.parts)


def resolve_step(step: Step, parameters: Values) -> Step:
    """The step with plain settings and a plain timeout. Raises Broken."""
    if not isinstance(step.timeout_seconds, FromParameter) and not any(references(step.settings)):
        return step
    return msgspec.structs.replace(
        step, settings=resolve_settings(step, parameters), timeout_seconds=resolve_timeout(step, parameters)
    )


def bind(step: Step, parameters: Values) -> Step:
    """The step with values instead of all references to parameters, so that it needs none. Raises Broken, TypeError."""
    resolved = resolve_step(step, parameters)
    return msgspec.structs.replace(
        resolved,
        arguments=tuple(_bound(argument, parameters) for argument in resolved.arguments),
        environment={name: _bound(value, parameters) for name, value in resolved.environment.items()},
        inputs=tuple(
            msgspec.structs.replace(it, source=_bound_source(it.source, parameters)) for it in resolved.inputs
        ),
        outputs=tuple(
            msgspec.structs.replace(it, destination=tuple(_bound(part, parameters) for part in it.destination))
            for it in resolved.outputs
        ),
    )


def _bound(argument: Any, parameters: Values) -> Any:
    match argument:
        case FromParameter(name=name):
            return Literal(value=text_of(_value(name, parameters)))
        case Text(parts=parts):
            return Text(parts=tuple(_bound(part, parameters) for part in parts))
        case _:
            return argument


def _bound_source(source: Source, parameters: Values) -> Source:
    match source:
        case DatastoreSource(datastore=datastore, path=path):
            return DatastoreSource(datastore=datastore, path=resolve_path(path, parameters))
        case ParameterSource(name=name):
            match _value(name, parameters):
                case DataPathValue(datastore=datastore, path=path):
                    return DatastoreSource(datastore=datastore, path=path)
                case DatasetValue(id=id_):
                    return DatasetSource(id=id_)
                case value:
                    raise Broken(f"The parameter {name!r} is {value!r}, and is no data.")
        case _:
            return source


def parameters_used(step: Step) -> frozenset[str]:
    """The names of the pipeline parameters that the step refers to: in texts, settings and paths, or for data."""
    paths = [port.source.path for port in step.inputs if isinstance(port.source, DatastoreSource)]
    texts = [*step.arguments, *step.environment.values(), *(path for path in paths if isinstance(path, Text))]
    parts = [part for text in texts for part in parts_of(text)]
    parts += [part for port in step.outputs for part in port.destination]
    named = {part.name for part in parts if isinstance(part, FromParameter)}
    named |= {port.source.name for port in step.inputs if isinstance(port.source, ParameterSource)}
    if step.condition is not None and isinstance(step.condition.than, FromParameter):
        named.add(step.condition.than.name)
    if isinstance(step.timeout_seconds, FromParameter):
        named.add(step.timeout_seconds.name)
    return frozenset(named.union(references(step.settings)))


def references(value: Any) -> Iterator[str]:
    """The names of the parameters that a value of settings refers to, as often as it does."""
    if (found := _reference(value)) is not None:
        yield from (part.name for part in _parts(found) if isinstance(part, FromParameter))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from references(inner)


def _resolved(value: Any, parameters: Values) -> Any:
    match _reference(value):
        case FromParameter(name=name):
            return _value(name, parameters)
        case Text() as text:
            return resolve_text(text, parameters)
    if isinstance(value, Mapping):
        return {key: _resolved(inner, parameters) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(inner, parameters) for inner in value]
    return value


def _reference(value: Any) -> FromParameter | Text | None:
    """The reference that a value of settings is, if it is exactly of that shape."""
    match value:
        case {"kind": "parameter", "name": str(name), **rest} if not rest:
            return FromParameter(name=name)
        case {"kind": "text", "parts": list() | tuple() as parts, **rest} if not rest and all(map(_is_part, parts)):
            return msgspec.convert(value, Text)
        case _:
            return None


def _is_part(value: Any) -> bool:
    match value:
        case {"kind": "literal" | "parameter" as kind, **rest}:
            return list(rest) == [_PARTS[kind]] and isinstance(rest[_PARTS[kind]], str)
        case _:
            return False


def _parts(found: FromParameter | Text) -> tuple[Any, ...]:
    return found.parts if isinstance(found, Text) else (found,)


def _part(part: Any, parameters: Values) -> str:
    match part:
        case Literal(value=value):
            return value
        case FromParameter(name=name):
            return text_of(_value(name, parameters))
        case _:
            raise Broken(f"{part!r} cannot be part of a text that is known before the step runs.")


def _value(name: str, parameters: Values) -> ParameterValue:
    try:
        return parameters[name]
    except KeyError:
        raise Broken(f"The step refers to the parameter {name!r}, which the pipeline does not have.") from None

"""The values of pipeline parameters: what a run may give, and how it becomes the declared type without loss."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET

from orchestrator.core.definition import DataPathValue, DatasetValue, Definition, Parameter, ParameterValue
from orchestrator.core.errors import InvalidRequest, Problem
from orchestrator.core.names import CHANGES, DATA_PATH, DATASET_ID, DATASTORE, TEXT, shown, suggestion

_INT64 = range(-(2**63), 2**63)
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,19}\s*", re.ASCII)
_DECIMAL = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*", re.ASCII)
_WORDS = {"true": True, "false": False, "1": True, "0": False}


def resolve_parameters(
    definition: Definition, given: Mapping[str, Any]
) -> tuple[dict[str, ParameterValue], tuple[Problem, ...]]:
    """The value of every parameter of the definition, and a warning for each given name that it does not have.

    A given value becomes the declared type if nothing is lost: 1 -> 1.0, "0.1" -> 0.1, 1.0 -> 1, "true" -> True,
    5 -> "5". Otherwise InvalidRequest, with the field `parameters.<name>`. UNSET stands for the default.
    """
    chosen = {name: value for name, value in given.items() if value is not UNSET}
    values = {p.name: coerce(p, chosen.get(p.name, p.default), f"parameters.{p.name}") for p in definition.parameters}
    warnings = [
        Problem(
            "UnknownParameter",
            f"parameters.{shown(name)[1:-1]}",
            f"The pipeline has no parameter {shown(name)}; the value is ignored.",
            suggestion(name, values, "parameters"),
            severity="warning",
        )
        for name in given
        if name not in values
    ]
    return values, tuple(warnings)


def coerce(parameter: Parameter, value: Any, field: str) -> ParameterValue:
    """`value` as the parameter's declared type. Raises InvalidRequest naming `field` if something would be lost."""
    result = TYPES[parameter.type](value)
    if result is not None:
        return result
    got = f"{shown(str(value))} ({_json_type(value)})" if _printable(value) else f"a value ({_json_type(value)})"
    raise InvalidRequest(
        f"The parameter {shown(parameter.name)} is {_EXPECTED[parameter.type]}, and {got} is not.", field=field
    )


def default_problem(parameter: Parameter, field: str) -> Problem | None:
    """What is wrong with the default: it must be of the declared type itself (an int may stand for a float)."""
    default = parameter.default
    right: dict[str, tuple[type, ...]] = {
        "int": (int,),
        "float": (float, int),
        "bool": (bool,),
        "string": (str,),
        "datapath": (DataPathValue,),
        "dataset": (DatasetValue,),
    }
    same = isinstance(default, right[parameter.type]) and isinstance(default, bool) == (parameter.type == "bool")
    if same and TYPES[parameter.type](default) is not None:
        return None
    message = f"The default of {shown(parameter.name)} is not {_EXPECTED[parameter.type]}."
    return Problem("WrongDefault", field, message, "Change the default or the type.")


def _int(value: Any) -> int | None:
    match value:
        case bool() | int():
            result = int(value)
        case float() if value.is_integer():
            result = int(value)
        case str() if _WHOLE.fullmatch(value):
            result = int(value)
        case _:
            return None
    return result if result in _INT64 else None


def _float(value: Any) -> float | None:
    match value:
        case bool():
            return None
        case int() if value in _INT64 and int(float(value)) == value:
            result = float(value)
        case float():
            result = value
        case str() if _DECIMAL.fullmatch(value):
            result = float(value)
        case _:
            return None
    return result if math.isfinite(result) else None


def _bool(value: Any) -> bool | None:
    match value:
        case bool():
            return value
        case int() if value in (0, 1):
            return bool(value)
        case str():
            return _WORDS.get(value.strip().lower())
        case _:
            return None


def _string(value: Any) -> str | None:
    match value:
        case bool():
            return None
        case str() if TEXT.allows(value):
            return value
        case int() if value in _INT64:
            return str(value)
        case float() if math.isfinite(value):
            return repr(value)
        case _:
            return None


def _datapath(value: Any) -> DataPathValue | None:
    """{"kind": "datapath", "datastore", "path"}, with "changes" if it comes from an earlier run; or v1's
    {"DataStoreName", "RelativePath"}, with or without a {"LiteralValue": ...} around it.
    """
    match value:
        case DataPathValue():
            found = value
        case {"kind": "datapath", "datastore": str(datastore), "path": str(path), **rest} if not rest:
            found = DataPathValue(datastore=datastore, path=path)
        case {"kind": "datapath", "datastore": str(datastore), "path": str(path), "changes": str(changes), **rest} if (
            not rest and CHANGES.allows(changes)
        ):
            found = DataPathValue(datastore=datastore, path=path, changes=changes)
        case {"DataStoreName": str(datastore), "RelativePath": str(path)} | {
            "LiteralValue": {"DataStoreName": str(datastore), "RelativePath": str(path)}
        }:
            found = DataPathValue(datastore=datastore, path=path.strip("/"))
        case _:
            return None
    return found if DATASTORE.allows(found.datastore) and DATA_PATH.allows(found.path) else None


def _dataset(value: Any) -> DatasetValue | None:
    """{"kind": "dataset", "id"}, or v1's {"SavedDataSetReference": {"Id"}}."""
    match value:
        case DatasetValue():
            found = value
        case {"kind": "dataset", "id": str(id_), **rest} if not rest:
            found = DatasetValue(id=id_)
        case {"SavedDataSetReference": {"Id": str(id_)}} | {"DataSetReference": {"Id": str(id_)}}:
            found = DatasetValue(id=id_)
        case _:
            return None
    return found if DATASET_ID.allows(found.id) else None


TYPES: Mapping[str, Callable[[Any], ParameterValue | None]] = {
    "int": _int,
    "float": _float,
    "bool": _bool,
    "string": _string,
    "datapath": _datapath,
    "dataset": _dataset,
}
"""Type name -> what turns a value into that type, or None when something would be lost."""

_EXPECTED = {
    "int": "a whole number of 64 bits",
    "float": "a finite number",
    "bool": "true or false",
    "string": "a text",
    "datapath": 'a path in a datastore, {"kind": "datapath", "datastore": ..., "path": ...} or {"DataStoreName": ..., '
    '"RelativePath": ...}',
    "dataset": 'a saved dataset, {"kind": "dataset", "id": ...} or {"SavedDataSetReference": {"Id": ...}}',
}
DATA_TYPES = ("datapath", "dataset")
"""The types whose values are data: they feed inputs, and are no arguments by themselves."""


def type_of(value: ParameterValue) -> str:
    """The name of the parameter type that a default value has."""
    if isinstance(value, DataPathValue | DatasetValue):
        return "datapath" if isinstance(value, DataPathValue) else "dataset"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    return "float" if isinstance(value, float) else "string"


def text_of(value: ParameterValue) -> str:
    """A value as a script's text, as v1 writes it (True, 1, 0.5, text); of data, where it lies, for people."""
    match value:
        case DataPathValue():
            return f"{value.datastore}/{value.path}"
        case DatasetValue():
            return value.id
        case _:
            return str(value)


def _printable(value: Any) -> bool:
    return isinstance(value, (bool, float, str)) or (isinstance(value, int) and value in _INT64)


def _json_type(value: Any) -> str:
    """What kind of JSON value it is, for people."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "list" if isinstance(value, (list, tuple)) else "object"

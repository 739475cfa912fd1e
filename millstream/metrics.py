"""Logged values: what may be logged, and how repeated records of one name add up, as v1's get_metrics shows them.

Standard library only: a step's script pays for importing this.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False  # typing costs milliseconds that every step would pay
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

NOT_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""JSON has no such numbers, so they travel as these words."""


class InvalidMetric(TypeError):
    """A value that cannot be logged by the method that was called."""


def scalar(value: Any, method: str = "log") -> Any:
    """A number, a text or a truth value, as JSON carries it; numpy's and torch's scalars become Python's."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else _word(value)
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if hasattr(value, "__float__") and not hasattr(value, "__len__"):
        return scalar(float(value))
    better = "log_list(name, values)" if method == "log" and hasattr(value, "__iter__") else "numbers and texts"
    raise InvalidMetric(f"{method}() cannot take a {type(value).__name__}: {_short(value)}. Use {better}.")


def vector(values: Any, method: str = "log_list") -> list[Any]:
    """A list of scalars, from any iterable; a numpy array must have one dimension."""
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise InvalidMetric(f"{method}() takes a list of values, not {_short(values)}.")
    return [scalar(value, method) for value in values]


def columns(values: Any, method: str) -> dict[str, Any]:
    """Column name -> scalar or list of scalars."""
    if not hasattr(values, "items"):
        raise InvalidMetric(f"{method}() takes a dictionary of columns, not {_short(values)}.")
    return {
        str(name): vector(value, method) if _is_column(value) else scalar(value, method)
        for name, value in values.items()
    }


def tree(value: Any, method: str) -> Any:
    """Anything that JSON can hold: what log_confusion_matrix and its like are given."""
    if hasattr(value, "items"):
        return {str(key): tree(member, method) for key, member in value.items()}
    return [tree(member, method) for member in value] if _is_column(value) else scalar(value, method)


def fold(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What get_metrics returns: a number or text logged once is itself, logged again a list; rows become columns.

    A record has "name", "kind" and "value". Tables and rows of one name are put one below the other.
    """
    folded: dict[str, Any] = {}
    for record in records:
        name, kind, value = record["name"], record["kind"], spelled_out(record["value"])
        if name not in folded:
            folded[name] = value
        elif kind in ("row", "table") and isinstance(value, dict) and isinstance(folded[name], dict):
            folded[name] = {
                column: [*_listed(folded[name].get(column, [])), *_listed(value.get(column, []))]
                for column in dict.fromkeys([*folded[name], *value])
            }
        else:
            folded[name] = [*_listed(folded[name]), *_listed(value)]
    return folded


def spelled_out(value: Any) -> Any:
    """The value with the words for "not a number" and the infinities turned back."""
    if isinstance(value, str):
        return NOT_NUMBERS.get(value, value)
    if isinstance(value, (list, tuple)):
        return [spelled_out(member) for member in value]
    if isinstance(value, dict):
        return {key: spelled_out(member) for key, member in value.items()}
    return value


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _is_column(value: Any) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, (str, bytes)) and getattr(value, "shape", None) != ()


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

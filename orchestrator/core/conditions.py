"""Conditions of steps: a value that a step before has left, held against another, decides whether a step runs."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from orchestrator.core.errors import Broken

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
Comparable = bool | int | float | str

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
MOST_CHARACTERS = 4096


def holds(value: Comparable, how: Operator, than: Comparable) -> bool:
    """Whether the comparison does: as numbers where both are some, or read as some, else as texts.

    Raises Broken where texts are to be put in order.
    """
    numbers = _number(value), _number(than)
    if None not in numbers:
        return _COMPARE[how](*numbers)
    if how not in ("==", "!="):
        raise Broken(f"{value!r} {how} {than!r} cannot be told: only numbers have an order here.")
    return _COMPARE[how](_text(value), _text(than))


def _number(value: Comparable) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _text(value: Comparable) -> str:
    """Truth values are written as JSON has them; capitals do not count in them."""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return text.lower() if text.lower() in ("true", "false") else text


def shown_value(value: Comparable) -> str:
    """A value in a reason, cut where it is long."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:80]}..."

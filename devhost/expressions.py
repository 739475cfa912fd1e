"""Binding expressions: ``{name}`` in a blob path or queue name, filled from what the trigger knows."""

from __future__ import annotations

import datetime
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

_EXPRESSION = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")
# .NET's custom date letters that storage paths use, against strftime's.
_DATE_PARTS = (("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M"), ("ss", "%S"), ("fff", "%f"))


class UnknownExpression(ValueError):
    """An expression names nothing that the trigger provides."""


def resolve(template: str, data: Mapping[str, Any], now: datetime.datetime) -> str:
    """Fill a template. ``data`` holds the trigger's binding data; nested fields are reached with dots.

    Raises:
        UnknownExpression: an expression names nothing known.
    """

    def replace(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        return _value(match[1].strip(), data, now)

    return _EXPRESSION.sub(replace, template)


def _value(name: str, data: Mapping[str, Any], now: datetime.datetime) -> str:
    lowered = name.lower()
    if lowered in ("rand-guid", "sys.randguid"):
        return str(uuid.uuid4())
    if lowered.startswith("rand-guid:"):
        return _guid(name.partition(":")[2])
    if lowered == "datetime" or lowered == "sys.utcnow":
        return now.strftime("%Y-%m-%dT%H-%M-%SZ")
    if lowered.startswith("datetime:"):
        return _date(name.partition(":")[2], now)
    value: Any = data
    for part in name.split("."):
        value = _field(value, part)
        if value is None:
            raise UnknownExpression(f"the binding expression {{{name}}} has no value in this trigger")
    return value if isinstance(value, str) else json.dumps(value)


def _field(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping):
        return None
    if name in value:
        return value[name]
    lowered = name.lower()
    return next((found for key, found in value.items() if key.lower() == lowered), None)


def _guid(style: str) -> str:
    value = uuid.uuid4()
    return value.hex if style.upper() == "N" else str(value)


def _date(style: str, now: datetime.datetime) -> str:
    for letters, directive in _DATE_PARTS:
        text = f"{now.microsecond // 1000:03d}" if directive == "%f" else now.strftime(directive)
        style = style.replace(letters, text)
    return style


def json_fields(body: bytes) -> dict[str, Any]:
    """The top level fields of a JSON object, or nothing."""
    if body.lstrip()[:1] != b"{":
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}  # not JSON, or nested deeper than anything that means well
    return value if isinstance(value, dict) else {}

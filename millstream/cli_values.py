"""Values as they are written on the command line."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterable
from datetime import datetime

from orchestrator.core.definition import Parameter, ParameterValue
from orchestrator.core.parameters import coerce

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def pair(text: str) -> str:
    """NAME=VALUE."""
    if "=" not in text.lstrip("="):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return text


def label(text: str) -> str:
    """NAME or NAME=VALUE."""
    if not text or text.startswith("="):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME or NAME=VALUE")
    return text


def labels(texts: Iterable[str]) -> dict[str, str]:
    """Tags that are written as labels; without a value they are empty."""
    return {text.partition("=")[0]: text.partition("=")[2] for text in texts}


def assignments(texts: Iterable[str], declared: Iterable[Parameter]) -> dict[str, ParameterValue]:
    """Pairs, as the declared types where there are such parameters; the others are refused later, by name."""
    parameters = {parameter.name: parameter for parameter in declared}
    values: dict[str, ParameterValue] = {}
    for text in texts:
        name, _, value = text.partition("=")
        known = parameters.get(name)
        values[name] = value if known is None else coerce(known, value, f"parameters.{name}")
    return values


def point_in_time(text: str) -> float:
    """Epoch seconds of a time before now (2h, 7d), a date, or a date and time; without a zone, as on this machine."""
    if ago := _AGO.fullmatch(text.strip()):
        return time.time() - float(ago[1]) * _UNITS[ago[2]]
    try:
        return datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a time before now (30m, 2h, 7d) nor a date (2026-01-31, 2026-01-31T12:00)"
        ) from None

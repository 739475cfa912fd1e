"""A setting as a field of a dataclass: what it is called outside, how it is read, and what it means."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import field
from typing import Any


def setting(variable: str, parse: Callable[[str], Any], meaning: str, default: Any = dataclasses.MISSING) -> Any:
    """One setting. Without a `default` it is required; a callable makes a fresh default."""
    metadata = {"variable": variable, "parse": parse, "meaning": meaning}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)

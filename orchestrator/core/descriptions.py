"""Descriptions in generated schemas: the same on every Python."""

from __future__ import annotations

import inspect
from typing import Any


def tidied(schema: Any) -> Any:
    """The schema with its descriptions free of their docstrings' indentation, which Python keeps up to 3.12."""
    if isinstance(schema, dict):
        return {key: _tidied_entry(key, value) for key, value in schema.items()}
    return [tidied(item) for item in schema] if isinstance(schema, list) else schema


def _tidied_entry(key: str, value: Any) -> Any:
    return inspect.cleandoc(value) if key == "description" and isinstance(value, str) else tidied(value)

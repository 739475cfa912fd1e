"""Decoding strictly: an unknown field, or a wrong shape, is an error that names its place."""

from __future__ import annotations

from orchestrator.core.errors import InvalidRequest


def invalid_shape(error: Exception, root: str) -> InvalidRequest:
    """Turn a decoder's complaint into our error: msgspec ends its text in ` - at `$.steps[0].name``."""
    text, _, place = str(error).partition(" - at `$")
    field = root + place.rstrip("`") if place else root
    return InvalidRequest(f"{text} (at {field}).", field=field)

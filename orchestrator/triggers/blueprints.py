"""What triggers are registered on."""

from __future__ import annotations

import azure.functions as func


def blueprint() -> func.Blueprint:
    """A new one."""
    return func.Blueprint()  # type: ignore[no-untyped-call]  # the library leaves its constructor without a type

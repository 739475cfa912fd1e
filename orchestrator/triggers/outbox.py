"""The queue output binding by which functions send step messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import List  # noqa: UP035

import azure.functions as func

from orchestrator.core.message import StepMessage, encode

STORAGE = "AzureWebJobsStorage"
"""The setting that holds the connection of every binding."""

# The Python worker knows List[str], and refuses list[str].
Outbox = func.Out[List[str]]  # noqa: UP006


def send(outbox: Outbox, messages: Iterable[StepMessage]) -> None:
    """Hand messages to the host, which sends them when the function has returned, and before it lets go of its own."""
    if bodies := [encode(message) for message in messages]:
        outbox.set(bodies)

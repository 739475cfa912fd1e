"""The queue output binding by which functions send step messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import List  # noqa: UP035

import azure.functions as func

from orchestrator.core.message import StepMessage, encode
from orchestrator.ports import Send
from orchestrator.triggers.executions import start_executions
from orchestrator.triggers.service import Service

STORAGE = "AzureWebJobsStorage"
"""The setting that holds the connection of every binding."""

# The Python worker knows List[str], and refuses list[str].
Outbox = func.Out[List[str]]  # noqa: UP006


def send(service: Service, outbox: Outbox, messages: Iterable[StepMessage]) -> None:
    """Send messages: those of the service's own queue by the host, when the function has returned, and before it lets
    go of its own; those of other computes' queues at once.
    """
    bodies: list[str] = []
    elsewhere = False
    for message in messages:
        if message.queue == service.settings.queue:
            bodies.append(encode(message))
        else:
            service.world.run(iter(Send(queue=message.queue, body=encode(message))))
            elsewhere = True
    if bodies:
        outbox.set(bodies)
    if elsewhere:
        start_executions(service)

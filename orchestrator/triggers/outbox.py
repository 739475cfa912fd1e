"""The queue output binding by which functions send step messages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, List  # noqa: UP035

import azure.functions as func

from orchestrator.core.compute import urgent_of
from orchestrator.core.errors import NewerVersion
from orchestrator.core.message import StepMessage, encode
from orchestrator.ports import Send
from orchestrator.triggers.executions import start_executions
from orchestrator.triggers.service import Service

log = logging.getLogger("millstream.queue")

LEFT_FOR = 30.0
"""Seconds after which a message that only a newer service understands is offered again."""
STORAGE = "AzureWebJobsStorage"
"""The setting that holds the connection of every binding."""

# The Python worker knows List[str], and refuses list[str].
Outbox = func.Out[List[str]]  # noqa: UP006


@contextmanager
def left_to_newer(service: Service, queue: str, msg: func.QueueMessage) -> Iterator[None]:
    """Put the message back as it is, if the block finds that it, or a row that it leads to, is of a newer service.

    So it never becomes poison, however often an older service gets it while an app is upgraded.
    """
    try:
        yield
    except NewerVersion as error:
        log.warning("left to a newer service: %s", error.message)
        service.world.run(iter(Send(queue=queue, body=msg.get_body().decode(), delay=LEFT_FOR)))


def sends(functions: Any, queue: str) -> Callable[[Any], Any]:
    """Decorates a function of `functions` that sends: gives it the arguments `outbox` and `urgent`, by which the host
    puts messages on the service's own queues. `queue`: the usual one.
    """

    def decorate(function: Any) -> Any:
        usual = functions.queue_output(arg_name="outbox", queue_name=queue, connection=STORAGE)
        ahead = functions.queue_output(arg_name="urgent", queue_name=urgent_of(queue), connection=STORAGE)
        return ahead(usual(function))

    return decorate


def send(service: Service, outbox: Outbox, urgent: Outbox, messages: Iterable[StepMessage]) -> None:
    """Send messages: those of the service's own queues by the host, when the function has returned, and before it lets
    go of its own; those of other computes' queues at once.
    """
    own: dict[str, tuple[Outbox, list[str]]] = {
        urgent_of(service.settings.queue): (urgent, []),
        service.settings.queue: (outbox, []),
    }
    elsewhere = False
    for message in messages:
        if message.queue in own:
            own[message.queue][1].append(encode(message))
        else:
            service.world.run(iter(Send(queue=message.queue, body=encode(message))))
            elsewhere = True
    for out, bodies in own.values():
        if bodies:
            out.set(bodies)
    if elsewhere:
        start_executions(service)

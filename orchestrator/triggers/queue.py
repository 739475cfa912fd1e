"""The queue-triggered functions: some run a step, some fail the step of a message that the host gave up on.

What follows a step is sent by an output binding, since the host then wakes its own listener at once. The host sends
before it deletes the message that brought us here, so a crash between repeats, and never loses.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC

import azure.functions as func

from orchestrator import logs
from orchestrator.core.errors import InvalidRequest
from orchestrator.core.message import Delivery, Messages, StepMessage, decode
from orchestrator.engine.deliver import deliver
from orchestrator.engine.poison import fail_poisoned
from orchestrator.events import MESSAGE_POISONED, Fact, Tell
from orchestrator.triggers import blueprints
from orchestrator.triggers.outbox import STORAGE, Outbox, left_to_newer, send, sends
from orchestrator.triggers.service import Service

log = logging.getLogger("millstream.queue")

Handler = Callable[[func.QueueMessage], Messages]


def blueprint(service: Service) -> func.Blueprint:
    """The functions on the step queues and on their poison queues.

    What is urgent has a trigger of its own, and waits for nothing else.
    """
    functions = blueprints.blueprint()
    for queue in service.settings.step_queues:
        step = "step" if queue == service.settings.queue else "urgent_step"
        _on(functions, service, queue, f"run_{step}", _runner(service))
        _on(functions, service, f"{queue}-poison", f"fail_{step}", _failer(service, queue))
    return functions


def _on(functions: func.Blueprint, service: Service, queue: str, name: str, handle: Handler) -> None:
    """Register the function `name` on a queue; what `handle` returns is sent."""

    @functions.function_name(name)
    @functions.queue_trigger(arg_name="msg", queue_name=queue, connection=STORAGE)
    @sends(functions, service.settings.queue)
    def take(msg: func.QueueMessage, outbox: Outbox, urgent: Outbox) -> None:
        with logs.about(), left_to_newer(service, queue.removesuffix("-poison"), msg):
            send(service, outbox, urgent, handle(msg))


def _runner(service: Service) -> Handler:
    def run_step(msg: func.QueueMessage) -> Messages:
        message, delivery = _received(msg)
        return service.world.run(deliver(service.memory, message, delivery))

    return run_step


def _failer(service: Service, queue: str) -> Handler:
    def fail_step(msg: func.QueueMessage) -> Messages:
        try:
            message, delivery = _received(msg)
        except InvalidRequest:
            log.exception("a message that is none of ours was dropped from the poison queue: %s", msg.id)
            return ()
        facts: dict[str, Fact] = {"run": message.run, "position": message.position, "queue": queue}
        service.world.run(iter(Tell(event=MESSAGE_POISONED, facts=facts)))
        return service.world.run(fail_poisoned(service.memory, message, delivery))

    return fail_step


def _received(msg: func.QueueMessage) -> tuple[StepMessage, Delivery]:
    """Raises InvalidRequest for a body that is no step message."""
    message = decode(msg.get_body())
    logs.learn(run=message.run, position=message.position)
    # The host's times are UTC, whether they say so or not.
    sent = msg.insertion_time
    sent_at = sent.replace(tzinfo=sent.tzinfo or UTC).timestamp() if sent else 0.0
    return message, Delivery(message_id=msg.id or "", count=msg.dequeue_count or 1, sent_at=sent_at)

"""The queue-triggered functions: one runs a step, one fails the step of a message that the host gave up on.

What follows a step is sent by an output binding, since the host then wakes its own listener at once. The host sends
before it deletes the message that brought us here, so a crash between repeats, and never loses.
"""

from __future__ import annotations

import logging

import azure.functions as func

from orchestrator import logs
from orchestrator.core.errors import InvalidRequest
from orchestrator.core.message import Delivery, StepMessage, decode
from orchestrator.engine.deliver import deliver
from orchestrator.engine.poison import fail_poisoned
from orchestrator.events import MESSAGE_POISONED, Fact, Tell
from orchestrator.triggers.outbox import STORAGE, Outbox, left_to_newer, send
from orchestrator.triggers.service import Service

log = logging.getLogger("millstream.queue")


def blueprint(service: Service) -> func.Blueprint:
    """The functions on the step queue and on its poison queue."""
    functions = func.Blueprint()  # type: ignore[no-untyped-call]
    queue = service.settings.queue

    @functions.function_name("run_step")
    @functions.queue_trigger(arg_name="msg", queue_name=queue, connection=STORAGE)
    @functions.queue_output(arg_name="outbox", queue_name=queue, connection=STORAGE)
    def run_step(msg: func.QueueMessage, outbox: Outbox) -> None:
        with left_to_newer(service, queue, msg):
            message, delivery = _received(msg)
            with logs.about(run=message.run, position=message.position):
                send(service, outbox, service.world.run(deliver(service.memory, message, delivery)))

    @functions.function_name("fail_step")
    @functions.queue_trigger(arg_name="msg", queue_name=f"{queue}-poison", connection=STORAGE)
    @functions.queue_output(arg_name="outbox", queue_name=queue, connection=STORAGE)
    def fail_step(msg: func.QueueMessage, outbox: Outbox) -> None:
        with left_to_newer(service, queue, msg):
            try:
                message, delivery = _received(msg)
            except InvalidRequest:
                log.exception("a message that is none of ours was dropped from the poison queue: %s", msg.id)
                return
            facts: dict[str, Fact] = {"run": message.run, "position": message.position, "queue": queue}
            with logs.about(run=message.run, position=message.position):
                service.world.run(iter(Tell(event=MESSAGE_POISONED, facts=facts)))
                send(service, outbox, service.world.run(fail_poisoned(service.memory, message, delivery)))

    return functions


def _received(msg: func.QueueMessage) -> tuple[StepMessage, Delivery]:
    """Raises InvalidRequest for a body that is no step message."""
    return decode(msg.get_body()), Delivery(message_id=msg.id or "", count=msg.dequeue_count or 1)

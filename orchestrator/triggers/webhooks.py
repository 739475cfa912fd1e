"""The queue-triggered functions of webhooks: one makes a call, one lets go of a message that the host gave up on.

They have a queue of their own, so that steps never wait for a receiver.
"""

from __future__ import annotations

import logging

import azure.functions as func

from orchestrator import logs
from orchestrator.core.errors import InvalidRequest
from orchestrator.core.message import Delivery
from orchestrator.core.notice import decode
from orchestrator.engine.notify import notify
from orchestrator.triggers import blueprints
from orchestrator.triggers.outbox import STORAGE, left_to_newer
from orchestrator.triggers.service import Service

log = logging.getLogger("millstream.webhooks")


def blueprint(service: Service) -> func.Blueprint:
    """The functions on the queue of webhooks and on its poison queue."""
    functions = blueprints.blueprint()
    queue = service.settings.webhook_queue

    @functions.function_name("call_webhook")
    @functions.queue_trigger(arg_name="msg", queue_name=queue, connection=STORAGE)
    def call_webhook(msg: func.QueueMessage) -> None:
        with left_to_newer(service, queue, msg):
            try:
                message = decode(msg.get_body())
            except InvalidRequest:
                log.exception("a message that is none of ours was dropped: %s", msg.id)
                return
            delivery = Delivery(message_id=msg.id or "", count=msg.dequeue_count or 1)
            with logs.about(run=message.run, webhook=message.webhook, call=message.attempt):
                service.world.run(notify(service.memory, message, delivery))

    @functions.function_name("forget_call")
    @functions.queue_trigger(arg_name="msg", queue_name=f"{queue}-poison", connection=STORAGE)
    def forget_call(msg: func.QueueMessage) -> None:
        # The notice is still in the outbox: the sweep sends another message for it.
        log.warning("a call of a webhook was given up by the host, and will be started again: %s", msg.id)

    return functions

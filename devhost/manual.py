"""Running a function by hand: the value its trigger would have given for an input text."""

from __future__ import annotations

import datetime
import uuid

from azurerest.queues import Message
from devhost.http_values import Request, http_value
from devhost.index import FunctionSpec, HttpTrigger, QueueTrigger
from devhost.queue_trigger import queue_value
from devhost.runner import TriggerValue


def manual_value(spec: FunctionSpec, text: str) -> TriggerValue | None:
    """The trigger value for an input, None for a trigger that needs more than a text.

    HTTP takes it as the body of a POST, a queue as the message; a timer ignores it.
    """
    trigger = spec.trigger
    if isinstance(trigger, HttpTrigger):
        headers = {"host": "localhost", "content-type": "application/json"}
        request = Request(method="POST", scheme="http", path="/", query="", headers=headers, body=text.encode())
        return http_value(request, {})
    if isinstance(trigger, QueueTrigger):
        return queue_value(_message(text.encode()), text.encode(), binary=trigger.binary)
    return None


def _message(body: bytes) -> Message:
    now = datetime.datetime.now(datetime.UTC)
    later = now + datetime.timedelta(days=7)
    return Message(str(uuid.uuid4()), "", body, 1, now, later, now)

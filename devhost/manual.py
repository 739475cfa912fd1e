"""Running a function by hand: the value its trigger would have given for an input text."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping

from azurerest.queues import Message
from devhost.blob_messages import BlobFunction, blob_value
from devhost.errors import ConfigError
from devhost.http_values import Request, http_value
from devhost.index import FunctionSpec, HttpTrigger, QueueTrigger, TimerTrigger
from devhost.queue_trigger import queue_value
from devhost.runner import TriggerValue
from devhost.timer_listener import timer_value


def manual_value(spec: FunctionSpec, text: str, blobs: Mapping[str, BlobFunction]) -> TriggerValue:
    """The trigger value for an input text.

    HTTP takes it as the body of a POST, a queue as the message, a blob function as ``container/blob``; a timer ignores
    it.

    Raises:
        ConfigError: the text names no blob that the function handles.
        StorageError: the blob cannot be read.
    """
    trigger = spec.trigger
    if isinstance(trigger, HttpTrigger):
        headers = {"host": "localhost", "content-type": "application/json"}
        request = Request(method="POST", scheme="http", path="/", query="", headers=headers, body=text.encode())
        return http_value(request, {})
    if isinstance(trigger, QueueTrigger):
        return queue_value(_message(text.encode()), text.encode(), binary=trigger.binary)
    if isinstance(trigger, TimerTrigger):
        return timer_value(None, past_due=False)
    return _blob(spec, text, blobs)


def _blob(spec: FunctionSpec, text: str, blobs: Mapping[str, BlobFunction]) -> TriggerValue:
    function = blobs.get(f"Host.Functions.{spec.name}")
    if function is None:
        raise ConfigError("it is disabled")
    container, _, name = text.partition("/")
    captured = function.pattern.match(container, name)
    if captured is None:
        raise ConfigError(f"{text!r} does not match {function.trigger.path!r}")
    blob = function.blobs.get(container, name)
    return blob_value(function, name, blob.data, blob.properties, captured)


def _message(body: bytes) -> Message:
    now = datetime.datetime.now(datetime.UTC)
    later = now + datetime.timedelta(days=7)
    return Message(str(uuid.uuid4()), "", body, 1, now, later, now)

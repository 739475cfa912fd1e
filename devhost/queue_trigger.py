"""A queue message as the value that fires a function."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from azurerest.queues import Message
from devhost import wire
from devhost.expressions import json_fields
from devhost.index import FunctionSpec, QueueTrigger
from devhost.queue_listener import Undecodable
from devhost.runner import Runner, TriggerValue
from devhost.storage import decode_message


class QueueFunction:
    """The handler of a queue listener: runs one function for each message."""

    def __init__(self, spec: FunctionSpec, trigger: QueueTrigger, runner: Runner, *, as_base64: bool) -> None:
        self._spec = spec
        self._trigger = trigger
        self._runner = runner
        self._as_base64 = as_base64

    def __call__(self, message: Message) -> bool:
        """Run the function; whether it succeeded.

        Raises:
            Undecodable: the message is not base64 although the app's queues are.
        """
        body = decode_message(message.body, as_base64=self._as_base64)
        if body is None:
            raise Undecodable(message.id)
        return self._runner.run(self._spec, queue_value(message, body, binary=self._trigger.binary)).ok


def queue_value(message: Message, body: bytes, *, binary: bool) -> TriggerValue:
    """The trigger value of a message whose decoded body is ``body``."""
    text = body.decode(errors="replace")
    fields = json_fields(body)
    system = {
        "Id": message.id,
        "PopReceipt": message.pop_receipt,
        "DequeueCount": message.dequeue_count,
        "InsertionTime": _time(message.inserted_on),
        "ExpirationTime": _time(message.expires_on),
        "NextVisibleTime": _time(message.next_visible_on),
        "QueueTrigger": text,
    }
    data = {**fields, **system}
    return TriggerValue(
        datum=wire.blob(body) if binary else wire.string(text),
        metadata={name: _metadata(value) for name, value in data.items() if value is not None},
        data=data,
    )


def _metadata(value: Any) -> wire.Datum:
    return wire.string(value) if isinstance(value, str) else wire.json(json.dumps(value))


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None

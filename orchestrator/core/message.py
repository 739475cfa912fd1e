"""The message that drives one step."""

from __future__ import annotations

import msgspec

from orchestrator.core.errors import InvalidRequest
from orchestrator.core.stored import STEP_MESSAGE, newest, refuse_newer_message


class StepMessage(msgspec.Struct, frozen=True, kw_only=True, rename={"version": "v"}):
    """Run the step at `position` of run `run`, whose definition lies at content address `definition`.

    `poisoned` counts how often the host gave the message up before its step could even be claimed.
    """

    run: str
    definition: str
    position: int
    queue: str
    poisoned: int = 0
    version: int = newest(STEP_MESSAGE)


Messages = tuple[StepMessage, ...]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How the queue handed a message over: `message_id` stays over redeliveries, `count` (from 1) rises.

    `sent_at`: when it was put on the queue, in epoch seconds by the queue's clock; 0: that is not known.
    """

    message_id: str
    count: int
    sent_at: float = 0.0


def encode(message: StepMessage) -> str:
    return msgspec.json.encode(message).decode()


_decode = msgspec.json.Decoder(StepMessage).decode


def decode(body: str | bytes) -> StepMessage:
    """Raises InvalidRequest for a body that no engine of ours has written, NewerVersion for one of a newer engine."""
    refuse_newer_message(STEP_MESSAGE, body)
    try:
        return _decode(body)
    except msgspec.MsgspecError as error:
        raise InvalidRequest(f"This queue message is not a step message: {error}") from None

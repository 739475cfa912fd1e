"""A notice: that one webhook is to be told of the end of one run, and how that goes."""

from __future__ import annotations

import uuid
from enum import StrEnum

import msgspec

from orchestrator.core.errors import InvalidRequest
from orchestrator.core.stored import NOTICE_MESSAGE, newest, refuse_newer_message
from orchestrator.core.webhook import Event

_NAMESPACE = uuid.UUID("3d8a6c1e-70f4-5c57-9a52-6e6f74696365")
LONGEST_ERROR = 300


class NoticeState(StrEnum):
    """GIVEN_UP: after the last try, or since the receiver said that it is gone. DROPPED: its webhook is no more."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given up"
    DROPPED = "dropped"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """`attempt` counts the calls that have begun; `delay`: seconds after which the next is due. `looks`: how often the
    sweep has sent its message again. `status` and `error` are those of the last call: 0 when there was no answer."""

    run: str
    webhook: str
    event: Event
    state: NoticeState = NoticeState.WAITING
    attempt: int = 0
    delay: float = 0.0
    looks: int = 0
    status: int = 0
    error: str = ""

    @property
    def message_id(self) -> str:
        """The same at every try, so that a receiver knows what it has seen."""
        return f"msg_{uuid.uuid5(_NAMESPACE, f'{self.run}|{self.event}|{self.webhook}').hex}"


class NoticeMessage(msgspec.Struct, frozen=True, kw_only=True, rename={"version": "v"}):
    """Make call number `attempt` (from 1) of the notice."""

    run: str
    webhook: str
    attempt: int
    version: int = newest(NOTICE_MESSAGE)


def encode(message: NoticeMessage) -> str:
    return msgspec.json.encode(message).decode()


_decode = msgspec.json.Decoder(NoticeMessage).decode


def decode(body: str | bytes) -> NoticeMessage:
    """Raises InvalidRequest for a body that no engine of ours has written, NewerVersion for one of a newer engine."""
    refuse_newer_message(NOTICE_MESSAGE, body)
    try:
        return _decode(body)
    except msgspec.MsgspecError as error:
        raise InvalidRequest(f"This queue message is not a notice: {error}") from None

"""The Queue service.

Bodies are bytes; on the wire they are base64 by default, as the Functions host reads and writes them.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import quote
from xml.etree.ElementTree import Element

from azurerest import xmltext
from azurerest.account import Account
from azurerest.errors import Conflict, Invalid, NotFound, TooLarge, Unanswered
from azurerest.httpdate import parse_http_date
from azurerest.names import queue_path
from azurerest.service import Query, Service
from azurerest.transport import Response, Transport

MAX_WIRE_BYTES: Final = 64 * 1024
MAX_RECEIVE: Final = 32
MAX_SECONDS: Final = 7 * 24 * 3600
_XML = {"content-type": "application/xml"}


class Message(NamedTuple):
    """A message. pop_receipt and next_visible_on are "" and None when it was only peeked at.

    dequeue_count: receipts so far, this one included.
    """

    id: str
    pop_receipt: str
    body: bytes
    dequeue_count: int
    inserted_on: datetime
    expires_on: datetime
    next_visible_on: datetime | None


class Receipt(NamedTuple):
    """What holds a message after a put or an update. expires_on and inserted_on are None after an update."""

    id: str
    pop_receipt: str
    next_visible_on: datetime


class QueueProperties(NamedTuple):
    """approximate_count: messages, also invisible and delayed ones; never less than there are."""

    approximate_count: int
    metadata: dict[str, str]


class Queues:
    """Thread-safe. base64: encode and decode the bodies; without it they are text. Every method raises StorageError."""

    def __init__(self, account: Account, transport: Transport, *, base64: bool = True) -> None:
        self._service = Service("queue", account, transport)
        self._base64 = base64

    def create(self, name: str) -> bool:
        """Create a queue; False when it exists."""
        try:
            return self._service.call("PUT", queue_path(name)).status == 201
        except Conflict as fault:
            if fault.code != "QueueAlreadyExists":
                raise
            return False

    def delete_queue(self, name: str) -> bool:
        """Delete a queue and its messages; False when there is none."""
        try:
            self._service.call("DELETE", queue_path(name))
        except NotFound:
            return False
        return True

    def put(self, name: str, body: bytes | str, *, delay: int = 0, ttl: int | None = None) -> Receipt:
        """Add a message.

        delay: seconds until it can be received. ttl: seconds it lives, None for the service's 7 days, -1 for ever.
        """
        query: list[tuple[str, str]] = []
        if delay:
            query.append(("visibilitytimeout", _seconds("delay", delay, 0)))
        if ttl is not None:
            query.append(("messagettl", "-1" if ttl == -1 else _seconds("ttl", ttl, 1)))
        answer = self._service.call(
            "POST", f"{queue_path(name)}/messages", query=tuple(query), headers=_XML, body=self._encode(body)
        )
        found = xmltext.parse(answer.body).find("QueueMessage")
        if found is None:
            raise Unanswered("the service's answer holds no message", status=answer.status)
        text = xmltext.text_of
        return Receipt(text(found, "MessageId"), text(found, "PopReceipt"), _time(text(found, "TimeNextVisible")))

    def receive(self, name: str, count: int = 1, visibility: int = 30) -> list[Message]:
        """Take up to count (1 to 32) messages, hidden from others for visibility (1 s to 7 days) seconds.

        Not repeated by itself: an Unanswered receive may have hidden messages until their visibility ends.
        """
        query = (("numofmessages", _count(count)), ("visibilitytimeout", _seconds("visibility", visibility, 1)))
        answer = self._service.call("GET", f"{queue_path(name)}/messages", query=query)
        return self._messages(answer)

    def peek(self, name: str, count: int = 1) -> list[Message]:
        """Look at up to count (1 to 32) visible messages without taking them."""
        query = (("numofmessages", _count(count)), ("peekonly", "true"))
        answer = self._service.call("GET", f"{queue_path(name)}/messages", query=query, repeat=True)
        return self._messages(answer)

    def update(
        self, name: str, id: str, pop_receipt: str, *, visibility: int, body: bytes | str | None = None
    ) -> Receipt:
        """Hide a message for another visibility seconds from now (0 releases it), perhaps with a new body.

        The receipt changes. Raises NotFound when the message is gone, PreconditionFailed when the receipt is stale.
        """
        query = (("popreceipt", pop_receipt), ("visibilitytimeout", _seconds("visibility", visibility, 0)))
        content = b"" if body is None else self._encode(body)
        answer = self._service.call("PUT", _message(name, id), query=query, headers=_XML, body=content)
        headers = answer.headers
        return Receipt(id, headers.get("x-ms-popreceipt", ""), _time(headers.get("x-ms-time-next-visible", "")))

    def delete(self, name: str, id: str, pop_receipt: str) -> None:
        """Delete a received message. Raises NotFound when it is gone, PreconditionFailed when the receipt is stale."""
        self._service.call("DELETE", _message(name, id), query=(("popreceipt", pop_receipt),))

    def clear(self, name: str) -> None:
        """Delete all messages of a queue."""
        self._service.call("DELETE", f"{queue_path(name)}/messages")

    def properties(self, name: str) -> QueueProperties:
        """Raises NotFound when there is no such queue."""
        query: Query = (("comp", "metadata"),)
        headers = self._service.call("GET", queue_path(name), query=query, repeat=True).headers
        mark = "x-ms-meta-"
        metadata = {name[len(mark) :]: value for name, value in headers.items() if name.startswith(mark)}
        return QueueProperties(int(headers.get("x-ms-approximate-messages-count", "0")), metadata)

    def approximate_count(self, name: str) -> int:
        """Messages, also invisible and delayed ones."""
        return self.properties(name).approximate_count

    def _encode(self, body: bytes | str) -> bytes:
        if self._base64:
            text = base64.b64encode(body.encode() if isinstance(body, str) else body).decode("ascii")
        else:
            text = xmltext.escape(body if isinstance(body, str) else _utf8(body))
        if len(text) > MAX_WIRE_BYTES or len(text.encode()) > MAX_WIRE_BYTES:
            raise TooLarge(f"the message takes {len(text)} bytes on the wire, more than {MAX_WIRE_BYTES}")
        return f"<QueueMessage><MessageText>{text}</MessageText></QueueMessage>".encode()

    def _messages(self, answer: Response) -> list[Message]:
        try:
            return [self._decode(found) for found in xmltext.parse(answer.body)]
        except (KeyError, ValueError) as fault:
            raise Unanswered(f"the service's messages cannot be read: {fault!r}", status=answer.status) from fault

    def _decode(self, found: Element) -> Message:
        fields = {child.tag: child.text or "" for child in found}
        text = fields.get("MessageText", "")
        visible = fields.get("TimeNextVisible")
        return Message(
            fields["MessageId"],
            fields.get("PopReceipt", ""),
            _unbase64(text) if self._base64 else text.encode(),
            int(fields["DequeueCount"]),
            parse_http_date(fields["InsertionTime"]),
            parse_http_date(fields["ExpirationTime"]),
            parse_http_date(visible) if visible else None,
        )


def _unbase64(text: str) -> bytes:
    """A body that is not base64 was put by another writer: its text is the body."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return text.encode()


def _utf8(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as fault:
        raise Invalid("without base64 a message is UTF-8 text") from fault


def _message(name: str, id: str) -> str:
    return f"{queue_path(name)}/messages/{quote(id, safe='')}"


def _seconds(field: str, value: int, least: int) -> str:
    if not least <= value <= MAX_SECONDS:
        raise Invalid(f"{field} is {least} to {MAX_SECONDS} seconds, not {value}")
    return str(int(value))


def _count(count: int) -> str:
    if not 1 <= count <= MAX_RECEIVE:
        raise Invalid(f"1 to {MAX_RECEIVE} messages can be asked for, not {count}")
    return str(count)


def _time(text: str) -> datetime:
    try:
        return parse_http_date(text)
    except ValueError as fault:
        raise Unanswered("the service's answer has no time of visibility") from fault

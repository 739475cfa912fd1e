"""The Queue client against Azurite, and against what the official SDK reads and writes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.queue import BinaryBase64DecodePolicy, BinaryBase64EncodePolicy, QueueClient

from azurerest import Account, Message, Queues, Transport
from azurerest.errors import NotFound, PreconditionFailed, TooLarge

pytestmark = pytest.mark.azurite


@pytest.fixture(scope="module")
def account(azurite_connection: str) -> Account:
    return Account.from_connection_string(azurite_connection)


@pytest.fixture(scope="module")
def transport() -> Iterator[Transport]:
    transport = Transport()
    yield transport
    transport.close()


@pytest.fixture(scope="module")
def queues(account: Account, transport: Transport) -> Queues:
    return Queues(account, transport)


@pytest.fixture
def queue(queues: Queues) -> str:
    name = f"q-{uuid.uuid4().hex}"
    assert queues.create(name) is True
    return name


def one(messages: list[Message]) -> Message:
    (message,) = messages
    return message


def wait_for(look: Callable[[], list[Message]], seconds: float = 10.0) -> Message:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found[0]
        time.sleep(0.05)
    raise AssertionError("no message came")


def test_queues_are_created_and_deleted_once(queues: Queues) -> None:
    name = f"q-{uuid.uuid4().hex}"
    assert [queues.create(name), queues.create(name)] == [True, False]
    assert [queues.delete_queue(name), queues.delete_queue(name)] == [True, False]
    with pytest.raises(NotFound):
        queues.receive(name)
    with pytest.raises(NotFound):
        queues.properties(name)


@pytest.mark.parametrize("body", [b"", b"\x00\xff\n", b'{"a": "<\xc3\xbc&>"}', bytes(49_152)])
def test_bodies_come_back(queues: Queues, queue: str, body: bytes) -> None:
    put = queues.put(queue, body)
    peeked = one(queues.peek(queue, 32))
    assert (peeked.id, peeked.body, peeked.pop_receipt, peeked.dequeue_count) == (put.id, body, "", 0)
    message = one(queues.receive(queue, 32))
    assert (message.id, message.body, message.dequeue_count) == (put.id, body, 1)
    queues.delete(queue, message.id, message.pop_receipt)
    assert queues.approximate_count(queue) == 0


def test_bodies_that_are_plain_text(account: Account, transport: Transport, queue: str) -> None:
    plain = Queues(account, transport, base64=False)
    text = " <Grüße>\r\n\t&amp; 世界 😀 "
    plain.put(queue, text)
    assert one(plain.receive(queue)).body == text.encode()


def test_the_sdk_reads_what_is_put(queues: Queues, queue: str, azurite_connection: str) -> None:
    queues.put(queue, b"\x00\xffraw")
    queues.put(queue, "Grüße")
    with _sdk(azurite_connection, queue) as sdk:
        assert [message.content for message in sdk.receive_messages()] == [b"\x00\xffraw", "Grüße".encode()]


def test_what_the_sdk_puts_is_read(queues: Queues, queue: str, azurite_connection: str) -> None:
    with _sdk(azurite_connection, queue) as sdk:
        sent = sdk.send_message(b"\x00\xffraw", time_to_live=100)
    message = one(queues.receive(queue))
    assert (message.id, message.body) == (sent.id, b"\x00\xffraw")
    assert (message.inserted_on, message.expires_on) == (sent.inserted_on, sent.expires_on)


def _sdk(connection: str, queue: str) -> QueueClient:
    return QueueClient.from_connection_string(
        connection,
        queue,
        message_encode_policy=BinaryBase64EncodePolicy(),
        message_decode_policy=BinaryBase64DecodePolicy(),
    )


def test_a_receipt_of_put_deletes(queues: Queues, queue: str) -> None:
    put = queues.put(queue, b"x", delay=60)
    queues.delete(queue, put.id, put.pop_receipt)
    assert queues.approximate_count(queue) == 0


def test_delay_and_life(queues: Queues, queue: str) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    put = queues.put(queue, b"later", delay=3600, ttl=7200)
    assert timedelta(seconds=3599) <= put.next_visible_on - before <= timedelta(seconds=3610)
    assert queues.receive(queue) == []
    assert queues.approximate_count(queue) == 1
    queues.put(queue, b"for ever", ttl=-1)
    message = one(queues.receive(queue))
    assert message.expires_on.year == 9999
    queues.put(queue, b"a week")
    message = one(queues.receive(queue))
    assert message.expires_on - message.inserted_on == timedelta(days=7)


def test_a_message_is_hidden_then_comes_back(queues: Queues, queue: str) -> None:
    queues.put(queue, b"x")
    first = one(queues.receive(queue, visibility=1))
    assert first.next_visible_on is not None
    assert queues.receive(queue) == []
    again = wait_for(lambda: queues.receive(queue, visibility=30))
    assert (again.id, again.dequeue_count) == (first.id, 2)
    assert again.pop_receipt != first.pop_receipt
    for stale in (
        lambda: queues.delete(queue, first.id, first.pop_receipt),
        lambda: queues.update(queue, first.id, first.pop_receipt, visibility=10),
    ):
        with pytest.raises(PreconditionFailed) as caught:
            stale()
        assert (caught.value.status, caught.value.code) == (400, "PopReceiptMismatch")
    queues.delete(queue, again.id, again.pop_receipt)
    with pytest.raises(NotFound):
        queues.delete(queue, again.id, again.pop_receipt)
    with pytest.raises(NotFound):
        queues.update(queue, again.id, again.pop_receipt, visibility=10)


def test_renewal_release_and_a_new_body(queues: Queues, queue: str) -> None:
    queues.put(queue, b"old")
    message = one(queues.receive(queue))
    renewed = queues.update(queue, message.id, message.pop_receipt, visibility=600)
    assert renewed.id == message.id
    assert message.next_visible_on is not None
    assert renewed.next_visible_on - message.next_visible_on > timedelta(seconds=500)
    assert renewed.pop_receipt != message.pop_receipt
    queues.update(queue, message.id, renewed.pop_receipt, visibility=0)
    released = wait_for(lambda: queues.receive(queue))
    assert (released.body, released.dequeue_count) == (b"old", 2)
    queues.update(queue, released.id, released.pop_receipt, visibility=0, body=b"new")
    assert wait_for(lambda: queues.receive(queue)).body == b"new"


def test_many_and_clear(queues: Queues, queue: str) -> None:
    for number in range(40):
        queues.put(queue, str(number))
    assert queues.approximate_count(queue) == 40
    assert [message.body for message in queues.peek(queue, 3)] == [b"0", b"1", b"2"]
    got = queues.receive(queue, 32)
    assert [message.body for message in got] == [str(number).encode() for number in range(32)]
    assert len(queues.receive(queue, 32)) == 8
    queues.clear(queue)
    assert queues.properties(queue).approximate_count == 0


def test_a_message_that_is_too_large(queues: Queues, queue: str, account: Account, transport: Transport) -> None:
    with pytest.raises(TooLarge):
        queues.put(queue, bytes(49_153))
    Queues(account, transport, base64=False).put(queue, "x" * 65_536)

"""The world on Azure storage when requests or answers are lost on the way: a real service behind a faulty wire."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from azurerest.account import Account
from azurerest.transport import Transport
from orchestrator.adapters.azure import AzureWorld
from orchestrator.adapters.driver import Clock
from orchestrator.core.errors import Unavailable
from orchestrator.ports import (
    Commit,
    Delete,
    Effect,
    Get,
    Insert,
    Query,
    ReadBlob,
    Reason,
    Refused,
    Send,
    Task,
    Unanswered,
    Upsert,
    WriteBlob,
)

TABLE = "faults"
BUSY = b"HTTP/1.1 503 Busy\r\nx-ms-error-code: ServerBusy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
TIMED_OUT = b"HTTP/1.1 503 Late\r\nx-ms-error-code: OperationTimedOut\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Wire:
    """Forwards each connection's one request to a service, and treats its answer as the next entry of `plan` says.

    "pass"; "lose answer": the service acts on it, the answer is dropped; "lose request": the service never sees it;
    "busy", "late": answered 503 without asking the service, "late" in the way that leaves the outcome open.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 80)
        self._path = parts.path
        self.plan: list[str] = []
        self.seen = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{self._path}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        # A listener that is only closed leaves its accept() waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                self._exchange(client)

    def _exchange(self, client: socket.socket) -> None:
        request = _read_message(client)
        if not request:
            return
        self.seen += 1
        what = self.plan.pop(0) if self.plan else "pass"
        if what in ("busy", "late"):
            client.sendall(BUSY if what == "busy" else TIMED_OUT)
        elif what != "lose request":
            with socket.create_connection(self._target) as service:
                service.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                answer = _read_message(service)
            if what == "pass":
                client.sendall(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))


def _read_message(peer: socket.socket) -> bytes:
    """One HTTP message, up to its length or the end of the connection."""
    data = b""
    while True:
        head, end, body = data.partition(b"\r\n\r\n")
        if end and (length := _length(head)) is not None and len(body) >= length:
            return data
        more = peer.recv(65_536)
        if not more:
            return data
        data += more


def _length(head: bytes) -> int | None:
    """The length of the body that follows; None when it ends with the connection."""
    lines = head.lower().split(b"\r\n")
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return None if lines[0].startswith(b"http/") and b" 204 " not in lines[0] + b" " else 0


@pytest.fixture
def wires(azurite_connection: str) -> Iterator[dict[str, Wire]]:
    account = Account.from_connection_string(azurite_connection)
    wires = {service: Wire(account.endpoint(service).url) for service in ("blob", "queue", "table")}
    yield wires
    for wire in wires.values():
        wire.close()


@pytest.fixture
def world(azurite_connection: str, wires: dict[str, Wire]) -> Iterator[AzureWorld]:
    direct = Account.from_connection_string(azurite_connection)
    account = Account(
        name=direct.name,
        credential=direct.credential,
        **{f"{service}_endpoint": wire.url for service, wire in wires.items()},
    )
    transport = Transport(read_timeout=5.0)
    yield AzureWorld(account, transport, container="faults", clock=Clock(sleep=lambda _: None))
    transport.close()


@pytest.fixture
def name() -> str:
    return f"n{uuid.uuid4().hex}"


def ask(world: AzureWorld, effect: Effect[object]) -> object:
    def task() -> Task[object]:
        return (yield from effect)

    return world.run(task())


pytestmark = pytest.mark.azurite

ONE = (Insert(rk="r", props={"n": 1}),)
MANY = (Insert(rk="r", props={"n": 1}), Upsert(rk="s", props={"n": 2}))


@pytest.mark.parametrize("writes", [ONE, MANY], ids=["one", "many"])
@pytest.mark.parametrize(("fault", "applied"), [("lose answer", True), ("lose request", False), ("late", False)])
def test_a_commit_without_a_clear_answer_is_unanswered_and_not_repeated(
    world: AzureWorld, wires: dict[str, Wire], name: str, fault: str, applied: bool, writes: tuple[Insert | Upsert, ...]
) -> None:
    ask(world, Commit(table=TABLE, pk=name, writes=(Upsert(rk="home", props={}),)))
    seen = wires["table"].seen
    wires["table"].plan = [fault]
    with pytest.raises(Unanswered):
        ask(world, Commit(table=TABLE, pk=name, writes=writes))
    assert wires["table"].seen == seen + 1
    assert (ask(world, Get(table=TABLE, pk=name, rk="r")) is not None) is applied


def test_a_commit_refused_for_load_is_repeated(world: AzureWorld, wires: dict[str, Wire], name: str) -> None:
    wires["table"].plan = ["busy", "busy"]
    ask(world, Commit(table=TABLE, pk=name, writes=ONE))
    with pytest.raises(Refused) as refused:
        ask(world, Commit(table=TABLE, pk=name, writes=ONE))
    assert refused.value.reason is Reason.EXISTS


def test_a_commit_that_is_refused_for_load_again_and_again_was_not_applied(
    world: AzureWorld, wires: dict[str, Wire], name: str
) -> None:
    wires["table"].plan = ["busy"] * 4
    with pytest.raises(Unavailable):
        ask(world, Commit(table=TABLE, pk=name, writes=ONE))
    assert ask(world, Get(table=TABLE, pk=name, rk="r")) is None


def test_a_message_is_sent_again_until_the_answer_comes(world: AzureWorld, wires: dict[str, Wire], name: str) -> None:
    world.queues.create(name)
    wires["queue"].plan = ["lose answer", "lose request", "late", "pass"]
    ask(world, Send(queue=name, body="b"))
    assert [message.body for message in world.queues.receive(name, 32)] == [b"b", b"b"]


def test_a_document_is_written_again_until_the_answer_comes(
    world: AzureWorld, wires: dict[str, Wire], name: str
) -> None:
    world.blobs.create_container("faults")
    wires["blob"].plan = ["lose answer", "busy", "pass"]
    ask(world, WriteBlob(name=name, data=b"d"))
    assert ask(world, ReadBlob(name=name)) == b"d"


@pytest.mark.parametrize("fault", ["busy", "late", "lose answer"])
def test_reads_are_repeated(world: AzureWorld, wires: dict[str, Wire], name: str, fault: str) -> None:
    ask(world, Commit(table=TABLE, pk=name, writes=ONE))
    wires["table"].plan = [fault]
    assert ask(world, Get(table=TABLE, pk=name, rk="r")) is not None
    wires["table"].plan = [fault]
    assert ask(world, Query(table=TABLE, pk=name, first="a", last="z")) != ()


UNSERVED: list[Effect[object]] = [
    Get(table=TABLE, pk="p", rk="r"),
    Query(table=TABLE, pk="p", first="a", last="z"),
    Commit(table=TABLE, pk="p", writes=(Delete(rk="r"),)),
    Send(queue="queue", body=""),
    ReadBlob(name="b"),
    WriteBlob(name="b", data=b""),
]


@pytest.mark.parametrize("effect", UNSERVED, ids=lambda effect: type(effect).__name__)
def test_without_a_connection_nothing_is_left_open(effect: Effect[object]) -> None:
    # A port that was just given back refuses connections at once, so nothing can have been applied.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/devstoreaccount1"
    account = Account(name="devstoreaccount1", blob_endpoint=url, queue_endpoint=url, table_endpoint=url)
    world = AzureWorld(account, Transport(connect_timeout=1.0), clock=Clock(sleep=lambda _: None))
    with pytest.raises(Unavailable):
        ask(world, effect)

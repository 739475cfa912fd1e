"""What the caller is told when a connection fails, over real sockets."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from azurerest.account import Account
from azurerest.errors import Busy, Forbidden, Invalid, StorageError, TooLarge, Unanswered, Unreachable
from azurerest.service import Service
from azurerest.transport import Call, Response, Transport
from tests.unit.azurerest.loopback import (
    Act,
    Loopback,
    answer,
    read_some,
    reset,
    response,
    send,
    take,
    take_and_hang,
)

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
EPOCH = 784111777.0
OK = response(200, b"ok", Date=DATE)
BIG = b"x" * (32 * 1024 * 1024)


def service(target: Loopback | str, **options: object) -> Service:
    url = target if isinstance(target, str) else target.url
    settings: dict[str, object] = {"read_timeout": 5.0, "sleep": lambda _: None} | options
    return Service("blob", Account("account", url, url, url), Transport(**settings))  # type: ignore[arg-type]


def write(target: Service, body: bytes = b"x") -> Response:
    return target.call("PUT", "/c/b", body=body)


def read(target: Service) -> Response:
    return target.call("GET", "/c/b", repeat=True)


def test_one_connection_serves_several_calls() -> None:
    with Loopback([answer(OK)] * 3) as server:
        target = service(server)
        got = [write(target), read(target), write(target)]
    assert [(each.status, each.body, each.date) for each in got] == [(200, b"ok", EPOCH)] * 3
    assert server.connections == 1
    assert server.requests[0].startswith(b"PUT /c/b HTTP/1.1\r\n")
    assert server.requests[0].endswith(b"content-length: 1\r\n\r\nx")


@pytest.mark.parametrize(
    "acts",
    [
        [take],
        [take, reset],
        [take, send(b"HTTP/1.1 201 Crea")],
        [take, send(b"HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\nabc")],
        [take, send(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")],
        [take, send(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab")],
        [take, send(b"HTTP/1.1 201 Created\r\nContent-Length: -1\r\n\r\n")],
        [take, send(b"220 mail.example\r\n\r\n")],
        [take, send(b"HTTP/1.1 100 Continue\r\n\r\n")],
    ],
    ids=["closed", "reset", "half-head", "half-body", "half-chunk", "bad-chunk", "bad-length", "not-http", "only-100"],
)
def test_a_write_that_left_whole_and_got_no_whole_answer_is_unanswered(acts: list[Act]) -> None:
    with Loopback(acts, [answer(OK)]) as server:
        with pytest.raises(Unanswered):
            write(service(server))
        assert server.connections == 1
    assert len(server.requests) == 1


@pytest.mark.parametrize("verb", ["POST", "DELETE", "GET"])
def test_silence_is_unanswered_and_nothing_is_repeated(verb: str) -> None:
    with Loopback([take_and_hang], [answer(OK)]) as server:
        with pytest.raises(Unanswered, match="timed out"):
            service(server, read_timeout=0.1).call(verb, "/queue/messages")
        assert server.connections == 1


def test_no_connection_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable, match="cannot connect") as caught:
        write(service(f"http://127.0.0.1:{port}"))
    assert caught.value.operation == "PUT blob /c/b"


def test_a_body_cut_off_on_a_new_connection_is_unreachable() -> None:
    with Loopback([read_some, reset]) as server, pytest.raises(Unreachable):
        write(service(server), BIG)


def test_a_refusal_that_comes_before_the_body_is_read_is_told() -> None:
    early = response(413, b"<Error><Code>RequestBodyTooLarge</Code><Message>no</Message></Error>", Connection="close")

    with Loopback([read_some, send(early)]) as server, pytest.raises(TooLarge):
        write(service(server), BIG)


def test_a_pooled_connection_closed_meanwhile_is_not_used() -> None:
    with Loopback([answer(OK)], [answer(OK)]) as server:
        target = service(server)
        write(target)
        until(lambda: not target.transport._idle[target.endpoint.origin][0].is_fresh())
        assert write(target).status == 200
    assert (server.connections, len(server.requests)) == (2, 2)


def test_a_write_on_a_pooled_connection_that_dies_unanswered_is_not_repeated() -> None:
    with Loopback([answer(OK), take], [answer(OK)]) as server:
        target = service(server)
        write(target)
        with pytest.raises(Unanswered):
            write(target)
        assert server.connections == 1
    assert len(server.requests) == 2


def test_a_read_on_a_pooled_connection_that_dies_silently_is_repeated_at_once() -> None:
    waits: list[float] = []
    with Loopback([answer(OK), take], [answer(OK)]) as server:
        target = service(server, sleep=waits.append)
        read(target)
        assert read(target).body == b"ok"
    assert (server.connections, len(server.requests), waits) == (2, 3, [])


def test_a_write_cut_off_on_a_pooled_connection_is_repeated() -> None:
    with Loopback([answer(OK), read_some, reset], [answer(OK)]) as server:
        target = service(server)
        write(target)
        assert write(target, BIG).status == 200
    assert [len(request) > len(BIG) for request in server.requests] == [False, True]


def test_reads_are_tried_three_times() -> None:
    busy = response(503, b"<Error><Code>ServerBusy</Code><Message>later</Message></Error>", Retry_After="2")
    waits: list[float] = []
    with Loopback([answer(response(500)), answer(busy), answer(OK)]) as server:
        assert read(service(server, sleep=waits.append)).body == b"ok"
    assert len(server.requests) == 3
    assert 0.05 <= waits[0] <= 0.15
    assert waits[1] == 2.0


def test_reads_give_up_after_three_tries() -> None:
    with Loopback([answer(response(500))] * 4) as server, pytest.raises(Unanswered):
        read(service(server))
    assert len(server.requests) == 3


def test_a_read_does_not_wait_for_long() -> None:
    busy = response(429, b"", Retry_After="60")
    with Loopback([answer(busy)] * 2) as server, pytest.raises(Busy) as caught:
        read(service(server, read_timeout=100.0))
    assert caught.value.retry_after == 60.0
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (503, "ServerBusy", Busy),
        (503, "OperationTimedOut", Unanswered),
        (500, "OperationTimedOut", Unanswered),
        (502, "", Unanswered),
        (504, "", Unanswered),
        (429, "TooManyRequests", Busy),
        (401, "", Forbidden),
        (403, "AuthenticationFailed", Forbidden),
        (418, "", StorageError),
    ],
)
def test_a_refused_write_is_sent_once(status: int, code: str, kind: type[StorageError]) -> None:
    body = f"<Error><Code>{code}</Code><Message>because\nRequestId:1</Message></Error>".encode()
    with (
        Loopback([answer(response(status, body, X_MS_Request_Id="r1"))] * 2) as server,
        pytest.raises(StorageError) as caught,
    ):
        write(service(server))
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code, caught.value.message) == (status, code, "because")
    assert caught.value.request_id == "r1"
    assert len(server.requests) == 1


def test_chunks_trailers_and_continue() -> None:
    chunked = response(200, b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n", Transfer_Encoding="chunked")
    with Loopback([answer(b"HTTP/1.1 100 Continue\r\n\r\n" + chunked), answer(OK)]) as server:
        target = service(server)
        assert write(target).body == b"abcde"
        assert write(target).body == b"ok"
    assert server.connections == 1


def test_a_large_answer_in_pieces() -> None:
    def trickle(server: Loopback, peer: socket.socket) -> None:
        take(server, peer)
        whole = response(200, BIG)
        for start in range(0, len(whole), 1_000_000):
            peer.sendall(whole[start : start + 1_000_000])

    with Loopback([trickle]) as server:
        assert read(service(server)).body == BIG


@pytest.mark.parametrize(
    "acts",
    [
        [answer(response(200, b"ok", Connection="close")), answer(OK)],
        [answer(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), answer(OK)],
        [answer(b"HTTP/1.1 200 OK\r\n\r\nok")],
        [answer(response(200, b"ok", Keep_Alive="timeout=1")), answer(OK)],
        [answer(response(200, b"ok") + b"surplus"), answer(OK)],
    ],
    ids=["close", "http-1.0", "until-end", "keep-alive", "surplus"],
)
def test_connections_that_are_not_kept(acts: list[Act]) -> None:
    with Loopback(acts, [answer(OK)]) as server:
        target = service(server)
        assert [write(target).body, write(target).body] == [b"ok", b"ok"]
    assert server.connections == 2


def test_head_and_204_have_no_body() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
    with Loopback([answer(head), answer(b"HTTP/1.1 204 No Content\r\n\r\n"), answer(OK)]) as server:
        target = service(server)
        got = [target.call("HEAD", "/c/b"), target.call("DELETE", "/c/b"), write(target)]
    assert [each.body for each in got] == [b"", b"", b"ok"]
    assert server.connections == 1


@pytest.mark.parametrize("limits", [{"max_idle": 0}, {"idle_limit": 0.0}], ids=str)
def test_the_limits_of_the_pool(limits: dict[str, object]) -> None:
    with Loopback([answer(OK), answer(OK)], [answer(OK)]) as server:
        target = service(server, **limits)
        assert [write(target).body, write(target).body] == [b"ok", b"ok"]
    assert server.connections == 2


def test_the_server_clock() -> None:
    with Loopback([answer(OK)]) as server:
        target = service(server)
        with pytest.raises(RuntimeError):
            target.transport.server_now()
        write(target)
        assert EPOCH <= target.transport.server_now() < EPOCH + 5


def test_the_observer_sees_every_request() -> None:
    calls: list[Call] = []
    with Loopback([answer(OK), answer(response(404)), take]) as server:
        target = service(server, observer=calls.append)
        target.call("GET", "/c/b", query=(("sig", "secret"),))
        for _ in range(2):
            with pytest.raises(StorageError):
                write(target, b"four")
    assert [(c.service, c.verb, c.path, c.status, c.sent, c.received) for c in calls] == [
        ("blob", "GET", "/c/b", 200, 0, 2),
        ("blob", "PUT", "/c/b", 404, 4, 0),
        ("blob", "PUT", "/c/b", 0, 4, 0),
    ]
    assert all(0 < call.seconds < 5 for call in calls)


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\rb", "é"])
def test_header_values_cannot_break_out(value: str) -> None:
    with pytest.raises(Invalid):
        service("http://127.0.0.1:1").call("PUT", "/c/b", headers={"x-ms-meta-a": value})


def test_a_forked_child_opens_its_own_connections() -> None:
    with Loopback([answer(OK), answer(OK)], [answer(OK)]) as server:
        target = service(server)
        write(target)
        pid = os.fork()
        if pid == 0:
            os._exit(0 if not _shares_connections(target) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert write(target).status == 200
        assert server.connections == 1


def _shares_connections(target: Service) -> bool:
    return target.transport._take_idle(target.endpoint.origin) is not None


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_tls_with_an_own_authority(authority: trustme.CA, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    with Loopback([answer(OK), answer(OK)], tls=context) as server:
        target = service(server, ca_file=str(trusted))
        assert [write(target).body, read(target).body] == [b"ok", b"ok"]
    assert server.connections == 1


def test_a_tls_stream_that_is_cut_off_is_not_taken_for_its_end(authority: trustme.CA, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    with (
        Loopback([answer(b"HTTP/1.1 200 OK\r\n\r\nhalf of the bo")], tls=context) as server,
        pytest.raises(Unanswered),
    ):
        write(service(server, ca_file=str(trusted)))


def test_tls_with_an_unknown_authority_is_unreachable(authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Loopback([answer(OK)], tls=context) as server, pytest.raises(Unreachable, match="certificate"):
        write(service(server))
    assert server.requests == []


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)

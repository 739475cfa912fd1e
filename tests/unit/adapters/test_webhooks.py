"""Calls of webhooks against a real server: signed, short, and only where they may go."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trustme

from orchestrator.adapters.webhooks import Caller
from orchestrator.core import signature
from orchestrator.core.addresses import is_public, literal
from orchestrator.core.errors import InvalidRequest
from orchestrator.core.webhook import check_url
from orchestrator.ports import Post, Posted
from tests.unit.millstream.loopback import Answer, Loopback, free_port, loopback

KEY, OLD = b"k" * 32, b"o" * 32


def post(url: str) -> Post:
    return Post(url=url, body=b'{"a": 1}', message_id="msg_1", signer="hook|1")


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback(lambda _: Answer(status=204)) as running:
        yield running


def test_the_reference_signature() -> None:
    """The example that Standard Webhooks publishes."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature.headers(
        [secret], message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=b'{"test": 2432232314}'
    )
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature.shown(secret) == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_call_is_signed_with_every_key(server: Loopback) -> None:
    caller = Caller([KEY, OLD], private=True, now=lambda: 1_800_000_000.9)
    assert caller(post(f"{server.url}/a/b?token=x")) == Posted(status=204)
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/a/b?token=x", b'{"a": 1}')
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["host"] == server.url.removeprefix("http://")
    assert (asked.headers["webhook-id"], asked.headers["webhook-timestamp"]) == ("msg_1", "1800000000")
    expected = []
    for key in (KEY, OLD):
        secret = signature.derive(key, "hook|1")
        digest = hmac.new(secret, b'msg_1.1800000000.{"a": 1}', hashlib.sha256).digest()
        expected.append(f"v1,{base64.b64encode(digest).decode()}")
    assert asked.headers["webhook-signature"].split() == expected
    assert not any(key in str(asked.headers).encode() for key in (KEY, OLD))


@pytest.mark.parametrize("status", [200, 201, 299, 300, 302, 307, 400, 404, 410, 429, 500, 503])
def test_the_status_is_told_and_redirects_are_not_followed(status: int) -> None:
    with loopback(lambda _: Answer(status=status, headers={"Location": "/elsewhere"})) as server:
        posted = Caller([KEY], private=True)(post(server.url))
        assert posted == Posted(status=status)
        assert posted.accepted == (status < 300)
        assert [asked.path for asked in server.asked] == ["/"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]"])
def test_addresses_that_are_not_of_the_internet_are_not_called(server: Loopback, host: str) -> None:
    """Also by a name, which is looked up once: what was checked is what is connected to."""
    url = server.url.replace("127.0.0.1", host)
    posted = Caller([KEY])(post(url))
    assert posted.status == 0
    assert server.asked == []


@pytest.mark.parametrize("host", ["169.254.169.254", "168.63.129.16", "10.0.0.1", "192.168.1.1", "100.64.0.1"])
def test_metadata_and_private_networks_are_refused_at_once(host: str) -> None:
    began = time.monotonic()
    posted = Caller([KEY])(post(f"http://{host}/metadata/identity/oauth2/token"))
    assert posted == Posted(status=0, error="its name leads to an address that is not of the internet")
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("172.16.0.1", False),
        ("168.63.129.16", False),
        ("169.254.169.254", False),
    ],
)
def test_what_is_of_the_internet(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("10.1.2.3", "10.1.2.3"),
        ("[fe80::1%eth0]", "fe80::1"),
        ("example.org", None),
        ("1.2.3.4.5", None),
        ("256.1.1.1", None),
        ("", None),
    ],
)
def test_addresses_that_hosts_spell_out(host: str, address: str | None) -> None:
    found = literal(host)
    assert (None if found is None else str(found)) == address


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "example.org",
        "https://",
        "https://user:secret@example.org/",
        "https://example.org/#x",
        "https://example.org/a b",
        "https://exämple.org/",
        "https://example.org:99999/",
        "https://example.org:0/",
        "https://example.org/\n",
        "https://[::1",
        "https://exa$mple.org",
        f"https://example.org/{'x' * 2000}",
        "http://localhost/",
        "http://a.localhost/",
        "http://127.0.0.1/",
        "http://0x7f.1/",
        "http://169.254.169.254/",
        "http://[::1]/",
    ],
)
def test_urls_that_may_not_be_called(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_url(url, "url", private=False)
    assert caught.value.field == "url"
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "url", ["https://example.org", "http://example.org:8080/a?b=c", "https://[2606:4700::1111]/", "https://8.8.8.8/x"]
)
def test_urls_that_may(url: str) -> None:
    assert check_url(url, "url", private=False) == url


def test_where_nobody_listens_there_is_no_answer() -> None:
    posted = Caller([KEY], private=True)(post(f"http://127.0.0.1:{free_port()}"))
    assert posted == Posted(status=0, error="no answer: ConnectionRefusedError")


def test_an_unknown_name_is_no_answer() -> None:
    posted = Caller([KEY], private=True)(post("http://nowhere.invalid/"))
    assert posted == Posted(status=0, error="no answer: gaierror")


@contextmanager
def dripping(first: bytes, served: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that says something every tenth of a second and never comes to an end."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def drip() -> None:
        stream, _ = listener.accept()
        if served is not None:
            stream = served.wrap_socket(stream, server_side=True)
        with stream:
            stream.sendall(first)
            while not done.wait(0.1):
                try:
                    stream.sendall(b"X-Drop: 1\r\n")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield f"{'https' if served else 'http'}://localhost:{listener.getsockname()[1]}"
    finally:
        done.set()
        thread.join()
        listener.close()


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\n"])
def test_one_that_never_finishes_its_answer_is_cut_off(first: bytes, secure: bool) -> None:
    authority = trustme.CA()
    served, trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(served)
    authority.configure_trust(trust)
    with dripping(first, served if secure else None) as url:
        began = time.monotonic()
        posted = Caller([KEY], private=True, timeout=1, trust=trust)(post(url))
        assert posted.status == 0
        assert time.monotonic() - began < 5


def test_one_that_says_nothing_is_cut_off() -> None:
    """Not even in the handshake of TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for scheme in ("http", "https"):
            began = time.monotonic()
            posted = Caller([KEY], private=True, timeout=0.5)(post(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"))
            assert posted == Posted(status=0, error="no answer within 0.5 s")
            assert time.monotonic() - began < 5


def test_a_huge_answer_is_not_read() -> None:
    with loopback(lambda _: Answer(body=b"x" * 50_000_000)) as server:
        began = time.monotonic()
        assert Caller([KEY], private=True)(post(server.url)).status == 200
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("cut", [-1, 3])
def test_an_answer_that_breaks_off(cut: int) -> None:
    with loopback(lambda _: Answer(body=b"abcdef", cut=cut)) as server:
        assert Caller([KEY], private=True)(post(server.url)).status == (0 if cut == -1 else 200)


def received_whole(stream: socket.socket) -> None:
    """Read a request to the end of its body."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += stream.recv(65536)
    head, _, body = request.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += stream.recv(65536)


@pytest.mark.parametrize("known", [True, False])
def test_tls_is_verified(known: bool) -> None:
    authority = trustme.CA()
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(served)
    trust = ssl.create_default_context()
    if known:
        authority.configure_trust(trust)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        raw, _ = listener.accept()
        with raw:
            try:
                with served.wrap_socket(raw, server_side=True) as stream:
                    received_whole(stream)  # what is closed with bytes unread is reset, and takes its answer along
                    stream.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    posted = Caller([KEY], private=True, trust=trust)(post(f"https://localhost:{listener.getsockname()[1]}/"))
    thread.join()
    listener.close()
    assert posted.status == (202 if known else 0)
    assert known or "certificate is not trusted" in posted.error

"""Values on their way in and out: queue messages, HTTP answers, settings, frames."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from devhost import wire
from devhost.bindings import queue_messages
from devhost.channel import Channel
from devhost.errors import ConfigError
from devhost.http_values import Request, http_response
from devhost.identity import host_id
from devhost.index import FunctionSpec, HttpTrigger, RetryPolicy, read_index
from devhost.queue_listener import poison_name
from devhost.settings import Knobs, load_settings
from devhost.storage import decode_message
from devhost.worker.main import thread_count


@pytest.mark.parametrize(
    ("value", "bodies"),
    [
        (wire.string("plain"), [b"plain"]),
        (wire.string(""), [b""]),
        (wire.string('["a", {"b": 1}, null, 2]'), [b"a", b'{\n  "b": 1\n}', b"", b"2"]),
        (wire.string(' {"b": "ü"} '), ['{\n  "b": "ü"\n}'.encode()]),
        (wire.string("[]"), []),
        (wire.string('"[]"'), [b'"[]"']),
        (wire.blob(b'["a"]'), [b'["a"]']),
        (wire.json('["{\\"a\\":1}", "b"]'), [b'{"a":1}', b"b"]),
        (wire.json("5"), [b"5"]),
    ],
)
def test_the_messages_of_an_output(value: wire.Datum, bodies: list[bytes]) -> None:
    assert queue_messages(value) == bodies


def test_a_text_that_only_looks_like_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        queue_messages(wire.string("{bad}"))


@pytest.mark.parametrize(
    ("value", "status", "kind", "body"),
    [
        (None, 204, None, b""),
        (wire.NOTHING, 204, None, b""),
        (wire.string("ä"), 200, "text/plain; charset=utf-8", "ä".encode()),
        (wire.json("{}"), 200, "application/json; charset=utf-8", b"{}"),
        (wire.blob(b"\xff"), 200, "application/octet-stream", b"\xff"),
    ],
)
def test_answers_that_are_no_response(value: wire.Datum | None, status: int, kind: str | None, body: bytes) -> None:
    response = http_response(value)
    assert (response.status, dict(response.headers).get("content-type"), response.body) == (status, kind, body)


@pytest.mark.parametrize("status", ["100", "600", "x", ""])
def test_a_status_that_is_none_is_500(status: str) -> None:
    out = wire.HttpOut(status=status, headers={}, cookies=None, body=b"x")
    assert http_response(wire.Datum(kind="http", response=out)).status == 500


def test_headers_that_frame_the_message_are_the_servers_own() -> None:
    headers = {"Content-Length": "1", "Transfer-Encoding": "chunked", "X-Own": "1"}
    out = wire.HttpOut(status="200", headers=headers, cookies=None, body=b"abc")
    assert http_response(wire.Datum(kind="http", response=out)).headers == (("X-Own", "1"),)


def test_the_key_of_a_request() -> None:
    def key(query: str, **headers: str) -> str:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Request(method="GET", scheme="http", path="/", query=query, headers=named, body=b"").key

    assert key("") == ""
    assert key("code=a%2Bb") == "a+b"
    assert key("code=a", x_functions_key="b") == "b"


@pytest.mark.parametrize(
    ("name", "poison"),
    [("jobs", "jobs-poison"), ("jobs-poison", None), ("j" * 56, "j" * 56 + "-poison"), ("j" * 57, None)],
)
def test_poison_names(name: str, poison: str | None) -> None:
    assert poison_name(name) == poison


def test_message_encoding() -> None:
    assert decode_message(b"aGk=", as_base64=True) == b"hi"
    assert decode_message(b"hi!", as_base64=True) is None
    assert decode_message(b"hi!", as_base64=False) == b"hi!"


@pytest.mark.parametrize(("text", "count"), [("8", 8), ("0", None), ("1001", None), ("many", None), ("", None)])
def test_the_thread_count(text: str, count: int | None) -> None:
    assert thread_count({"PYTHON_THREADPOOL_THREAD_COUNT": text}) == count


def test_retry_delays() -> None:
    fixed = RetryPolicy(limit=3, minimum=2, maximum=2, exponential=False)
    assert [fixed.delay(n) for n in (1, 2, 3)] == [2, 2, 2]
    growing = RetryPolicy(limit=-1, minimum=1, maximum=5, exponential=True)
    assert [growing.delay(n) for n in (1, 2, 3, 4, 99)] == [1, 2, 4, 5, 5]


def test_settings_ignore_case_and_prefer_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "local.settings.json"
    path.write_text(json.dumps({"Values": {"Queue": "file", "Count": 5, "On": True}, "devhost": {"drain_seconds": 1}}))
    settings = load_settings(path, {"Queue": "environment", "DEVHOST_RENEW_SECONDS": "7"})
    assert settings.get("QUEUE") == "environment"
    assert (settings.get("count"), settings.flag("on"), settings.get("absent")) == ("5", True, None)
    assert settings.resolve("a-%queue%-%Count%", where="x") == "a-environment-5"
    assert (settings.knobs.drain_seconds, settings.knobs.renewal) == (1, 7)
    assert settings.is_development
    with pytest.raises(ConfigError, match=r"there: %absent%"):
        settings.resolve("%absent%", where="there")


def test_the_knobs_default_to_the_real_times() -> None:
    knobs = Knobs()
    assert (knobs.queue_lease_seconds, knobs.renewal, knobs.blob_scan_seconds) == (600, 300, 10)
    assert knobs.max_body_bytes == 104857600


def test_the_index_reads_bindings(tmp_path: Path) -> None:
    settings = load_settings(tmp_path / "absent.json", {"Q": "Jobs", "AzureWebJobs.f.Disabled": "1"})
    bindings: list[dict[str, object]] = [
        {"type": "httpTrigger", "direction": "IN", "name": "req", "authLevel": "ADMIN", "methods": ["GET"]},
        {"type": "queue", "direction": "OUT", "name": "o", "queueName": "%Q%-{x}", "connection": "Other"},
        {"type": "http", "direction": "OUT", "name": "$return"},
    ]
    retry = {"max_retry_count": "2", "strategy": "fixed_delay", "delay_interval": "00:00:05"}
    (spec,) = read_index([wire.IndexedFunction(name="f", bindings=bindings, retry=retry)], settings)
    assert spec.trigger == HttpTrigger(name="req", route="f", methods=frozenset({"GET"}), auth_level="admin")
    assert [getattr(output, "queue", "") for output in spec.outputs] == ["Jobs-{x}", ""]
    assert (spec.retry, spec.retry_ignored) == (None, True)
    assert (spec.disabled, spec.does_io, spec.kind) == (True, True, "http")
    assert isinstance(spec, FunctionSpec)


def test_the_index_reads_the_retry_policy_of_a_timer(tmp_path: Path) -> None:
    settings = load_settings(tmp_path / "absent.json", {})
    bindings: list[dict[str, object]] = [
        {"type": "timerTrigger", "direction": "IN", "name": "t", "schedule": "0 * * * * *"},
    ]
    retry = {
        "max_retry_count": "-1",
        "strategy": "exponential_backoff",
        "minimum_interval": "00:00:01",
        "maximum_interval": "00:01:00",
    }
    (spec,) = read_index([wire.IndexedFunction(name="f", bindings=bindings, retry=retry)], settings)
    assert (spec.retry, spec.retry_ignored) == (RetryPolicy(limit=-1, minimum=1, maximum=60, exponential=True), False)
    with pytest.raises(ConfigError, match="bad retry policy"):
        read_index([wire.IndexedFunction(name="f", bindings=bindings, retry={"strategy": "fixed_delay"})], settings)


@pytest.mark.parametrize("given", ["a--b", "-a", "A", "x" * 33, "a_b"])
def test_a_host_id_that_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(ConfigError, match="hostid"):
        host_id(tmp_path, load_settings(tmp_path / "absent.json", {"AzureFunctionsWebHost__hostid": given}))


def test_the_host_id_is_stable_and_fits_every_name(tmp_path: Path) -> None:
    settings = load_settings(tmp_path / "absent.json", {})
    own = host_id(tmp_path, settings)
    assert own == host_id(tmp_path, settings) != host_id(tmp_path / "other", settings)
    assert len(own) == 32
    given = load_settings(tmp_path / "absent.json", {"AzureFunctionsWebHost__hostid": "my-app-1"})
    assert host_id(tmp_path, given) == "my-app-1"


@pytest.mark.parametrize("queue", ["no_underscores", "ab", "-a-b"])
def test_the_index_refuses_bad_queue_names(tmp_path: Path, queue: str) -> None:
    settings = load_settings(tmp_path / "absent.json", {})
    binding = {"type": "queueTrigger", "direction": "IN", "name": "m", "queueName": queue}
    with pytest.raises(ConfigError, match="function f"):
        read_index([wire.IndexedFunction(name="f", bindings=[binding], retry=None)], settings)


def test_frames_arrive_whole_and_in_order() -> None:
    left, right = socket.socketpair()
    sender, receiver = Channel(left), Channel(right)
    frames = [b"", b"a", b"b" * 3_000_000, *(bytes([number]) * number for number in range(200))]

    def send() -> None:
        for frame in frames:
            sender.send(frame)
        sender.close()

    thread = threading.Thread(target=send)
    thread.start()
    assert [receiver.receive() for _ in frames] == frames
    assert receiver.receive() is None
    thread.join()
    receiver.close()


def test_a_frame_cut_short_is_the_end() -> None:
    left, right = socket.socketpair()
    left.sendall(b"\x05\x00\x00\x00ab")
    left.close()
    receiver = Channel(right)
    assert receiver.receive() is None
    receiver.close()

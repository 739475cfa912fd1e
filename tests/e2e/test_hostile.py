"""Input that is meant to do harm: none of it gets through, and the service serves the next caller as before."""

from __future__ import annotations

import io
import json
import socket
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import pytest

from tests.azurite import Azurite
from tests.service import TOKEN, Service, fetch

pytestmark = pytest.mark.azurite

CLIMBS = [
    "../x",
    "../../etc/passwd",
    "a/../../x",
    "/etc/passwd",
    "a//b",
    "./a",
    "a/.",
    "a\\..\\..\\b",
    "a\x00b",
    "a\nb",
    "a/" * 600 + "b",
    "\u202egpj.exe/../x",
    "\uff0e\uff0e/\x01",
    "C:\\windows\\system32",
]
NAMES = [
    "",
    "..",
    "a/b",
    "a\x00",
    "a\r\nX-Evil: 1",
    "\u202ea",
    "x" * 2000,
    "$(id)",
    "`id`",
    "a;id",
    "'; DROP TABLE runs--",
]
STEP = {"id": "s", "name": "s", "kind": "python_script", "settings": {"script": "a.py"}}


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(azurite, tmp_path_factory.mktemp("service"), {"MILLSTREAM_SECRET_KEYS": "A" * 43 + "="})
    try:
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def snapshot(service: Service) -> str:
    return service.upload({"a.py": "import sys; print('ran', sys.argv[1:])"})


def refused(service: Service, method: str, path: str, document: Any = None, **more: Any) -> None:
    """The request is answered, as the caller's fault, in the one shape of errors."""
    reply = service.call(method, path, document, **more)
    assert 400 <= reply.status < 500, (method, path, reply.status, reply.body[:300])
    assert reply.json()["error"]["code"]


def run_of(snapshot: str, **step: Any) -> dict[str, Any]:
    definition = {"name": "hostile", "steps": [{**STEP, "snapshot": snapshot, **step}]}
    return {"experiment_name": "hostile", "definition": definition}


@pytest.mark.parametrize("path", CLIMBS)
def test_paths_that_climb(service: Service, snapshot: str, path: str) -> None:
    store = "datastores/workspaceblobstore"
    refused(service, "POST", "snapshots", {"files": [{"path": path, "sha256": "a" * 64, "size": 1}]})
    refused(service, "POST", f"{store}/uploads", {"files": [{"path": path, "size": 1}]})
    refused(service, "POST", "runs", run_of(snapshot, settings={"script": path}))
    output = {"name": "out", "path_on_compute": path, "mode": "upload"}
    refused(service, "POST", "runs", run_of(snapshot, outputs=[output]))


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_more_than_names(service: Service, snapshot: str, name: str) -> None:
    refused(service, "POST", "runs", run_of(snapshot, id=name))
    refused(
        service, "POST", "runs", run_of(snapshot, inputs=[{"name": name, "source": {"kind": "dataset", "id": "x"}}])
    )
    refused(service, "POST", "runs", run_of(snapshot, environment={name: {"kind": "literal", "value": "x"}}))
    refused(service, "PUT", f"computes/{quote(name or ' ', safe='')}", {"kind": "container"})
    refused(service, "GET", f"runs/{quote(name or ' ', safe='')}")


@pytest.mark.parametrize("name", ["PATH=/x", "a=b", "MILLSTREAM_TOKEN", "MILLSTREAM_STEP_INFO"])
def test_variables_that_would_take_over_the_script(service: Service, snapshot: str, name: str) -> None:
    refused(service, "POST", "runs", run_of(snapshot, environment={name: {"kind": "literal", "value": "x"}}))


BODIES: dict[str, Callable[[], bytes]] = {
    "not JSON": lambda: b"{broken",
    "not UTF-8": lambda: b'{"experiment_name": "\xff\xfe"}',
    "a lone surrogate": lambda: b'{"experiment_name": "\\ud800"}',
    "a hundred thousand brackets": lambda: b"[" * 100_000,
    "deeply nested objects": lambda: b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "deep in its place": lambda: json.dumps(run_of("a" * 64)).replace('"a.py"', "[" * 5_000 + "]" * 5_000).encode(),
    "keys twice": lambda: b'{"experiment_name": "a", "experiment_name": 1}',
    "a number without end": lambda: b'{"experiment_name": ' + b"9" * 100_000 + b"}",
    "too large": lambda: b'{"experiment_name": "' + b"x" * 5_000_000 + b'"}',
    "nothing": lambda: b"",
    "XML": lambda: b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "a list": lambda: b"[]",
    "fields that are not there": lambda: b'{"experiment_name": "a", "__class__": "os.system"}',
}


@pytest.mark.parametrize("body", BODIES)
def test_bodies(service: Service, body: str) -> None:
    refused(service, "POST", "runs", body=BODIES[body]())


def test_more_parameters_than_a_run_may_have(service: Service, snapshot: str) -> None:
    many = [{"name": f"p{number}", "type": "string", "default": "x" * 300} for number in range(200)]
    document = run_of(snapshot)
    document["definition"]["parameters"] = many
    refused(service, "POST", "runs", document)


RAW = {
    "two lengths": b"POST /api/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 9\r\n\r\n{",
    "length and chunks": b"POST /api/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a path with a line": b"GET /api/runs/a\rX: 1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "headers without end": b"GET /api/runs HTTP/1.1\r\n" + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
    "a header with zero": b"GET /api/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \x00\r\n\r\n",
    "a path that climbs": b"GET /api/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path that climbs, encoded": b"GET /api/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("what", RAW)
def test_requests_that_are_not_well_formed(service: Service, what: str) -> None:
    place = urlsplit(service.url)
    with socket.create_connection((place.hostname or "", place.port or 80), timeout=10) as connection:
        answer = b""
        with suppress(OSError):  # it may be refused, and closed, before all of it is sent
            connection.sendall(RAW[what])
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65_536):
                answer += part
    assert b" 200 " not in answer[:20]
    assert b"root:" not in answer


FORGED = {
    "nothing": "",
    "of another shape": "run.eyJhIjoxfQ.AAAA",
    "unsigned": "eyJhbGciOiJub25lIn0.eyJyb2xlcyI6WyJPd25lciJdfQ.",
    "the sum of the token": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "the token and more": f"{TOKEN} {TOKEN}",
    "a pattern": "*",
}


@pytest.mark.parametrize("token", FORGED)
def test_tokens_that_are_made_up(service: Service, token: str) -> None:
    reply = service.call("GET", "runs", token=FORGED[token])
    assert reply.status == 401
    assert TOKEN.encode() not in reply.body


def test_a_run_token_is_not_stretched(service: Service, snapshot: str) -> None:
    """A script shows its token and waits; with it, and with it changed, its bounds are tried from outside."""
    source = "import os, time; print('TOKEN', os.environ['AZUREML_RUN_TOKEN'], flush=True); time.sleep(600)"
    run = service.submit([{**STEP, "snapshot": service.upload({"a.py": source})}])
    token = ""
    for _ in range(600):
        text = service.call("GET", f"runs/{run}/steps/s/log").body.decode()
        if "TOKEN " in text:
            token = text.partition("TOKEN ")[2].split()[0]
            break
    assert token, "the log never showed it"
    try:
        assert service.call("GET", f"runs/{run}", token=token).status == 200
        assert service.call("POST", f"runs/{run}/cancel", token=token).status == 403
        assert service.call("GET", "runs", token=token).status == 403
        assert service.call("PUT", "datastores/x", {}, token=token).status == 403
        for position in (5, len(token) // 2, len(token) - 2):
            other = "A" if token[position] != "A" else "B"
            changed = token[:position] + other + token[position + 1 :]
            assert service.call("GET", f"runs/{run}", token=changed).status == 401
    finally:
        service.ask("POST", f"runs/{run}/cancel")
    service.wait(run)
    assert service.call("GET", f"runs/{run}", token=token).status == 401


def test_a_signed_url_is_good_for_its_file_alone(service: Service, snapshot: str) -> None:
    made = service.ask("POST", "datastores/workspaceblobstore/uploads", {"files": [{"path": "mine.txt", "size": 4}]})
    upload = made["files"][0]["upload"]
    assert fetch(upload["url"], upload["method"], b"mine", upload["headers"]).status == 201
    parts = urlsplit(upload["url"])
    for path in ("/other.txt", "/../snapshots/x.zip", ""):
        elsewhere = urlunsplit(parts._replace(path=parts.path.removesuffix("/mine.txt") + path))
        assert fetch(elsewhere, "PUT", b"x", upload["headers"]).status in (400, 403, 404)
    assert fetch(upload["url"], "DELETE", None, {}).status == 403
    container = urlunsplit(
        parts._replace(path=parts.path.rpartition("/")[0], query=f"restype=container&comp=list&{parts.query}")
    )
    assert fetch(container, "GET", None, {}).status == 403


def zipped(files: dict[str, bytes]) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return into.getvalue()


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "climbs": lambda: zipped({"../../../evil.py": b"print(1)", "a.py": b"x"}),
    "is absolute": lambda: zipped({"/tmp/evil.py": b"print(1)"}),
    "holds something else": lambda: zipped({"a.py": b"print('another')"}),
    "unpacks to a gigabyte": lambda: zipped({"a.py": b"\x00" * 400_000_000}),
    "is no zip": lambda: b"MZ" + b"\x00" * 100,
}


@pytest.mark.parametrize("what", ARCHIVES)
def test_archives_that_are_not_what_was_said(service: Service, what: str) -> None:
    named = what.replace(" ", "-")
    entry = {"path": f"{named}.py", "sha256": "c" * 64, "size": 8}
    made = service.ask("POST", "snapshots", {"files": [entry]})
    target = made["upload"]
    assert fetch(target["url"], target["method"], ARCHIVES[what](), target["headers"]).status == 201
    done = service.call("POST", f"snapshots/{made['id']}/complete")
    if done.status < 300:
        run = service.submit([{**STEP, "snapshot": made["id"], "settings": {"script": f"{named}.py"}}])
        assert service.wait(run)["status"] == "Failed"
        assert service.steps(run)["s"]["error"]["code"] == "SnapshotDamaged"
    else:
        assert 400 <= done.status < 500
    assert list(service.folder.rglob("evil.py")) == []


def test_arguments_are_arguments_and_no_commands(service: Service, snapshot: str) -> None:
    hostile = ["$(touch evil)", "; touch evil", "`touch evil`", "--flag=\n\r\x1b[31m", "'\"", "-c", "import os"]
    arguments = [{"kind": "literal", "value": text} for text in hostile]
    run = service.submit([{**STEP, "snapshot": snapshot, "arguments": arguments}])
    assert service.wait(run)["status"] == "Completed"
    log = service.call("GET", f"runs/{run}/steps/s/log").body.decode()
    assert f"ran {hostile!r}" in log
    assert list(service.folder.rglob("evil")) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:10000/",
        "http://[::1]/",
        "http://0x7f000001/",
        "file:///etc/passwd",
        "gopher://x/",
        "https://user:password@example.com/",
        "https://example.com/\r\nX-Evil: 1",
    ],
)
def test_webhooks_do_not_reach_inside(service: Service, snapshot: str, url: str) -> None:
    refused(service, "POST", "runs", {**run_of(snapshot), "webhooks": [{"url": url}]})


def test_afterwards_it_serves_as_before(service: Service, snapshot: str) -> None:
    """Last in this file: the same process has taken all of it."""
    assert service.call("GET", "health", token=None).status == 200
    assert service.host.process.poll() is None
    run = service.submit([{**STEP, "snapshot": snapshot}])
    assert service.wait(run)["status"] == "Completed"

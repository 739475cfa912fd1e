"""What the stand-ins of workspaces have in common: JSON over real HTTP, a bearer token, and faults that tests plant."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

T = TypeVar("T", bound="JsonStandIn")
TOKEN = "dapi-a-token-for-tests"


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(str(status))
        self.status, self.body, self.headers = status, body, headers or {}


@dataclass(frozen=True, slots=True)
class Call:
    verb: str
    path: str
    query: dict[str, str]
    body: Any


@dataclass
class Fault:
    """For the next `times` calls whose path ends so, and of this verb if one is given.

    `refusal` None: they are done, and their answer is lost.
    """

    path: str
    refusal: Refusal | None = None
    times: int = 1
    verb: str = ""

    def concerns(self, call: Call) -> bool:
        return self.times > 0 and call.path.endswith(self.path) and self.verb in ("", call.verb)


@dataclass
class JsonStandIn(ABC):
    """`answer` is given each call that has the right token, one at a time; it raises Refusal. Bytes go as they are."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @abstractmethod
    def answer(self, call: Call) -> Any: ...

    @abstractmethod
    def unauthorized(self) -> Refusal: ...

    def said(self, ending: str) -> list[Any]:
        """The bodies of all calls whose path ends so."""
        with self.lock:
            return [call.body for call in self.calls if call.path.endswith(ending)]

    def respond(self, call: Call, authorization: str) -> tuple[int, dict[str, str], bytes] | None:
        """None: the answer is lost."""
        with self.lock:
            self.calls.append(call)
            fault = next((one for one in self.faults if one.concerns(call)), None)
            if fault is not None:
                fault.times -= 1
            try:
                if authorization != f"Bearer {TOKEN}":
                    raise self.unauthorized()
                if fault is not None and fault.refusal is not None:
                    raise fault.refusal
                found = self.answer(call)
            except Refusal as refusal:
                return refusal.status, refusal.headers, json.dumps(refusal.body).encode()
            data = found if isinstance(found, bytes) else json.dumps(found).encode()
            return None if fault is not None else (200, {}, data)


def _handler(kept: JsonStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def handle_one(self) -> None:
            data = self.rfile.read(int(self.headers.get("content-length") or 0))
            parts = urlsplit(self.path)
            body = json.loads(data) if data else None
            call = Call(self.command, parts.path, dict(parse_qsl(parts.query)), body)
            made = kept.respond(call, self.headers.get("authorization", ""))
            if made is None:
                self.close_connection = True
                return
            status, headers, answer = made
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_DELETE = handle_one  # noqa: N815

    return Handler


@contextmanager
def serving(kept: T) -> Iterator[T]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(kept))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until it holds."""
    import time

    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)

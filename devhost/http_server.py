"""The HTTP front: one uvicorn server on a thread of its own, and the ASGI application behind it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from devhost.errors import PortTaken
from devhost.http_values import Request, Response, joined

Answer = Callable[[Request], Awaitable[Response]]
_NO_BODY = frozenset({204, 304})


def listen(host: str, port: int) -> socket.socket:
    """Bind the address; port 0 takes a free one.

    Raises:
        PortTaken: the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's delay (40 ms an answer) off only where it sees that the socket is TCP.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(512)
    except OSError as error:
        sock.close()
        raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port") from None
    return sock


class HttpServer:
    """Serves ``answer`` on a bound socket. ``max_body`` is the largest request body in bytes."""

    def __init__(self, sock: socket.socket, answer: Answer, max_body: int) -> None:
        self._sock = sock
        self._answer = answer
        self._max_body = max_body
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Start serving; returns once requests are taken."""
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(0.005)
        if not self._server.started:
            raise PortTaken(f"the HTTP server did not start: {self._failure}")

    def stop(self, seconds: float) -> None:
        """Take no more requests; wait up to ``seconds`` for those under way."""
        self._server.config.timeout_graceful_shutdown = max(1, int(seconds))
        self._server.should_exit = True
        self._thread.join(seconds + 1)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(2)

    def _serve(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._sock]))
        except OSError as error:
            self._failure = error

    async def _app(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = await _read_body(receive, self._max_body)
        response = Response(status=413) if body is None else await self._answer(_request(scope, body))
        content = b"" if response.status in _NO_BODY else response.body
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
        if response.status not in _NO_BODY:
            headers.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


async def _read_body(receive: Any, limit: int) -> bytes | None:
    """The request's body, None when it is larger than ``limit``."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(chunks)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _request(scope: dict[str, Any], body: bytes) -> Request:
    headers = joined((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])
    return Request(
        method=scope["method"].upper(),
        scheme=scope["scheme"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
    )

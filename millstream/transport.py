"""HTTP to the service: one connection a thread at a time, kept open, with retries.

Over http.client of the standard library. What the client needs of HTTP is little (JSON back and forth, bytes streamed
to and from signed URLs), and http.client imports in a third of urllib3's time and adds nothing to install.
"""

from __future__ import annotations

import http.client
import io
import random
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Final, Protocol
from urllib.parse import SplitResult, urlsplit

from millstream.errors import Unavailable

RETRIED: Final = frozenset({408, 429, 502, 503, 504})
"""Statuses after which a request is sent again."""

BLOCK: Final = 256 * 1024
"""Bytes of a file that are handed to the socket at a time."""

Body = bytes | IO[bytes] | None


class Sink(Protocol):
    """Where the bytes of an answer go. `rewind` takes back what was written, for another try."""

    def rewind(self) -> None: ...

    def write(self, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Response:
    """`headers` have names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a request is tried: `seconds` in all, `refused` seconds where nothing has ever answered.

    `timeout` is for each connect, send and receive.
    """

    seconds: float = 30.0
    refused: float = 1.0
    timeout: float = 60.0


class Transport:
    """Sends requests to any host and keeps the connections. Thread-safe.

    Every request must be repeatable: it may arrive twice when an answer is lost.
    """

    def __init__(
        self,
        patience: Patience = Patience(),
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patience = patience
        self._sleep = sleep
        self._clock = clock
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()
        self._met: set[str] = set()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        sink: Sink | None = None,
    ) -> Response:
        """Send, and read the answer; a good answer's bytes go to `sink` if there is one. Raises Unavailable.

        Statuses that ask for patience (429, 503 ...) are retried; the last of them is returned like any other.
        A `body` that is a file, and the `sink`, are rewound before each try.
        """
        started, tries = self._clock(), 0
        while True:
            tries += 1
            try:
                response = self._once(method, url, headers or {}, body, sink)
            except (OSError, http.client.HTTPException) as error:
                wait = self._wait(url, started, tries, None)
                if wait is None:
                    raise _unreachable(url, error) from error
            else:
                wait = self._wait(url, started, tries, response) if response.status in RETRIED else None
                if wait is None:
                    return response
            self._sleep(wait)

    def close(self) -> None:
        """Close the connections that are idle."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def __del__(self) -> None:
        self.close()

    def _wait(self, url: str, started: float, tries: int, response: Response | None) -> float | None:
        """Seconds until the next try; None: there is none."""
        known = urlsplit(url).netloc in self._met
        left = (self._patience.seconds if known else self._patience.refused) - (self._clock() - started)
        wait = min(0.05 * 2**tries, 3.0) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads callers, hides nothing
        if response is not None and response.headers.get("retry-after", "").isdigit():
            # Not all of those who were told the same come back in the same moment, and none too early.
            wait = max(wait, float(response.headers["retry-after"]) * random.uniform(1.0, 1.25))  # noqa: S311 - as above
        return wait if wait < left else None

    def _once(self, method: str, url: str, headers: Mapping[str, str], body: Body, sink: Sink | None) -> Response:
        parts = urlsplit(url)
        connection, fresh = self._take(parts)
        try:
            reply = self._exchange(connection, method, parts, headers, body)
        except (OSError, http.client.HTTPException):
            connection.close()
            if fresh:
                raise
            # A kept connection that the other side has closed meanwhile says nothing about the service.
            connection, _ = self._take(parts, fresh=True)
            try:
                reply = self._exchange(connection, method, parts, headers, body)
            except (OSError, http.client.HTTPException):
                connection.close()
                raise
        self._met.add(parts.netloc)
        try:
            data = _read(reply, sink)
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        self._give_back(parts, connection, keep=not reply.will_close)
        return Response(reply.status, {name.lower(): value for name, value in reply.getheaders()}, data)

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        parts: SplitResult,
        headers: Mapping[str, str],
        body: Body,
    ) -> http.client.HTTPResponse:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        length = _rewound(body)
        whole = {**headers} if length is None else {**headers, "Content-Length": str(length)}
        connection.request(method, target, body=body, headers=whole)
        return connection.getresponse()

    def _take(self, parts: SplitResult, *, fresh: bool = False) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            idle = self._idle.get((parts.scheme, parts.netloc))
            if fresh and idle:
                for connection in idle:
                    connection.close()
                idle.clear()
            if idle:
                return idle.pop(), False
        return self._connect(parts), True

    def _give_back(self, parts: SplitResult, connection: http.client.HTTPConnection, *, keep: bool) -> None:
        if not keep:
            connection.close()
            return
        with self._lock:
            self._idle.setdefault((parts.scheme, parts.netloc), []).append(connection)

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        """A new connection; for https, through the proxy that the environment names for the host, if it does."""
        host, timeout = parts.hostname or "", self._patience.timeout
        if parts.scheme != "https":
            return http.client.HTTPConnection(host, parts.port, timeout=timeout, blocksize=BLOCK)
        proxy = None if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get("https")
        via = urlsplit(proxy if "//" in proxy else f"//{proxy}") if proxy else parts
        connection = http.client.HTTPSConnection(
            via.hostname or "", via.port, timeout=timeout, context=self._tls, blocksize=BLOCK
        )
        if proxy:
            connection.set_tunnel(host, parts.port)
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()


def _rewound(body: Body) -> int | None:
    """The length of the body, which is left at its beginning."""
    if body is None or isinstance(body, bytes):
        return None
    length = body.seek(0, io.SEEK_END)
    body.seek(0)
    return length


def _read(reply: http.client.HTTPResponse, sink: Sink | None) -> bytes:
    if sink is None or reply.status >= 300:
        return reply.read()
    sink.rewind()
    while chunk := reply.read(1 << 20):
        sink.write(chunk)
    # read(n) ends quietly when the connection is cut short; only the length tells.
    if reply.length:
        raise http.client.IncompleteRead(b"", reply.length)
    return b""


def _unreachable(url: str, error: Exception) -> Unavailable:
    parts = urlsplit(url)
    reason = str(error) or type(error).__name__
    return Unavailable(
        f"{parts.scheme}://{parts.netloc} does not answer: {reason}. Is the service running? Locally, scripts/up "
        "starts it."
    )

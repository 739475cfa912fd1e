"""Pooled keep-alive connections, the server's clock, and the count of calls.

When a request is sent a second time without the caller knowing
    - It was given to a pooled connection that had died, and not all of it was accepted for sending: no server can
      have acted on it. Repeated once on a new connection, whatever the request is.
    - It is a plain read, was sent on a pooled connection, and not one byte of an answer came: repeated once too.
    - A plain read that got 429, 500, 502, 503, 504 or no answer is tried up to three times in all (`Service.call`).
Nothing else is repeated. A write that left whole and got no answer is `Unanswered`, even on a pooled connection: a
repeated conditional write or delete would answer 412 or 404 for what its own first sending did. Receiving queue
messages is not a plain read: it hides them.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from azurerest.errors import Unanswered, Unreachable
from azurerest.http1 import Answer, Connection, ExchangeBroken, Origin, Stage
from azurerest.httpdate import parse_http_date

if TYPE_CHECKING:
    import ssl


class Call(NamedTuple):
    """One request on the wire, for an observer. status 0: no answer. path has no query, so no signature.

    sent and received: bytes of the bodies. billed: the class under which it has a price, one of `billing.CLASSES`.
    """

    service: str
    verb: str
    path: str
    status: int
    seconds: float
    sent: int
    received: int
    billed: str = ""


class Response(NamedTuple):
    """Status, headers (lower-case names) and body; `date` is the server's own Date as epoch seconds.

    length: of the body, also of one that went into a caller's buffer, of which `body` has nothing.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    date: float
    length: int = 0


Observer = Callable[[Call], None]

_of_context: ContextVar[Observer | None] = ContextVar("azurerest.observer", default=None)


@contextmanager
def observing(observer: Observer) -> Iterator[None]:
    """Have `observer` told of each request that is made in this context, by whatever transport, instead of who was told
    before. A thread that works for the block must be given a copy of its context. It must not raise.
    """
    before = _of_context.set(observer)
    try:
        yield
    finally:
        _of_context.reset(before)


class Transport:
    """Thread-safe; one may serve any number of accounts. Survives a fork: the child starts with an empty pool.
    Knows no proxies.

    connect_timeout, read_timeout: seconds; the latter is the longest silence, not the longest call.
    max_idle: connections kept per origin. idle_limit: seconds a connection is kept unused (less if the server says so).
    ca_file: PEM file trusted instead of the system's authorities.
    observer: called after every request on the wire, from the calling thread; it must not raise.
    sleep: waits between the tries of a read.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
        max_idle: int = 32,
        idle_limit: float = 60.0,
        ca_file: str | None = None,
        observer: Observer | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self._max_idle = max_idle
        self._idle_limit = idle_limit
        self._ca_file = ca_file
        self._tls: ssl.SSLContext | None = None
        self.observer = observer
        self.sleep = sleep
        # deque.append and deque.pop are atomic: a pool without a lock cannot be left locked by a fork.
        self._idle: dict[Origin, deque[Connection]] = {}
        self._pid = os.getpid()
        self._clock: tuple[float, float] | None = None

    def server_now(self) -> float:
        """The server's time as epoch seconds: the last Date received plus the monotonic time since.

        Up to one second behind, since Date has whole seconds. Raises RuntimeError before the first answer.
        """
        clock = self._clock
        if clock is None:
            raise RuntimeError("the server's time is not known before its first answer")
        return clock[0] + time.monotonic() - clock[1]

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections. The transport can still be used."""
        idle, self._idle = self._idle, {}
        for pool in idle.values():
            while pool:
                pool.pop().close()

    def send(
        self,
        service: str,
        origin: Origin,
        verb: str,
        path: str,
        head: bytes,
        body: bytes | memoryview,
        *,
        repeat: bool,
        into: memoryview | None = None,
        billed: str = "",
    ) -> Response:
        """One request and its answer, of whatever status. repeat: it is a plain read. into: takes the body of a 2xx
        answer that fits, and may hold part of one that did not come whole. billed: what observers are told.

        Raises Unreachable, Unanswered.
        """
        started = time.monotonic()
        operation = f"{verb} {service} {path}"
        try:
            answer = self._send_pooled(origin, verb, head, body, into, repeat=repeat)
        except ExchangeBroken as fault:
            self._report(Call(service, verb, path, 0, time.monotonic() - started, len(body), 0, billed))
            kind = Unreachable if fault.stage is Stage.UNSENT else Unanswered
            raise kind(str(fault), operation=operation) from fault
        except OSError as fault:
            self._report(Call(service, verb, path, 0, time.monotonic() - started, 0, 0, billed))
            message = f"cannot connect to {origin.host}:{origin.port}: {fault}"
            raise Unreachable(message, operation=operation) from fault
        seconds = time.monotonic() - started
        self._report(Call(service, verb, path, answer.status, seconds, len(body), answer.length, billed))
        date = self._note_date(answer.headers.get("date"))
        return Response(answer.status, answer.headers, answer.body, date, answer.length)

    def _report(self, call: Call) -> None:
        for observer in (self.observer, _of_context.get()):
            if observer is not None:
                observer(call)

    def _note_date(self, text: str | None) -> float:
        if text is not None:
            try:
                date = parse_http_date(text).timestamp()
            except ValueError:
                return self.server_now() if self._clock else 0.0
            self._clock = (date, time.monotonic())
            return date
        return self.server_now() if self._clock else 0.0

    def _send_pooled(
        self,
        origin: Origin,
        verb: str,
        head: bytes,
        body: bytes | memoryview,
        into: memoryview | None,
        *,
        repeat: bool,
    ) -> Answer:
        pooled = self._take_idle(origin)
        if pooled is not None:
            try:
                return self._exchange(pooled, verb, head, body, into)
            except ExchangeBroken as fault:
                harmless = fault.stage is Stage.UNSENT or (repeat and fault.stage is Stage.SILENT)
                if fault.timed_out or not harmless:
                    raise
        return self._exchange(self._connect(origin), verb, head, body, into)

    def _exchange(
        self, connection: Connection, verb: str, head: bytes, body: bytes | memoryview, into: memoryview | None
    ) -> Answer:
        try:
            answer = connection.exchange(verb, head, body, into)
        except BaseException:
            connection.close()
            raise
        self._put_idle(connection)
        return answer

    def _take_idle(self, origin: Origin) -> Connection | None:
        if self._pid != os.getpid():
            # The parent's sockets: closing our copies leaves the parent's connections alone.
            self._pid = os.getpid()
            self.close()
        pool = self._idle.get(origin)
        while pool:
            try:
                connection = pool.pop()
            except IndexError:
                return None
            if connection.is_fresh():
                return connection
            connection.close()
        return None

    def _put_idle(self, connection: Connection) -> None:
        pool = self._idle.get(connection.origin)
        if pool is None:
            pool = self._idle.setdefault(connection.origin, deque())
        if not connection.reusable or len(pool) >= self._max_idle:
            connection.close()
            return
        connection.park(self._idle_limit)
        pool.append(connection)

    def _connect(self, origin: Origin) -> Connection:
        tls = self._tls_context() if origin.scheme == "https" else None
        return Connection(origin, connect_timeout=self._connect_timeout, read_timeout=self.read_timeout, tls=tls)

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            import ssl  # 8 ms that a plain-HTTP process does not pay

            context = ssl.create_default_context(cafile=self._ca_file)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            # Some builds of Python take a connection that is cut off for one that was closed.
            context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
            self._tls = context
        return self._tls

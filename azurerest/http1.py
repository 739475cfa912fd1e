"""One HTTP/1.1 connection, one exchange at a time.

Own code, because the difference between "nothing left this process", "no answer came" and "the answer broke off" is
what a caller's recovery rests on, and because the general clients spend most of a call's CPU on header objects.
"""

from __future__ import annotations

import select
import socket
import time
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import ssl

_MAX_HEAD = 64 * 1024
_RECEIVE = 64 * 1024
_JOIN_BELOW = 32 * 1024


class Stage(Enum):
    """How far an exchange got before it broke."""

    UNSENT = "the request did not leave whole"
    SILENT = "the request left, no byte of an answer came"
    BROKEN = "the answer broke off"


class ExchangeBroken(Exception):
    """An exchange ended without a whole answer; the connection must be closed."""

    def __init__(self, stage: Stage, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(f"{stage.value}: {reason}")
        self.stage = stage
        self.timed_out = timed_out


class Origin(NamedTuple):
    """Scheme, host and port that a connection serves."""

    scheme: str
    host: str
    port: int


class Answer(NamedTuple):
    """Status, headers (names in lower case) and body of a response. `length`: of the body, also of one that went into a
    caller's buffer, of which `body` has nothing.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    length: int


class Connection:
    """A connected socket. Not thread-safe: a pool hands it to one caller at a time."""

    __slots__ = ("_buffer", "_poll", "_sock", "_until", "origin", "reusable")

    def __init__(
        self, origin: Origin, *, connect_timeout: float, read_timeout: float, tls: ssl.SSLContext | None
    ) -> None:
        """Connects. Raises OSError."""
        sock = socket.create_connection((origin.host, origin.port), timeout=connect_timeout)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if tls is not None:
                sock = tls.wrap_socket(sock, server_hostname=origin.host, suppress_ragged_eofs=False)
            sock.settimeout(read_timeout)
        except BaseException:
            sock.close()
            raise
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._buffer = bytearray()
        self._until = 0.0
        self.origin = origin
        self.reusable = True

    def close(self) -> None:
        self._sock.close()

    def park(self, idle_limit: float) -> None:
        """Remember until when the connection may be taken up again."""
        self._until = min(self._until or float("inf"), time.monotonic() + idle_limit)

    def is_fresh(self) -> bool:
        """Whether a parked connection may be used: not idle too long, not closed by the peer."""
        return time.monotonic() < self._until and not self._poll.poll(0)

    def exchange(self, verb: str, head: bytes, body: bytes | memoryview, into: memoryview | None = None) -> Answer:
        """Send one request and read its whole answer. into: takes the body of a 2xx answer, if it says its length and
        that is not larger. Raises ExchangeBroken.
        """
        self._until = 0.0
        self._buffer.clear()
        unsent = self._send(head, body)
        try:
            return self._receive(verb, into)
        except ExchangeBroken:
            # A server may refuse early and close while the body is still being sent; only without such an answer
            # is the failure that of the sending.
            if unsent is not None:
                raise unsent from None
            raise

    def _send(self, head: bytes, body: bytes | memoryview) -> ExchangeBroken | None:
        parts: tuple[bytes | memoryview, ...] = (head, body)
        if len(body) <= _JOIN_BELOW:
            parts = (head + bytes(body),)
        try:
            if len(parts) == 2 and self.origin.scheme == "http":
                # In one call: the peer is woken once, for the head and the beginning of the body together.
                sent = self._sock.sendmsg(parts)
                parts = (head[sent:], memoryview(body)[max(sent - len(head), 0) :])
            for part in parts:
                view = memoryview(part)
                while view:
                    view = view[self._sock.send(view) :]
        except TimeoutError as fault:
            raise ExchangeBroken(Stage.UNSENT, "timed out", timed_out=True) from fault
        except OSError as fault:
            return ExchangeBroken(Stage.UNSENT, str(fault))
        return None

    def _fill(self, stage: Stage) -> bool:
        """Read some more into the buffer; False at the end of the stream."""
        try:
            data = self._sock.recv(_RECEIVE)
        except TimeoutError as fault:
            raise ExchangeBroken(stage, "timed out", timed_out=True) from fault
        except OSError as fault:
            raise ExchangeBroken(stage, str(fault)) from fault
        self._buffer += data
        return bool(data)

    def _need(self, stage: Stage = Stage.BROKEN) -> None:
        if not self._fill(stage):
            raise ExchangeBroken(stage, "the peer closed the connection")

    def _receive(self, verb: str, into: memoryview | None) -> Answer:
        status, version, headers = self._read_head()
        while 100 <= status < 200:
            status, version, headers = self._read_head()
        self.reusable = version == "HTTP/1.1" and "close" not in headers.get("connection", "").lower()
        if verb == "HEAD" or status in (204, 304):
            body = b""
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            body = self._read_chunked()
        elif "content-length" in headers:
            length = self._number(headers["content-length"], 10)
            if into is not None and 200 <= status < 300 and length <= len(into):
                self._read_into(into[:length])
                return self._answer(status, headers, b"", length)
            body = self._read_exactly(length)
        else:
            body = self._read_to_end()
        return self._answer(status, headers, body, len(body))

    def _answer(self, status: int, headers: dict[str, str], body: bytes, length: int) -> Answer:
        if self._buffer:
            self.reusable = False
        if self.reusable and (keep := headers.get("keep-alive")) is not None:
            self._note_keep_alive(keep)
        return Answer(status, headers, body, length)

    def _note_keep_alive(self, value: str) -> None:
        """A server that says when it will close an idle connection is left one second earlier."""
        for field in value.split(","):
            name, _, seconds = field.strip().partition("=")
            if name == "timeout" and seconds.isdigit():
                self._until = time.monotonic() + int(seconds) - 1

    def _read_head(self) -> tuple[int, str, dict[str, str]]:
        buffer = self._buffer
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            if len(buffer) > _MAX_HEAD:
                raise ExchangeBroken(Stage.BROKEN, "the answer's head is too long")
            self._need(Stage.BROKEN if buffer else Stage.SILENT)
        lines = buffer[:end].decode("latin-1").split("\r\n")
        del buffer[: end + 4]
        version, _, rest = lines[0].partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise ExchangeBroken(Stage.BROKEN, "not an HTTP/1.x answer")
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(rest[:3]), version, headers

    @staticmethod
    def _number(text: str, base: int) -> int:
        try:
            value = int(text, base)
        except ValueError:
            value = -1
        if value < 0:
            raise ExchangeBroken(Stage.BROKEN, f"bad length {text[:40]!r} in the answer")
        return value

    def _read_exactly(self, size: int) -> bytes:
        buffer = self._buffer
        if size <= len(buffer) + _RECEIVE:
            while len(buffer) < size:
                self._need()
            body = bytes(buffer[:size])
            del buffer[:size]
            return body
        whole = bytearray(size)
        self._read_into(memoryview(whole))
        return bytes(whole)

    def _read_into(self, view: memoryview) -> None:
        """Fill the view, first with what was received already."""
        buffer = self._buffer
        have = min(len(buffer), len(view))
        view[:have] = buffer[:have]
        del buffer[:have]
        while have < len(view):
            have += self._receive_into(view[have:])

    def _receive_into(self, view: memoryview) -> int:
        try:
            count = self._sock.recv_into(view)
        except TimeoutError as fault:
            raise ExchangeBroken(Stage.BROKEN, "timed out", timed_out=True) from fault
        except OSError as fault:
            raise ExchangeBroken(Stage.BROKEN, str(fault)) from fault
        if not count:
            raise ExchangeBroken(Stage.BROKEN, "the peer closed the connection")
        return count

    def _read_line(self) -> str:
        buffer = self._buffer
        while (end := buffer.find(b"\r\n")) < 0:
            if len(buffer) > _MAX_HEAD:
                raise ExchangeBroken(Stage.BROKEN, "a line of the answer is too long")
            self._need()
        line = buffer[:end].decode("latin-1")
        del buffer[: end + 2]
        return line

    def _read_chunked(self) -> bytes:
        chunks: list[bytes] = []
        while size := self._number(self._read_line().partition(";")[0].strip(), 16):
            chunks.append(self._read_exactly(size))
            if self._read_line():
                raise ExchangeBroken(Stage.BROKEN, "a chunk of the answer has the wrong length")
        while self._read_line():
            pass
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _read_to_end(self) -> bytes:
        self.reusable = False
        while self._fill(Stage.BROKEN):
            pass
        body = bytes(self._buffer)
        self._buffer.clear()
        return body

"""A scripted HTTP server on the loopback: a list of acts for each connection it accepts, an act a request."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType


class Loopback:
    """A context manager. requests: those read whole, in order. connections: how many were accepted."""

    def __init__(self, *connections: Sequence[Act], tls: ssl.SSLContext | None = None) -> None:
        self._script = connections
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.over = threading.Event()
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self._peer: socket.socket | None = None

    def __enter__(self) -> Loopback:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, tb: TracebackType | None) -> None:
        self.over.set()
        if self._peer is not None:
            with suppress(OSError):
                self._peer.shutdown(socket.SHUT_RDWR)  # wakes an act that waits for a request that never comes
        with socket.create_connection(("127.0.0.1", self.port)):
            pass  # wakes an accept that would wait for a connection that never comes
        self._thread.join(10)
        self._listener.close()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def _run(self) -> None:
        for acts in self._script:
            peer, _ = self._listener.accept()
            if self.over.is_set():
                peer.close()
                return
            self.connections += 1
            peer.settimeout(10)
            try:
                if self._tls is not None:
                    peer = self._tls.wrap_socket(peer, server_side=True)
                self._peer = peer
                for act in acts:
                    act(self, peer)
            except OSError:
                pass
            finally:
                peer.close()


Act = Callable[[Loopback, socket.socket], None]


def answer(data: bytes) -> Act:
    """Read a request, send this."""

    def act(server: Loopback, peer: socket.socket) -> None:
        take(server, peer)
        peer.sendall(data)

    return act


def take(server: Loopback, peer: socket.socket) -> None:
    """Read a request, say nothing."""
    if request := _read_request(peer):
        server.requests.append(request)


def take_and_hang(server: Loopback, peer: socket.socket) -> None:
    """Read a request, keep silent until the end of the test."""
    take(server, peer)
    server.over.wait(10)


def read_some(_server: Loopback, peer: socket.socket) -> None:
    """Read the beginning of a request."""
    peer.recv(1024)


def reset(_server: Loopback, peer: socket.socket) -> None:
    """Close with a TCP reset."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def send(data: bytes) -> Act:
    """Send this without reading."""

    def act(_server: Loopback, peer: socket.socket) -> None:
        peer.sendall(data)

    return act


def response(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """Bytes of a response. Underscores in header names stand for dashes."""
    lines = [f"HTTP/1.1 {status} X"]
    if "Transfer_Encoding" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _read_request(peer: socket.socket) -> bytes:
    """One whole request, b"" when the peer has gone."""
    data = bytearray()
    while b"\r\n\r\n" not in data:
        piece = peer.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        piece = peer.recv(65536)
        if not piece:
            return b""
        body += piece
    return bytes(head + b"\r\n\r\n" + body)

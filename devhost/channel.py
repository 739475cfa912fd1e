"""Length-prefixed frames over one stream socket; writing is safe from any thread, reading from one."""

from __future__ import annotations

import socket
import struct
import threading

_LENGTH = struct.Struct("<I")
_CHUNK = 1 << 18


class Channel:
    """One end of the socket pair between host and worker."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sending = threading.Lock()
        self._buffer = bytearray()

    def send(self, frame: bytes) -> None:
        """Send one frame.

        Raises:
            OSError: the peer is gone.
        """
        with self._sending:
            self._sock.sendall(_LENGTH.pack(len(frame)) + frame)

    def receive(self) -> bytes | None:
        """The next frame, or None once the peer is gone."""
        if not self._fill(_LENGTH.size):
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        end = _LENGTH.size + length
        if not self._fill(end):
            return None
        frame = bytes(memoryview(self._buffer)[_LENGTH.size : end])
        del self._buffer[:end]
        return frame

    def close(self) -> None:
        """Close this end; the peer reads the end of the stream."""
        self._sock.close()

    def _fill(self, size: int) -> bool:
        while len(self._buffer) < size:
            try:
                chunk = self._sock.recv(max(_CHUNK, min(size - len(self._buffer), 1 << 24)))
            except OSError:
                return False
            if not chunk:
                return False
            self._buffer += chunk
        return True

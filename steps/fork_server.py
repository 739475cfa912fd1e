"""The worker's side of the zygote: starting a process tree, and hearing how it ended."""

from __future__ import annotations

import json
import math
import socket
import struct
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from steps.failures import StartFailed

_MAIN = Path(__file__).with_name("zygote") / "main.py"
_START_SECONDS = 60.0
_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run. With `script`, command[0] is this fork server's interpreter and command[1] the script, relative to
    `folder`; it runs in a fork of the zygote unless `fresh`. environment: all of it. timeout, grace: seconds.
    """

    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(repr=False)
    timeout: float | None
    grace: float
    script: str | None = None
    fresh: bool = False

    def encode(self) -> bytes:
        """The request to the script's process."""
        request = {
            "command": self.command,
            "script": self.script,
            "arguments": self.command[2:],
            "folder": str(self.folder),
            "environment": dict(self.environment),
            "fresh": self.fresh,
        }
        body = json.dumps(request).encode()
        return struct.pack("!I", len(body)) + body

    def go(self) -> bytes:
        """The order to the keeper."""
        timeout = math.inf if self.timeout is None else self.timeout
        return f"go {timeout} {self.grace}\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a process tree ended. status: as of `os.waitpid`, None if it could not be ended at all. strays: processes
    that had outlived their script and were ended, too.
    """

    status: int | None
    seconds: float
    timed_out: bool
    strays: int


class Child:
    """A process tree under its keeper. Closing kills what is left of it."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._buffer = b""

    def fileno(self) -> int:
        return self._control.fileno()

    def hear(self) -> End | None:
        """Read what the keeper says, waiting if need be; the End when it comes. Raises EOFError: the keeper is dead."""
        try:
            data = self._control.recv(4096)
        except ConnectionResetError:
            # Killed before it had read all that was said to it.
            data = b""
        if not data:
            raise EOFError
        self._buffer += data
        return End(**json.loads(self._buffer)) if self._buffer.endswith(b"\n") else None

    def stop(self, *, kill: bool = False) -> None:
        """End the tree: SIGTERM, then SIGKILL after its grace; or SIGKILL at once. From any thread."""
        try:
            self._control.send(b"kill\n" if kill else b"stop\n")
        except OSError:
            return

    def close(self) -> None:
        self._control.close()


class ForkServer:
    """One zygote, started when first needed and again if it dies. Thread-safe.

    python: its interpreter. environment: what it is started with, and must hold no secret: scripts can read it.
    """

    def __init__(self, python: str, environment: Mapping[str, str]) -> None:
        self._python = python
        self._environment = dict(environment)
        self._lock = threading.Lock()
        self._server: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def warm(self) -> None:
        """Start the zygote, without waiting for it to be ready."""
        with self._lock:
            self._connected()

    def start(self, command: Command, log: int) -> Child:
        """Run a command, its output going to the descriptor `log`, which stays open here. Raises StartFailed."""
        body = command.encode()
        for _ in range(_TRIES):
            pair = self._take()
            if pair is None:
                continue
            control, go = pair
            with go:
                try:
                    control.sendall(command.go())
                    sent = socket.send_fds(go, [body], [log])
                    if sent < len(body):
                        go.sendall(body[sent:])
                    return Child(control)
                except OSError:
                    # The prepared processes were dead. Nothing has been run: that takes the whole request.
                    control.close()
        raise StartFailed("The process that starts scripts does not answer; its own words are in the worker's log.")

    def close(self) -> None:
        """End the zygote; running scripts have keepers of their own and go on."""
        self._disconnect()

    def _take(self) -> tuple[socket.socket, socket.socket] | None:
        """The sockets of the prepared pair: the keeper's, the script's."""
        with self._lock:
            try:
                server = self._connected()
                _, descriptors, _, _ = socket.recv_fds(server, 1, 2)
            except OSError:
                descriptors = []
            sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
            if len(sockets) != 2:
                for useless in sockets:
                    useless.close()
                self._drop()
                return None
            try:
                server.send(b"N")
            except OSError:
                # A zygote that has just died; the pair lives on without it.
                self._drop()
            return sockets[0], sockets[1]

    def _connected(self) -> socket.socket:
        if self._server is None:
            ours, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [self._python, str(_MAIN), str(theirs.fileno())],
                    env=self._environment,
                    cwd="/",
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,
                )
            ours.settimeout(_START_SECONDS)
            self._server = ours
        return self._server

    def _disconnect(self) -> None:
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._process is not None:
            # It ends at the end of its socket; one that hangs in the start of its interpreter is ended by force.
            try:
                self._process.wait(1.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

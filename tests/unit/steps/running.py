"""Running scripts in tests: through the worker's processes, and as plain `python script.py`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from steps.fork_server import Child, Command, End, ForkServer

BASE = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "HOME": "/nonexistent"}


@dataclass(frozen=True)
class Ran:
    output: bytes
    code: int

    @property
    def text(self) -> str:
        return self.output.decode()


class Running:
    """A process tree that a test has started, and its output."""

    def __init__(self, server: ForkServer, command: Command) -> None:
        self.source, sink = os.pipe()
        self.child: Child = server.start(command, sink)
        os.close(sink)
        self.output = b""

    def read_until(self, text: bytes) -> bytes:
        while text not in self.output:
            data = os.read(self.source, 65536)
            assert data, f"ended before {text!r}: {self.output!r}"
            self.output += data
        return self.output

    def end(self) -> End:
        end = None
        while data := os.read(self.source, 65536):
            self.output += data
        while end is None:
            end = self.child.hear()
        self.close()
        return end

    def close(self) -> None:
        os.close(self.source)
        self.child.close()


def command(
    folder: Path,
    *arguments: str,
    script: str = "script.py",
    environment: Mapping[str, str] | None = None,
    timeout: float | None = 20.0,
    grace: float = 0.3,
    fresh: bool = False,
) -> Command:
    return Command(
        command=(sys.executable, script, *arguments),
        folder=folder,
        environment=BASE | dict(environment or {}),
        timeout=timeout,
        grace=grace,
        script=script,
        fresh=fresh,
    )


def through(server: ForkServer, order: Command) -> Ran:
    running = Running(server, order)
    end = running.end()
    assert end.status is not None
    return Ran(running.output, os.waitstatus_to_exitcode(end.status))


def plainly(
    folder: Path, *arguments: str, script: str = "script.py", environment: Mapping[str, str] | None = None
) -> Ran:
    done = subprocess.run(
        [sys.executable, script, *arguments],
        cwd=folder,
        env=BASE | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_heed_the_keyboard,
    )
    return Ran(done.stdout, done.returncode)


def _heed_the_keyboard() -> None:
    """What a shell starts in the background ignores these signals; the tests may have been started so."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] != b"Z"


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True

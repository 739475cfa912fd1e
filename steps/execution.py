"""Running a process tree to its end while its output goes to the log."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from steps.failures import ScriptFailed, ScriptKilled, TimedOut
from steps.fork_server import Child, Command, End, ForkServer
from steps.stop import Stop

PIPE_BYTES = 1024 * 1024
"""So that a script need not wait while the log is being stored."""
READ_BYTES = 256 * 1024
DRAIN_SECONDS = 2.0
"""How long output is awaited after the tree has ended, from a process outside of it that was given the pipe."""
_AWAY_SECONDS = 30.0
_F_SETPIPE_SZ = 1031


class Listener(Protocol):
    """Where output goes: `steps.log.StepLog`, or what stands for one."""

    def write(self, data: bytes) -> None: ...
    def note(self, text: str) -> None: ...
    def wait(self) -> float | None: ...
    def full(self) -> bool: ...
    def flush(self) -> bool: ...


class Onlooker(Protocol):
    """What looks at the process now and then: `steps.live_metrics.LiveMetrics`, or what stands for them."""

    def wait(self) -> float: ...
    def look(self) -> None: ...


def run(server: ForkServer, command: Command, log: Listener, live: Onlooker, stop: Stop) -> End:
    """Run the command to the end of its whole process tree. Raises StartFailed, ScriptKilled, Stopped."""
    stop.check()
    with _pipe() as (source, sink):
        try:
            child = server.start(command, sink)
        finally:
            os.close(sink)
        try:
            with stop.calling(child.stop):
                end = _follow(child, source, log, live)
        except EOFError:
            raise ScriptKilled("The process that watches over the script was killed; the script was ended.") from None
        finally:
            child.close()
    stop.check()
    return end


def judge(end: End, timeout: float | None) -> None:
    """Raises TimedOut, ScriptFailed, ScriptKilled with `exit_code`; returns when all is well."""
    if end.timed_out:
        raise TimedOut(f"The script ran longer than it may, {timeout:g} s, and was ended.")
    if end.status is None:
        raise ScriptKilled("The script could not be ended, even by SIGKILL: it is stuck in the kernel.")
    code = os.waitstatus_to_exitcode(end.status)
    if code > 0:
        failure = ScriptFailed(f"The script ended with exit code {code}.")
        failure.exit_code = code
        raise failure
    if code < 0:
        killed = ScriptKilled(_killed_by(-code))
        killed.exit_code = code
        raise killed


def _killed_by(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    hint = " That is also what happens when the node runs out of memory." if number == signal.SIGKILL else ""
    return f"The script was ended by {name}.{hint}"


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """Read and write end; the block closes the write end, the read end is closed here."""
    source, sink = os.pipe()
    try:
        os.set_blocking(source, False)
        with suppress(OSError):  # not Linux, or over this user's share: the usual size does, too
            fcntl.fcntl(sink, _F_SETPIPE_SZ, PIPE_BYTES)
        yield source, sink
    finally:
        os.close(source)


def _follow(child: Child, source: int, log: Listener, live: Onlooker) -> End:
    """Move output to the log until the tree has ended and its output is read. Raises EOFError: the keeper is dead."""
    poller = select.poll()
    poller.register(child, select.POLLIN)
    poller.register(source, select.POLLIN)
    end: End | None = None
    is_open, is_reading, until = True, True, 0.0
    while end is None or (is_open and time.monotonic() < until):
        wait = _wait(log, live) if end is None else max(0.0, until - time.monotonic())
        for descriptor, _ in poller.poll(wait * 1000 + 1):
            if descriptor == source:
                is_open = _move(source, log)
            else:
                end = end or child.hear()
                if end is not None:
                    poller.unregister(child)
                    until = time.monotonic() + DRAIN_SECONDS
        if log.wait() == 0.0 and end is None:
            log.flush()
        if live.wait() == 0.0 and end is None:
            live.look()
        if is_reading != (is_open and not log.full()):
            is_reading = not is_reading
            poller.register(source, select.POLLIN) if is_reading else poller.unregister(source)
    if end.strays:
        count = "a process" if end.strays == 1 else f"{end.strays} processes"
        log.note(f"The script left {count} behind; ended, too.")
    return end


def _wait(log: Listener, live: Onlooker) -> float:
    wait = log.wait()
    return live.wait() if wait is None else min(wait, live.wait())


def _move(source: int, log: Listener) -> bool:
    """Read what is there, or some of it. False: nothing more will come."""
    try:
        data = os.read(source, READ_BYTES)
    except BlockingIOError:
        return True
    if data:
        log.write(data)
    return bool(data)

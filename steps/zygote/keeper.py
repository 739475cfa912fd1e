"""The keeper of one script: watches time and the worker, ends the whole process tree."""

from __future__ import annotations

import json
import math
import os
import select
import signal
import socket
import time
from collections.abc import Mapping
from enum import Enum

from steps.zygote import tree

LINGER = 0.25
"""Seconds that helpers of an ended script (multiprocessing's resource tracker, say) have to end by themselves."""
PATIENCE = 10.0
"""Seconds after which processes that survive SIGKILL (stuck in the kernel) are given up."""
_AGAIN = 0.02
_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stage(Enum):
    RUNNING = "running"
    LINGERING = "lingering"  # the script has ended, something it started has not
    STOPPING = "stopping"  # SIGTERM sent
    KILLING = "killing"  # SIGKILL sent, again and again until nothing is left


class Keeper:
    """`control`: the socket to the worker."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._heard = b""
        self._wake, self._wake_end = os.pipe()
        self._stage = Stage.RUNNING
        self._grace = 0.0
        self._next = math.inf
        self._patience = math.inf
        self._script = 0
        self._status: int | None = None
        self._timed_out = False
        self._strays = 0
        self._started = time.monotonic()
        self._seconds = 0.0

    def fork(self) -> bool:
        """Make the script's process. True in it, False in the keeper. Raises OSError."""
        os.set_blocking(self._wake, False)
        os.set_blocking(self._wake_end, False)
        signal.set_wakeup_fd(self._wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for ignored in _IGNORED:
            signal.signal(ignored, signal.SIG_IGN)
        tree.adopt_orphans()
        keeper = os.getpid()
        self._script = os.fork()
        if self._script != 0:
            return False
        tree.die_with(keeper)
        tree.offer_to_oom_killer()
        self._let_go()
        return True

    def _let_go(self) -> None:
        """In the script's process: nothing of the keeper stays."""
        signal.set_wakeup_fd(-1)
        # SIGQUIT, like SIGINT, is ignored by whatever a shell has started in the background, and so down to here.
        for default in (signal.SIGCHLD, signal.SIGQUIT, *_IGNORED):
            signal.signal(default, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.close(self._wake)
        os.close(self._wake_end)
        self._control.close()

    def keep(self) -> None:
        """Until the tree has ended; then tell the worker how."""
        poller = select.poll()
        poller.register(self._control, select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        while not self._reap():
            left = self._next - time.monotonic()
            for descriptor, _ in poller.poll(None if left == math.inf else max(0.0, left) * 1000 + 1):
                if descriptor == self._wake:
                    self._drain()
                elif not self._listen():
                    poller.unregister(self._control)
            if time.monotonic() >= self._next and not self._advance():
                break
        if not tree.ADOPTS:
            tree.send_group(signal.SIGKILL, self._script)
        end = {"status": self._status, "seconds": self._seconds, "timed_out": self._timed_out, "strays": self._strays}
        self._tell(end)

    def _drain(self) -> None:
        try:
            while os.read(self._wake, 4096):
                pass
        except BlockingIOError:
            return

    def _reap(self) -> bool:
        """Collect the dead. True: nobody is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self._script:
                self._status = status
                self._seconds = time.monotonic() - self._started
                if self._stage in (Stage.RUNNING, Stage.STOPPING):
                    self._stage = Stage.LINGERING
                    self._next = time.monotonic() + LINGER

    def _listen(self) -> bool:
        """Do what the worker says. False: it is dead."""
        try:
            data = self._control.recv(4096)
        except OSError:
            data = b""
        if not data:
            self._kill()
            return False
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            order, *values = line.split()
            if order == b"go":
                timeout, self._grace = map(float, values)
                self._started = time.monotonic()
                self._next = self._started + timeout
            elif order == b"stop" and self._stage is Stage.RUNNING:
                self._stop()
            elif order == b"kill":
                self._kill()
        return True

    def _advance(self) -> bool:
        """The time of this stage is over. False: give up."""
        if self._stage is Stage.RUNNING:
            self._timed_out = True
            self._stop()
        elif self._stage is Stage.LINGERING:
            left = tree.descendants(os.getpid())
            self._strays = len(left)
            tree.send(signal.SIGTERM, left)
            self._stage, self._next = Stage.STOPPING, time.monotonic() + min(self._grace, 1.0)
        elif self._stage is Stage.STOPPING:
            self._kill()
        elif time.monotonic() >= self._patience:
            return False
        else:
            self._strike()
        return True

    def _stop(self) -> None:
        tree.send_group(signal.SIGTERM, self._script)
        self._stage, self._next = Stage.STOPPING, time.monotonic() + self._grace

    def _kill(self) -> None:
        if self._stage is not Stage.KILLING:
            self._stage = Stage.KILLING
            self._patience = time.monotonic() + PATIENCE
        self._strike()

    def _strike(self) -> None:
        # A tree that forks faster than it is killed loses: everything found is stopped before anything is killed.
        found = tree.descendants(os.getpid())
        tree.send(signal.SIGSTOP, found)
        if self._status is None:
            tree.send_group(signal.SIGKILL, self._script)
        tree.send(signal.SIGKILL, found)
        self._next = time.monotonic() + _AGAIN

    def _tell(self, message: Mapping[str, object]) -> None:
        try:
            self._control.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            # The worker is dead; the end of its socket says so, too, and that is acted on.
            return

"""The parent of a worker process, which is tiny, so that it is there when the worker has died: killed by its step, or
for the memory that this took.

The worker tells it which message it holds, and by which receipt. If it dies, the message is shown to others at once,
and its step costs a few seconds instead of the time for which the message was hidden. What dies as a whole, supervisor
and all, still costs that time.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Final

from steps.zygote import tree

RESTART_SECONDS: Final = 120.0
"""A worker that is to run one step is started again in its place only so long after its start: later, the next one
would have too little of the time that the execution may take."""
_READ_BYTES: Final = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A message that is held. `receipt`: by which it is shown again, the last one that storage gave."""

    queue: str
    message: str
    receipt: str


class Notes:
    """The worker's end: tells the supervisor what is held. A supervisor that is gone hears nothing, and that is all."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, holding: Holding | None) -> None:
        """None: nothing is."""
        note = None if holding is None else [holding.queue, holding.message, holding.receipt]
        try:
            os.write(self._descriptor, json.dumps(note).encode() + b"\n")
        except OSError:
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a worker ended: its exit code, or less the signal that killed it; what it held then; how long it lived."""

    code: int
    holding: Holding | None
    seconds: float


class Supervisor:
    """`work(notes, seconds)` is what the worker does, in a fork of this process; it returns the exit code. `seconds`:
    since the first one was started. `release(holding, delay)` shows a message to others after `delay` seconds. `once`:
    a worker runs one step. `say`: told of deaths.
    """

    def __init__(
        self,
        work: Callable[[Notes, float], int],
        release: Callable[[Holding, float], None],
        *,
        once: bool,
        failure_delay: float,
        say: Callable[[str], None],
    ) -> None:
        self._work = work
        self._release = release
        self._once = once
        self._failure_delay = failure_delay
        self._say = say
        self._child = 0
        self._asked = False
        self._began = time.monotonic()

    def run(self) -> int:
        """Until a worker has ended by itself; the exit code. In the worker it raises SystemExit, with the worker's."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._pass_on)
        while True:
            ended = self._one()
            if ended.holding is not None and ended.code != 0:
                self._release(ended.holding, 0.0 if ended.code < 0 else self._failure_delay)
            if ended.code >= 0:
                return ended.code
            self._say(f"the worker was killed by signal {-ended.code}")
            if self._asked:
                return 0
            if not self._is_to_go_on(ended):
                return 1

    def _is_to_go_on(self, ended: Ended) -> bool:
        """A worker that dies without a step would die again."""
        late = self._once and time.monotonic() - self._began > RESTART_SECONDS
        return ended.holding is not None and not late

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._asked = True
        if self._child:
            tree.send(number, [self._child])

    def _one(self) -> Ended:
        source, sink = os.pipe()
        began, own = time.monotonic(), os.getpid()
        child = os.fork()
        if child == 0:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            tree.die_with(own)
            os.close(source)
            raise SystemExit(self._work(Notes(sink), began - self._began))
        self._child = child
        os.close(sink)
        if self._asked:  # it came while there was no worker to pass it on to
            tree.send(signal.SIGTERM, [child])
        holding = _listen(source)
        _, status = os.waitpid(child, 0)
        self._child = 0
        code = os.waitstatus_to_exitcode(status)
        return Ended(code=code, holding=holding, seconds=time.monotonic() - began)


def _listen(source: int) -> Holding | None:
    """What the worker held when it ended: its last whole note."""
    rest, last = b"", b"null"
    while data := os.read(source, _READ_BYTES):
        *whole, rest = (rest + data).split(b"\n")
        last = whole[-1] if whole else last
    os.close(source)
    note = json.loads(last)
    return None if note is None else Holding(queue=note[0], message=note[1], receipt=note[2])

"""Hands invocations to the worker process and keeps that process alive.

What the Azure host does, and so does this one:
- A worker that dies takes its invocations with it: each FAILS at once, and the worker is started again.
- functionTimeout kills the whole worker. The invocation that ran too long fails; its neighbours die with the process,
  but nobody is told: they stay pending as ghosts until their own timeout.
- Invocations that arrive while no worker is ready wait for the next one; their clock runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from pathlib import Path

import msgspec

from devhost import wire
from devhost.console import Console
from devhost.errors import AppError, FunctionTimedOut, HostError, WorkerCrashed
from devhost.process import WorkerProcess

_BACKOFF = (0.0, 0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
_STABLE_SECONDS = 30.0
_DECODER: msgspec.msgpack.Decoder[wire.FromWorker] = msgspec.msgpack.Decoder(wire.FromWorker)


@dataclass(slots=True, kw_only=True, eq=False)
class _Pending:
    call: wire.Invoke
    future: Future[wire.Done]
    deadline: float
    ghost: bool = False
    sent: bool = False


class Dispatcher:
    """The one door to the worker process. ``timeout`` is functionTimeout in seconds, None for no limit."""

    def __init__(
        self, *, app_dir: Path, environment: Mapping[str, str], timeout: float | None, console: Console
    ) -> None:
        self._app_dir = app_dir
        self._environment = environment
        self._timeout = timeout
        self._console = console
        self._lock = threading.Lock()
        self._pending: dict[str, _Pending] = {}
        self._worker: WorkerProcess | None = None
        self._ready = False
        self._stopping = threading.Event()
        self._started: Future[Sequence[wire.IndexedFunction]] = Future()
        self._on_restart: Callable[[int], None] = lambda _pid: None
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self, seconds: float) -> Sequence[wire.IndexedFunction]:
        """Start the worker and wait until the app is loaded.

        Raises:
            AppError: the app cannot be loaded, or does not load within ``seconds``.
        """
        self._supervisor.start()
        try:
            indexed = self._started.result(timeout=seconds)
        except TimeoutError:
            self.stop()
            raise AppError(f"the app did not load within {seconds:g} s") from None
        self._watchdog.start()
        return indexed

    @property
    def worker_pid(self) -> int:
        """The process id of the current worker, 0 between two."""
        worker = self._worker
        return worker.pid if worker else 0

    def running(self) -> int:
        """How many invocations have no answer yet, ghosts included."""
        return len(self._pending)

    def submit(self, call: wire.Invoke) -> Future[wire.Done]:
        """Run a function; the future fails with FunctionTimedOut or WorkerCrashed."""
        deadline = time.monotonic() + self._timeout if self._timeout is not None else float("inf")
        pending = _Pending(call=call, future=Future(), deadline=deadline)
        with self._lock:
            self._pending[call.id] = pending
            worker = self._worker if self._ready else None
            pending.sent = worker is not None
        if worker is not None:
            self._send(worker, call)
        return pending.future

    def stop(self) -> None:
        """Kill the worker and what it left behind.

        Pending invocations get no answer, so their messages stay leased: nobody releases them on Azure either.
        """
        self._stopping.set()
        worker = self._worker
        if worker is not None:
            worker.kill()
            worker.sweep()
        if self._supervisor.is_alive():
            self._supervisor.join(timeout=15)

    def _send(self, worker: WorkerProcess, call: wire.Invoke) -> None:
        try:
            worker.channel.send(msgspec.msgpack.encode(call))
        except OSError:
            # The worker has just died: the supervisor reads the end of the channel and fails this call with the rest.
            worker.kill()

    def _supervise(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            if self._stopping.wait(_BACKOFF[min(attempt, len(_BACKOFF) - 1)]):
                return
            begun = time.monotonic()
            worker = self._worker = WorkerProcess(self._app_dir, self._environment)
            if self._stopping.is_set():
                worker.kill()
            broken = self._read(worker)
            with self._lock:
                self._ready = False
            self._worker = None
            ended = worker.wait()
            worker.sweep()
            if not self._started.done():
                self._started.set_exception(broken or AppError(f"the worker process ended while loading: {ended}"))
                return
            self._account_for(ended, broken)
            stable = time.monotonic() - begun > _STABLE_SECONDS
            attempt = 0 if stable else attempt + 1

    def _account_for(self, ended: str, broken: AppError | None) -> None:
        if self._stopping.is_set():
            return
        if broken is not None:
            self._console.warn(f"the app cannot be loaded any more: {broken}\n{broken.trace}")
        self._console.warn(f"the worker process ended ({ended}); starting another")
        self._fail_running(f"the worker process ended ({ended})")

    def _read(self, worker: WorkerProcess) -> AppError | None:
        """Read frames until the worker ends; the error it reported when it could not load the app."""
        while (raw := worker.channel.receive()) is not None:
            frame = _DECODER.decode(raw)
            if isinstance(frame, wire.Done):
                self._settle(frame)
            elif isinstance(frame, wire.Log):
                self._console.log(frame.level, frame.logger, frame.text, frame.invocation)
            elif isinstance(frame, wire.Ready):
                self._welcome(worker, frame)
            else:
                return AppError(frame.message, frame.trace)
        return None

    def _welcome(self, worker: WorkerProcess, frame: wire.Ready) -> None:
        with self._lock:
            self._ready = True
            waiting = [pending for pending in self._pending.values() if not pending.sent]
            for pending in waiting:
                pending.sent = True
        if self._started.done():
            self._on_restart(worker.pid)
        else:
            self._started.set_result(frame.functions)
        for pending in waiting:
            self._send(worker, pending.call)

    def when_restarted(self, listener: Callable[[int], None]) -> None:
        """Call ``listener`` with the new process id whenever a worker took over."""
        self._on_restart = listener

    def _settle(self, done: wire.Done) -> None:
        pending = self._pending.pop(done.id, None)
        if pending is not None:
            _resolve(pending.future, done)

    def _fail_running(self, reason: str) -> None:
        with self._lock:
            lost = [pending for pending in self._pending.values() if pending.sent and not pending.ghost]
        for pending in lost:
            self._fail(pending, WorkerCrashed(reason))

    def _fail(self, pending: _Pending, error: HostError) -> None:
        if self._pending.pop(pending.call.id, None) is not None:
            _resolve(pending.future, error)

    def _watch(self) -> None:
        if self._timeout is None:
            return
        tick = min(1.0, self._timeout / 20)
        while not self._stopping.wait(tick):
            now = time.monotonic()
            with self._lock:
                late = [pending for pending in self._pending.values() if pending.deadline <= now]
            if late:
                self._expire(late)

    def _expire(self, late: list[_Pending]) -> None:
        worker = self._worker
        alive = [pending for pending in late if pending.sent and not pending.ghost]
        if alive and worker is not None:
            with self._lock:
                self._ready = False
                for pending in self._pending.values():
                    pending.ghost = pending.ghost or pending.sent
            self._console.warn(f"functionTimeout of {self._timeout:g} s passed: the worker is killed and started again")
            worker.kill()
        for pending in late:
            self._fail(pending, FunctionTimedOut(f"timed out after {self._timeout:g} s (functionTimeout)"))


def _resolve(future: Future[wire.Done], outcome: wire.Done | HostError) -> None:
    try:
        if isinstance(outcome, wire.Done):
            future.set_result(outcome)
        else:
            future.set_exception(outcome)
    except InvalidStateError:  # the caller cancelled it
        return

"""One thread per worker that keeps the leases of all running attempts, and notices cancelled runs."""

from __future__ import annotations

import contextvars
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrator import logs
from orchestrator.core.errors import MillstreamError
from orchestrator.engine.lease import Lease
from steps.stop import Stop, StopReason

log = logging.getLogger("millstream.steps")

RETRY_SECONDS = 5.0
"""How soon a heartbeat that storage would not take is tried again; several times within a claim's time to live."""


class _Watch:
    def __init__(self, lease: Lease, stop: Stop, due: float, *, heeds: bool) -> None:
        self.lease = lease
        self.heeds = heeds
        self.stop = stop
        self.due = due
        self.closed = False
        # Of the attempt: what is done for it on another thread counts as its own.
        self.context = contextvars.copy_context()
        # Held while the lease is in use: by a beat, or, at last, by whoever ends the watch.
        self.lock = threading.Lock()


class Beater:
    """`beat(lease)`: False when the claim is somebody else's. `cancelled(run)`: whether the run is. Both may raise
    MillstreamError when storage does not answer; then nothing is known, and they are called again later.

    An attempt shorter than the intervals causes no call at all.
    """

    def __init__(
        self,
        beat: Callable[[Lease], bool],
        cancelled: Callable[[str], bool],
        *,
        heartbeat_seconds: float,
        cancel_check_seconds: float,
    ) -> None:
        self._beat = beat
        self._cancelled = cancelled
        self._heartbeat_seconds = heartbeat_seconds
        self._cancel_check_seconds = cancel_check_seconds
        self._lock = threading.Condition()
        self._watches: set[_Watch] = set()
        self._checks: dict[str, float] = {}
        self._wakes_at = math.inf
        self._thread: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def watching(self, lease: Lease, stop: Stop, *, heeds_cancel: bool = True) -> Iterator[None]:
        """Beat the lease while the block runs; its loss, or, if that is heeded, a cancelled run, requests the stop.

        After the block no beat of this lease is under way.
        """
        now = time.monotonic()
        watch = _Watch(lease, stop, now + self._heartbeat_seconds, heeds=heeds_cancel)
        with self._lock:
            self._watches.add(watch)
            check = self._checks.setdefault(lease.run, now + self._cancel_check_seconds)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="millstream-heartbeat", daemon=True)
                self._thread.start()
            elif min(watch.due, check) < self._wakes_at:
                self._lock.notify()
        try:
            yield
        finally:
            with watch.lock:
                watch.closed = True
            with self._lock:
                self._watches.discard(watch)

    def close(self) -> None:
        """End the thread. No block may be watched any more."""
        with self._lock:
            self._closed = True
            self._lock.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._closed:
                    return
                now = time.monotonic()
                self._forget_ended_runs()
                self._wakes_at = min(
                    [*self._checks.values(), *(watch.due for watch in self._watches)], default=math.inf
                )
                if self._wakes_at > now:
                    self._lock.wait(None if self._wakes_at == math.inf else self._wakes_at - now)
                    continue
                due = [watch for watch in self._watches if watch.due <= now]
                runs = [run for run, at in self._checks.items() if at <= now]
            for run in runs:
                self._check(run)
            for watch in due:
                self._renew(watch)

    def _forget_ended_runs(self) -> None:
        running = {watch.lease.run for watch in self._watches}
        for run in [run for run in self._checks if run not in running]:
            del self._checks[run]

    def _check(self, run: str) -> None:
        with self._lock:
            # One of the attempts of the run stands for all of them.
            context = next((watch.context for watch in self._watches if watch.lease.run == run), None)
        if context is None:
            return
        try:
            cancelled = context.run(self._cancelled, run)
        except MillstreamError as error:
            with logs.about(run=run):
                log.warning("cancel_check_failed: %s", error)
            cancelled = False
        with self._lock:
            self._checks[run] = time.monotonic() + self._cancel_check_seconds
            ours = [watch for watch in self._watches if watch.lease.run == run and watch.heeds]
            stops = [watch.stop for watch in ours] if cancelled else []
        for stop in stops:
            stop.request(StopReason.RUN_CANCELLED)

    def _renew(self, watch: _Watch) -> None:
        with watch.lock:
            if watch.closed:
                return
            try:
                ours = watch.context.run(self._beat, watch.lease)
                watch.due = time.monotonic() + self._heartbeat_seconds
            except MillstreamError as error:
                lease = watch.lease
                with logs.about(run=lease.run, position=lease.position, attempt=lease.claim.attempt):
                    log.warning("heartbeat_failed: %s", error)
                watch.due = time.monotonic() + min(RETRY_SECONDS, self._heartbeat_seconds)
                return
        if not ours:
            watch.due = math.inf
            watch.stop.request(StopReason.LEASE_LOST)

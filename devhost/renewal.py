"""Keeps the leases of messages that are being processed, from one thread.

As in the real host, a lost lease stops the renewal and nothing else: the function runs on.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

from azurerest.errors import NotFound, PreconditionFailed, StorageError
from azurerest.queues import Message, Queues


class HeldMessage:
    """A received message and its newest pop receipt. Its methods exclude each other."""

    def __init__(self, queues: Queues, queue: str, message: Message, lease: int) -> None:
        self.message = message
        self._queues = queues
        self._queue = queue
        self._lease = lease
        self._receipt = message.pop_receipt
        self._lock = threading.Lock()
        self._done = False

    def renew(self) -> bool:
        """Extend the lease; False when the message is finished or no longer ours.

        Raises:
            StorageError: storage did not answer or refused for another reason; the lease may be tried again.
        """
        with self._lock:
            if self._done:
                return False
            try:
                self._receipt = self._update(self._lease)
            except (NotFound, PreconditionFailed):
                return False
            return True

    def delete(self) -> None:
        """Delete it; nothing happens when it is gone or someone else's already.

        Raises:
            StorageError: storage did not answer or refused for another reason.
        """
        with self._lock:
            self._done = True
            try:
                self._queues.delete(self._queue, self.message.id, self._receipt)
            except (NotFound, PreconditionFailed):
                return

    def release(self, visibility: int) -> None:
        """Give it back, to be seen again after ``visibility`` seconds.

        Raises:
            StorageError: as in ``delete``.
        """
        with self._lock:
            self._done = True
            try:
                self._update(visibility)
            except (NotFound, PreconditionFailed):
                return

    def abandon(self) -> None:
        """Stop renewing it; it comes back when its lease ends."""
        with self._lock:
            self._done = True

    def _update(self, visibility: int) -> str:
        return self._queues.update(self._queue, self.message.id, self._receipt, visibility=visibility).pop_receipt


class Renewer:
    """Renews every held message each ``interval`` seconds."""

    def __init__(self, interval: float, report: Callable[[str], None]) -> None:
        self._interval = interval
        self._report = report
        self._heap: list[tuple[float, int, HeldMessage]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="renewal", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def hold(self, held: HeldMessage) -> None:
        """Renew this message from now on, until it is finished."""
        with self._changed:
            heapq.heappush(self._heap, (time.monotonic() + self._interval, next(self._order), held))
            # Only an earlier first entry needs the thread's attention; with one interval that is an empty heap.
            if len(self._heap) == 1:
                self._changed.notify()

    def _run(self) -> None:
        while (held := self._next()) is not None:
            try:
                alive = held.renew()
            except StorageError as error:
                # The real host falls over here (an unhandled background fault); a local one had better not.
                self._report(f"renewing message {held.message.id} failed: {error}")
                alive = True
            if alive:
                self.hold(held)

    def _next(self) -> HeldMessage | None:
        with self._changed:
            while not self._stopped:
                if not self._heap:
                    self._changed.wait()
                    continue
                wait = self._heap[0][0] - time.monotonic()
                if wait <= 0:
                    return heapq.heappop(self._heap)[2]
                self._changed.wait(wait)
            return None

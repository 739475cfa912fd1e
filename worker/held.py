"""A message that is held: hidden from others until it is done with, and no longer than needed if its holder dies."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from types import TracebackType

from azurerest.errors import NotFound, PreconditionFailed, StorageError
from azurerest.queues import Message, Queues
from orchestrator import logs
from worker.supervisor import Holding

Note = Callable[[Holding | None], None]

log = logging.getLogger("millstream.worker")

RENEWALS = 3
"""How often a message is renewed within the time for which it is hidden: two of them may fail."""


class HeldMessage:
    """Renews the message while the block runs. `visibility` in seconds: when a dead holder's message comes back.
    `note`: told by what it is held, and in the end that nothing is.

    If somebody else has got it meanwhile, nothing is done to it any more: the claim of its step decides who goes on.
    """

    def __init__(
        self, queues: Queues, queue: str, message: Message, visibility: float, note: Note = lambda _: None
    ) -> None:
        self.message = message
        self._queues = queues
        self._queue = queue
        self._visibility = max(1, math.ceil(visibility))
        self._receipt = message.pop_receipt
        self._note = note
        self._lost = False
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=logs.carried(self._renew_all), name="millstream-message", daemon=True)

    def __enter__(self) -> HeldMessage:
        self._tell()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._done.set()

    def delete(self) -> None:
        """It is done with. Raises StorageError when storage does not answer: it will come back, and find it done."""
        self._settle(lambda receipt: self._queues.delete(self._queue, self.message.id, receipt))

    def release(self, delay: float = 0.0) -> None:
        """Show it to others, `delay` seconds from now. Raises StorageError as `delete` does."""
        seconds = math.ceil(delay)
        self._settle(
            lambda receipt: self._queues.update(self._queue, self.message.id, receipt, visibility=seconds) and None
        )

    def _settle(self, call) -> None:  # type: ignore[no-untyped-def]
        with self._lock:
            self._done.set()
            if self._lost:
                return
            try:
                call(self._receipt)
            except (NotFound, PreconditionFailed):
                self._lost = True
            self._note(None)

    def _tell(self) -> None:
        self._note(Holding(queue=self._queue, message=self.message.id, receipt=self._receipt))

    def _renew_all(self) -> None:
        while not self._done.wait(self._visibility / RENEWALS):
            with self._lock:
                if self._done.is_set() or self._lost:
                    return
                self._renew()

    def _renew(self) -> None:
        try:
            found = self._queues.update(self._queue, self.message.id, self._receipt, visibility=self._visibility)
        except (NotFound, PreconditionFailed):
            self._lost = True
            self._note(None)
        except StorageError as error:
            log.warning("message %s could not be renewed, and is tried again: %s", self.message.id, error)
        else:
            self._receipt = found.pop_receipt
            self._tell()

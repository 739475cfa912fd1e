"""The queue listener: receive in batches, run, delete; on failure release, and after enough of them poison.

The times and counts are those of the Storage Queues extension: at most batchSize + newBatchThreshold messages at once,
a new batch only when no more than newBatchThreshold still run, polling from 100 ms doubling up to a maximum, and an
immediate look when an output binding of this host has just put a message.
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from azurerest.errors import NotFound, StorageError
from azurerest.queues import Message, Queues
from devhost.console import Console
from devhost.renewal import HeldMessage, Renewer

POISON_SUFFIX = "-poison"
_MAX_QUEUE_NAME = 63
_FIRST_POLL = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePolicy:
    """How a queue is read. ``lease`` and ``failure_delay`` are whole seconds, as the service counts them."""

    batch_size: int
    threshold: int
    max_dequeue_count: int
    failure_delay: int
    lease: int
    max_poll: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSource:
    """The queue to read. ``poison`` is None when it has none: failures then wait for the lease to end."""

    queues: Queues
    name: str
    poison: str | None


class Undecodable(Exception):
    """The message's text is not what the queue's encoding says: it goes to the poison queue as it is."""


Handler = Callable[[Message], bool]


class QueueListener:
    """Reads one queue and hands each message to ``handle``, which returns whether it succeeded."""

    def __init__(
        self, source: QueueSource, policy: QueuePolicy, handle: Handler, renewer: Renewer, console: Console
    ) -> None:
        self.source = source
        self._policy = policy
        self._handle = handle
        self._renewer = renewer
        self._console = console
        self._signal = threading.Condition()
        self._running = 0
        self._woken = False
        self._stopping = False
        self._pool = ThreadPoolExecutor(policy.batch_size + policy.threshold, thread_name_prefix=f"queue-{source.name}")
        self._thread = threading.Thread(target=self._run, name=f"listen-{source.name}", daemon=True)

    def start(self) -> None:
        """Start polling."""
        self._thread.start()

    def wake(self) -> None:
        """Look at the queue now."""
        with self._signal:
            self._woken = True
            self._signal.notify_all()

    def stop(self) -> None:
        """Take no more messages; those taken run on."""
        with self._signal:
            self._stopping = True
            self._signal.notify_all()

    def drain(self, deadline: float) -> bool:
        """Wait until nothing runs, at most until ``deadline`` (monotonic); whether that came true."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        with self._signal:
            return self._signal.wait_for(lambda: not self._running, max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        delay = 0.0
        while self._wait(delay):
            found = self._poll()
            delay = 0.0 if found else self._next_delay(delay)

    def _wait(self, delay: float) -> bool:
        """Wait for the poll's time or a wake-up, and for room; False when stopping."""
        with self._signal:
            self._signal.wait_for(lambda: self._woken or self._stopping, delay)
            self._signal.wait_for(lambda: self._running <= self._policy.threshold or self._stopping)
            # Forgotten before the poll, so that a put during the poll brings another one.
            self._woken = False
            return not self._stopping

    def _next_delay(self, delay: float) -> float:
        doubled = _FIRST_POLL if delay == 0 else delay * 2
        return min(self._policy.max_poll, doubled * random.uniform(0.8, 1.2))  # noqa: S311

    def _poll(self) -> bool:
        try:
            messages = self.source.queues.receive(
                self.source.name, count=self._policy.batch_size, visibility=self._policy.lease
            )
        except NotFound:
            return False
        except StorageError as error:
            self._console.warn(f"receiving from queue {self.source.name} failed: {error}")
            return False
        with self._signal:
            self._running += len(messages)
        for message in messages:
            self._pool.submit(self._process, message)
        return bool(messages)

    def _process(self, message: Message) -> None:
        held = HeldMessage(self.source.queues, self.source.name, message, self._policy.lease)
        try:
            self._decide(held)
        except StorageError as error:
            held.abandon()
            self._console.warn(f"message {message.id} of queue {self.source.name}: {error}")
        except Exception:  # noqa: BLE001 - a fault of ours on one message must not end in silence
            held.abandon()
            self._console.warn(f"message {message.id} of queue {self.source.name}:\n{traceback.format_exc()}")
        finally:
            with self._signal:
                self._running -= 1
                self._signal.notify_all()

    def _decide(self, held: HeldMessage) -> None:
        message = held.message
        limit = self._policy.max_dequeue_count
        if message.dequeue_count > limit and self.source.poison:
            self._poison(held)
            return
        self._renewer.hold(held)
        try:
            succeeded = self._handle(message)
        except Undecodable:
            self._poison(held)
            return
        if succeeded:
            held.delete()
        elif self.source.poison is None:
            held.abandon()
        elif message.dequeue_count >= limit:
            self._poison(held)
        else:
            held.release(self._policy.failure_delay)

    def _poison(self, held: HeldMessage) -> None:
        """Copy, then delete: a crash between the two leaves the message in both queues, as in the real host."""
        poison = self.source.poison
        if poison is None:
            held.abandon()
            return
        self._console.warn(
            f"message {held.message.id} of queue {self.source.name} failed "
            f"{held.message.dequeue_count} times: moved to {poison}"
        )
        try:
            self.source.queues.put(poison, held.message.body)
        except NotFound:
            self.source.queues.create(poison)
            self.source.queues.put(poison, held.message.body)
        held.delete()


def poison_name(queue: str) -> str | None:
    """The poison queue of a queue, None when it has none."""
    name = queue + POISON_SUFFIX
    return None if queue.endswith(POISON_SUFFIX) or len(name) > _MAX_QUEUE_NAME else name

"""Queues in memory: visibility, dequeue counts, pop receipts that go stale."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

from orchestrator.executions import Backlog, CountMessages


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMessage:
    """A message as received. `count` is how often it has been received, this time included; times in epoch seconds."""

    id: str
    pop_receipt: str
    body: str
    count: int
    inserted_at: float
    visible_at: float


class MemoryQueues:
    """Thread-safe. Queues come into being when they are first used. Order is roughly first in, first out."""

    def __init__(self, server_now: Callable[[], float]) -> None:
        self._now = server_now
        self._lock = threading.Lock()
        self._queues: dict[str, dict[str, QueuedMessage]] = {}
        self._numbers = count(1)

    def put(self, queue: str, body: str, *, delay: float = 0.0) -> str:
        """Returns the id of the message."""
        with self._lock:
            now = self._now()
            message = QueuedMessage(
                id=f"m{next(self._numbers)}",
                pop_receipt="",
                body=body,
                count=0,
                inserted_at=now,
                visible_at=now + delay,
            )
            self._queues.setdefault(queue, {})[message.id] = message
            return message.id

    def receive(self, queue: str, *, count: int = 1, visibility: float = 30.0) -> tuple[QueuedMessage, ...]:
        """Up to `count` visible messages, hidden from others for `visibility` seconds."""
        with self._lock:
            now = self._now()
            messages = self._queues.get(queue, {})
            visible = [message for message in messages.values() if message.visible_at <= now][:count]
            return tuple([self._hide(messages, message, now + visibility, message.count + 1) for message in visible])

    def update(self, queue: str, message: QueuedMessage, *, visibility: float) -> QueuedMessage | None:
        """Hide it for `visibility` seconds from now (0: show it at once). None when its pop receipt is stale."""
        with self._lock:
            messages = self._queues.get(queue, {})
            if not _holds(messages, message):
                return None
            return self._hide(messages, message, self._now() + visibility, message.count)

    def delete(self, queue: str, message: QueuedMessage) -> bool:
        """False when its pop receipt is stale or it is gone."""
        with self._lock:
            messages = self._queues.get(queue, {})
            if not _holds(messages, message):
                return False
            del messages[message.id]
            return True

    def backlog(self, asked: CountMessages) -> Backlog:
        """How many there are."""
        with self._lock:
            now, messages = self._now(), self._queues.get(asked.queue, {}).values()
            visible = [message for message in messages if message.visible_at <= now]
            oldest = max((now - message.inserted_at for message in visible), default=0.0)
            return Backlog(total=len(messages), visible=min(len(visible), 32), oldest=oldest)

    def messages(self, queue: str) -> tuple[QueuedMessage, ...]:
        """All messages, hidden ones too: for people and tests to look at."""
        with self._lock:
            return tuple(self._queues.get(queue, {}).values())

    def _hide(self, messages: dict[str, QueuedMessage], message: QueuedMessage, until: float, n: int) -> QueuedMessage:
        hidden = replace(message, pop_receipt=f"r{next(self._numbers)}", visible_at=until, count=n)
        messages[message.id] = hidden
        return hidden


def _holds(messages: dict[str, QueuedMessage], message: QueuedMessage) -> bool:
    present = messages.get(message.id)
    return present is not None and present.pop_receipt == message.pop_receipt != ""

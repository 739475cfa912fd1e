"""The storage account of the simulation: the product's own tables, queues and blobs in memory.

Every operation is applied at one moment of simulated time, watched by the checker and counted by what it is for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from orchestrator.adapters.limits import check_commit, check_send
from orchestrator.adapters.memory import MemoryAccount
from orchestrator.adapters.memory_queues import QueuedMessage
from orchestrator.core import message as messages
from orchestrator.core.head import Head
from orchestrator.engine.memory import EngineSettings
from orchestrator.ports import Commit, Effect, Get, Post, Query, ReadBlob, Refused, Row, Send, WriteBlob
from tests.simulation.checker import Checker
from tests.simulation.faults import Faults
from tests.simulation.kinds import kind_of
from tests.simulation.loop import Loop
from tests.simulation.receiver import Receivers
from tests.simulation.services import Services

EPOCH = 1_800_000_000.0


class Storage:
    """`on_visible` is called with the queue and the moment whenever a message will be there to be received."""

    def __init__(
        self, loop: Loop, settings: EngineSettings, faults: Faults, random: Random, *, rows_a_page: int
    ) -> None:
        self._loop = loop
        self._random = random
        self.faults = faults
        self.account = MemoryAccount(server_now=self.server_now, rows_a_page=rows_a_page)
        self.checker = Checker(self.account, settings)
        self.receivers = Receivers(self._head_of)
        self.services = self.checker.services = Services(lambda: loop.now)
        self._steps = settings.queue
        self.counts: Counter[str] = Counter()
        self.on_visible: Callable[[str, float], None] = lambda queue, delay: None
        self.duplicated = 0
        self.fenced = 0

    def server_now(self) -> float:
        return EPOCH + self._loop.now

    def apply(self, effect: Effect[Any], *, late: bool = False) -> Any:
        """Carry out the operation now. `late`: its sender has given up on it. Raises Refused, Broken, Violation."""
        self.counts[kind_of(effect)] += 1
        if isinstance(effect, Commit):
            return self._commit(effect, late)
        if isinstance(effect, Get):
            return self.account.tables.get(effect)
        if isinstance(effect, Send):
            return self._put(effect)
        if isinstance(effect, ReadBlob):
            return self.account.blobs.get(effect.name)
        if isinstance(effect, WriteBlob):
            self.account.blobs[effect.name] = effect.data
            return None
        if isinstance(effect, Post):
            return self.receivers.call(effect)
        raise TypeError(f"not a storage operation: {effect}")

    def _head_of(self, run: str) -> Head | None:
        record = self.checker.runs.get(run)
        return record.head if record else None

    def page(self, query: Query, first: str, taken: int) -> tuple[tuple[Row, ...], str | None]:
        """One page of a query, now."""
        self.counts[kind_of(query)] += 1
        return self.account.tables.page(query, first, taken=taken)

    def _commit(self, commit: Commit, late: bool) -> tuple[str, ...]:
        check_commit(commit)
        try:
            etags = self.account.tables.commit(commit)
        except Refused:
            self.fenced += self.checker.is_of_a_zombie(commit)
            raise
        self.checker.committed(commit, self._loop.now, late=late)
        return etags

    def _put(self, send: Send) -> None:
        check_send(send)
        if send.queue.startswith(self._steps):
            self.checker.sent(messages.decode(send.body), send.queue)
        chance, faults = self._random.random, self.faults
        self._enqueue(send, send.delay + (self._random.uniform(0, 60) if chance() < faults.reorder else 0.0))
        if faults.duplicate and chance() < faults.duplicate:
            self.duplicated += 1
            self._enqueue(send, send.delay + self._random.choice((0.0, self._random.uniform(0, 300))))

    def _enqueue(self, send: Send, delay: float) -> None:
        self.account.queues.put(send.queue, send.body, delay=delay)
        self.on_visible(send.queue, delay)

    # What the Functions host does with queues

    def receive(self, queue: str, count: int, visibility: float) -> tuple[QueuedMessage, ...]:
        if self.faults.early and self._random.random() < self.faults.early:
            visibility = self._random.uniform(0.1, 60)
        self.counts["receive"] += 1
        received = self.account.queues.receive(queue, count=count, visibility=visibility)
        if received:
            self.on_visible(queue, visibility)
        return received

    def renew(self, queue: str, message: QueuedMessage, visibility: float) -> QueuedMessage | None:
        self.counts["renew"] += 1
        return self._show(queue, message, visibility)

    def give_back(self, queue: str, message: QueuedMessage, visibility: float) -> QueuedMessage | None:
        self.counts["give back"] += 1
        return self._show(queue, message, visibility)

    def _show(self, queue: str, message: QueuedMessage, visibility: float) -> QueuedMessage | None:
        updated = self.account.queues.update(queue, message, visibility=visibility)
        if updated:
            self.on_visible(queue, visibility)
        return updated

    def delete(self, queue: str, message: QueuedMessage) -> bool:
        self.counts["delete"] += 1
        return self.account.queues.delete(queue, message)

"""A world in memory: the same semantics as Azure storage, with nothing to install and nothing kept.

    account = MemoryAccount()
    world = MemoryWorld(account)
    world.run(start(memory, info, plan))

An account is the storage; each process that uses it has a world of its own, since locks and clocks are a process's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from orchestrator.adapters import metering
from orchestrator.adapters.driver import Clock, World
from orchestrator.adapters.limits import check_commit, check_send
from orchestrator.adapters.memory_queues import MemoryQueues
from orchestrator.adapters.memory_tables import ROWS_A_PAGE, MemoryTables
from orchestrator.executions import CountMessages
from orchestrator.ports import Commit, Effect, Get, Query, ReadBlob, Send, ServerNow, WriteBlob

_BILLED: Final[dict[type[Effect[Any]], str]] = {
    Get: "table_read",
    Query: "table_read",
    Commit: "table_write",
    Send: "queue",
    ReadBlob: "blob_read",
    WriteBlob: "blob_write",
}
"""What each effect would be billed as."""


class ManualClock:
    """A clock that moves only when it is told to, or when somebody sleeps. Thread-safe.

    `now` doubles as a server's clock: `MemoryAccount(server_now=clock.now)`.
    """

    def __init__(self, epoch: float = 1_800_000_000.0) -> None:
        self._epoch = epoch
        self._elapsed = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._epoch + self._elapsed

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._elapsed += seconds

    def clock(self) -> Clock:
        """The clock of a process that agrees with this one."""
        return Clock(now=self.now, monotonic=lambda: self._elapsed, sleep=self.advance)


class MemoryAccount:
    """Tables, queues and the documents of the system container. Thread-safe.

    server_now: the service's clock, epoch seconds. rows_a_page: of a query; the service may end a page earlier, too.
    """

    def __init__(self, *, server_now: Callable[[], float] = time.time, rows_a_page: int = ROWS_A_PAGE) -> None:
        self.server_now = server_now
        self.tables = MemoryTables(server_now, rows_a_page=rows_a_page)
        self.queues = MemoryQueues(server_now)
        self.blobs: dict[str, bytes] = {}
        self.server_now = server_now


class MemoryWorld(World):
    """A process's world over an account in memory. It never raises Unanswered or Unavailable."""

    def __init__(self, account: MemoryAccount | None = None, *, clock: Clock | None = None) -> None:
        super().__init__(clock=clock)
        self.account = account or MemoryAccount()
        self.register(Get, self.account.tables.get)
        self.register(Query, self.account.tables.query)
        self.register(Commit, self._commit)
        self.register(Send, self._send)
        self.register(CountMessages, self.account.queues.backlog)
        self.register(ReadBlob, lambda read: self.account.blobs.get(read.name))
        self.register(WriteBlob, lambda write: self.account.blobs.__setitem__(write.name, write.data))
        self.register(ServerNow, lambda _: self.account.server_now())

    def _interpret(self, effect: Effect[Any], held: set[str]) -> Any:
        if (billed := _BILLED.get(type(effect))) is not None:
            metering.count(billed)
        return super()._interpret(effect, held)

    def _commit(self, commit: Commit) -> tuple[str, ...]:
        check_commit(commit)
        return self.account.tables.commit(commit)

    def _send(self, send: Send) -> None:
        check_send(send)
        self.account.queues.put(send.queue, send.body, delay=send.delay)

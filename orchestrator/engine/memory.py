"""What one process remembers between two deliveries. Losing it costs reads, never correctness.

Committed results and definitions never change, so remembering them is safe for ever. A remembered head may be old; it
is trusted for a few seconds, and every write based on it is conditional on its etag.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from orchestrator.core.claim import ClaimRow
from orchestrator.core.compute import Compute, configured
from orchestrator.core.dataset import DatasetDocument
from orchestrator.core.head import Head, Outcome
from orchestrator.core.plan import Plan
from orchestrator.core.quota import Quotas, Unfinished
from orchestrator.core.result import StepResult
from orchestrator.core.run import RunInfo
from orchestrator.core.usage import Machine
from orchestrator.engine.lease import Lease

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Times in seconds. Short ones make fault tests quick; the defaults are for production.

    `claim_ttl`: a claim without a heartbeat for that long may be taken over. `sweep_quiet`: the sweep leaves a run
    alone whose head moved within it. `head_age`: how long a remembered head is believed. `combine_pause`: the most a
    worker waits before it enters the inbox in the head, so that one write serves many. `contention_memory`: for how
    long a process whose head write was refused goes by the inbox at once.
    `urgent`: whether steps with a priority above 0 have queues of their own.
    `computes`: those of the settings, by name. `compute_age`: how long another one's kind is believed.
    `execution`: the name of the execution that this process is ("": the Functions app). `machine`: what its time is
    billed by.
    `webhook_queue`: whose messages drive the calls of webhooks; empty: there are none. `webhook_delays`: from one call
    that was not accepted to the next. `webhook_patience`: how long a notice may be overdue before the sweep sends it.
    `quotas`: how much may be under way.
    `look_delays`: from one look at the work of a service to the next; the last of them again and again.
    """

    queue: str = "millstream-steps"
    claim_ttl: float = 90.0
    sweep_quiet: float = 45.0
    head_age: float = 3.0
    combine_pause: float = 0.06
    contention_memory: float = 5.0
    urgent: bool = True
    computes: Mapping[str, Compute] = field(default_factory=lambda: configured({"function": "function"}))
    compute_age: float = 30.0
    execution: str = ""
    machine: Machine = field(default_factory=Machine)
    webhook_queue: str = ""
    webhook_delays: tuple[float, ...] = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0)
    webhook_patience: float = 120.0
    quotas: Quotas = field(default_factory=Quotas)
    look_delays: tuple[float, ...] = (5.0, 10.0, 20.0, 30.0, 60.0)

    @property
    def webhook_attempts(self) -> int:
        """How often a webhook is called before it is given up."""
        return len(self.webhook_delays) + 1


class Recent(Generic[K, V]):
    """A mapping of bounded size that forgets what was used longest ago. Safe to share between threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key]

    def put(self, key: K, value: V) -> None:
        with self._lock:
            self._items[key] = value
            self._items.move_to_end(key)
            while len(self._items) > self._size:
                self._items.popitem(last=False)

    def setdefault(self, key: K, value: V) -> V:
        with self._lock:
            found = self._items.setdefault(key, value)
            self._items.move_to_end(key)
            while len(self._items) > self._size:
                self._items.popitem(last=False)
            return found

    def drop(self, key: K) -> None:
        with self._lock:
            self._items.pop(key, None)


@dataclass(frozen=True, slots=True)
class Known:
    """A head as this process last saw it: `seen_at` by the process's own monotonic clock."""

    head: Head
    etag: str
    seen_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far the service lags behind, in seconds: the age of the oldest of the step messages that can be received, 0
    when there is none; and since when the sweep has not come to its end, None when it never has.
    """

    steps: float
    sweep: float | None


class Fate(Enum):
    """What is known of a result that waits to be committed."""

    PENDING = "still ours to commit"
    COMMITTED = "committed"
    LOST = "the claim belongs to another execution, or the run has ended"


@dataclass(slots=True)
class Completion:
    """A step that has its final result, and what became of it.

    `adopted`: the result was not made by an execution, so there is no claim yet; `lease` has no etag then.
    """

    lease: Lease
    claim: ClaimRow
    outcome: Outcome
    adopted: bool = False
    fate: Fate = Fate.PENDING

    @property
    def pending(self) -> bool:
        return self.fate is Fate.PENDING


@dataclass(slots=True)
class Gate:
    """Where the completions of one run gather in one process, so that one transaction commits many."""

    waiting: deque[Completion] = field(default_factory=deque)


class Tally:
    """How many runs are unfinished, as this process saw it last, and what it has started since. Thread-safe."""

    def __init__(self) -> None:
        self._known: Unfinished | None = None
        self._lock = threading.Lock()

    def get(self) -> Unfinished | None:
        return self._known

    def put(self, known: Unfinished) -> None:
        with self._lock:
            self._known = known

    def count(self, who: str) -> None:
        """`who` starts one more."""
        with self._lock:
            if self._known is not None:
                self._known = self._known.with_one_more(who)


class ProcessMemory:
    """One per process. All of it is bounded."""

    def __init__(self, settings: EngineSettings | None = None) -> None:
        self.settings = settings or EngineSettings()
        self.plans: Recent[str, Plan] = Recent(64)
        self.datasets: Recent[str, DatasetDocument] = Recent(256)
        self.manifests: Recent[str, dict[str, str]] = Recent(64)
        self.infos: Recent[str, RunInfo] = Recent(512)
        self.results: Recent[tuple[str, int], StepResult] = Recent(4096)
        self.kept: Recent[str, dict[int, ClaimRow]] = Recent(16)
        self.compute_kinds: Recent[str, tuple[str, float]] = Recent(512)
        self.unfinished = Tally()
        self.lag: Recent[str, tuple[Lag | None, float]] = Recent(1)
        self._heads: Recent[str, Known] = Recent(512)
        self._gates: Recent[str, Gate] = Recent(4096)
        self._contended_until: Recent[str, float] = Recent(512)

    def gate(self, run: str) -> Gate:
        return self._gates.setdefault(run, Gate())

    def head(self, run: str) -> Known | None:
        return self._heads.get(run)

    def remember(self, run: str, head: Head, etag: str, seen_at: float) -> None:
        """Keep a head unless a newer one is known: bits are only ever added, and a terminal status never changes."""
        known = self._heads.get(run)
        older = known is not None and (known.head.ended & ~head.ended or known.head.status.terminal)
        if not older or head.status.terminal:
            self._heads.put(run, Known(head, etag, seen_at))

    def forget_head(self, run: str) -> None:
        self._heads.drop(run)

    def contend(self, run: str, until: float) -> None:
        """Another process writes this run's head, too: until then go by the inbox at once."""
        self._contended_until.put(run, until)

    def contended(self, run: str, now: float) -> bool:
        until = self._contended_until.get(run)
        return until is not None and now < until

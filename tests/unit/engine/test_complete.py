"""Completions that meet at the gate of one process. The whole protocol is tried in tests/simulation."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from orchestrator.adapters.memory import MemoryWorld
from orchestrator.core import result as results
from orchestrator.core.claim import ClaimRow, settled
from orchestrator.core.errors import Unavailable
from orchestrator.core.head import Outcome, Verdict
from orchestrator.core.message import Delivery
from orchestrator.core.plan import bits
from orchestrator.core.result import StepResult
from orchestrator.core.run import RunInfo
from orchestrator.core.states import ClaimState
from orchestrator.engine.complete import Completed, complete
from orchestrator.engine.lease import Lease
from orchestrator.engine.memory import Completion, ProcessMemory
from orchestrator.engine.reading import fresh_head
from orchestrator.engine.rows import RUNS, claim_key, read_claim
from orchestrator.engine.start import start
from orchestrator.engine.take import take
from orchestrator.ports import Commit, Get, Row, Task, Unanswered
from tests.simulation.graphs import fan, of

RUN = "run"


@dataclass
class Faulty:
    """A world whose next commit is applied and not answered, and whose next read after that fails, if so told."""

    world: MemoryWorld = field(default_factory=MemoryWorld)
    silent: bool = False
    blind: bool = False

    def __post_init__(self) -> None:
        self._commit, self._get = self.world._interpreters[Commit], self.world._interpreters[Get]
        self.world.register(Commit, self.commit)
        self.world.register(Get, self.get)

    def commit(self, commit: Commit) -> tuple[str, ...]:
        etags: tuple[str, ...] = self._commit(commit)
        if self.silent:
            self.silent = False
            raise Unanswered("no answer")
        return etags

    def get(self, get: Get) -> Row | None:
        if self.blind:
            self.blind = False
            raise Unavailable("no storage")
        row: Row | None = self._get(get)
        return row


GRAPH = of("four", [[], [], [], [0, 1, 2]])


@pytest.fixture
def memory() -> ProcessMemory:
    return ProcessMemory()


@pytest.fixture
def faulty(memory: ProcessMemory) -> Faulty:
    faulty = Faulty()
    info = RunInfo(id=RUN, experiment="e", definition=GRAPH.plan.address)
    faulty.world.run(start(memory, info, GRAPH.plan, GRAPH.document))
    return faulty


def taken(faulty: Faulty, memory: ProcessMemory, position: int) -> tuple[Lease, ClaimRow]:
    """The lease of a step, and the claim that ends it."""
    lease = faulty.world.run(take(memory, RUN, position, Delivery(message_id=f"m{position}", count=1))).lease
    assert lease is not None
    document = results.encode(StepResult()).decode()
    return lease, settled(lease.claim, failed=False, result=document, result_blob="")


def waits(memory: ProcessMemory, lease: Lease, claim: ClaimRow) -> Completion:
    """A neighbour at the gate."""
    outcome = Outcome(step=lease.position, verdict=Verdict.DONE, attempt=claim.attempt)
    completion = Completion(lease=lease, claim=claim, outcome=outcome)
    memory.gate(RUN).waiting.append(completion)
    return completion


def finish(faulty: Faulty, memory: ProcessMemory, lease: Lease, claim: ClaimRow) -> Completed:
    return faulty.world.run(complete(memory, GRAPH.plan, lease, claim))


def done(faulty: Faulty, memory: ProcessMemory) -> list[int]:
    """The steps that the head says are done; their claims must say so too."""
    known = faulty.world.run(fresh_head(memory, RUN))
    assert known is not None
    for step in bits(known.head.done):
        assert state(faulty, step) is ClaimState.DONE
    return list(bits(known.head.done))


def state(faulty: Faulty, step: int) -> ClaimState:
    def read() -> Task[Row | None]:
        return (yield from Get(table=RUNS, pk=RUN, rk=claim_key(step)))

    row = faulty.world.run(read())
    assert row is not None
    return read_claim(row).state


def test_neighbours_at_the_gate_are_committed_together(faulty: Faulty, memory: ProcessMemory) -> None:
    first, second, third = (taken(faulty, memory, position) for position in range(3))
    neighbours = [waits(memory, *second), waits(memory, *third)]
    completed = finish(faulty, memory, *first)
    assert completed == Completed(committed=True, steps=(3,))
    assert not any(neighbour.pending for neighbour in neighbours)
    assert done(faulty, memory) == [0, 1, 2]


def test_a_commit_that_was_applied_without_an_answer_is_found(faulty: Faulty, memory: ProcessMemory) -> None:
    first, second = taken(faulty, memory, 0), taken(faulty, memory, 1)
    waits(memory, *second)
    faulty.silent = True
    assert finish(faulty, memory, *first).committed
    assert done(faulty, memory) == [0, 1]


def test_a_result_committed_with_an_earlier_batch_does_not_speak_for_a_later_one(
    faulty: Faulty, memory: ProcessMemory
) -> None:
    first, second, third = (taken(faulty, memory, position) for position in range(3))
    waits(memory, *second)
    faulty.silent = faulty.blind = True
    with pytest.raises(Unavailable):
        finish(faulty, memory, *first)  # it is in storage, and so is its neighbour, but nobody here knows
    neighbour = waits(memory, *third)
    completed = finish(faulty, memory, *second)
    assert completed == Completed(committed=True, steps=(3,))
    assert not neighbour.pending
    assert done(faulty, memory) == [0, 1, 2]


def test_two_executions_of_one_step_do_not_meet_in_one_transaction(faulty: Faulty, memory: ProcessMemory) -> None:
    zombie = taken(faulty, memory, 0)
    lease = faulty.world.run(take(memory, RUN, 0, Delivery(message_id="m0", count=2))).lease
    assert lease is not None
    claim = settled(lease.claim, failed=False, result=zombie[1].result, result_blob="")
    twin = waits(memory, *zombie)
    assert finish(faulty, memory, lease, claim).committed
    assert twin.pending
    assert not finish(faulty, memory, *zombie).committed
    assert done(faulty, memory) == [0]


def test_no_batch_is_larger_than_a_transaction() -> None:
    graph = fan(120)
    faulty, memory = Faulty(), ProcessMemory()
    info = RunInfo(id=RUN, experiment="e", definition=graph.plan.address)
    faulty.world.run(start(memory, info, graph.plan, graph.document))
    root = taken(faulty, memory, 0)
    assert faulty.world.run(complete(memory, graph.plan, *root)).steps == tuple(range(1, 121))
    mine, *others = (taken(faulty, memory, position) for position in range(1, 121))
    neighbours = [waits(memory, *other) for other in others]
    assert faulty.world.run(complete(memory, graph.plan, *mine)).committed
    committed = sum(not neighbour.pending for neighbour in neighbours)
    assert 40 <= committed < 99
    assert len(done(faulty, memory)) == committed + 2

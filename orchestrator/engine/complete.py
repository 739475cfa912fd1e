"""Commit final results: the claim, and the run's head or inbox, in one transaction.

Completions that meet in one process are committed together. While no other process writes the same head, that is one
transaction for all of them: { head If-Match; claim If-Match ... }. When the head turns out to be contended, results go
{ claim If-Match; inbox row ... } and are combined into the head afterwards.

Whatever happens, a claim that is no longer ours is never written: its owner decides, under its etag.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.claim import ClaimRow
from orchestrator.core.head import Outcome, Verdict, fold, follows
from orchestrator.core.plan import Plan, mask_of
from orchestrator.core.states import ClaimState
from orchestrator.engine import ending
from orchestrator.engine.combine import combine
from orchestrator.engine.lease import Lease
from orchestrator.engine.memory import Completion, Fate, Known, ProcessMemory
from orchestrator.engine.reading import fresh_head
from orchestrator.engine.rows import HEAD, RUNS, claim_key, claim_props, head_props, inbox_key, inbox_props, read_claim
from orchestrator.ports import Acquire, Commit, Get, Insert, Merge, Monotonic, Refused, Release, Task, Unanswered, Write

_MOST_CLAIMS = 49
_MOST_CHARACTERS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """Whether the result is in storage, and the steps that the caller must send."""

    committed: bool
    steps: tuple[int, ...]


def complete(memory: ProcessMemory, plan: Plan, lease: Lease, claim: ClaimRow) -> Task[Completed]:
    """Commit `claim`, which is settled, in place of the one `lease` holds.

    A lease that was lost commits nothing. When a neighbour in this process commits the result along
    with its own, the neighbour sends what follows.
    """
    verdict = Verdict.DONE if claim.state is ClaimState.DONE else Verdict.FAILED
    outcome = Outcome(step=lease.position, verdict=verdict, attempt=claim.attempt)
    mine = Completion(lease=lease, claim=claim, outcome=outcome)
    gate = memory.gate(lease.run)
    gate.waiting.append(mine)
    key = f"complete/{lease.run}"
    yield from Acquire(key=key)
    steps: tuple[int, ...] = ()
    if mine.pending:
        batch = _take(gate.waiting, mine)
        steps = yield from _commit(memory, plan, lease.run, batch)
    yield from Release(key=key)
    return Completed(committed=mine.fate is Fate.COMMITTED, steps=steps)


def complete_adopted(
    memory: ProcessMemory, plan: Plan, run: str, adopted: Sequence[Completion]
) -> Task[tuple[int, ...]]:
    """Commit steps that nobody has executed, each after those it waits for. Returns the steps that are to be sent.

    A step that somebody has claimed meanwhile is theirs, and what builds on it is left, too: see each one's `fate`.
    """
    key = f"complete/{run}"
    yield from Acquire(key=key)
    steps: set[int] = set()
    left = list(adopted)
    while left:
        batch = _first(left)
        steps.update((yield from _commit(memory, plan, run, batch)))
        left = [completion for completion in left if completion.pending]
        _leave_lost(plan, adopted)
        left = [completion for completion in left if completion.pending]
    yield from Release(key=key)
    committed = _steps([completion for completion in adopted if completion.fate is Fate.COMMITTED])
    return tuple(sorted(steps - committed))


def _first(completions: Sequence[Completion]) -> list[Completion]:
    """As many of them as fit in one transaction, at least one."""
    room = _MOST_CHARACTERS
    batch: list[Completion] = []
    for completion in completions[:_MOST_CLAIMS]:
        room -= len(completion.claim.result) + len(completion.claim.decision)
        if room < 0 and batch:
            break
        batch.append(completion)
    return batch


def _leave_lost(plan: Plan, completions: Sequence[Completion]) -> None:
    """What was taken for the output of a step is nothing to build on when another execution decides that step."""
    lost = mask_of([completion.outcome.step for completion in completions if completion.fate is Fate.LOST])
    for completion in completions:
        if completion.pending and plan.parents[completion.outcome.step] & lost:
            completion.fate = Fate.LOST
            lost |= 1 << completion.outcome.step


def _take(waiting: deque[Completion], mine: Completion) -> list[Completion]:
    """This completion and as many of the waiting ones as fit in one transaction, which may write each claim once.

    Two executions of one step meet here when a process woke up after its claim was taken over by itself.
    """
    batch, room = [mine], _MOST_CHARACTERS - len(mine.claim.result)
    steps = {mine.outcome.step}
    while waiting and len(batch) < _MOST_CLAIMS:
        other = waiting[0]
        if other is not mine and other.pending:
            room -= len(other.claim.result)
            if room < 0 or other.outcome.step in steps:
                break
            batch.append(other)
            steps.add(other.outcome.step)
        waiting.popleft()
    return batch


def _commit(memory: ProcessMemory, plan: Plan, run: str, batch: list[Completion]) -> Task[tuple[int, ...]]:
    """Settle the fate of all of the batch. Returns the steps to send."""
    steps: set[int] = set()
    while batch:
        known = yield from _uncontended_head(memory, run)
        if known is None:
            steps.update((yield from _to_inbox(memory, plan, run, batch)))
        elif known.head.status.terminal:
            _close(batch, Fate.LOST)
        else:
            steps.update((yield from _to_head(memory, plan, run, batch, known)))
        _leave_lost(plan, batch)
        batch = [completion for completion in batch if completion.pending]
    return tuple(sorted(steps))


def _uncontended_head(memory: ProcessMemory, run: str) -> Task[Known | None]:
    """The head to write on, or None when other processes write it too and the inbox is the cheaper way."""
    now = yield from Monotonic()
    if memory.contended(run, now):
        return None
    return memory.head(run) or (yield from fresh_head(memory, run))


def _to_head(
    memory: ProcessMemory, plan: Plan, run: str, batch: Sequence[Completion], known: Known
) -> Task[tuple[int, ...]]:
    """Try to write claims and head at once. Returns the steps to send; what is still pending is to be tried again."""
    head, steps = fold(plan, known.head, [completion.outcome for completion in batch])
    writes: list[Write] = [Merge(rk=HEAD, props=head_props(head), etag=known.etag)]
    writes += [_claim_write(completion) for completion in batch]
    try:
        etags = yield from Commit(table=RUNS, pk=run, writes=tuple(writes))
    except Refused as refused:
        if refused.index == 0:
            now = yield from Monotonic()
            memory.forget_head(run)
            memory.contend(run, now + memory.settings.contention_memory)
            return ()
        return (yield from _clarify(memory, plan, run, batch, refused.index - 1))
    except Unanswered:
        return (yield from _clarify(memory, plan, run, batch, 0))
    now = yield from Monotonic()
    memory.remember(run, head, etags[0], now)
    _close(batch, Fate.COMMITTED)
    if head.status.terminal:
        yield from ending.finish(memory, run, head.status)
    return steps


def _to_inbox(memory: ProcessMemory, plan: Plan, run: str, batch: Sequence[Completion]) -> Task[tuple[int, ...]]:
    """Try to commit each claim beside an inbox row, then help to combine. Returns as `_to_head` does."""
    writes: list[Write] = []
    for completion in batch:
        writes += [
            _claim_write(completion),
            Insert(rk=inbox_key(completion.outcome.step), props=inbox_props(completion.outcome)),
        ]
    try:
        yield from Commit(table=RUNS, pk=run, writes=tuple(writes))
    except Refused as refused:
        return (yield from _clarify(memory, plan, run, batch, refused.index // 2))
    except Unanswered:
        return (yield from _clarify(memory, plan, run, batch, 0))
    _close(batch, Fate.COMMITTED)
    return (yield from combine(memory, plan, run, mine=_steps(batch)))


def _clarify(
    memory: ProcessMemory, plan: Plan, run: str, batch: Sequence[Completion], at: int
) -> Task[tuple[int, ...]]:
    """After a refusal or a silence, read the claim that tells most. Returns the steps to send.

    It may be in storage already, by a write of ours that was never answered. Then the others are read as well: that
    write may have been of another batch. What follows is sent once more: a duplicate is harmless, a lost message would
    wait for the sweep.
    """
    memory.forget_head(run)
    yield from _recheck(batch[at])
    if batch[at].fate is not Fate.COMMITTED:
        return ()
    for completion in batch:
        if completion.pending:
            yield from _recheck(completion)
    steps = yield from combine(memory, plan, run)
    known = yield from fresh_head(memory, run)
    if known is None:
        return ()
    if known.head.status.terminal:
        yield from ending.finish(memory, run, known.head.status)
    committed = [completion for completion in batch if completion.fate is Fate.COMMITTED]
    return tuple(sorted({*steps, *follows(plan, known.head, _steps(committed))}))


def _recheck(completion: Completion) -> Task[None]:
    """Read the claim again after a refusal or a silence, and settle or refresh the completion accordingly."""
    lease = completion.lease
    row = yield from Get(table=RUNS, pk=lease.run, rk=claim_key(lease.position))
    if row is None and completion.adopted:
        return
    if row is None or read_claim(row).owner != lease.claim.owner:
        completion.fate = Fate.LOST
    elif read_claim(row).state.final:
        completion.fate = Fate.COMMITTED
    else:
        lease.etag = row.etag


def _claim_write(completion: Completion) -> Insert | Merge:
    lease = completion.lease
    if completion.adopted:
        return Insert(rk=claim_key(lease.position), props=claim_props(completion.claim))
    return Merge(rk=claim_key(lease.position), props=claim_props(completion.claim), etag=lease.etag)


def _close(batch: Sequence[Completion], fate: Fate) -> None:
    for completion in batch:
        completion.fate = fate


def _steps(batch: Sequence[Completion]) -> frozenset[int]:
    return frozenset(completion.outcome.step for completion in batch)

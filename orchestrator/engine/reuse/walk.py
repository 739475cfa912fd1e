"""Take from earlier runs, step after step, as far as it goes: a run in which nothing has changed is one such walk.

What is taken is decided in memory first, then looked at together (is it all still there?), then committed together:
a transaction for dozens of steps, parents and children alike, since it applies whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from orchestrator.core import decision as decisions
from orchestrator.core.claim import adopted_claim
from orchestrator.core.errors import Broken
from orchestrator.core.head import Outcome, Verdict, fold, ready
from orchestrator.core.plan import Plan
from orchestrator.core.result import StepResult
from orchestrator.core.run import RunInfo
from orchestrator.engine import telling
from orchestrator.engine.complete import complete_adopted
from orchestrator.engine.identify import Absent
from orchestrator.engine.lease import Lease
from orchestrator.engine.memory import Completion, Fate, ProcessMemory
from orchestrator.engine.reading import fresh_head
from orchestrator.engine.reuse.consult import Adoption, look_up
from orchestrator.ports import Acquire, NewId, Now, Release, Task

_A_BATCH = 48
MOST_STEPS = 480
"""Steps of one walk; what is left goes by messages, to whoever has time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """`first`: whether the first step was committed. `steps`: those that the caller must send.

    `gone`: what is missing of the first step's outputs; then nothing was done.
    """

    first: bool
    steps: tuple[int, ...] = ()
    gone: str = ""


@dataclass(slots=True)
class _Batch:
    """What is decided and not committed yet, in the order of the graph."""

    adoptions: list[Adoption] = field(default_factory=list)

    @property
    def results(self) -> dict[int, StepResult]:
        return {adoption.position: adoption.result for adoption in self.adoptions}


def walk(memory: ProcessMemory, plan: Plan, info: RunInfo, first: Adoption) -> Task[Walked]:
    """Commit `first`, if it is still there, and what follows from it. Raises Unavailable.

    One walk of a run at a time in a process. The first of all takes the other roots along: their messages find them
    done then.
    """
    key = f"walk/{info.id}"
    yield from Acquire(key=key)
    known = memory.head(info.id) or (yield from fresh_head(memory, info.id))
    if known is not None and known.head.ended >> first.position & 1:
        walked = Walked(first=True)
    elif gone := (yield from Absent(made=(first.made,)))[0]:
        walked = Walked(first=False, gone=gone)
    else:
        roots = () if known is None or known.head.ended else ready(plan, known.head)
        walked = yield from _walk(memory, plan, info, first, tuple(root for root in roots if root != first.position))
    yield from Release(key=key)
    return walked


def _walk(memory: ProcessMemory, plan: Plan, info: RunInfo, first: Adoption, siblings: tuple[int, ...]) -> Task[Walked]:
    """`siblings`: further steps that are ready, and have messages of their own."""
    send: set[int] = set()
    missed: set[int] = set()
    frontier, batch, walked = siblings, _Batch([first]), 0
    while True:
        yield from _extend(memory, plan, info, batch, frontier, missed)
        yield from _check(plan, batch, missed, known=first)
        decided = missed | batch.results.keys()
        send.update(step for step in frontier if step in missed)
        frontier = tuple(step for step in frontier if step not in decided)
        completions = yield from _completions(info, batch)
        steps = yield from complete_adopted(memory, plan, info.id, completions)
        committed = _remember(memory, info, batch, completions)
        yield from telling.unexecuted(plan, completions)
        if not walked and first.position not in committed:
            return Walked(first=False, steps=steps)
        walked += len(committed)
        send.update(step for step in steps if step in missed)
        frontier += tuple(step for step in steps if step not in missed)
        if len(committed) < len(completions) or not committed or walked >= MOST_STEPS or not frontier:
            return Walked(first=True, steps=tuple(sorted({*send, *frontier}.difference(siblings))))
        batch = _Batch()


def _extend(
    memory: ProcessMemory, plan: Plan, info: RunInfo, batch: _Batch, ready: Iterable[int], missed: set[int]
) -> Task[None]:
    """Add to the batch what can be taken, beginning with the steps that are ready and those that the batch makes so."""
    known = memory.head(info.id) or (yield from fresh_head(memory, info.id))
    if known is None or known.head.status.terminal:
        return
    shadow, newly = fold(plan, known.head, [_outcome(adoption.position) for adoption in batch.adoptions])
    todo = [*ready, *newly]
    while todo and len(batch.adoptions) < _A_BATCH:
        position = todo.pop(0)
        found = yield from _looked_up(memory, plan, info, position, batch)
        if not isinstance(found, Adoption):
            missed.add(position)
            continue
        batch.adoptions.append(found)
        shadow, newly = fold(plan, shadow, [_outcome(position)])
        todo += newly


def _looked_up(memory: ProcessMemory, plan: Plan, info: RunInfo, position: int, batch: _Batch) -> Task[object]:
    if plan.conditional >> position & 1:
        return None  # its own message decides whether it runs at all
    try:
        return (yield from look_up(memory, plan, info, position, batch.results))
    except Broken:
        return None  # the step's own message finds it out, and fails the step


def _check(plan: Plan, batch: _Batch, missed: set[int], *, known: Adoption) -> Task[None]:
    """Leave out what is not there any more, and what would build on it: a message of its own sees to that."""
    unseen = [adoption for adoption in batch.adoptions if adoption is not known]
    if not unseen:
        return
    absent = yield from Absent(made=tuple(adoption.made for adoption in unseen))
    left_out = 0
    for adoption, gone in zip(unseen, absent, strict=True):
        if gone or plan.parents[adoption.position] & left_out:
            left_out |= 1 << adoption.position
            missed.add(adoption.position)
    batch.adoptions = [adoption for adoption in batch.adoptions if not left_out >> adoption.position & 1]


def _completions(info: RunInfo, batch: _Batch) -> Task[list[Completion]]:
    now = yield from Now()
    found: list[Completion] = []
    for adoption in batch.adoptions:
        owner = yield from NewId()
        claim = adopted_claim(
            owner=owner,
            now=now,
            decision=decisions.encode(adoption.decision),
            result=adoption.document,
            result_blob=adoption.blob,
            saved=adoption.saved,
        )
        lease = Lease(run=info.id, position=adoption.position, claim=claim, etag="")
        found.append(Completion(lease=lease, claim=claim, outcome=_outcome(adoption.position), adopted=True))
    return found


def _remember(memory: ProcessMemory, info: RunInfo, batch: _Batch, completions: Sequence[Completion]) -> set[int]:
    """The steps that were committed, whose results what follows will want to know."""
    results = batch.results
    committed = {it.outcome.step for it in completions if it.fate is Fate.COMMITTED}
    for position in committed:
        memory.results.put((info.id, position), results[position])
    return committed


def _outcome(position: int) -> Outcome:
    return Outcome(step=position, verdict=Verdict.DONE, attempt=1)

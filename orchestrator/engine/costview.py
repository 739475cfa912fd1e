"""What a run costs: the facts that its claims hold, times prices. Reading changes nothing.

A step that became a run knows what that has used once it has joined it. Of one that has not, the run is read itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec

from orchestrator.core import prices as pricing
from orchestrator.core import usage as usages
from orchestrator.core.claim import ClaimRow
from orchestrator.core.errors import InvalidRequest
from orchestrator.core.prices import Line, PriceList
from orchestrator.core.states import ClaimState, RunStatus, StepStatus
from orchestrator.core.usage import NOTHING, StepUsage, Usage
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import fresh_head
from orchestrator.engine.rows import CLAIMS, RUNS, read_claim, step_of
from orchestrator.engine.stepview import status_of
from orchestrator.engine.view import Look, look
from orchestrator.ports import Query, Task

MOST_CHILD_RUNS: Final = 100
"""Runs of unfinished steps that one answer looks into; what is in others is left out, and said to be."""
_COLUMNS: Final = (
    *("v", "state", "attempt", "owner", "message", "dequeues", "retries", "crashes", "delay", "started"),
    *("child", "looks", "usage", "saved"),
)

NOT_INCLUDED: Final = (
    "What scripts ask of storage and of the network themselves, beyond the inputs and outputs of their steps.",
    "Requests to the API, looking at the run among them.",
    "Executions that were killed or cancelled (unknown), and messages that come twice.",
    "Looking for results to reuse, in a step that is reused: 1 to 2 requests to tables.",
    "The time in which a container or an instance starts; the second that an instance is billed at least.",
    "That steps which run in one instance at the same time share its seconds: there the bill is lower.",
    "What runs whether or not there are runs: timers, polling of queues, logs in Application Insights.",
    "Network traffic out of the region, free grants, discounts, taxes.",
)
"""What the amounts are without, in sentences for people."""


class StepCost(msgspec.Struct, frozen=True, kw_only=True):
    """A step: what it has `used` itself, what the steps that it became have (`children`), and the `amount` for both.

    `saved`: what it cost to make the result that it took from an earlier run, if that is known. `a_month`: what keeping
    its files costs.
    """

    id: str
    name: str
    position: int
    kind: str
    status: StepStatus
    used: Usage
    children: Usage
    amount: Decimal
    a_month: Decimal
    saved: Decimal | None = None
    child: str | None = None


class RunCost(msgspec.Struct, frozen=True, kw_only=True):
    """The estimated price of a run, from counted facts. Amounts in `currency`, as decimal texts.

    `used`, `lines` (by what is billed) and `amount` are of the whole run so far, whatever page of `steps` this is;
    `overhead` is the part of `used` that belongs to no step. `a_month`: what keeping its files costs in each month.
    `saved`: what reused steps did not cost. `complete`: nothing is left to be counted: the run has ended, and of no
    execution the use is unknown.
    """

    run: str
    status: RunStatus
    currency: str
    region: str
    as_of: str
    source: str
    complete: bool
    amount: Decimal
    a_month: Decimal
    saved: Decimal
    used: Usage
    overhead: Usage
    lines: tuple[Line, ...]
    steps: tuple[StepCost, ...]
    not_included: tuple[str, ...] = NOT_INCLUDED
    continuation: str | None = None


@dataclass(slots=True)
class _Reader:
    """Reads claims of a run and of the runs below it; `left` more of these may be read."""

    memory: ProcessMemory
    left: int = MOST_CHILD_RUNS
    cut: bool = False

    def usages(self, run: str, *, over: bool) -> Task[dict[int, tuple[ClaimRow, StepUsage]]]:
        """What is known of each step that has a claim."""
        rows = yield from Query(table=RUNS, pk=run, first=CLAIMS[0], last=CLAIMS[1], select=_COLUMNS)
        found: dict[int, tuple[ClaimRow, StepUsage]] = {}
        for row in rows:
            claim = read_claim(row)
            known = usages.of_claim(claim, over=over)
            if claim.child and not claim.state.final and claim.state is not ClaimState.RETRYING:
                below = yield from self._below(claim.child, over=over)
                known = StepUsage(own=known.own, children=known.children + below)
            found[step_of(row.rk)] = (claim, known)
        return found

    def _below(self, run: str, *, over: bool) -> Task[Usage]:
        if not self.left:
            self.cut = True
            return NOTHING
        self.left -= 1
        known = yield from fresh_head(self.memory, run)
        if known is None:
            return NOTHING  # it is about to be started
        found = yield from self.usages(run, over=over or known.head.status.terminal)
        return sum((step.total for _, step in found.values()), usages.STARTED)


def cost_view(
    memory: ProcessMemory, run: str, prices: PriceList, *, limit: int, continuation: str | None = None
) -> Task[RunCost]:
    """What the run has cost so far, and `limit` of its steps. Raises UnknownThing, InvalidRequest."""
    first = _first(continuation)
    seen = yield from look(memory, run)
    over = seen.head.status.terminal
    reader = _Reader(memory)
    found = yield from reader.usages(run, over=over)
    used = sum((step.total for _, step in found.values()), usages.STARTED)
    last = min(first + limit, seen.plan.size)
    return RunCost(
        run=run,
        status=seen.head.status,
        currency=prices.currency,
        region=prices.region,
        as_of=prices.as_of,
        source=prices.source,
        complete=over and not used.unknown and not reader.cut,
        amount=pricing.total(used, prices),
        a_month=pricing.a_month(used.stored, prices),
        saved=sum((_saved(claim, prices) or Decimal(0) for claim, _ in found.values()), Decimal(0)),
        used=used,
        overhead=usages.STARTED,
        lines=pricing.lines(used, prices),
        steps=tuple(_step(seen, found, position, prices) for position in range(first, last)),
        continuation=str(last) if last < seen.plan.size else None,
    )


def _first(continuation: str | None) -> int:
    if continuation is None:
        return 0
    if not continuation.isdecimal() or len(continuation) > 7:
        raise InvalidRequest("It is not the continuation of an answer.", field="continuation")
    return int(continuation)


def _step(seen: Look, found: dict[int, tuple[ClaimRow, StepUsage]], position: int, prices: PriceList) -> StepCost:
    claim, known = found.get(position, (None, StepUsage()))
    step = seen.plan.step(position)
    return StepCost(
        id=step.id,
        name=step.name,
        position=position,
        kind=step.kind,
        status=status_of(seen.plan, seen.head, position, claim),
        used=known.own,
        children=known.children,
        amount=pricing.total(known.total, prices),
        a_month=pricing.a_month(known.total.stored, prices),
        saved=None if claim is None else _saved(claim, prices),
        child=(claim.child or None) if claim else None,
    )


def _saved(claim: ClaimRow, prices: PriceList) -> Decimal | None:
    return pricing.total(usages.decode(claim.saved).total, prices) if claim.saved else None

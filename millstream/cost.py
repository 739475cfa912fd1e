"""What a run costs, as the service estimates it. Amounts are exact decimals in the currency of the answer."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from orchestrator.core.usage import Usage


class CostLine(msgspec.Struct, frozen=True, kw_only=True):
    """One position of the bill."""

    billed: str
    quantity: float
    unit: str
    amount: Decimal


class StepCost(msgspec.Struct, frozen=True, kw_only=True):
    """A step: what it has used itself and what the steps that it became have, and what both cost. `saved`: what it did
    not cost, since its result was there.
    """

    id: str
    name: str
    status: str
    used: Usage
    children: Usage
    amount: Decimal
    a_month: Decimal
    saved: Decimal | None = None
    child: str | None = None


class RunCost(msgspec.Struct, frozen=True, kw_only=True):
    """The estimated price of a run so far. `a_month`: what keeping its files costs in each month. `complete`: the run
    has ended, and of no execution the use is unknown. `not_included` says in sentences what is not in it.
    """

    run: str
    status: str
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
    lines: tuple[CostLine, ...]
    steps: tuple[StepCost, ...]
    not_included: tuple[str, ...] = ()
    continuation: str | None = None

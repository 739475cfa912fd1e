"""What a run costs, as the service estimates it. Amounts are exact decimals in the currency of the answer."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class UsageView(msgspec.Struct, frozen=True, kw_only=True):
    """What `executions` have used, counted. `requests` to storage by class; bytes; seconds."""

    executions: int = 0
    unknown: int = 0
    requests: dict[str, int] = {}
    sent: int = 0
    received: int = 0
    stored: int = 0
    seconds: float = 0.0
    calls: int = 0
    gb_seconds: float = 0.0
    cpu_seconds: float = 0.0
    gib_seconds: float = 0.0


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
    used: UsageView
    children: UsageView
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
    used: UsageView
    overhead: UsageView
    lines: tuple[CostLine, ...]
    steps: tuple[StepCost, ...]
    not_included: tuple[str, ...] = ()
    continuation: str | None = None

"""Prices as data, and what is used times what it costs. All of it is an estimate: list prices, no free grants."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from orchestrator.core.errors import InvalidRequest
from orchestrator.core.names import shown
from orchestrator.core.usage import BILLED, Usage

GIB: Final = 1024**3
_QUANTUM: Final = Decimal("1e-12")


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`amount` of the list's currency for `per` units."""

    amount: Decimal
    per: int = 1


class PriceList(msgspec.Struct, frozen=True, kw_only=True):
    """What is billed (one of UNITS) -> its price. `as_of`: the day on which these were the prices, YYYY-MM-DD."""

    currency: str
    region: str
    as_of: str
    source: str
    prices: dict[str, Price]


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price list of one's own. What it does not price has the price of the public one, in the same currency."""

    as_of: str
    currency: str = "USD"
    region: str = ""
    source: str = "MILLSTREAM_PRICES"
    prices: dict[str, Price] = {}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One position of a bill: so many units of what is billed, and what they cost."""

    billed: str
    quantity: float
    unit: str
    amount: Decimal


UNITS: Final[Mapping[str, str]] = {
    **dict.fromkeys(BILLED, "requests"),
    "function_calls": "calls",
    "function_gb_seconds": "GB-seconds",
    "container_cpu_seconds": "vCPU-seconds",
    "container_gib_seconds": "GiB-seconds",
    "stored_gb_months": "GB-months",
}
"""What is billed, in the order of a bill, and what it is counted in."""


def _price(amount: str, per: int = 1) -> Price:
    return Price(amount=Decimal(amount), per=per)


PUBLIC: Final = PriceList(
    currency="USD",
    region="eastus",
    as_of="2025-06-01",
    source=(
        "Public pay-as-you-go list prices, as they were known on that day: Functions Flex Consumption on demand, "
        "Container Apps consumption, general-purpose v2 storage (LRS, hot)."
    ),
    prices={
        "table_write": _price("0.00036", 10_000),
        "table_read": _price("0.00036", 10_000),
        "queue": _price("0.004", 10_000),
        "blob_write": _price("0.05", 10_000),
        "blob_read": _price("0.004", 10_000),
        "blob_list": _price("0.05", 10_000),
        "blob_other": _price("0.004", 10_000),
        "blob_delete": _price("0"),
        "file_write": _price("0.015", 10_000),
        "file_read": _price("0.0015", 10_000),
        "file_list": _price("0.015", 10_000),
        "file_other": _price("0.0015", 10_000),
        "file_delete": _price("0"),
        "function_calls": _price("0.40", 1_000_000),
        "function_gb_seconds": _price("0.000026"),
        "container_cpu_seconds": _price("0.000024"),
        "container_gib_seconds": _price("0.000003"),
        "stored_gb_months": _price("0.0208"),
    },
)


def quantities(usage: Usage) -> dict[str, float]:
    """What is billed -> how much of it, in its unit; what was not used is left out. Storage, which is paid by the
    month, is not in it.
    """
    every = {
        **usage.requests,
        "function_calls": usage.calls,
        "function_gb_seconds": usage.gb_seconds,
        "container_cpu_seconds": usage.cpu_seconds,
        "container_gib_seconds": usage.gib_seconds,
    }
    return {billed: every[billed] for billed in UNITS if every.get(billed)}


def lines(usage: Usage, prices: PriceList) -> tuple[Line, ...]:
    """The bill, position by position."""
    return tuple(
        Line(billed=billed, quantity=quantity, unit=UNITS[billed], amount=amount_of(billed, quantity, prices))
        for billed, quantity in quantities(usage).items()
    )


def total(usage: Usage, prices: PriceList) -> Decimal:
    """What all of it costs, once."""
    return sum((line.amount for line in lines(usage, prices)), Decimal(0))


def a_month(stored: int, prices: PriceList) -> Decimal:
    """What so many bytes cost in every month in which they are kept."""
    return amount_of("stored_gb_months", stored / GIB, prices)


def amount_of(billed: str, quantity: float, prices: PriceList) -> Decimal:
    price = prices.prices[billed]
    return (Decimal(str(quantity)) * price.amount / price.per).quantize(_QUANTUM).normalize() + 0


def parse(text: str) -> PriceList:
    """The public prices with those of a JSON document of the shape of Given in their place. Raises InvalidRequest."""
    try:
        given = msgspec.json.decode(text, type=Given)
    except (msgspec.MsgspecError, ArithmeticError) as error:
        raise InvalidRequest(f"It is no price list: {error}", field="prices") from None
    for billed, price in given.prices.items():
        if billed not in UNITS:
            raise InvalidRequest(f"Nothing is billed as {shown(billed)}. There is: {', '.join(UNITS)}.", field=billed)
        if not price.amount.is_finite() or price.amount < 0 or price.per < 1:
            raise InvalidRequest("A price is 0 or more, for 1 or more units.", field=billed)
    missing = [billed for billed in UNITS if billed not in given.prices]
    if given.currency != PUBLIC.currency and missing:
        raise InvalidRequest(
            f"Prices in {shown(given.currency)} cannot be mixed with those in {PUBLIC.currency}: {', '.join(missing)} "
            "have none.",
            field="currency",
        )
    return PriceList(
        currency=given.currency,
        region=given.region or PUBLIC.region,
        as_of=given.as_of,
        source=given.source,
        prices=PUBLIC.prices | given.prices,
    )

"""Prices: worked by hand, from the public list and from one's own."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from orchestrator.core.errors import InvalidRequest
from orchestrator.core.prices import PUBLIC, UNITS, a_month, lines, parse, total
from orchestrator.core.usage import BILLED, NOTHING, Usage


def test_every_unit_has_a_public_price() -> None:
    assert set(PUBLIC.prices) == set(UNITS) >= set(BILLED)
    assert PUBLIC.as_of.count("-") == 2 and PUBLIC.region and PUBLIC.source


def test_a_step_of_a_function_worked_by_hand() -> None:
    usage = Usage(
        executions=1,
        calls=1,
        seconds=10.0,
        gb_seconds=20.0,  # 10 s x 2 GB
        requests={"table_write": 4, "table_read": 2, "queue": 3, "blob_write": 5, "blob_read": 10, "blob_delete": 7},
    )
    # 20 x 0.000026 = 0.00052; 0.40 / 10^6 = 0.0000004; 6 x 0.000000036 = 0.000000216; 3 x 0.0000004 = 0.0000012;
    # 5 x 0.000005 = 0.000025; 10 x 0.0000004 = 0.000004; 7 deletions are free.
    assert total(usage, PUBLIC) == Decimal("0.000550816")
    bill = {line.billed: line for line in lines(usage, PUBLIC)}
    assert bill["function_gb_seconds"].amount == Decimal("0.00052")
    assert bill["function_gb_seconds"].unit == "GB-seconds"
    assert bill["blob_write"].quantity == 5
    assert bill["blob_write"].amount == Decimal("0.000025")
    assert bill["blob_delete"].amount == 0
    assert list(bill) == [billed for billed in UNITS if billed in bill], "in the order of a bill"


def test_a_container_is_billed_by_its_size() -> None:
    # Half a CPU and 1 GiB for an hour: 1800 x 0.000024 + 3600 x 0.000003 = 0.0432 + 0.0108.
    usage = Usage(executions=1, seconds=3600.0, cpu_seconds=1800.0, gib_seconds=3600.0)
    assert total(usage, PUBLIC) == Decimal("0.054")


def test_what_is_kept_is_billed_by_the_month_and_not_in_the_total() -> None:
    usage = Usage(stored=10 * 1024**3)
    assert total(usage, PUBLIC) == 0
    assert a_month(usage.stored, PUBLIC) == Decimal("0.208")


def test_a_process_of_ones_own_costs_its_requests_alone() -> None:
    usage = Usage(executions=1, seconds=3600.0, requests={"queue": 10_000})
    assert total(usage, PUBLIC) == Decimal("0.004")


def test_nothing_costs_nothing() -> None:
    assert lines(NOTHING, PUBLIC) == () and total(NOTHING, PUBLIC) == 0


def test_sums_of_many_small_amounts_are_exact() -> None:
    one = Usage(requests={"table_read": 1})
    assert sum((total(one, PUBLIC) for _ in range(10_000)), Decimal(0)) == Decimal("0.00036")


def test_prices_of_ones_own_take_the_place_of_the_public_ones() -> None:
    own = {"as_of": "2026-10-01", "region": "westeurope", "prices": {"queue": {"amount": "0.01", "per": 1000}}}
    prices = parse(json.dumps(own))
    assert (prices.as_of, prices.region, prices.currency) == ("2026-10-01", "westeurope", "USD")
    assert total(Usage(requests={"queue": 100, "table_read": 10_000}), prices) == Decimal("0.00136")


def test_a_list_in_another_currency_is_whole() -> None:
    every = {billed: {"amount": "1"} for billed in UNITS}
    assert parse(json.dumps({"as_of": "2026-10-01", "currency": "EUR", "prices": every})).currency == "EUR"
    del every["queue"]
    with pytest.raises(InvalidRequest, match=r"cannot be mixed with those in USD: queue have none"):
        parse(json.dumps({"as_of": "2026-10-01", "currency": "EUR", "prices": every}))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "no price list"),
        ("{}", "as_of"),
        ('{"as_of": "2026-10-01", "prices": {"qeue": {"amount": "1"}}}', "Nothing is billed as"),
        ('{"as_of": "2026-10-01", "prices": {"queue": {"amount": "-1"}}}', "0 or more"),
        ('{"as_of": "2026-10-01", "prices": {"queue": {"amount": "NaN"}}}', "0 or more"),
        ('{"as_of": "2026-10-01", "prices": {"queue": {"amount": "1", "per": 0}}}', "1 or more"),
        ('{"as_of": "2026-10-01", "prices": {"queue": {"amount": "dear"}}}', "no price list"),
        ('{"as_of": "2026-10-01", "price": {}}', "no price list"),
    ],
)
def test_what_is_no_price_list_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        parse(text)

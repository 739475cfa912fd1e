"""docs/cost.md: its prices are those of the code, its sums are right, and what it says of an idle minute is counted."""

from __future__ import annotations

import re
from decimal import Decimal

from orchestrator.adapters.memory import MemoryWorld
from orchestrator.catalog.firing import fire
from orchestrator.catalog.submissions import Submitter
from orchestrator.core.prices import PUBLIC, UNITS, a_month, amount_of, parse
from orchestrator.core.usage import STARTED, Usage
from orchestrator.engine import outbox
from orchestrator.engine.memory import EngineSettings, ProcessMemory
from orchestrator.engine.sweep import sweep
from orchestrator.ports import Task, Used
from tests.docs.cost_page import PAGE, table
from tests.docs.markdown import blocks

DAYS = 30
PENNY = Decimal("0.01")


def test_the_prices_are_those_of_the_code() -> None:
    shown = [(billed, Decimal(price), unit) for billed, price, unit in table("Prices")]
    assert shown == [(b, PUBLIC.prices[b].amount, f"{PUBLIC.prices[b].per} {unit}") for b, unit in UNITS.items()]
    text = PAGE.read_text()
    assert PUBLIC.as_of in text and "region East US" in text and PUBLIC.region == "eastus"


def test_the_sums_of_the_example_are_right() -> None:
    *lines, (_, _, total) = table("An example")
    exact = [amount_of(billed, float(quantity), PUBLIC) for billed, quantity, _ in lines]
    assert [f"{amount:.7f}" for amount in exact] == [cost for _, _, cost in lines]
    assert f"{sum(exact):.7f}" == total
    assert f"{total} USD" in PAGE.read_text(), "and are those that the command shows"
    assert f"{a_month(135_400, PUBLIC):.7f}" == "0.0000026"
    assert f"{1000 * Decimal(total):.2f}" == "3.16"


def test_the_idle_month_is_what_an_idle_minute_asks_for() -> None:
    memory, world = ProcessMemory(EngineSettings(webhook_queue="calls")), MemoryWorld()
    submitter = Submitter(memory, computes=(), datastores=(), assignment_bytes=1)
    reads = sum(
        world.run(_used(task)).requests["table_read"]
        for task in (sweep(memory), fire(submitter, most=1), outbox.sweep(memory))
    )
    minutes = DAYS * 24 * 60
    rows = table("What it costs while nothing runs")
    quantities = {what: Decimal(quantity) for what, _, quantity, _ in rows}
    assert quantities["what they read of tables"] == reads * minutes
    assert quantities["two timers, each a second of 2 GB a minute"] == 2 * 2 * minutes
    assert quantities["their calls"] == 2 * minutes
    for _, billed, quantity, cost in rows:
        assert amount_of(billed, float(quantity), PUBLIC).quantize(PENNY) == Decimal(cost), billed


def test_what_starts_and_ends_a_run_is_said() -> None:
    found = re.search(r"(\d+) writes and (\d+) read of tables", PAGE.read_text().replace("\n", " "))
    assert found is not None
    assert Usage(requests={"table_write": int(found[1]), "table_read": int(found[2])}) == STARTED


def test_the_price_list_of_the_example_is_one() -> None:
    assert parse(blocks(PAGE, "json")[0]).prices["queue"] == PUBLIC.prices["queue"]


def _used(task: Task[object]) -> Task[Usage]:
    yield from task
    return (yield from Used())

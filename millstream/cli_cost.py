"""`millstream runs cost`: what a run has used and what that costs, step by step and position by position."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from decimal import Decimal

from millstream.console import amount, duration, say, styled
from millstream.cost import CostLine, RunCost, StepCost
from millstream.pipeline_run import PipelineRun
from millstream.tables import coloured, table
from millstream.workspace import Workspace
from orchestrator.core.usage import Usage


def show_cost(workspace: Workspace, options: argparse.Namespace) -> int:
    cost = PipelineRun.get(workspace, options.run).get_cost()
    say(f"{'run':<11} {cost.run}")
    say(f"{'status':<11} {coloured(cost.status)}")
    say(f"{'cost':<11} {styled(f'{_price(cost.amount)} {cost.currency}', 'bold')}{'' if cost.complete else ', so far'}")
    if cost.used.stored:
        say(f"{'its files':<11} {_size(cost.used.stored)}: {_price(cost.a_month)} {cost.currency} a month")
    if cost.saved:
        say(f"{'reuse saved':<11} {_price(cost.saved)} {cost.currency}")
    say()
    _steps(cost)
    say()
    _bill(cost)
    say()
    _caveats(cost, explain=options.explain)
    return 0


def _steps(cost: RunCost) -> None:
    rows: list[tuple[str, ...]] = [("STEP", "STATUS", "TIME", "REQUESTS", "STORED", "COST", "SAVED")]
    rows += [_step(step) for step in cost.steps]
    rows.append(("start and end", "", "", *_facts(cost.overhead), "", ""))
    used = cost.used
    rows.append(("all", "", duration(used.seconds), *_facts(used), _price(cost.amount), ""))
    table(_right(rows, (2, 3, 4, 5, 6)))


def _step(step: StepCost) -> tuple[str, ...]:
    requests = _requests(step.used) + _requests(step.children)
    name = f"{step.name} and its {step.children.executions}" if step.children.executions else step.name
    return (
        name,
        step.status,
        duration(step.used.seconds + step.children.seconds) if step.used.executions else "",
        str(requests or ""),
        _size(step.used.stored + step.children.stored),
        _price(step.amount) if step.amount else "",
        "" if step.saved is None else _price(step.saved),
    )


def _bill(cost: RunCost) -> None:
    rows = [("BILLED", "QUANTITY", "", "COST"), *map(_position, cost.lines)]
    table(_right(rows, (1, 3)))


def _position(line: CostLine) -> tuple[str, ...]:
    return line.billed.replace("_", " "), f"{line.quantity:,.6g}", line.unit, _price(line.amount)


def _caveats(cost: RunCost, *, explain: bool) -> None:
    say(f"An estimate in {cost.currency} by prices of {cost.as_of} ({cost.region}). {cost.source}")
    if cost.used.unknown:
        say(f"Of {cost.used.unknown} executions nothing is known: they were killed or cancelled.")
    if not explain:
        say("Not everything is in it: --explain says what is not.")
        return
    say("Not in it:")
    for words in cost.not_included:
        say(f"- {words}")


def _facts(used: Usage) -> tuple[str, str]:
    return str(_requests(used) or ""), _size(used.stored)


def _requests(used: Usage) -> int:
    return sum(used.requests.values())


def _price(price: Decimal) -> str:
    """Enough places to tell one request from none at all."""
    return f"{price:.7f}"


def _size(count: int) -> str:
    return amount(count) if count else ""


def _right(rows: Sequence[Sequence[str]], columns: Sequence[int]) -> list[tuple[str, ...]]:
    """The rows with these columns aligned to the right."""
    widths = {column: max(len(row[column]) for row in rows) for column in columns}
    return [tuple(cell.rjust(widths.get(at, 0)) for at, cell in enumerate(row)) for row in rows]

"""Experiments: the names under which runs are gathered. One is there from its first run on."""

from __future__ import annotations

import msgspec

from orchestrator.catalog.rows import CATALOG, VERSION, span
from orchestrator.engine.memory import Recent
from orchestrator.pages import Page, read_page
from orchestrator.ports import Commit, Get, Insert, Now, Refused, Row, Task

KIND = "experiment"

Seen = Recent[str, bool]
"""The experiments that this process knows to be in the list."""


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """`created_at` is when its first run was submitted, in epoch seconds."""

    name: str
    created_at: float


def remember(seen: Seen, name: str) -> Task[None]:
    """List the experiment. Costs nothing for one that this process has seen."""
    if seen.get(name):
        return
    if (yield from Get(table=CATALOG, pk=KIND, rk=f"e|{name}")) is None:
        now = yield from Now()
        try:
            row = Insert(rk=f"e|{name}", props={"v": VERSION, "name": name, "created_at": now})
            yield from Commit(table=CATALOG, pk=KIND, writes=(row,))
        except Refused:
            pass  # another process was first
    seen.put(name, True)


def listing(*, limit: int, continuation: str | None) -> Task[Page[Experiment]]:
    """Experiments by name."""
    return (yield from read_page(span(KIND, "e|"), limit=limit, continuation=continuation, decode=_decode))


def _decode(row: Row) -> Experiment:
    return Experiment(name=str(row.props["name"]), created_at=float(row.props["created_at"]))

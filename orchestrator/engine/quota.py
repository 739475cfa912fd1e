"""Whether one more run may be started, by the list of unfinished runs that the sweep goes by.

No counter is kept anywhere, so none can be wrong after a crash: a run stops counting when it leaves that list. Far from
a quota, a count that this process made in the last seconds is believed, with what it has started since; from half of it
on, every start reads the list: one query, of 1,000 runs a page. Two that start at the same moment do not see each
other, so a quota may be exceeded by as many as are started at the same moment.
"""

from __future__ import annotations

from typing import Final

from orchestrator.core.quota import Unfinished
from orchestrator.engine import index
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.rows import HEAD, RUNS
from orchestrator.ports import Get, Monotonic, Query, Task

AGE: Final = 10.0
"""Seconds for which a count is believed, far from a quota."""


def admit(memory: ProcessMemory, run: str, who: str) -> Task[None]:
    """Raises QuotaExceeded if `who` may not start one more run now. A run that is there already is let pass."""
    quotas = memory.settings.quotas
    if not quotas.of_runs:
        return
    now = yield from Monotonic()
    known = memory.unfinished.get()
    if known is None or now - known.seen_at > AGE or not quotas.is_far(known, who):
        names = yield from _unfinished()
        known = Unfinished(seen_at=now, by={caller: len(runs) for caller, runs in names.items()})
        memory.unfinished.put(known)
        refusal = quotas.refusal(known, who, names)
        if refusal is not None and (yield from Get(table=RUNS, pk=run, rk=HEAD)) is None:
            raise refusal
    memory.unfinished.count(who)


def _unfinished() -> Task[dict[str, list[str]]]:
    """Who has started them -> the unfinished runs, but for those that do the work of a step of another."""
    rows = yield from Query(
        table=index.INDEX, pk=index.ACTIVE, first="", last="~", select=(index.PARENT, index.STARTED_BY)
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        if not row.props.get(index.PARENT):
            found.setdefault(str(row.props.get(index.STARTED_BY) or ""), []).append(row.rk)
    return found

"""Backfill: runs for the occurrences of a period that is past, each exactly once, whoever asks and however often.

A run that an occurrence has, from the timer or from an earlier backfill, is that occurrence's run; nothing is started
twice. What a backfill starts does not move the schedule itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Final

import msgspec

from orchestrator.catalog import firings, schedules
from orchestrator.catalog.firing import start_occurrence
from orchestrator.catalog.submissions import Submitter
from orchestrator.core import schedule as rules
from orchestrator.core.errors import InvalidRequest, QuotaExceeded
from orchestrator.core.schedule import Failure, Schedule
from orchestrator.ports import ServerNow, Task

MOST_OCCURRENCES: Final = 1000
"""Of a period."""
MOST_AT_ONCE: Final = 50
"""Runs that one call starts."""


class FillState(StrEnum):
    """Of an occurrence: it would be started, was started now, has its run already, or could not be started."""

    PLANNED = "planned"
    STARTED = "started"
    EXISTS = "exists"
    FAILED = "failed"


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an occurrence (epoch seconds). `run_id` is the id that its run has, or would have."""

    occurrence: float
    run_id: str
    state: FillState
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfilled:
    """`rest`: where the next call goes on, as its `start`; None: the period is done."""

    occurrences: tuple[Filled, ...]
    rest: float | None


def backfill(
    submitter: Submitter, schedule_id: str, *, start: float, end: float | None, dry_run: bool
) -> Task[Backfilled]:
    """Start the runs of the occurrences with start <= occurrence < end (epoch seconds; None: now), oldest first.

    At most MOST_AT_ONCE are started by a call, or as many as a quota leaves room for; QuotaExceeded where that is none.
    `dry_run` starts nothing, and tells of the whole period. A schedule that is disabled can be backfilled. Raises
    UnknownThing; InvalidRequest for a period that is none, is not past, or has more than MOST_OCCURRENCES, and for a
    schedule of data.
    """
    there = yield from schedules.get(schedule_id)
    now = yield from ServerNow()
    last = now if end is None else end
    due = _occurrences(there.schedule, start, last, now)
    known = yield from firings.started_between(there.schedule.id, start, last)
    filled: list[Filled] = []
    started = 0
    for occurrence in due:
        run = rules.run_id(there.schedule.id, rules.moment(occurrence))
        if run in known or dry_run:
            state = FillState.EXISTS if run in known else FillState.PLANNED
            filled.append(Filled(occurrence=occurrence, run_id=run, state=state))
            continue
        if started == MOST_AT_ONCE:
            return Backfilled(occurrences=tuple(filled), rest=occurrence)
        try:
            outcome = yield from start_occurrence(submitter, there.schedule, rules.moment(occurrence))
        except QuotaExceeded:
            if not started:
                raise
            return Backfilled(occurrences=tuple(filled), rest=occurrence)
        state = FillState.STARTED if outcome.failure is None else FillState.FAILED
        filled.append(Filled(occurrence=occurrence, run_id=run, state=state, failure=outcome.failure))
        started += 1
    return Backfilled(occurrences=tuple(filled), rest=None)


def _occurrences(schedule: Schedule, start: float, end: float, now: float) -> list[float]:
    if not schedule.timed:
        raise InvalidRequest("A schedule of data has no occurrences to be made up for.", field="schedule_id")
    if end > now:
        raise InvalidRequest("The period ends in the future, where runs come by themselves.", field="end")
    if not 0 <= start < end:
        raise InvalidRequest("The period must begin before it ends, and not before 1970.", field="start")
    # Occurrences are whole seconds: a moment before the start, none lies between.
    found = islice(rules.occurrences(schedule, after=start - 0.001, until=end), MOST_OCCURRENCES + 2)
    seconds = [moment.timestamp() for moment in found]
    inside = [second for second in seconds if start <= second < end]
    if len(inside) > MOST_OCCURRENCES:
        raise InvalidRequest(
            f"The period has more than {MOST_OCCURRENCES:,} occurrences; the first {MOST_OCCURRENCES:,} end before "
            f"{rules.moment(inside[MOST_OCCURRENCES]).isoformat()}. Take a shorter one.",
            field="end",
        )
    return inside

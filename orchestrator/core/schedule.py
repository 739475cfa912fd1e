"""A schedule: which pipeline runs when, and what becomes of the occurrences that nobody was there for. Pure rules.

Occurrences are moments in UTC. A schedule's *progress* says up to which of them everything has been dealt with; what
lies between that and now is due. Whatever is decided here, a run's id comes from its schedule and its occurrence, so
that deciding twice starts nothing twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any, Final

import msgspec

from orchestrator.core import cron as crons
from orchestrator.core import datachange, recurrence
from orchestrator.core.cron import Cron
from orchestrator.core.datachange import DataChange
from orchestrator.core.errors import Problem
from orchestrator.core.recurrence import Recurrence

ON_TIME: Final = timedelta(seconds=120)
"""An occurrence that is not older was not missed: the timer looks once a minute, and may be late."""
MOST_COUNTED: Final = 10_000
"""Occurrences that are left out are counted up to here."""
_NAMESPACE: Final = uuid.UUID("3d0c7a52-64f6-5c0e-9d2b-7363686564ff")
_FIRST_LOOK_BACK: Final = timedelta(hours=1)


class CatchUp(StrEnum):
    """What is run when occurrences were missed: the latest one, all of them, or none."""

    LATEST = "latest"
    ALL = "all"
    NONE = "none"


class ScheduleStatus(StrEnum):
    ACTIVE = "Active"
    DISABLED = "Disabled"


class Schedule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked for. Exactly one of `pipeline_id` and `pipeline_endpoint_id`; exactly one of the three triggers.

    `keep_going` None takes the published pipeline's own. Times in epoch seconds; `phase` is when the trigger was set,
    from where a recurrence without a start counts. `version` rises with every change. `owner`: who has made
    it or changed it last, in whose name its runs are started; "": that was not recorded.
    """

    id: str
    name: str
    experiment: str
    description: str = ""
    pipeline_id: str | None = None
    pipeline_endpoint_id: str | None = None
    parameters: dict[str, Any] = {}
    recurrence: Recurrence | None = None
    cron: Cron | None = None
    data_change: DataChange | None = None
    keep_going: bool | None = None
    catch_up: CatchUp = CatchUp.LATEST
    status: ScheduleStatus = ScheduleStatus.ACTIVE
    tags: dict[str, str] = {}
    created_at: float
    updated_at: float
    phase: float
    version: int = 1
    owner: str = ""

    @property
    def trigger(self) -> Recurrence | Cron | DataChange:
        trigger = self.recurrence or self.cron or self.data_change
        assert trigger is not None
        return trigger

    @property
    def timed(self) -> bool:
        """Whether time fires it, and not a change of data."""
        return self.data_change is None


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an occurrence has no run. `at`: when that was found out, epoch seconds."""

    code: str
    message: str
    at: float


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a schedule has come. Times in epoch seconds.

    `handled`: of every occurrence up to here it is decided what becomes of it, and it has become of it, apart from
    those that are `pending`: their runs are being started, and whoever comes next completes that. `due`: when there is
    something to do next, if it is known that there will be.
    `skipped`: occurrences that were left out, by the catch-up policy. `failures`: since the last run that was started.
    `put_off`: what is pending is not tried again before that.
    """

    handled: float = 0.0
    pending: tuple[float, ...] = ()
    due: float | None = None
    skipped: int = 0
    failures: int = 0
    last_run: str | None = None
    last_occurrence: float | None = None
    last_failure: Failure | None = None
    put_off: float = 0.0


def problems(schedule: Schedule, *, datastores: Collection[str] | None = None) -> Iterator[Problem]:
    """What is wrong with its trigger. `datastores`: those that exist, if that is known."""
    given = {
        "recurrence": schedule.recurrence,
        "cron": schedule.cron,
        "data_change": schedule.data_change,
    }
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        what = f"It has {' and '.join(named)}." if named else "It has no trigger."
        yield Problem("OneTrigger", named[1] if named else "recurrence", what, f"Give one of {', '.join(given)}.")
        return
    if schedule.recurrence is not None:
        yield from recurrence.problems(schedule.recurrence, "recurrence")
    elif schedule.cron is not None:
        yield from crons.problems(schedule.cron, "cron")
    elif schedule.data_change is not None:
        yield from datachange.problems(schedule.data_change, "data_change", datastores=datastores)


def occurrences(schedule: Schedule, *, after: float, until: float | None = None) -> Iterator[datetime]:
    """The occurrences with after < occurrence <= until (epoch seconds), in order; none of a data-change schedule."""
    first, last = moment(after), None if until is None else moment(until)
    if schedule.recurrence is not None:
        phase = moment(schedule.phase)
        return recurrence.occurrences(schedule.recurrence, after=first, until=last, phase=phase)
    if schedule.cron is not None:
        return crons.occurrences(schedule.cron, after=first, until=last)
    return iter(())


def beginning(schedule: Schedule, now: float) -> Progress:
    """The progress of a schedule whose trigger is set at `now`.

    A recurrence without a start and without times of its own runs at once, then by its interval (azureml-v1).
    """
    trigger = schedule.recurrence
    at_once = trigger is not None and trigger.start_time is None and not trigger.has_times
    return progressed(schedule, Progress(handled=float(int(schedule.phase) - 1) if at_once else now))


def progressed(schedule: Schedule, progress: Progress) -> Progress:
    """With `due` as it follows from what is pending, what is handled, and the status."""
    if progress.pending:
        return msgspec.structs.replace(progress, due=max(progress.pending[0], progress.put_off))
    active = schedule.status is ScheduleStatus.ACTIVE
    coming = next(occurrences(schedule, after=progress.handled), None) if active else None
    return msgspec.structs.replace(progress, due=None if coming is None else coming.timestamp())


def run_id(schedule_id: str, occurrence: datetime) -> str:
    """The id of the one run that this occurrence of this schedule has."""
    return str(uuid.uuid5(_NAMESPACE, f"{schedule_id}|{int(occurrence.timestamp())}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`run`: the occurrences that get a run now, in order. `skipped`: how many were left out for good (at most
    MOST_COUNTED are counted). `handled`: with that, everything up to here is decided.
    """

    run: tuple[datetime, ...]
    skipped: int
    handled: float


def decide(schedule: Schedule, progress: Progress, now: float, most: int) -> Decision:
    """What is to be done about the occurrences that are due at `now` (epoch seconds). At most `most` runs.

    Nothing was missed while the oldest of them is not older than ON_TIME: they all run. Else the policy decides:
    "latest" runs the latest of all; "all" runs all, as many at a time as are allowed; "none" those that are on time.
    """
    due = tuple(islice(occurrences(schedule, after=progress.handled, until=now), most))
    missed = bool(due) and due[0] < moment(now) - ON_TIME
    if not missed or schedule.catch_up is CatchUp.ALL:
        return _decision(due, 0, progress)
    latest = _latest(schedule, progress.handled, now)
    if schedule.catch_up is CatchUp.LATEST:
        return _decision((latest,), _count(schedule, progress.handled, latest) - 1, progress)
    since = moment(now) - ON_TIME
    on_time = tuple(islice(occurrences(schedule, after=since.timestamp(), until=now), most))
    skipped = _count(schedule, progress.handled, since)
    return Decision(run=on_time, skipped=skipped, handled=(on_time or (latest,))[-1].timestamp())


def _decision(run: tuple[datetime, ...], skipped: int, progress: Progress) -> Decision:
    return Decision(run=run, skipped=skipped, handled=run[-1].timestamp() if run else progress.handled)


def _latest(schedule: Schedule, after: float, until: float) -> datetime:
    """The last occurrence with after < occurrence <= until, of which there is one: looked for from the end."""
    back = _FIRST_LOOK_BACK.total_seconds()
    while True:
        found = list(occurrences(schedule, after=max(after, until - back), until=until))
        if found:
            return found[-1]
        back *= 4


def _count(schedule: Schedule, after: float, until: datetime) -> int:
    return sum(1 for _ in islice(occurrences(schedule, after=after, until=until.timestamp()), MOST_COUNTED))


def moment(seconds: float) -> datetime:
    """Epoch seconds as an aware datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def encode(value: Schedule | Progress) -> str:
    return msgspec.json.encode(value).decode()


decode = msgspec.json.Decoder(Schedule).decode
decode_progress = msgspec.json.Decoder(Progress).decode

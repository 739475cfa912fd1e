"""Schedules at rest: made, found, listed, changed, and an index of those that are due.

    s|<id>               the schedule, with its progress
    t|<time>|<id>        the same, newest first
    d|<due>|<id>         when there is something to do for it next, in milliseconds: what is due is one short query

All rows of a schedule are written in one transaction on the etag of the first, so the index never says anything else
than the schedule. People's changes raise its `version`; firing changes the progress only.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from orchestrator.catalog import targets
from orchestrator.catalog.records import is_id
from orchestrator.catalog.rows import CATALOG, VERSION, newest_first, span
from orchestrator.core import schedule as rules
from orchestrator.core.cron import Cron
from orchestrator.core.datachange import DataChange
from orchestrator.core.errors import Conflict, InvalidRequest, Problem, TooLarge, Unavailable, UnknownThing
from orchestrator.core.names import EXPERIMENT, SCHEDULE_NAME, shown
from orchestrator.core.recurrence import Recurrence
from orchestrator.core.schedule import CatchUp, Progress, Schedule, ScheduleStatus
from orchestrator.engine.memory import ProcessMemory
from orchestrator.pages import Page, read_page
from orchestrator.ports import (
    Commit,
    Delete,
    Get,
    Insert,
    Merge,
    NewId,
    Now,
    Pause,
    Props,
    Query,
    Refused,
    Row,
    ServerNow,
    Task,
    Unanswered,
    Upsert,
    Write,
)

KIND: Final = "schedule"
LARGEST: Final = 24_000
LONGEST_TEXT: Final = 4000
_NAMESPACE: Final = uuid.UUID("c1a1b8a2-77a4-5f3e-8a53-7363686564aa")
_TRIES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A schedule that is asked for: see `Schedule`. An `id` or an `idempotency_key` makes the wish repeatable."""

    name: str
    experiment: str
    description: str = ""
    pipeline_id: str | None = None
    pipeline_endpoint_id: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    recurrence: Recurrence | None = None
    cron: Cron | None = None
    data_change: DataChange | None = None
    keep_going: bool | None = None
    catch_up: CatchUp = CatchUp.LATEST
    tags: Mapping[str, str] = field(default_factory=dict)
    id: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A schedule as it lies in storage; `etag` is its row's."""

    schedule: Schedule
    progress: Progress
    etag: str


def create(
    memory: ProcessMemory, wish: Wish, *, datastores: Collection[str], owner: str = ""
) -> Task[tuple[Stored, bool, tuple[Problem, ...]]]:
    """The schedule, whether it was made by this call, and warnings. `owner`: who makes it.

    Raises UserErrors naming the field: everything is checked now that could make its runs fail to start. Conflict, for
    an id that another wish has taken.
    """
    made_of = hashlib.sha256(msgspec.json.encode(wish)).hexdigest()
    id_ = yield from _id(wish)
    now = yield from Now()
    schedule = Schedule(
        id=id_,
        name=wish.name,
        experiment=wish.experiment,
        description=wish.description,
        pipeline_id=wish.pipeline_id,
        pipeline_endpoint_id=wish.pipeline_endpoint_id,
        parameters=dict(wish.parameters),
        recurrence=wish.recurrence,
        cron=wish.cron,
        data_change=wish.data_change,
        keep_going=wish.keep_going,
        catch_up=wish.catch_up,
        tags=dict(wish.tags),
        created_at=now,
        updated_at=now,
        phase=now,
        owner=owner,
    )
    _check(schedule)
    warnings = yield from targets.check(memory, schedule, datastores)
    schedule, progress = yield from _begun(schedule)
    props = _props(schedule, progress)
    writes: tuple[Write, ...] = (
        Insert(rk=_key(id_), props={**props, "request": made_of}),
        Insert(rk=_time_key(schedule), props=props),
        *_index(schedule, progress),
    )
    try:
        etags = yield from Commit(table=CATALOG, pk=KIND, writes=writes)
    except (Refused, Unanswered):
        there = yield from _made_before(id_, made_of)
        return there, False, warnings
    return Stored(schedule=schedule, progress=progress, etag=etags[0]), True, warnings


def _begun(schedule: Schedule) -> Task[tuple[Schedule, Progress]]:
    """With a trigger that counts from now, by the clock that decides what is due. Ask after a read."""
    now = yield from ServerNow()
    schedule = msgspec.structs.replace(schedule, phase=float(int(now)))
    return schedule, rules.beginning(schedule, now)


def _made_before(id_: str, made_of: str) -> Task[Stored]:
    row = yield from Get(table=CATALOG, pk=KIND, rk=_key(id_))
    if row is None:
        raise Unavailable("Storage did not say whether the schedule was made. Send the request again.")
    if row.props["request"] != made_of:
        raise Conflict(f"The schedule {id_} exists already, and another was asked for. Use another id.", field="id")
    return _decode(row)


def _check(schedule: Schedule) -> None:
    """What can be said without a look at anything else. Raises InvalidRequest, TooLarge naming the field."""
    SCHEDULE_NAME.check(schedule.name, "name")
    EXPERIMENT.check(schedule.experiment, "experiment_name")
    if len(schedule.description) > LONGEST_TEXT:
        raise TooLarge(f"The description is longer than {LONGEST_TEXT:,} characters.", field="description")
    if len(msgspec.json.encode([schedule.parameters, schedule.tags])) > LARGEST:
        raise TooLarge(f"Parameters and tags take more than {LARGEST:,} bytes together.", field="parameters")
    for problem in rules.problems(schedule):
        raise InvalidRequest(f"{problem.message} {problem.fix}".strip(), field=problem.field)


def find(wanted: str) -> Task[Stored | None]:
    """The schedule with this id, or None."""
    if not is_id(wanted):
        return None
    row = yield from Get(table=CATALOG, pk=KIND, rk=_key(wanted.lower()))
    return None if row is None else _decode(row)


def get(wanted: str, field: str = "schedule_id") -> Task[Stored]:
    """As `find`. Raises UnknownThing naming `field`."""
    found = yield from find(wanted)
    if found is None:
        raise UnknownThing(
            f"There is no schedule with the id {shown(wanted)}. GET /api/schedules lists what there is.", field=field
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which schedules to list; None: whatever."""

    active_only: bool = False
    name: str | None = None
    pipeline_id: str | None = None
    pipeline_endpoint_id: str | None = None

    def allows(self, schedule: Schedule) -> bool:
        return (
            (not self.active_only or schedule.status is ScheduleStatus.ACTIVE)
            and self.name in (None, schedule.name)
            and self.pipeline_id in (None, schedule.pipeline_id)
            and self.pipeline_endpoint_id in (None, schedule.pipeline_endpoint_id)
        )


def listing(wanted: Filter, *, limit: int, continuation: str | None) -> Task[Page[Stored]]:
    """Schedules, newest first."""

    def decode(row: Row) -> Stored | None:
        stored = _decode(row)
        return stored if wanted.allows(stored.schedule) else None

    return (yield from read_page(span(KIND, "t|"), limit=limit, continuation=continuation, decode=decode))


def change(
    memory: ProcessMemory,
    wanted: str,
    alter: Callable[[Schedule], Schedule],
    *,
    datastores: Collection[str],
    version: int | None = None,
) -> Task[tuple[Stored, tuple[Problem, ...]]]:
    """Put what `alter` makes of the schedule in its place; nothing is written where that is the same. With warnings.

    A new trigger counts from now; one that is enabled again does not make up for what it missed while it was disabled.
    `version`: that which the caller has seen; Conflict if it is another by now. Raises UserErrors as `create` does.
    """
    tried: Schedule | None = None
    warnings: tuple[Problem, ...] = ()
    for attempt in range(_TRIES):
        if attempt:
            yield from Pause(at_most=0.05 * attempt)
        there = yield from get(wanted)
        before = there.schedule
        if before == tried:
            return there, warnings  # by a write whose answer was lost
        if version is not None and before.version != version:
            raise Conflict("The schedule has been changed meanwhile. Get it again, and change that.", field="etag")
        after = alter(before)
        if after == before:
            return there, ()
        if after.timed != before.timed:
            message = "A schedule stays one of time or one of data. Disable it, and make another."
            raise InvalidRequest(message, field="data_change" if before.timed else "recurrence")
        now = yield from Now()
        after = msgspec.structs.replace(after, updated_at=now, version=before.version + 1)
        _check(after)
        if _starts_differ(before, after):
            warnings = yield from targets.check(memory, after, datastores)
        tried, progress = yield from _moved(before, after, there.progress)
        done = yield from write(there, tried, progress)
        if done is not None:
            return done, warnings
    raise Unavailable(f"The schedule {wanted} is changed too often at once. Try again.")


def _starts_differ(before: Schedule, after: Schedule) -> bool:
    """Whether what it starts has to be checked again: one that can start nothing any more can still be disabled."""
    if after.status is not ScheduleStatus.ACTIVE:
        return False
    names = ("pipeline_id", "pipeline_endpoint_id", "parameters", "data_change", "status")
    return any(getattr(before, name) != getattr(after, name) for name in names)


def _moved(before: Schedule, after: Schedule, progress: Progress) -> Task[tuple[Schedule, Progress]]:
    """The changed schedule, and where it stands now."""
    if before.trigger != after.trigger:
        after, fresh = yield from _begun(after)
        return after, rules.progressed(after, msgspec.structs.replace(progress, handled=fresh.handled))
    if before.status is not after.status and after.status is ScheduleStatus.ACTIVE:
        now = yield from ServerNow()
        progress = msgspec.structs.replace(progress, handled=now)
    return after, rules.progressed(after, progress)


def write(there: Stored, schedule: Schedule, progress: Progress) -> Task[Stored | None]:
    """Put `schedule` and `progress` in the place of `there`, if that is still what there is.

    None: it is not, or storage did not say; read it again.
    """
    props = _props(schedule, progress)
    kept = [Delete(rk=rk) for rk in _index_keys(there.schedule, there.progress)]
    entered = _index(schedule, progress)
    if [write.rk for write in kept] == [write.rk for write in entered]:
        kept, entered = [], ()
    writes: tuple[Write, ...] = (
        Merge(rk=_key(schedule.id), props=props, etag=there.etag),
        Upsert(rk=_time_key(schedule), props=props),
        *kept,
        *entered,
    )
    try:
        etags = yield from Commit(table=CATALOG, pk=KIND, writes=writes)
    except (Refused, Unanswered):
        return None
    return Stored(schedule=schedule, progress=progress, etag=etags[0])


@dataclass(frozen=True, slots=True)
class Entry:
    """That a schedule has an occurrence at `due`, epoch seconds."""

    due: float
    schedule_id: str


def coming(most: int) -> Task[tuple[Entry, ...]]:
    """The schedules whose next occurrence comes first, in this order."""
    where = span(KIND, "d|")
    rows: tuple[Row, ...] = yield from Query(table=CATALOG, pk=KIND, first=where.first, last=where.last, limit=most)
    entries: list[Entry] = []
    for row in rows:
        _, due, schedule_id = row.rk.split("|")
        entries.append(Entry(int(due) / 1000, schedule_id))
    return tuple(entries)


def _id(wish: Wish) -> Task[str]:
    if wish.id is not None:
        if not is_id(wish.id):
            raise InvalidRequest(f"{shown(wish.id)} is no id. Use a UUID, or leave it out.", field="id")
        return wish.id.lower()
    if wish.idempotency_key is not None:
        return str(uuid.uuid5(_NAMESPACE, wish.idempotency_key))
    first, second, third = (yield from NewId()), (yield from NewId()), (yield from NewId())
    return str(uuid.UUID(hex=f"{first}{second}{third}"[:32]))


def _key(id_: str) -> str:
    return f"s|{id_}"


def _time_key(schedule: Schedule) -> str:
    return f"t|{newest_first(schedule.created_at, schedule.id)}"


def _index_keys(schedule: Schedule, progress: Progress) -> tuple[str, ...]:
    return () if progress.due is None else (f"d|{round(progress.due * 1000):014d}|{schedule.id}",)


def _index(schedule: Schedule, progress: Progress) -> tuple[Write, ...]:
    return tuple(Insert(rk=rk, props={"v": VERSION}) for rk in _index_keys(schedule, progress))


def _props(schedule: Schedule, progress: Progress) -> Props:
    return {"v": VERSION, "schedule": rules.encode(schedule), "progress": rules.encode(progress)}


def _decode(row: Row) -> Stored:
    return Stored(
        schedule=rules.decode(str(row.props["schedule"])),
        progress=rules.decode_progress(str(row.props["progress"])),
        etag=row.etag,
    )

"""A schedule that waits for data, and from when on changes count."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from orchestrator.catalog import registered_datastores, schedules
from orchestrator.catalog.schedules import Filter, Stored
from orchestrator.changes import rows
from orchestrator.changes.rows import Standing
from orchestrator.core.datachange import COPY_OWNER, DataChange
from orchestrator.core.errors import Unavailable, UserError
from orchestrator.core.schedule import Schedule, ScheduleStatus
from orchestrator.files import SYSTEM, FileHead, FileItem
from orchestrator.ports import Pause, Task, WriteBlob

REMEMBERED_SECONDS: Final = 7 * 24 * 3600.0
"""What was noticed is remembered for so long after the sweep has passed over it. Older blobs are no changes."""
_SCHEDULES_A_PAGE: Final = 1000
_TRIES: Final = 100
_LOOK: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """An active schedule that `change` fires. `container` is the address of where the datastore's blobs lie.

    `period` names the time for which it is active: when it is enabled anew, or watches something else, only changes
    from then on count.
    """

    schedule: Schedule
    change: DataChange
    container: str
    period: str

    @property
    def id(self) -> str:
        return self.schedule.id


def watch_of(stored: Stored, configured: Mapping[str, str]) -> Task[Watch | None]:
    """None for a schedule that waits for nothing: it is disabled, one of time, or its datastore is gone.

    `configured`: the datastores of the settings, name -> container.
    """
    schedule = stored.schedule
    change = schedule.data_change
    if change is None or schedule.status is not ScheduleStatus.ACTIVE:
        return None
    try:
        container = yield from registered_datastores.address(configured, change.datastore)
    except UserError:
        return None
    # For a schedule of data, `handled` is when its trigger was set or it was last enabled.
    return Watch(schedule=schedule, change=change, container=container, period=f"{stored.progress.handled:.6f}")


def find(schedule_id: str, configured: Mapping[str, str]) -> Task[Watch | None]:
    stored = yield from schedules.find(schedule_id)
    return None if stored is None else (yield from watch_of(stored, configured))


def find_all(configured: Mapping[str, str]) -> Task[tuple[Watch, ...]]:
    """Every schedule that waits for data."""
    found: list[Watch] = []
    continuation: str | None = None
    while True:
        page = yield from schedules.listing(
            Filter(active_only=True), limit=_SCHEDULES_A_PAGE, continuation=continuation
        )
        for stored in page.items:
            one = yield from watch_of(stored, configured)
            if one is not None:
                found.append(one)
        continuation = page.continuation
        if continuation is None:
            return tuple(found)


def arm(watch: Watch) -> Task[Standing]:
    """From now on changes of blobs count. Repeating it changes nothing. Raises Unavailable.

    When it returns, the server's clock is past the second up to which blobs are taken for old: whatever is written
    afterwards counts.
    """
    standing = yield from rows.standing(watch.id)
    if standing is not None and standing.period == watch.period:
        return standing
    since = yield from _moment(watch)
    yield from rows.begin(watch.id, watch.period, since, standing)
    standing = yield from rows.standing(watch.id)
    if standing is None or standing.period != watch.period:
        raise Unavailable("Storage did not say whether the schedule watches. Send the request again.")
    yield from _pass(watch, standing.since)
    return standing


def _moment(watch: Watch) -> Task[float]:
    """When this period was first armed, by the server's clock: the date of a blob that is written for that."""
    name = f"changes/armed/{watch.id}/{hashlib.sha256(watch.period.encode()).hexdigest()[:16]}"
    found = yield from FileHead(container=SYSTEM, name=name)
    if found is None:
        yield from WriteBlob(name=name, data=b"")
        found = yield from FileHead(container=SYSTEM, name=name)
    if found is None:
        raise Unavailable("Storage does not show what was just written. Send the request again.")
    return found.last_modified


def _pass(watch: Watch, since: float) -> Task[None]:
    """Dates have whole seconds: wait until the one that may hold old blobs as well as new ones is over."""
    name = f"changes/armed/{watch.id}/now"
    for _ in range(_TRIES):
        yield from WriteBlob(name=name, data=b"")
        found = yield from FileHead(container=SYSTEM, name=name)
        if found is not None and found.last_modified > since:
            return
        yield from Pause(at_most=_LOOK)
    raise Unavailable("Storage's clock stands still. Send the request again.")


def counts(watch: Watch, standing: Standing, found: FileItem) -> bool:
    """Whether this version of a blob is a change for the schedule. `found` with its metadata."""
    ours = COPY_OWNER in found.metadata and not watch.change.include_outputs
    return not ours and watch.change.means(found.name) and is_new(standing, found)


def is_new(standing: Standing, found: FileItem) -> bool:
    """Whether it was modified since the schedule watches, and so lately that it is known whether it was noticed."""
    return found.last_modified > standing.since and found.last_modified > standing.mark - REMEMBERED_SECONDS

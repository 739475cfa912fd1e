"""The one intake of changes: a blob may have changed, says an event or a listing.

What is said is not believed: the blob is looked at as it is now, and that version of it is noticed, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from orchestrator.catalog.schedules import Stored
from orchestrator.catalog.submissions import Submitter
from orchestrator.changes import rows, runs, watch
from orchestrator.changes.rows import Standing
from orchestrator.changes.watch import Watch
from orchestrator.core.datachange import OWN_FOLDERS
from orchestrator.core.errors import QuotaExceeded
from orchestrator.engine.memory import Recent
from orchestrator.files import FileHead, FileItem
from orchestrator.ports import Monotonic, Task

WATCHES_AGE: Final = 1.0
"""For so many seconds a process goes by the schedules that it has read. What escapes it so, the sweep finds."""


@dataclass(frozen=True, slots=True)
class _Seen:
    watches: tuple[Watch, ...]
    at: float


class Intake:
    """One per process. `datastores`: those of the settings, name -> container. `queue`: for messages about batches."""

    def __init__(self, submitter: Submitter, datastores: Mapping[str, str], queue: str) -> None:
        self.submitter = submitter
        self.datastores = datastores
        self.queue = queue
        self._seen: Recent[str, _Seen] = Recent(1)

    def arm(self, stored: Stored) -> Task[None]:
        """A schedule was made or changed: if it waits for data, changes count from now on. Raises Unavailable."""
        self._seen.drop("")
        one = yield from watch.watch_of(stored, self.datastores)
        if one is not None:
            yield from watch.arm(one)

    def notice(self, container: str, name: str) -> Task[int]:
        """The blob may have changed: how many schedules it was a change for. Repeating it is harmless.

        Raises Unavailable: say it again, or leave it to the sweep.
        """
        if name.split("/", 1)[0] in OWN_FOLDERS:
            return 0  # most blobs by far are outputs of runs: they cost nothing here
        all_of_them = yield from self.watches()
        concerned = [one for one in all_of_them if one.container == container and one.change.means(name)]
        if not concerned:
            return 0
        found = yield from FileHead(container=container, name=name)
        taken = 0
        for one in concerned if found is not None else ():
            assert found is not None
            standing = yield from rows.standing(one.id)
            if standing is not None and standing.period == one.period:
                taken += yield from self.take(one, standing, found)
        return taken

    def take(self, one: Watch, standing: Standing, found: FileItem) -> Task[bool]:
        """Notice this version of a blob, if it counts and was not noticed before; whether it was noticed now.

        `found` with its metadata. A single change gets its run at once; one that was noticed by somebody who died
        before that, the sweep takes care of. Raises Unavailable.
        """
        if not watch.counts(one, standing, found):
            return False
        blob = yield from rows.enter(one.id, found)
        if blob is None:
            return False
        if runs.is_batched(one):
            yield from runs.announce(one, blob, self.queue)
        else:
            with suppress(QuotaExceeded):  # the change waits, and the sweep starts its run when there is room
                yield from runs.start_one(self.submitter, one, blob)
        return True

    def tick(self, schedule_id: str) -> Task[None]:
        """Somebody has asked to look whether this schedule's batch is due. Raises Unavailable."""
        one = yield from watch.find(schedule_id, self.datastores)
        if one is not None and runs.is_batched(one):
            with suppress(QuotaExceeded):  # as above
                yield from runs.close_batch(self.submitter, one, self.queue)

    def watches(self) -> Task[tuple[Watch, ...]]:
        """The schedules that wait for data, as they were a moment ago."""
        now = yield from Monotonic()
        seen = self._seen.get("")
        if seen is None or now - seen.at > WATCHES_AGE:
            found = yield from watch.find_all(self.datastores)
            seen = _Seen(found, now)
            self._seen.put("", seen)
        return seen.watches

"""What was noticed becomes a run: one for each change, or one for a batch of them.

A batch is closed in four steps, each of which may be repeated by anybody. First its members are fixed: the list of what
waits is written, and the row of the batch names it, if nobody has touched that row since before the waiting changes
were read. Then the run is started, under an id that follows from the list; then the changes stop waiting; and when they
all have, the row is free for the next batch. So a change is in one batch, and a batch has one run.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

import msgspec

from orchestrator.catalog import firing
from orchestrator.catalog.submissions import Submitter
from orchestrator.changes import rows
from orchestrator.changes.rows import Batch
from orchestrator.changes.watch import Watch
from orchestrator.core import changelist
from orchestrator.core.changelist import ChangedBlob, ChangeList
from orchestrator.core.datachange import BATCH, batch_due, due_in
from orchestrator.core.definition import DataPathValue
from orchestrator.core.errors import Broken, Unavailable
from orchestrator.ports import ReadBlob, Send, Task, WriteBlob

CHANGES: Final = "millstream.changes"
"""The property of a run that names the list of the changes that have started it."""
MOST_IN_BATCH: Final = 10_000
MOST_AT_ONCE: Final = 100
STALE_SECONDS: Final = 30.0
"""A single change that waits so long was left behind by a process that died."""
_TRIES: Final = 5
_NAMESPACE: Final = uuid.UUID("7b1f8a7e-0d55-5e3c-9d0a-6368616e6765")


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """The message that says: look whether the batch of this schedule is due."""

    schedule: str
    v: int = 1


def start_one(submitter: Submitter, watch: Watch, blob: ChangedBlob) -> Task[None]:
    """The run of a single change. Safe to repeat. Raises Unavailable."""
    found = changelist.list_of(watch.id, watch.change.datastore, (blob,))
    address = yield from _keep(found)
    run = str(uuid.uuid5(_NAMESPACE, msgspec.json.encode([watch.id, blob.path, blob.etag]).decode()))
    yield from _start(submitter, watch, run, blob.path, address, found.changes)


def start_left_over(submitter: Submitter, watch: Watch) -> Task[None]:
    """The runs of single changes that somebody has noticed and not got round to. Raises Unavailable.

    A batch that is being closed, of a time when there were batches, comes first: its changes have their run.
    """
    if not (yield from rows.waiting(watch.id, 1)):
        return
    yield from _free(submitter, watch)
    for one in (yield from rows.waiting(watch.id, MOST_AT_ONCE)):
        if one.age >= STALE_SECONDS:
            yield from start_one(submitter, watch, one.blob)


def announce(watch: Watch, blob: ChangedBlob, queue: str) -> Task[None]:
    """See to it that somebody looks at the batch when it may be due. Of the changes of a batch, one does it.

    Should this message be lost, or two changes each leave it to the other, the sweep looks as well.
    """
    first = yield from rows.waiting(watch.id, 1)
    if first and first[0].blob == blob:
        yield from _remind(watch, due_in(watch.change, since_first=first[0].age, since_last=0.0), queue)


def close_batch(submitter: Submitter, watch: Watch, queue: str | None) -> Task[None]:
    """Start the run of what waits, if it is due; else, with a `queue`, have somebody look again in time.

    Raises Unavailable: what was begun is gone on with by whoever looks next.
    """
    batch = yield from _free(submitter, watch)
    waiting = yield from rows.waiting(watch.id, MOST_IN_BATCH)
    if not waiting:
        return
    first, last = max(one.age for one in waiting), min(one.age for one in waiting)
    if not batch_due(watch.change, since_first=first, since_last=last):
        if queue is not None:
            yield from _remind(watch, due_in(watch.change, since_first=first, since_last=last), queue)
        return
    found = changelist.list_of(watch.id, watch.change.datastore, (one.blob for one in waiting))
    address = yield from _keep(found)
    batch = yield from rows.mark_batch(watch.id, batch, address)
    if batch.changes:
        yield from _finish(submitter, watch, batch)
    if queue is not None:
        left = yield from rows.waiting(watch.id, 1)
        if left:
            yield from _remind(watch, due_in(watch.change, since_first=left[0].age, since_last=left[0].age), queue)


def _free(submitter: Submitter, watch: Watch) -> Task[Batch]:
    """The row of the batch when no batch is being closed: those that are, are closed. What waits then is in none."""
    for _ in range(_TRIES):
        batch = yield from rows.batch(watch.id)
        if not batch.changes:
            return batch
        yield from _finish(submitter, watch, batch)
    raise Unavailable("Others close batches of this schedule faster than they can be followed.")


def _finish(submitter: Submitter, watch: Watch, batch: Batch) -> Task[None]:
    document = yield from ReadBlob(name=changelist.blob_of(batch.changes))
    if document is None:
        raise Broken(f"The list of changes {batch.changes} of schedule {watch.id} is gone.")
    found = changelist.decode(document)
    run = str(uuid.uuid5(_NAMESPACE, f"{watch.id}|{batch.changes}"))
    yield from _start(submitter, watch, run, found.folder, batch.changes, found.changes)
    yield from rows.mark_batch(watch.id, batch, "")


def _start(
    submitter: Submitter, watch: Watch, run: str, path: str, address: str, changes: tuple[ChangedBlob, ...]
) -> Task[None]:
    """Start the run; then, and only then, its changes wait no more."""
    parameters: dict[str, Any] = dict(watch.schedule.parameters)
    if watch.change.data_path_parameter_name:
        value = DataPathValue(datastore=watch.change.datastore, path=path, changes=address)
        parameters[watch.change.data_path_parameter_name] = value
    at = max(blob.last_modified for blob in changes)
    yield from firing.start_run(submitter, watch.schedule, run, at, parameters, {CHANGES: address})
    yield from rows.settle(watch.id, changes)


def _keep(found: ChangeList) -> Task[str]:
    document = changelist.encode(found)
    address = changelist.address(document)
    yield from WriteBlob(name=changelist.blob_of(address), data=document)
    return address


def _remind(watch: Watch, seconds: float, queue: str) -> Task[None]:
    body = msgspec.json.encode(Tick(schedule=watch.id)).decode()
    yield from Send(queue=queue, body=body, delay=max(1.0, seconds))


def is_batched(watch: Watch) -> bool:
    return watch.change.per == BATCH

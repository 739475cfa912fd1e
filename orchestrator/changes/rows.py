"""How changes are kept: one partition of the table `changes` for each schedule.

    s                 where it stands: since when changes count, how far the sweep has looked
    b                 the batch that is becoming a run
    m|<time>|<sum>    a change that is not yet part of a run: its row's age is the change's
    n|<time>|<sum>    a change that was noticed: a name and an etag, ever once

<time> is the blob's last modification, so old rows lie together; <sum> stands for name and etag. `n` and `m` are made
in one transaction, so each change gets into `m` once, however often it is noticed.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from orchestrator.core.changelist import ChangedBlob
from orchestrator.core.errors import Unavailable
from orchestrator.files import FileItem
from orchestrator.ports import Commit, Delete, Get, Insert, Merge, Props, Query, Refused, Row, Task, Unanswered

TABLE: Final = "changes"
STANDING: Final = "s"
BATCH: Final = "b"
VERSION: Final = 1
_WAITING: Final = ("m|", "m}")
_AT_ONCE: Final = 100
_TRIES: Final = 5


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where the watching of a schedule stands. Times are the server's, in epoch seconds.

    Blobs modified after `since` count. `mark`: all that were modified before it have been noticed. `begun` is when the
    sweep began its present round, 0 between two rounds, and `marker` where the round goes on. `age` is seconds since
    the sweep last wrote this.
    """

    period: str
    since: float
    mark: float
    begun: float
    marker: str
    etag: str
    age: float


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A change that waits for its run, since `age` seconds."""

    blob: ChangedBlob
    age: float


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """`changes` is the address of the list of changes that is becoming a run; "": none is."""

    changes: str
    etag: str


def key_of(found: FileItem) -> str:
    """What the keys of a change have in common."""
    of = hashlib.sha256(f"{found.name}\n{found.etag}".encode()).hexdigest()[:32]
    return f"{_time(found.last_modified)}|{of}"


def _time(at: float) -> str:
    return f"{max(0, int(at)):012d}"


def standing(schedule: str) -> Task[Standing | None]:
    row = yield from Get(table=TABLE, pk=schedule, rk=STANDING)
    if row is None:
        return None
    p = row.props
    return Standing(
        period=str(p["period"]),
        since=float(p["since"]),
        mark=float(p["mark"]),
        begun=float(p["begun"]),
        marker=str(p["marker"]),
        etag=row.etag,
        age=row.age,
    )


def begin(schedule: str, period: str, since: float, before: Standing | None) -> Task[None]:
    """A new period of watching. Whether it was this call that began it, the reader of `standing` sees."""
    props: Props = {"v": VERSION, "period": period, "since": since, "mark": since, "begun": 0.0, "marker": ""}
    write = Insert(rk=STANDING, props=props) if before is None else Merge(rk=STANDING, props=props, etag=before.etag)
    yield from _try(schedule, write)


def note_sweep(schedule: str, before: Standing, *, mark: float, begun: float, marker: str) -> Task[None]:
    """How far the sweep has come. Of two at once, one is noted; what the other has done stays done."""
    props: Props = {"mark": mark, "begun": begun, "marker": marker}
    yield from _try(schedule, Merge(rk=STANDING, props=props, etag=before.etag))


def noticed(schedule: str, found: FileItem) -> Task[bool]:
    return (yield from Get(table=TABLE, pk=schedule, rk=f"n|{key_of(found)}")) is not None


def enter(schedule: str, found: FileItem) -> Task[ChangedBlob | None]:
    """Notice a change; None if that was done before. Raises Unavailable when storage does not say."""
    key = key_of(found)
    blob = ChangedBlob(path=found.name, etag=found.etag, size=found.size, last_modified=found.last_modified)
    props: Props = {"v": VERSION, "blob": msgspec.json.encode(blob).decode()}
    writes = (Insert(rk=f"n|{key}", props={"v": VERSION}), Insert(rk=f"m|{key}", props=props))
    try:
        yield from Commit(table=TABLE, pk=schedule, writes=writes)
    except Refused:
        return None
    except Unanswered:
        if (yield from noticed(schedule, found)):
            return blob
        raise Unavailable("Storage did not say whether a change was noticed.") from None
    return blob


def waiting(schedule: str, limit: int) -> Task[tuple[Waiting, ...]]:
    """Changes without a run, those of the longest unchanged blobs first."""
    first, last = _WAITING
    rows = yield from Query(table=TABLE, pk=schedule, first=first, last=last, limit=limit)
    return tuple(_waiting(row) for row in rows)


def settle(schedule: str, blobs: tuple[ChangedBlob, ...]) -> Task[None]:
    """These changes have their run, and wait no more. Raises Unavailable if some may still do: do it again."""
    keys = sorted(_key(blob) for blob in blobs)
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        for _ in range(_TRIES):
            rows = yield from Query(table=TABLE, pk=schedule, first=some[0], last=f"{some[-1]}~", select=("v",))
            left = sorted({row.rk for row in rows} & set(some))
            if not left:
                break
            yield from _try(schedule, *(Delete(rk=key) for key in left))
        else:
            raise Unavailable("Storage did not say whether changes wait no more.")


def _key(blob: ChangedBlob) -> str:
    same = FileItem(name=blob.path, size=blob.size, etag=blob.etag, last_modified=blob.last_modified)
    return f"m|{key_of(same)}"


def batch(schedule: str) -> Task[Batch]:
    """The row of the batch, made if need be."""
    for _ in range(2):
        row = yield from Get(table=TABLE, pk=schedule, rk=BATCH)
        if row is not None:
            return Batch(changes=str(row.props["changes"]), etag=row.etag)
        yield from _try(schedule, Insert(rk=BATCH, props={"v": VERSION, "changes": ""}))
    raise Unavailable("Storage did not say whether a batch was begun.")


def mark_batch(schedule: str, before: Batch, changes: str) -> Task[Batch]:
    """`changes` are now becoming a run ("": no more), unless others were faster; the batch as it is then."""
    yield from _try(schedule, Merge(rk=BATCH, props={"changes": changes}, etag=before.etag))
    return (yield from batch(schedule))


def forget(schedule: str, before: float, most: int) -> Task[None]:
    """Remove about `most`, or less, of what was noticed of blobs modified before this moment."""
    last = f"n|{_time(before)}"
    for _ in range(0, most, _AT_ONCE):
        rows = yield from Query(table=TABLE, pk=schedule, first="n|", last=last, limit=_AT_ONCE, select=("v",))
        if rows:
            yield from _try(schedule, *(Delete(rk=row.rk) for row in rows))
        if len(rows) < _AT_ONCE:
            return


def _waiting(row: Row) -> Waiting:
    blob = msgspec.json.decode(str(row.props["blob"]), type=ChangedBlob)
    return Waiting(blob=blob, age=row.age)


def _try(schedule: str, *writes: Insert | Merge | Delete) -> Task[None]:
    """A write that others may have been faster with, or that is done again later."""
    try:
        yield from Commit(table=TABLE, pk=schedule, writes=writes)
    except (Refused, Unanswered):
        return

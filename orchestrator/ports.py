"""What the engine needs of the world, as effects, and what each effect guarantees.

The engine is written without I/O: every use-case is a generator (a `Task`) that yields effects and is sent their
results, so the same code runs on Azure storage, in memory, and in the simulator that kills it between any two effects.

    row = yield from Get(table=RUNS, pk=run, rk="h")

A *world* interprets effects: `world.run(task)` drives a task to its result. The worlds are
`orchestrator.adapters.azure` and `orchestrator.adapters.memory`, held to one contract suite.

Rules every world keeps:
- A write is answered in one of three ways: its result; `Refused` (definitely not applied); `Unanswered` (perhaps
  applied). `Unavailable` means that storage definitely did not apply it, after bounded retries.
- Reads are retried by the world; if that does not help they raise `Unavailable`.
- A `Row.age` comes from the server's clock alone.
- A row is of the newest version when a task gets it (`orchestrator.core.stored`); one of a version that this service
  does not know raises NewerVersion.
- Locks belong to one process. They are dropped by `Release` or when the task ends, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec

from orchestrator.core.errors import MillstreamError
from orchestrator.core.stored import VERSION, kind_of, upgraded
from orchestrator.core.usage import Usage

T = TypeVar("T", covariant=True)

Value = str | int | float | bool | bytes
Props = Mapping[str, Value]


class Effect(Generic[T]):
    """Something to be done by the world; `yield from` it to have it done and get the result."""

    __slots__ = ()

    def __iter__(self) -> Generator[Effect[Any], Any, T]:
        result: T = yield self
        return result


Task = Generator[Effect[Any], Any, T]


class Reason(StrEnum):
    EXISTS = "exists"
    MISSING = "missing"
    CHANGED = "changed"


class Refused(MillstreamError):
    """A conditional write whose condition did not hold. Nothing of it was applied.

    `index` is the position in `Commit.writes` of the write that was refused.
    """

    status = 409
    code = "Refused"

    def __init__(self, index: int, reason: Reason) -> None:
        super().__init__(f"write {index} was refused: {reason}")
        self.index = index
        self.reason = reason


class Unanswered(MillstreamError):
    """A write whose answer was lost: it may or may not have been applied, now or a little later."""

    status = 503
    code = "Unanswered"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A table row. `age` is seconds since its last write, by the server's clock (1 s resolution)."""

    pk: str
    rk: str
    etag: str
    age: float
    props: Props


def _read(table: str, row: Row) -> Row:
    props = upgraded(kind_of(table, row.pk, row.rk), row.props)
    return row if props is row.props else msgspec.structs.replace(row, props=props)


class Get(Effect[Row | None], msgspec.Struct, frozen=True, kw_only=True):
    """One row, or None."""

    table: str
    pk: str
    rk: str

    def __iter__(self) -> Generator[Effect[Any], Any, Row | None]:
        row = yield self
        return None if row is None else _read(self.table, row)


class Query(Effect[tuple[Row, ...]], msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one partition with first <= rk < last, ascending by rk, at most `limit`.

    `select` names the properties wanted (None: all). A page of the service holds 1,000 rows; the world follows the
    continuations, so the result is complete but not one snapshot: pages may be read at different moments.
    """

    table: str
    pk: str
    first: str
    last: str
    limit: int | None = None
    select: tuple[str, ...] | None = None

    def __iter__(self) -> Generator[Effect[Any], Any, tuple[Row, ...]]:
        wanted = self
        if self.select is not None and VERSION not in self.select:
            wanted = msgspec.structs.replace(self, select=(VERSION, *self.select))
        rows: tuple[Row, ...] = yield wanted
        return tuple([_read(self.table, row) for row in rows])


class Insert(msgspec.Struct, frozen=True, kw_only=True):
    """Create the row; refused with EXISTS if there is one."""

    rk: str
    props: Props


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """Set these properties and keep the others; refused with CHANGED if the row's etag is another, MISSING if none.

    `etag` "*" asks only that the row exists.
    """

    rk: str
    props: Props
    etag: str


class Upsert(msgspec.Struct, frozen=True, kw_only=True):
    """Write the row whole, whether or not there is one. Never refused."""

    rk: str
    props: Props


class Delete(msgspec.Struct, frozen=True, kw_only=True):
    """Remove the row; refused with CHANGED if its etag is another, MISSING if there is none."""

    rk: str
    etag: str = "*"


Write = Insert | Merge | Upsert | Delete


class Commit(Effect[tuple[str, ...]], msgspec.Struct, frozen=True, kw_only=True):
    """Apply 1 to 100 writes to one partition, all or none. Returns the new etags ("" for a delete).

    Raises Refused, Unanswered or Unavailable. Limits (100 writes, each row once, 4 MiB, 64 KiB a property, 1 MiB a
    row) are checked before anything is sent and raise Broken.
    """

    table: str
    pk: str
    writes: tuple[Write, ...]


class Send(Effect[None], msgspec.Struct, frozen=True, kw_only=True):
    """Put a message on a queue, visible after `delay` seconds. At least once: the world repeats a lost answer."""

    queue: str
    body: str
    delay: float = 0.0


class ReadBlob(Effect[bytes | None], msgspec.Struct, frozen=True, kw_only=True):
    """A small document of the system container, whole, or None."""

    name: str


class WriteBlob(Effect[None], msgspec.Struct, frozen=True, kw_only=True):
    """Write a small document whose name is unique to its content or its attempt, so that repeating it is harmless."""

    name: str
    data: bytes


class Now(Effect[float], msgspec.Struct, frozen=True, kw_only=True):
    """Seconds since the epoch, for people to read. No rule of the protocol depends on it."""


class ServerNow(Effect[float], msgspec.Struct, frozen=True, kw_only=True):
    """Seconds since the epoch by storage's own clock, as it was at its latest answer to this process.

    Up to a second behind. Ask after a read. Raises Unavailable while storage has not answered this process at all.
    """


class NewId(Effect[str], msgspec.Struct, frozen=True, kw_only=True):
    """A fresh name, 12 hex digits, never given twice."""


class Monotonic(Effect[float], msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of this process's own steady clock, for the age of what the process remembers."""


class Used(Effect[Usage], msgspec.Struct, frozen=True, kw_only=True):
    """The requests that the task has made of storage so far, itself or through an effect, their bytes, and the seconds
    since it began. What it will do after that is not in it.
    """


class Pause(Effect[None], msgspec.Struct, frozen=True, kw_only=True):
    """Wait a random time up to `at_most` seconds."""

    at_most: float


class Acquire(Effect[None], msgspec.Struct, frozen=True, kw_only=True):
    """Take this process's lock named `key`, waiting for it. Not shared with other processes."""

    key: str


class Release(Effect[None], msgspec.Struct, frozen=True, kw_only=True):
    key: str


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a call: the HTTP status, or 0 and why there was none."""

    status: int
    error: str = ""

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300


class Post(Effect[Posted], msgspec.Struct, frozen=True, kw_only=True):
    """Call a receiver outside with a signed JSON document, once. It raises nothing, and takes seconds at most.

    `signer`: what the secret is derived from. Perhaps the receiver has taken it although no answer came.
    """

    url: str
    body: bytes
    message_id: str
    signer: str

"""The dispatcher: starts executions for what waits on the queues of computes, and never more than there may be.

Of two dispatchers at once, one starts what is missing: it first writes down, on the etag of what it has read, how many
it is about to start, and until it has, the other one leaves that compute alone.

    d|<compute>        about to start, running, waiting, and by what
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from orchestrator.catalog.rows import CATALOG, VERSION
from orchestrator.core.compute import Compute, ComputeKind, queue_of
from orchestrator.core.errors import MillstreamError
from orchestrator.engine.computes import PARTITION
from orchestrator.executions import Backlog, CountMessages, ListExecutions, StartExecution
from orchestrator.ports import Commit, Get, Insert, Merge, Props, Refused, Row, Task, Unanswered, Write

STARTING_SECONDS: Final = 60.0
"""After which whoever was about to start some is taken for dead."""


class Dispatching(msgspec.Struct, frozen=True, kw_only=True):
    """What the dispatcher of a compute last did. `starting`: about to be started. `by`: what its executions are."""

    starting: int = 0
    running: int = 0
    waiting: int = 0
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatched:
    """`started` executions. `failed`: the computes for which nothing could be done now, with the reason."""

    started: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]


def wanted(backlog: Backlog, *, running: int, most: int) -> int:
    """How many executions to start: one for each message that none of those that run will take.

    Each of those that run holds a message, or is about to; so what is left for others is the total less theirs, and
    never more than can be seen. While 32 can be seen, there may be more.
    """
    visible = backlog.total if backlog.visible >= 32 else backlog.visible
    return max(0, min(visible, backlog.total - running, most - running))


def dispatch(computes: Iterable[Compute], mains: Sequence[str], by: Callable[[Compute], str]) -> Task[Dispatched]:
    """Start what is missing of each compute that has executions. `mains`: the service's own queues, in the order in
    which they are looked at. `by`: what the executions of a compute are, for people to read.
    """
    started: list[str] = []
    failed: list[tuple[str, str]] = []
    for compute in computes:
        if compute.kind == ComputeKind.FUNCTION:
            continue
        try:
            queues = tuple(queue_of(main, compute.name, compute.kind) for main in mains)
            started += yield from _dispatch(compute, queues, by(compute))
        except MillstreamError as error:
            failed.append((compute.name, error.message))
    return Dispatched(started=tuple(started), failed=tuple(failed))


def last(name: str) -> Task[Dispatching]:
    """What the dispatcher of a compute last did."""
    row = yield from Get(table=CATALOG, pk=PARTITION, rk=_key(name))
    return Dispatching() if row is None else _read(row)


def _backlog(queues: Sequence[str]) -> Task[Backlog]:
    """Of all of them together."""
    total = visible = 0
    for queue in queues:
        found = yield from CountMessages(queue=queue)
        total, visible = total + found.total, visible + found.visible
    return Backlog(total=total, visible=visible)


def _dispatch(compute: Compute, queues: tuple[str, ...], by: str) -> Task[list[str]]:
    row = yield from Get(table=CATALOG, pk=PARTITION, rk=_key(compute.name))
    before = Dispatching() if row is None else _read(row)
    backlog = yield from _backlog(queues)
    running = yield from ListExecutions(compute=compute)
    if before.starting and row is not None and row.age <= STARTING_SECONDS:
        return []  # another dispatcher is about to start some, which are not listed yet
    count = wanted(backlog, running=len(running), most=compute.sizes.most)
    now = Dispatching(starting=count, running=len(running), waiting=backlog.total, by=by)
    if not count and now == before:
        return []
    etag = yield from _write(compute.name, row, now)
    if etag is None or not count:
        return []
    names: list[str] = []
    fault: MillstreamError | None = None
    try:
        for _ in range(count):
            name = yield from StartExecution(compute=compute, queues=queues)
            names.append(name)
    except MillstreamError as error:
        fault = error
    done = Dispatching(running=len(running) + len(names), waiting=backlog.total, by=by)
    yield from _settle(compute.name, etag, done)
    if fault is not None:
        raise fault
    return names


def _write(name: str, row: Row | None, now: Dispatching) -> Task[str | None]:
    """The new etag; None: another dispatcher was here, or perhaps we were, unheard."""
    props = _props(now)
    write: Write = Insert(rk=_key(name), props=props) if row is None else Merge(rk=row.rk, props=props, etag=row.etag)
    try:
        (etag,) = yield from Commit(table=CATALOG, pk=PARTITION, writes=(write,))
    except (Refused, Unanswered):
        return None
    return etag


def _settle(name: str, etag: str, done: Dispatching) -> Task[None]:
    """What was about to be started is listed from now on. If this is lost, nothing more is started for a minute."""
    props = _props(done)
    try:
        yield from Commit(table=CATALOG, pk=PARTITION, writes=(Merge(rk=_key(name), props=props, etag=etag),))
    except (Refused, Unanswered):
        return


def _props(dispatching: Dispatching) -> Props:
    return {"v": VERSION, "dispatching": msgspec.json.encode(dispatching).decode()}


def _key(name: str) -> str:
    return f"d|{name}"


_decoder = msgspec.json.Decoder(Dispatching)


def _read(row: Row) -> Dispatching:
    return _decoder.decode(str(row.props["dispatching"]))

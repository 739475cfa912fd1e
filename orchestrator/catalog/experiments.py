"""Experiments: the names under which runs are gathered. One is there from its first run, or its first tag, on.

    e|<name>

An archived one is listed when it is asked for; its runs go on, and new ones may be submitted. One that was removed is
gone unless it has runs: only what has none can be removed, and a run that is submitted meanwhile brings it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from orchestrator.catalog.rows import CATALOG, VERSION, span
from orchestrator.core.errors import Conflict, TooLarge, Unavailable, UnknownThing
from orchestrator.core.names import EXPERIMENT, shown
from orchestrator.engine.index import INDEX, of_experiment
from orchestrator.engine.memory import Recent
from orchestrator.pages import Page, read_page
from orchestrator.ports import Commit, Get, Insert, Merge, Now, Pause, Props, Query, Refused, Row, Task, Unanswered

KIND = "experiment"
_TRIES = 20

State = Literal["active", "archived", "all"]
Seen = Recent[str, bool]
"""The experiments that this process knows to be in the list."""


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """`created_at` is when it first came up, `archived_at` when it was archived, in epoch seconds."""

    name: str
    created_at: float
    tags: dict[str, str] = {}
    archived_at: float | None = None


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    experiment: Experiment
    removed: bool
    etag: str


def remember(seen: Seen, name: str) -> Task[None]:
    """List the experiment. Costs nothing for one that this process has seen."""
    if seen.get(name):
        return
    if (yield from Get(table=CATALOG, pk=KIND, rk=_key(name))) is None:
        now = yield from Now()
        try:
            row = Insert(rk=_key(name), props={"v": VERSION, "name": name, "created_at": now})
            yield from Commit(table=CATALOG, pk=KIND, writes=(row,))
        except Refused:
            pass  # another process was first
    seen.put(name, True)


def listing(state: State, *, limit: int, continuation: str | None) -> Task[Page[Experiment]]:
    """Experiments by name."""

    def decode(row: Row) -> _Row | None:
        read = _decode(row)
        archived = read.experiment.archived_at is not None
        return read if state == "all" or archived == (state == "archived") else None

    page = yield from read_page(span(KIND, "e|"), limit=limit, continuation=continuation, decode=decode)
    gone: set[str] = set()
    for read in page.items:
        if not (yield from _is_there(read)):
            gone.add(read.experiment.name)
    found = tuple(read.experiment for read in page.items if read.experiment.name not in gone)
    return Page(found, page.continuation)


def get(name: str) -> Task[Experiment]:
    """Raises UnknownThing."""
    read = yield from _read(name)
    if read is None or not (yield from _is_there(read)):
        raise UnknownThing(f"There is no experiment {shown(name)}. GET /api/experiments lists them.", field="name")
    return read.experiment


def change(name: str, *, tags: Mapping[str, str | None], archived: bool | None, most_bytes: int) -> Task[Experiment]:
    """Set each tag, or remove it where the value is None; archive the experiment or take it back. Safe to repeat.

    One that is not there is made. Raises InvalidRequest, TooLarge, Unavailable.
    """
    EXPERIMENT.check(name, "name")
    now = yield from Now()
    for attempt in range(_TRIES):
        if attempt:
            yield from Pause(at_most=0.05 * attempt)
        read = yield from _read(name)
        before = read.experiment if read else Experiment(name=name, created_at=now)
        after = _changed(before, tags, archived, now, most_bytes)
        if read is not None and after == before and not read.removed:
            return after
        props = _props(after)
        write = (
            Insert(rk=_key(name), props=props) if read is None else Merge(rk=_key(name), props=props, etag=read.etag)
        )
        try:
            yield from Commit(table=CATALOG, pk=KIND, writes=(write,))
        except (Refused, Unanswered):
            continue
        return after
    raise Unavailable(f"The experiment {shown(name)} changes too fast just now. Try again.")


def remove(name: str) -> Task[None]:
    """Remove an experiment that has no runs. Raises UnknownThing, Conflict, Unavailable."""
    for _ in range(_TRIES):
        yield from get(name)
        read = yield from _read(name)
        if (yield from _has_runs(name)):
            raise Conflict(f"The experiment {shown(name)} has runs, which stay. Archive it instead.", field="name")
        if read is None or read.removed:
            return
        gone = {**_props(Experiment(name=name, created_at=read.experiment.created_at)), "removed": True}
        try:
            yield from Commit(table=CATALOG, pk=KIND, writes=(Merge(rk=_key(name), props=gone, etag=read.etag),))
        except (Refused, Unanswered):
            yield from Pause(at_most=0.05)
            continue
        return
    raise Unavailable(f"The experiment {shown(name)} changes too fast just now. Try again.")


def _changed(
    before: Experiment, tags: Mapping[str, str | None], archived: bool | None, now: float, most_bytes: int
) -> Experiment:
    kept = {key: value for key, value in {**before.tags, **tags}.items() if value is not None}
    if len(msgspec.json.encode(kept)) > most_bytes:
        raise TooLarge(f"The tags of an experiment take at most {most_bytes:,} bytes.", field="tags")
    since = before.archived_at
    if archived is not None:
        since = (since or now) if archived else None
    return msgspec.structs.replace(before, tags=kept, archived_at=since)


def _key(name: str) -> str:
    return f"e|{name}"


def _read(name: str) -> Task[_Row | None]:
    row = None
    if EXPERIMENT.allows(name):
        row = yield from Get(table=CATALOG, pk=KIND, rk=_key(name))
    return None if row is None else _decode(row)


def _is_there(read: _Row) -> Task[bool]:
    return not read.removed or (yield from _has_runs(read.experiment.name))


def _has_runs(name: str) -> Task[bool]:
    rows = yield from Query(table=INDEX, pk=of_experiment(name), first="0", last=":", limit=1, select=("v",))
    return bool(rows)


def _props(experiment: Experiment) -> Props:
    return {
        "v": VERSION,
        "name": experiment.name,
        "created_at": experiment.created_at,
        "tags": msgspec.json.encode(experiment.tags).decode(),
        "archived_at": experiment.archived_at or 0.0,
        "removed": False,
    }


def _decode(row: Row) -> _Row:
    props = row.props
    tags: dict[str, Any] = msgspec.json.decode(str(props.get("tags", "{}")))
    experiment = Experiment(
        name=str(props["name"]),
        created_at=float(props["created_at"]),
        tags=tags,
        archived_at=float(props.get("archived_at", 0.0)) or None,
    )
    return _Row(experiment=experiment, removed=bool(props.get("removed", False)), etag=row.etag)

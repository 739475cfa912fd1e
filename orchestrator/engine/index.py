"""The index of runs: which are unfinished (for the sweep), and lists of them, newest first (for people).

    active             one row for each unfinished run
    runs               every run
    e|<experiment>     the runs of an experiment, so that listing them reads none of the others

Rows here are made before a run's first step and follow its head; they may lag behind it, never lead it. A line of the
lists holds what runs are filtered by, tags and properties included, so that no run is read to list it.
"""

from __future__ import annotations

import msgspec

from orchestrator.core import run as runs
from orchestrator.core.patience import Patience, look
from orchestrator.core.run import RunInfo
from orchestrator.core.states import RunStatus
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.repeatable import TRIES, ensure
from orchestrator.engine.rows import INFO, RUNS, VERSION, pack, unpack
from orchestrator.ports import (
    Commit,
    Delete,
    Get,
    Insert,
    Merge,
    Now,
    Props,
    Refused,
    Row,
    Task,
    Unanswered,
    Upsert,
    Value,
    Write,
)

INDEX = "index"
ACTIVE = "active"
ALL_RUNS = "runs"
PARENT, STARTED_BY = "parent", "by"
"""Properties of an unfinished run: the run whose step it does the work of, if one; who has started it."""


def newest_first(info: RunInfo) -> str:
    """A row key that sorts later submissions before earlier ones."""
    return f"{key_of(info.submitted_at)}|{info.id}"


def key_of(moment: float) -> str:
    """Where in the lists the runs of this moment (epoch seconds) begin."""
    return f"{max(0, 10**14 - int(moment * 1000)):014d}"


def of_experiment(name: str) -> str:
    """The partition that lists the runs of an experiment."""
    return f"e|{name}"


def enter(info: RunInfo) -> Task[None]:
    """List a run as unfinished, and in the lists. Repeating it is harmless, also after the run has ended:

    lines are only inserted, never overwritten, and the sweep removes an active row of a terminal run.
    """
    yield from _ensure(ACTIVE, Upsert(rk=info.id, props=_active(info)))
    for pk in _lists(info):
        yield from _ensure(pk, Insert(rk=newest_first(info), props=_props(info, RunStatus.RUNNING, 0.0)))


def note_end(memory: ProcessMemory, info: RunInfo, status: RunStatus) -> Task[None]:
    """Note the end of a run in the lists. Safe to repeat."""
    end: Props = {"status": status.value, "ended_at": (yield from Now())}
    for pk in reversed(_lists(info)):  # the list of all last: it says that the end is noted
        if not (yield from _ensure(pk, Merge(rk=newest_first(info), props=end, etag="*"))):
            # Whoever started it died before it was listed.
            info = (yield from fresh_info(memory, info.id)) or info
            yield from _ensure(pk, Upsert(rk=newest_first(info), props={**_props(info, status, 0.0), **end}))


def _active(info: RunInfo) -> Props:
    """What the sweep has to know of an unfinished run, and whose quota it counts for."""
    props: dict[str, Value] = {"v": VERSION, "definition": info.definition, STARTED_BY: info.started_by}
    if info.is_part:
        props |= {PARENT: info.parent_run, "limit": info.limit_seconds}
    return props


def is_unfinished(run: str) -> Task[bool]:
    """Whether the sweep looks after the run."""
    return (yield from Get(table=INDEX, pk=ACTIVE, rk=run)) is not None


def relabel(memory: ProcessMemory, info: RunInfo) -> Task[None]:
    """Copy the tags and properties of a run to the lists.

    Of two that change them at once, the later may be the first to copy. So whoever has copied looks whether what he
    copied is still what the run says, and if not, copies that.
    """
    for _ in range(TRIES):
        for pk in _lists(info):
            yield from _ensure(pk, Merge(rk=newest_first(info), props=_labels(info), etag="*"))
        now = yield from fresh_info(memory, info.id)
        if now is None or _labels(now) == _labels(info):
            return
        info = now


def _lists(info: RunInfo) -> tuple[str, ...]:
    return (ALL_RUNS, of_experiment(info.experiment))


def fresh_info(memory: ProcessMemory, run: str) -> Task[RunInfo | None]:
    """What the run was asked to do, as it is in storage now."""
    row = yield from Get(table=RUNS, pk=run, rk=INFO)
    if row is None:
        return None
    info = runs.decode(str(row.props["info"]))
    memory.infos.put(run, info)
    return info


def is_noted(info: RunInfo) -> Task[bool]:
    """Whether the list says already that the run has ended: its end is when that was first said."""
    row = yield from Get(table=INDEX, pk=ALL_RUNS, rk=newest_first(info))
    return row is not None and RunStatus(str(row.props["status"])).terminal


def due(entry: Row, waiting: int) -> Task[int]:
    """Which of the steps that stand still (a set) in the unfinished run at `entry` are to be sent again now.

    Patience is kept in the entry, under its etag: of two sweeps at once, one sends.
    """
    before = _read_patience(entry)
    after, sent = look(before, waiting)
    if after == before:
        return sent
    try:
        yield from Commit(table=INDEX, pk=ACTIVE, writes=(Merge(rk=entry.rk, props=_patience(after), etag=entry.etag),))
    except Refused:
        return 0
    except Unanswered:
        return sent  # perhaps for the second time, which is harmless
    return sent


def _patience(patience: Patience) -> Props:
    return {"sent": pack(patience.sent), "looks": patience.looks, "rounds": patience.rounds}


def _read_patience(entry: Row) -> Patience:
    p = entry.props
    if "sent" not in p:
        return Patience()
    return Patience(sent=unpack(p["sent"]), looks=int(p["looks"]), rounds=int(p["rounds"]))


def leave(run: str) -> Task[None]:
    """Take a run off the unfinished ones."""
    yield from _ensure(ACTIVE, Delete(rk=run))


def _ensure(pk: str, write: Write) -> Task[bool]:
    return ensure(INDEX, pk, write)


def _props(info: RunInfo, status: RunStatus, ended_at: float) -> Props:
    return {
        "v": VERSION,
        "run": info.id,
        "experiment": info.experiment,
        "pipeline_name": info.pipeline_name,
        "pipeline_id": info.pipeline_id or "",
        "source": info.source,
        "parent_run": info.parent_run,
        "rerun_of": info.rerun_of,
        "started_by": info.started_by,
        "status": status.value,
        "submitted_at": info.submitted_at,
        "ended_at": ended_at,
        **_labels(info),
    }


def _labels(info: RunInfo) -> Props:
    """Each is at most as long as what a caller may choose freely: far below the 32,768 characters of a property."""
    return {
        "tags": msgspec.json.encode(info.tags).decode(),
        "properties": msgspec.json.encode(info.properties).decode(),
    }

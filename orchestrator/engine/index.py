"""The index of runs: which are unfinished (for the sweep), and all of them, newest first (for people).

Rows here are made before a run's first step and follow its head; they may lag behind it, never lead it.
"""

from __future__ import annotations

from orchestrator.core.errors import Unavailable
from orchestrator.core.patience import Patience, look
from orchestrator.core.run import RunInfo
from orchestrator.core.states import RunStatus
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import read_info
from orchestrator.engine.rows import pack, unpack
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
    Write,
)

INDEX = "index"
ACTIVE = "active"
ALL_RUNS = "runs"
_TRIES = 3


def newest_first(info: RunInfo) -> str:
    """A row key that sorts later submissions before earlier ones."""
    return f"{10**14 - int(info.submitted_at * 1000):014d}|{info.id}"


def enter(info: RunInfo) -> Task[None]:
    """List a run as unfinished, and among all runs. Repeating it is harmless, also after the run has ended:

    the list row is only inserted, never overwritten, and the sweep removes an active row of a terminal run.
    """
    yield from _ensure(ACTIVE, Upsert(rk=info.id, props={"definition": info.definition}))
    yield from _ensure(ALL_RUNS, Insert(rk=newest_first(info), props=_props(info, RunStatus.RUNNING, 0.0)))


def finish(memory: ProcessMemory, run: str, status: RunStatus) -> Task[None]:
    """Note the end of a run in the list, then take it off the unfinished ones: the sweep repeats what a crash cuts."""
    info = yield from read_info(memory, run)
    if info is not None and not (yield from _noted(info)):
        ended_at = yield from Now()
        yield from _ensure(ALL_RUNS, Upsert(rk=newest_first(info), props=_props(info, status, ended_at)))
    yield from leave(run)


def _noted(info: RunInfo) -> Task[bool]:
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


def _ensure(pk: str, write: Write) -> Task[None]:
    """A write that may be repeated: refused means that it is done already, silence means to try again."""
    for _ in range(_TRIES):
        try:
            yield from Commit(table=INDEX, pk=pk, writes=(write,))
        except Refused:
            return
        except Unanswered:
            continue
        return
    raise Unavailable("Table storage did not answer. Try again.")


def _props(info: RunInfo, status: RunStatus, ended_at: float) -> Props:
    return {
        "run": info.id,
        "experiment": info.experiment,
        "pipeline_name": info.pipeline_name,
        "pipeline_id": info.pipeline_id or "",
        "status": status.value,
        "submitted_at": info.submitted_at,
        "ended_at": ended_at,
    }

"""The table of what has been made: one row for each fingerprint, found by anybody who would do the same work.

    PK = lineage      e|<fingerprint>   who is making it, or what was made
                      l|<line>          the ingredients of the last time, per pipeline and experiment

While work is being done its row names the step that does it; others who need it leave the message of their step in the
row instead of doing it again, and are sent it when the work is done. No wake-up depends on that: a step that waits has
no claim, so the sweep asks again for it, and whoever asks finds out whether the maker is still alive.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from orchestrator.core import fingerprint as fingerprints
from orchestrator.core.claim import ClaimRow
from orchestrator.core.errors import Unavailable
from orchestrator.core.fingerprint import Ingredients, digest_of
from orchestrator.core.message import StepMessage
from orchestrator.core.run import RunInfo
from orchestrator.engine.reuse.ingredients import Work
from orchestrator.engine.rows import VERSION
from orchestrator.ports import (
    Commit,
    Delete,
    Get,
    Insert,
    Merge,
    Props,
    Refused,
    Row,
    Task,
    Unanswered,
    Upsert,
    Value,
    Write,
)

REUSE = "reuse"
MOST_WAITING = 100
"""Messages kept in a row; further ones are left to the sweep."""
_TRIES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`made`: the result is there, in `result` or in the blob `result_blob`; else `run` is at it, in step `position`.

    `usage`: what making it has used, as a claim has it. `etag` is the fence, `age` the seconds since the row was
    written.
    """

    made: bool
    run: str
    step: str
    position: int
    etag: str
    age: float
    result: str = ""
    result_blob: str = ""
    usage: str = ""
    waiting: tuple[StepMessage, ...] = ()

    @property
    def owner(self) -> str:
        """The step run that made it, or is at it."""
        return f"{self.run}_{self.step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """A row as its maker knows it: whoever has changed it since is seen, and nobody who waits is overlooked."""

    etag: str
    waiting: tuple[StepMessage, ...] = ()


def find(work: Work) -> Task[Entry | None]:
    row = yield from Get(table=REUSE, pk=work.ingredients.lineage, rk=_key(work))
    return None if row is None else _read(row)


def begin(work: Work, run: str, position: int, step: str) -> Task[Fence | None]:
    """Say that this step does the work. None: look again, somebody else may have said so."""
    etag = yield from _try(work, Insert(rk=_key(work), props=_making(run, position, step)))
    return Fence(etag=etag) if etag else None


def seize(work: Work, entry: Entry, run: str, position: int, step: str) -> Task[Fence | None]:
    """Do the work of a maker that is dead; who waits for it, waits on. None: look again."""
    props = _making(run, position, step, entry.waiting)
    etag = yield from _try(work, Merge(rk=_key(work), props=props, etag=entry.etag))
    return Fence(etag=etag, waiting=entry.waiting) if etag else None


def join(work: Work, entry: Entry, message: StepMessage) -> Task[bool]:
    """Leave the message with the maker. False: look again."""
    if message in entry.waiting or len(entry.waiting) >= MOST_WAITING:
        return True
    write = Merge(rk=_key(work), props={"waiting": _encode((*entry.waiting, message))}, etag=entry.etag)
    return bool((yield from _try(work, write)))


def drop(work: Work, entry: Entry) -> Task[None]:
    """Forget what was made, since it is not there any more. Whoever changed the row meanwhile knows better."""
    yield from _try(work, Delete(rk=_key(work), etag=entry.etag))


def publish(
    work: Work, info: RunInfo, position: int, step: str, claim: ClaimRow, fence: Fence | None
) -> Task[tuple[StepMessage, ...]]:
    """Say what was made. Returns the messages of those who wait for it; safe to repeat.

    `fence`: the row as it was last seen, if it was. What another has made of the same work stays, unless this work was
    done in spite of it.
    """
    last = Upsert(rk=_line(info), props={"v": VERSION, "ingredients": fingerprints.encode(work.ingredients)})
    woken: tuple[StepMessage, ...] = ()
    for _ in range(_TRIES):
        if fence is None:
            entry = yield from find(work)
            if entry is not None and entry.made and (not work.forced or entry.owner == f"{info.id}_{step}"):
                return woken
            fence = None if entry is None else _fence(entry)
        woken = () if fence is None else fence.waiting
        made, key = _made(info.id, position, step, claim, woken), _key(work)
        write = Insert(rk=key, props=made) if fence is None else Merge(rk=key, props=made, etag=fence.etag)
        try:
            yield from Commit(table=REUSE, pk=work.ingredients.lineage, writes=(write, last))
        except (Refused, Unanswered):
            fence = None
            continue
        return woken
    return woken  # only later runs would have been served by it


def _fence(entry: Entry) -> Fence:
    """Those who waited for what was made before have been sent on then."""
    return Fence(etag=entry.etag, waiting=() if entry.made else entry.waiting)


def waiting_for(lineage: str, fingerprint: str, run: str, position: int) -> Task[tuple[StepMessage, ...]]:
    """The messages of those who waited for what this step has made."""
    row = yield from Get(table=REUSE, pk=lineage, rk=f"e|{fingerprint}")
    entry = None if row is None else _read(row)
    return entry.waiting if entry is not None and (entry.run, entry.position) == (run, position) else ()


def give_up(work: Work, run: str, position: int) -> Task[tuple[StepMessage, ...]]:
    """Say that this step will not do the work after all. Returns the messages of those who wait: one of them will."""
    return (yield from withdraw(work.ingredients.lineage, work.fingerprint, run, position))


def withdraw(lineage: str, fingerprint: str, run: str, position: int) -> Task[tuple[StepMessage, ...]]:
    """As `give_up`, of the work with this fingerprint."""
    key = f"e|{fingerprint}"
    for _ in range(_TRIES):
        row = yield from Get(table=REUSE, pk=lineage, rk=key)
        entry = None if row is None else _read(row)
        if entry is None or entry.made or (entry.run, entry.position) != (run, position):
            return ()
        try:
            yield from Commit(table=REUSE, pk=lineage, writes=(Delete(rk=key, etag=entry.etag),))
        except Refused:
            continue
        except Unanswered:
            return entry.waiting  # perhaps in vain: they find the row as it is, and wait again
        return entry.waiting
    return ()


def last_time(work: Work, info: RunInfo) -> Task[Ingredients | None]:
    """The ingredients of the step when it was last run in this pipeline and experiment."""
    row = yield from Get(table=REUSE, pk=work.ingredients.lineage, rk=_line(info))
    return None if row is None else fingerprints.decode(str(row.props["ingredients"]))


def too_busy() -> Unavailable:
    return Unavailable("Too many want the same work at once. The message will come back.")


def _try(work: Work, write: Write) -> Task[str]:
    """The new fence, or "" for one that was refused or not answered: then the row tells."""
    try:
        (etag,) = yield from Commit(table=REUSE, pk=work.ingredients.lineage, writes=(write,))
    except (Refused, Unanswered):
        return ""
    return etag


def _made(run: str, position: int, step: str, claim: ClaimRow, waiting: tuple[StepMessage, ...]) -> Props:
    # Who waits stays in the row: whoever comes back after a death sends them their messages once more.
    return _making(run, position, step, waiting) | {
        "made": True,
        "result": claim.result,
        "result_blob": claim.result_blob,
        "usage": claim.usage,
    }


def _making(run: str, position: int, step: str, waiting: tuple[StepMessage, ...] = ()) -> dict[str, Value]:
    return {
        "v": VERSION,
        "made": False,
        "run": run,
        "step": step,
        "position": position,
        "result": "",
        "result_blob": "",
        "usage": "",
        "waiting": _encode(waiting),
    }


def _encode(waiting: tuple[StepMessage, ...]) -> str:
    return msgspec.json.encode(waiting).decode()


_decode = msgspec.json.Decoder(tuple[StepMessage, ...]).decode


def _read(row: Row) -> Entry:
    p = row.props
    return Entry(
        made=bool(p["made"]),
        run=str(p["run"]),
        step=str(p["step"]),
        position=int(p["position"]),
        etag=row.etag,
        age=row.age,
        result=str(p["result"]),
        result_blob=str(p["result_blob"]),
        usage=str(p.get("usage", "")),
        waiting=_decode(str(p["waiting"])),
    )


def _key(work: Work) -> str:
    return f"e|{work.fingerprint}"


def _line(info: RunInfo) -> str:
    return f"l|{digest_of([info.experiment, info.pipeline_name])[:32]}"

"""What came of a schedule's occurrences: a run, or the reason why there is none. Newest first.

    partition schedule|<id>:    o|<time>|<run id>

An entry is written after its run was started, and may be written again: it always says the same. That a run could not
be started never takes the place of that it was.
"""

from __future__ import annotations

from typing import Final

import msgspec

from orchestrator.catalog.rows import CATALOG, VERSION, newest_first
from orchestrator.core.errors import Unavailable
from orchestrator.core.schedule import Failure
from orchestrator.pages import Page, Range, read_page
from orchestrator.ports import Commit, Insert, Props, Query, Refused, Row, Task, Unanswered, Upsert, Write

MOST_READ: Final = 5000
_TRIES: Final = 3


class Firing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`occurrence` in epoch seconds: when the schedule was due, or when its data changed. No `failure`: `run` runs."""

    occurrence: float
    run: str
    failure: Failure | None = None


def note(schedule_id: str, firing: Firing) -> Task[None]:
    """Keep what came of an occurrence. Raises Unavailable: do it again, with all that led to it."""
    rk = f"o|{newest_first(firing.occurrence, firing.run)}"
    props: Props = {"v": VERSION, "firing": msgspec.json.encode(firing).decode()}
    write: Write = Upsert(rk=rk, props=props) if firing.failure is None else Insert(rk=rk, props=props)
    for _ in range(_TRIES):
        try:
            yield from Commit(table=CATALOG, pk=_partition(schedule_id), writes=(write,))
        except Refused:
            return  # a failure that was noted before, or a run that was started since
        except Unanswered:
            continue
        return
    raise Unavailable("Table storage did not answer. Try again.")


def listing(schedule_id: str, *, started_only: bool, limit: int, continuation: str | None) -> Task[Page[Firing]]:
    """The occurrences of a schedule, the latest first."""

    def decode(row: Row) -> Firing | None:
        firing = _decoder.decode(str(row.props["firing"]))
        return None if started_only and firing.failure is not None else firing

    span = Range(table=CATALOG, pk=_partition(schedule_id), first="o|", last="o}")
    return (yield from read_page(span, limit=limit, continuation=continuation, decode=decode))


def started_between(schedule_id: str, start: float, end: float) -> Task[frozenset[str]]:
    """Runs that occurrences with start <= occurrence <= end (epoch seconds) have: of the latest of them, at least."""
    first, last = f"o|{newest_first(end, '')}", f"o|{newest_first(start, '~')}"
    partition = _partition(schedule_id)
    rows: tuple[Row, ...] = yield from Query(table=CATALOG, pk=partition, first=first, last=last, limit=MOST_READ)
    found = [_decoder.decode(str(row.props["firing"])) for row in rows]
    return frozenset(firing.run for firing in found if firing.failure is None)


def _partition(schedule_id: str) -> str:
    return f"schedule|{schedule_id}"


_decoder = msgspec.json.Decoder(Firing)

"""Records that people make, change and list: each a document under its id, and the same once more, newest first.

    <letter>|<id>            the record
    t|<time>|<id>            the same, for lists

Both are written in one transaction on the first one's etag, so that a list never says anything else than the record.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

import msgspec

from orchestrator.catalog.rows import CATALOG, VERSION, newest_first, span
from orchestrator.core.errors import Unavailable, UnknownThing
from orchestrator.core.names import shown
from orchestrator.pages import Page, read_page
from orchestrator.ports import (
    Commit,
    Delete,
    Get,
    Insert,
    Merge,
    Pause,
    Props,
    Refused,
    Row,
    Task,
    Unanswered,
    Upsert,
    Write,
)

R = TypeVar("R", bound=msgspec.Struct)

Beside = Callable[[R, R], tuple[Write, ...]]

MOST_TRIES = 20


@dataclass(frozen=True)
class Records(Generic[R]):
    """The records of one kind, in one partition. `made_at`: when one was made, in epoch seconds; it never changes."""

    kind: str
    letter: str
    type: type[R]
    identity: Callable[[R], str]
    made_at: Callable[[R], float]
    noun: str
    where: str
    """The route that lists them."""

    def find(self, wanted: str) -> Task[R | None]:
        """The record with this id, or None."""
        row = yield from self._row(wanted)
        return None if row is None else self._decode(row)

    def get(self, wanted: str, field: str) -> Task[R]:
        """As `find`. Raises UnknownThing naming `field`."""
        found = yield from self.find(wanted)
        if found is None:
            raise self.unknown(wanted, field)
        return found

    def unknown(self, wanted: str, field: str) -> UnknownThing:
        message = f"There is no {self.noun} with the id {shown(wanted)}. GET /api/{self.where} lists what there is."
        return UnknownThing(message, field=field)

    def inserts(self, record: R) -> tuple[Write, ...]:
        """What makes the record, for a transaction."""
        props = self._props(record)
        return (
            Insert(rk=self._key(self.identity(record)), props=props),
            Insert(rk=self._time_key(record), props=props),
        )

    def change(self, wanted: str, alter: Callable[[R], R], field: str, beside: Beside[R] | None = None) -> Task[R]:
        """Put what `alter` makes of the record in its place; nothing is written where that is the same.

        `alter` may be called again on what another process has made of it meanwhile, or on what was altered by a write
        whose answer was lost: done twice it must be as done once. `beside` gives what else is written, of the record
        before and after. Raises UnknownThing naming `field`.
        """
        for attempt in range(MOST_TRIES):
            if attempt:
                yield from Pause(at_most=0.05 * attempt)
            changed = yield from self.try_change(wanted, alter, field, beside)
            if changed is not None:
                return changed
        raise self.too_often(wanted)

    def try_change(
        self, wanted: str, alter: Callable[[R], R], field: str, beside: Beside[R] | None = None
    ) -> Task[R | None]:
        """As `change`, once; None: it was not done, or storage did not say so."""
        row = yield from self._row(wanted)
        if row is None:
            raise self.unknown(wanted, field)
        before = self._decode(row)
        after = alter(before)
        if after == before:
            return before
        props = self._props(after)
        writes = (Merge(rk=row.rk, props=props, etag=row.etag), Upsert(rk=self._time_key(after), props=props))
        others = beside(before, after) if beside else ()
        try:
            yield from Commit(table=CATALOG, pk=self.kind, writes=(*writes, *others))
        except (Refused, Unanswered):
            return None
        return after

    def too_often(self, wanted: str) -> Unavailable:
        return Unavailable(f"The {self.noun} {wanted} is changed too often at once. Try again.")

    def remove(self, wanted: str, field: str) -> Task[R]:
        """Forget the record. Raises UnknownThing naming `field`."""
        there = yield from self.get(wanted, field)
        try:
            writes = (Delete(rk=self._key(wanted.lower())), Delete(rk=self._time_key(there)))
            yield from Commit(table=CATALOG, pk=self.kind, writes=writes)
        except Refused:
            pass  # somebody else has removed it meanwhile
        except Unanswered:
            raise Unavailable(f"Storage did not say whether the {self.noun} was removed. Try again.") from None
        return there

    def listing(self, wanted: Callable[[R], bool], *, limit: int, continuation: str | None) -> Task[Page[R]]:
        """Those that are wanted, newest first."""

        def decode(row: Row) -> R | None:
            record = self._decode(row)
            return record if wanted(record) else None

        return (yield from read_page(span(self.kind, "t|"), limit=limit, continuation=continuation, decode=decode))

    def _row(self, wanted: str) -> Task[Row | None]:
        if not is_id(wanted):
            return None
        return (yield from Get(table=CATALOG, pk=self.kind, rk=self._key(wanted.lower())))

    def _key(self, identity: str) -> str:
        return f"{self.letter}|{identity}"

    def _time_key(self, record: R) -> str:
        return f"t|{newest_first(self.made_at(record), self.identity(record))}"

    def _props(self, record: R) -> Props:
        return {"v": VERSION, self.kind: msgspec.json.encode(record).decode()}

    def _decode(self, row: Row) -> R:
        return self._decoder.decode(str(row.props[self.kind]))

    @cached_property
    def _decoder(self) -> msgspec.json.Decoder[R]:
        return msgspec.json.Decoder(self.type)


def is_id(text: str) -> bool:
    """Whether it is a UUID in its usual form."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False

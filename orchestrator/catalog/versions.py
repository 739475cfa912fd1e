"""Versions that hold documents: of modules, and of environments.

A version is never changed but for its status and description. Its text ("1", "0.2.1") is its own in the record; what
is added again as it is there is found again. Beside the rows of `orchestrator.catalog.named`:

    <folder>/<sha256>.json          what a version holds (blob)
    v|<record>|<number, 8 digits>   a version
    i|<version id>                  where a version is
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

import msgspec

from orchestrator.catalog.named import ACTIVE, NamedRecord, NamedRecords, check_length, check_status, version_key
from orchestrator.catalog.records import MOST_TRIES, is_id
from orchestrator.catalog.rows import CATALOG, VERSION
from orchestrator.core.errors import Conflict, MillstreamError, Unavailable, UnknownThing
from orchestrator.core.names import shown
from orchestrator.pages import Page, read_page
from orchestrator.ports import (
    Commit,
    Get,
    Insert,
    Merge,
    Pause,
    Props,
    ReadBlob,
    Refused,
    Row,
    Task,
    Unanswered,
    Write,
    WriteBlob,
)


class DocumentVersion(msgspec.Struct, frozen=True, kw_only=True):
    """`document` is the sha256 of what it holds, `number` counts what was added from 0. `created_at`: epoch seconds."""

    id: str
    version: str
    number: int
    document: str
    created_at: float
    description: str = ""
    status: str = ACTIVE


N = TypeVar("N", bound=NamedRecord)
D = TypeVar("D", bound=DocumentVersion)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A version to be added: the bytes that it holds and their sha256. Without a `version`, the next free number is
    its text. `again`: what to do where the version asked for holds something else.
    """

    data: bytes
    document: str
    version: str = ""
    default: bool = False
    again: str = "Publish under another version, or without one for the next number."


@dataclass(frozen=True, kw_only=True)
class Versions(Generic[N, D]):
    """The versions of the records of one kind. `namespace`: of the ids of versions. `folder`: where documents are."""

    records: NamedRecords[N]
    type: type[D]
    namespace: uuid.UUID
    folder: str

    def add(self, wanted: str, wish: Wish, make: Callable[[N, str, str, int], D]) -> Task[tuple[N, D, bool]]:
        """Add a version to the record with this id; whether it was added now.

        What is there already is found: the same document under the version asked for, or, where none is asked for, as
        the one added last. make(record, id, version, number): a version. Raises UnknownThing, TooLarge, and Conflict
        for a version that holds something else.
        """
        # The document first: a row never refers to one that is not there.
        yield from WriteBlob(name=self._blob(wish.document), data=wish.data)

        def known(there: N) -> Task[D | None]:
            return (yield from self._same(there, wish))

        def draft(there: N) -> Task[D]:
            text = wish.version or (yield from self._free(there))
            return make(there, self.id_of(there.id, text), text, there.versions_total)

        return (yield from self.records.add(wanted, known, draft, self._rows, default=wish.default))

    def id_of(self, record: str, version: str) -> str:
        """The id that this version of the record has, always."""
        return str(uuid.uuid5(self.namespace, msgspec.json.encode([record, version]).decode()))

    def get(self, wanted: str) -> Task[D]:
        """The version with this id. Raises UnknownThing."""
        row = yield from self._row(wanted)
        return self._decode(row)

    def of(self, record: N, version: str, field: str) -> Task[D]:
        """The version of the record whose text this is. Raises UnknownThing naming `field`."""
        found = yield from self._find(self.id_of(record.id, version))
        if found is None:
            message = f"The {self.records.kind} {shown(record.name)} has no version {shown(version)}."
            raise UnknownThing(message, field=field)
        return found

    def last(self, record: N) -> Task[D | None]:
        """The one that was added last."""
        row = yield from Get(table=CATALOG, pk=self.records.kind, rk=version_key(record.id, record.versions_total - 1))
        return None if row is None else self._decode(row)

    def load(self, found: D) -> Task[bytes]:
        """What a version holds."""
        data = yield from ReadBlob(name=self._blob(found.document))
        if data is None:
            raise MillstreamError(f"What the {self.records.kind} version {found.id} holds is not stored.")
        return data

    def listing(self, wanted: str, *, limit: int, continuation: str | None) -> Task[Page[D]]:
        """In the order in which they were added. Raises UnknownThing."""
        there = yield from self.records.get_named(wanted)
        rows = self.records.versions_of(there)
        return (yield from read_page(rows, limit=limit, continuation=continuation, decode=self._decode))

    def change(self, wanted: str, *, status: str | None, description: str | None) -> Task[D]:
        """None leaves it as it is. Raises UnknownThing, InvalidRequest, TooLarge."""
        check_status(status)
        check_length(description or "")
        given = {name: it for name, it in (("status", status), ("description", description)) if it is not None}
        for attempt in range(MOST_TRIES):
            if attempt:
                yield from Pause(at_most=0.05 * attempt)
            row = yield from self._row(wanted)
            after = msgspec.structs.replace(self._decode(row), **given)
            change = Merge(rk=row.rk, props=_props(after), etag=row.etag)
            try:
                yield from Commit(table=CATALOG, pk=self.records.kind, writes=(change,))
            except (Refused, Unanswered):
                continue
            return after
        raise Unavailable(f"The {self.records.kind} version {wanted} is changed too often at once. Try again.")

    def _same(self, there: N, wish: Wish) -> Task[D | None]:
        """The version that is what is wished. Raises Conflict if it holds something else."""
        if wish.version:
            known = yield from self._find(self.id_of(there.id, wish.version))
            if known is not None and known.document != wish.document:
                named = f"The {self.records.kind} {shown(there.name)} has a version {shown(wish.version)}"
                raise Conflict(f"{named}, which holds something else. {wish.again}", field="version")
            return known
        last = yield from self.last(there)
        return last if last is not None and last.document == wish.document else None

    def _free(self, there: N) -> Task[str]:
        """The next number that is no version of the record."""
        number = there.versions_total + 1
        while (yield from self._find(self.id_of(there.id, str(number)))) is not None:
            number += 1
        return str(number)

    def _rows(self, there: N, made: D) -> tuple[Write, ...]:
        """The rows of a version. That of its number is refused if another version has taken it since."""
        key = version_key(there.id, made.number)
        return Insert(rk=key, props=_props(made)), Insert(rk=_id_key(made.id), props={"v": VERSION, "key": key})

    def _find(self, wanted: str) -> Task[D | None]:
        row = yield from self._find_row(wanted)
        return None if row is None else self._decode(row)

    def _row(self, wanted: str) -> Task[Row]:
        row = (yield from self._find_row(wanted.lower())) if is_id(wanted) else None
        if row is None:
            kind = self.records.kind
            raise UnknownThing(f"There is no {kind} version with the id {shown(wanted)}.", field=f"{kind}_version_id")
        return row

    def _find_row(self, wanted: str) -> Task[Row | None]:
        named = yield from Get(table=CATALOG, pk=self.records.kind, rk=_id_key(wanted))
        if named is None:
            return None
        return (yield from Get(table=CATALOG, pk=self.records.kind, rk=str(named.props["key"])))

    def _blob(self, document: str) -> str:
        return f"{self.folder}/{document}.json"

    def _decode(self, row: Row) -> D:
        return self._decoder.decode(str(row.props["version"]))

    @cached_property
    def _decoder(self) -> msgspec.json.Decoder[D]:
        return msgspec.json.Decoder(self.type)


def _id_key(wanted: str) -> str:
    return f"i|{wanted}"


def _props(found: DocumentVersion) -> Props:
    return {"v": VERSION, "version": msgspec.json.encode(found).decode()}

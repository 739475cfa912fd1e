"""Records that have a name of their own and hold versions: pipeline endpoints, modules, environments.

    <letter>|<id>, t|<time>|<id>   the record: see `orchestrator.catalog.records`
    n|<sha256 of the name>         whose name it is
    v|<id>|<number, 8 digits>      a version, in the order in which they were added

Versions are only ever added. Everything that changes a record is a transaction on its etag, so versions are numbered
without gaps, and a name is that of one record.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import msgspec

from orchestrator.catalog.records import MOST_TRIES, Records
from orchestrator.catalog.rows import CATALOG, VERSION, span
from orchestrator.core.errors import Conflict, InvalidRequest, TooLarge, Unavailable
from orchestrator.core.names import Rule, shown
from orchestrator.pages import Page, Range
from orchestrator.ports import Commit, Delete, Get, Insert, NewId, Pause, Refused, Task, Unanswered, Write

ACTIVE, DISABLED, DEPRECATED = "Active", "Disabled", "Deprecated"
STATUSES: Final = (ACTIVE, DISABLED, DEPRECATED)
LONGEST_TEXT: Final = 4000


class NamedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What all of them have. `created_at` in epoch seconds; `versions_total`: how many versions there are."""

    id: str
    name: str
    created_at: float
    description: str = ""
    status: str = ACTIVE
    versions_total: int = 0


class Numbered(Protocol):
    """A version: its text."""

    @property
    def version(self) -> str: ...


N = TypeVar("N", bound=NamedRecord)
V = TypeVar("V", bound=Numbered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to be changed of a record; None leaves it as it is."""

    name: str | None = None
    description: str | None = None
    status: str | None = None
    default_version: str | None = None


def _unchanged(record: N, version: str) -> N:
    del version
    return record


@dataclass(frozen=True)
class NamedRecords(Records[N]):
    """The named records of one kind. `rule`: what they may be called. `field`: what errors call an id of theirs.

    as_default(record, version): the record with this version, a text, as its default; raises UnknownThing. Without it
    there is no default version.
    """

    rule: Rule
    field: str
    most_versions: int
    as_default: Callable[[N, str], N] = _unchanged

    def make(self, made: N, *beside: Write) -> Task[N]:
        """Write the record, and `beside` with it; where its name is taken, the record that has it instead.

        Whoever asks must see what it is that has the name. Raises Unavailable.
        """
        taken = Insert(rk=name_key(made.name), props={"v": VERSION, "id": made.id})
        try:
            yield from Commit(table=CATALOG, pk=self.kind, writes=(taken, *self.inserts(made), *beside))
        except (Refused, Unanswered):
            there = yield from self.find_by_name(made.name)
            if there is None:
                message = f"Storage did not say whether the {self.kind} was made. Send the request again."
                raise Unavailable(message) from None
            return there
        return made

    def check(self, changes: Changes) -> None:
        """Raises InvalidRequest, TooLarge."""
        check_status(changes.status)
        if changes.name is not None:
            self.rule.check(changes.name, "name")
        check_length(changes.description or "")

    def get_named(self, wanted: str) -> Task[N]:
        """The record with this id. Raises UnknownThing."""
        return (yield from self.get(wanted, self.field))

    def find_by_name(self, name: str) -> Task[N | None]:
        row = yield from Get(table=CATALOG, pk=self.kind, rk=name_key(name))
        return None if row is None else (yield from self.find(str(row.props["id"])))

    def list_named(self, *, name: str = "", active_only: bool, limit: int, continuation: str | None) -> Task[Page[N]]:
        """Those that are active, or all, newest first; with a name, the one that has it."""

        def wanted(record: N) -> bool:
            return record.status == ACTIVE or not active_only

        if name:
            found = yield from self.find_by_name(name)
            return Page((found,) if found is not None and wanted(found) else (), None)
        return (yield from self.listing(wanted, limit=limit, continuation=continuation))

    def change_named(self, wanted: str, changes: Changes) -> Task[N]:
        """Raises UnknownThing, InvalidRequest, and Conflict for a name that is taken."""
        self.check(changes)
        for attempt in range(MOST_TRIES):
            if attempt:
                yield from Pause(at_most=0.05 * attempt)
            # Each time: somebody may have taken the name since, which is another refusal than that of a changed record.
            there = None if changes.name is None else (yield from self.find_by_name(changes.name))
            if there is not None and there.id != wanted.lower():
                raise Conflict(f"The name {shown(there.name)} is taken by the {self.kind} {there.id}.", field="name")
            changed = yield from self.try_change(wanted, self._altered(changes), self.field, _renamed)
            if changed is not None:
                return changed
        raise self.too_often(wanted)

    def add(
        self,
        wanted: str,
        known: Callable[[N], Task[V | None]],
        draft: Callable[[N], Task[V]],
        rows: Callable[[N, V], tuple[Write, ...]],
        *,
        default: bool,
    ) -> Task[tuple[N, V, bool]]:
        """Add a version, and let it be the default if that is asked for; whether it was added now.

        known(record): the version that is what is wished already, if there is one. draft(record): the version as it
        would be the next one. rows(record before, version): what is written of it, which must be refused where another
        version has been added since the record was read. Raises UnknownThing, TooLarge, and what these raise.
        """
        tried = False
        for attempt in range(MOST_TRIES):
            if attempt:
                yield from Pause(at_most=0.05 * attempt)
            there = yield from self.get_named(wanted)
            found = yield from known(there)
            if found is not None:
                if default:
                    there = yield from self.change_named(there.id, Changes(default_version=found.version))
                return there, found, tried
            made = yield from draft(there)
            added = yield from self.try_change(
                there.id, self._with_one_more(made, default), self.field, _beside(rows, made)
            )
            tried = True
            if added is not None:
                return added, made, True
        raise self.too_often(wanted)

    def versions_of(self, record: N) -> Range:
        """Their rows, in the order in which they were added."""
        return span(self.kind, f"v|{record.id}|")

    def _altered(self, changes: Changes) -> Callable[[N], N]:
        given = {
            name: value for name in ("name", "description", "status") if (value := getattr(changes, name)) is not None
        }

        def altered(there: N) -> N:
            changed = msgspec.structs.replace(there, **given)
            return changed if changes.default_version is None else self.as_default(changed, changes.default_version)

        return altered

    def _with_one_more(self, made: Numbered, default: bool) -> Callable[[N], N]:
        def one_more(before: N) -> N:
            if before.versions_total >= self.most_versions:
                raise TooLarge(f"The {self.kind} has too many versions. Make another one.", field=self.field)
            after = msgspec.structs.replace(before, versions_total=before.versions_total + 1)
            return self.as_default(after, made.version) if default else after

        return one_more


def new_id() -> Task[str]:
    """A UUID."""
    first, second, third = (yield from NewId()), (yield from NewId()), (yield from NewId())
    return str(uuid.UUID(hex=f"{first}{second}{third}"[:32]))


def check_status(status: str | None) -> None:
    """Raises InvalidRequest."""
    if status not in (None, *STATUSES):
        message = f"{shown(status or '')} is no status. There is: {', '.join(STATUSES)}."
        raise InvalidRequest(message, field="status")


def check_length(text: str, field: str = "description") -> None:
    """Raises TooLarge."""
    if len(text) > LONGEST_TEXT:
        raise TooLarge(f"The {field} is longer than {LONGEST_TEXT:,} characters.", field=field)


def name_key(name: str) -> str:
    # Names may have any characters, keys of rows not.
    return f"n|{hashlib.sha256(name.encode()).hexdigest()}"


def version_key(record: str, number: int) -> str:
    return f"v|{record}|{number:08d}"


def _beside(rows: Callable[[N, V], tuple[Write, ...]], made: V) -> Callable[[N, N], tuple[Write, ...]]:
    return lambda before, _after: rows(before, made)


def _renamed(before: N, after: N) -> tuple[Write, ...]:
    if before.name == after.name:
        return ()
    taken = Insert(rk=name_key(after.name), props={"v": VERSION, "id": after.id})
    return taken, Delete(rk=name_key(before.name))

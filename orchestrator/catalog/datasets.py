"""Datasets: documents kept under their content address, and names with versions 1, 2, 3 ... that lead to them.

    datasets/<id>.json                 a document (blob)
    n|<name>                           the latest version of a name
    v|<name>|<99999999 - version>      a version, latest first

Registering what is the latest version already gives that version, so a request that is sent twice makes one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from orchestrator.catalog.rows import CATALOG, VERSION, span
from orchestrator.core import dataset as documents
from orchestrator.core import dataset_rules
from orchestrator.core.dataset import DatasetDocument
from orchestrator.core.errors import Conflict, InvalidRequest, TooLarge, Unavailable, UnknownThing
from orchestrator.core.names import DATASET, DATASET_ID, shown
from orchestrator.pages import Page, read_page
from orchestrator.ports import (
    Commit,
    Delete,
    Get,
    Insert,
    Merge,
    Now,
    Pause,
    Props,
    Query,
    ReadBlob,
    Refused,
    Row,
    Task,
    Unanswered,
    Write,
    WriteBlob,
)

KIND = "dataset"
LONGEST_TEXT = 4000
MOST_TAGS = 100
LONGEST_TAG = 1000
LONGEST_ROW = 28_000
"""Characters of a registration: a property of a row holds 32 Ki of them."""

_TRIES = 20
_MOST_VERSIONS = 99_999_999
_BATCH = 90


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a name. `id` is the document's address; `created_at` in epoch seconds."""

    name: str
    version: int
    id: str
    created_at: float
    description: str = ""
    tags: dict[str, str] = {}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be registered. Without `create_new_version` the name must be free."""

    name: str
    description: str | None = None
    tags: dict[str, str] | None = None
    create_new_version: bool = False


def save(document: DatasetDocument, *, datastores: Collection[str]) -> Task[str]:
    """Keep a document; its id. Raises InvalidDataset."""
    dataset_rules.check(document, datastores=datastores)
    wanted = documents.address(document)
    yield from WriteBlob(name=_blob(wanted), data=documents.encode(document))
    return wanted


def load(wanted: str) -> Task[DatasetDocument]:
    """The document with this id. Raises UnknownThing."""
    data = (yield from ReadBlob(name=_blob(wanted))) if DATASET_ID.allows(wanted) else None
    if data is None:
        raise UnknownThing(f"There is no dataset with the id {shown(wanted)}.", field="id")
    return documents.decode(data)


def register(wish: Wish, wanted: str) -> Task[tuple[Registration, bool]]:
    """The version that the document `wanted`, which is kept, has under the name; and whether this call made it.

    Raises Conflict if the name is taken by another document and no new version is wished.
    """
    DATASET.check(wish.name, "name")
    _check(wish.description or "", wish.tags or {})
    now = yield from Now()
    for attempt in range(_TRIES):
        if attempt:
            yield from Pause(at_most=0.05 * attempt)
        head = yield from Get(table=CATALOG, pk=KIND, rk=name_key(wish.name))
        latest = None if head is None else (yield from find(wish.name, int(head.props["latest"])))
        if latest is not None and latest.id == wanted:
            if wish.description is None and wish.tags is None:
                return latest, False
            return (yield from change(wish.name, latest.version, wish.description, wish.tags or {})), False
        if head is not None and not wish.create_new_version:
            raise Conflict(
                f"The name {shown(wish.name)} is taken by another dataset. Register it with create_new_version, or "
                "choose another name.",
                field="name",
            )
        made = Registration(
            name=wish.name,
            version=int(head.props["latest"]) + 1 if head else 1,
            id=wanted,
            created_at=now,
            description=wish.description or "",
            tags=wish.tags or {},
        )
        try:
            yield from Commit(table=CATALOG, pk=KIND, writes=writes(made, head))
        except (Refused, Unanswered):
            continue
        return made, True
    raise Unavailable(f"The dataset {shown(wish.name)} is registered too often at once. Try again.")


def get(name: str, version: int | None = None) -> Task[Registration]:
    """A version of a name, by default the latest. Raises UnknownThing."""
    latest = yield from _latest(name)
    wanted = latest if version is None else version
    found = (yield from find(name, wanted)) if 1 <= wanted <= _MOST_VERSIONS else None
    if found is None:
        message = f"The dataset {shown(name)} has no version {wanted}. The latest is {latest}."
        raise UnknownThing(message, field="version")
    return found


def change(
    name: str, version: int | None, description: str | None, tags: Mapping[str, str | None]
) -> Task[Registration]:
    """Set the description if one is given, and these tags; None removes a tag. Raises UnknownThing."""
    for attempt in range(_TRIES):
        if attempt:
            yield from Pause(at_most=0.05 * attempt)
        found = yield from get(name, version)
        row = yield from Get(table=CATALOG, pk=KIND, rk=version_key(name, found.version))
        if row is None:
            continue
        merged = {key: value for key, value in {**found.tags, **tags}.items() if value is not None}
        wished = msgspec.structs.replace(
            _decode(row), tags=merged, description=found.description if description is None else description
        )
        _check(wished.description, merged)
        try:
            yield from Commit(table=CATALOG, pk=KIND, writes=(Merge(rk=row.rk, props=_props(wished), etag=row.etag),))
        except (Refused, Unanswered):
            continue
        return wished
    raise Unavailable(f"The dataset {shown(name)} is changed too often at once. Try again.")


def unregister(name: str) -> Task[int]:
    """Forget all versions of a name; how many there were. Documents stay: runs may refer to them. Safe to repeat."""
    removed = 0
    for attempt in range(_TRIES):
        if attempt:
            yield from Pause(at_most=0.05 * attempt)
        head = yield from _head(name)
        if head is None:
            return removed
        span_of = span(KIND, f"v|{name}|")
        rows = yield from Query(table=CATALOG, pk=KIND, first=span_of.first, last=span_of.last, select=("v",))
        # The oldest first, the name with the last ones: whoever looks meanwhile finds the latest version.
        oldest = [Delete(rk=row.rk) for row in reversed(rows)]
        batches = [oldest[start : start + _BATCH] for start in range(0, len(oldest), _BATCH)] or [[]]
        try:
            for batch in batches:
                last: tuple[Write, ...] = (Delete(rk=head.rk, etag=head.etag),) if batch is batches[-1] else ()
                yield from Commit(table=CATALOG, pk=KIND, writes=(*batch, *last))
                removed += len(batch)
        except (Refused, Unanswered):
            continue
        return removed
    raise Unavailable(f"The dataset {shown(name)} is registered while it is removed. Try again.")


def listing(*, name: str | None, limit: int, continuation: str | None) -> Task[Page[Registration]]:
    """The latest version of every name, by name; or every version of one name, latest first."""
    if name is not None:
        DATASET.check(name, "name")
        versions = span(KIND, f"v|{name}|")
        return (yield from read_page(versions, limit=limit, continuation=continuation, decode=_decode))
    page = yield from read_page(span(KIND, "n|"), limit=limit, continuation=continuation, decode=lambda row: row)
    found: list[Registration] = []
    for row in page.items:
        latest = yield from find(row.rk.removeprefix("n|"), int(row.props["latest"]))
        if latest is not None:
            found.append(latest)
    return Page(tuple(found), page.continuation)


def _latest(name: str) -> Task[int]:
    head = yield from _head(name)
    if head is None:
        raise UnknownThing(f"There is no dataset {shown(name)}. GET /api/datasets lists what there is.", field="name")
    return int(head.props["latest"])


def _head(name: str) -> Task[Row | None]:
    return (yield from Get(table=CATALOG, pk=KIND, rk=name_key(name))) if DATASET.allows(name) else None


def find(name: str, version: int) -> Task[Registration | None]:
    """A version of a name, if there is one."""
    row = yield from Get(table=CATALOG, pk=KIND, rk=version_key(name, version))
    return None if row is None else _decode(row)


def writes(made: Registration, head: Row | None) -> tuple[Write, ...]:
    """What makes a version; `head`: the name's row as it was read, whose latest version is the one before."""
    latest: Props = {"v": VERSION, "latest": made.version}
    name = name_key(made.name)
    return (
        Insert(rk=name, props=latest) if head is None else Merge(rk=name, props=latest, etag=head.etag),
        Insert(rk=version_key(made.name, made.version), props=_props(made)),
    )


def _props(registration: Registration) -> Props:
    return {"v": VERSION, "dataset": msgspec.json.encode(registration).decode()}


def _check(description: str, tags: Mapping[str, str]) -> None:
    if len(description) > LONGEST_TEXT:
        raise TooLarge(f"The description is longer than {LONGEST_TEXT:,} characters.", field="description")
    if len(tags) > MOST_TAGS:
        raise TooLarge(f"A dataset has at most {MOST_TAGS} tags.", field="tags")
    if any(not name or len(name) > LONGEST_TAG or len(value) > LONGEST_TAG for name, value in tags.items()):
        raise InvalidRequest(f"Names and values of tags have at most {LONGEST_TAG:,} characters.", field="tags")
    if len(msgspec.json.encode([description, tags]).decode()) > LONGEST_ROW:
        raise TooLarge("Description and tags are too long together.", field="tags")


def _blob(wanted: str) -> str:
    return f"datasets/{wanted}.json"


def name_key(name: str) -> str:
    return f"n|{name}"


def version_key(name: str, version: int) -> str:
    return f"v|{name}|{_MOST_VERSIONS - version:08d}"


_decoder = msgspec.json.Decoder(Registration)


def _decode(row: Row) -> Registration:
    return _decoder.decode(str(row.props["dataset"]))

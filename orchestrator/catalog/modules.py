"""Modules: steps kept under a name, with versions, for pipelines to be made of.

A version is never changed but for its status and description. Its text ("1", "0.2.1") is its own in the module; what
is published again as it is there is found again. What changes a module is a transaction on the etag of its record.

    modules/<sha256>.json             what a version holds (blob)
    m|<id>, t|<time>|<id>             the module: see `orchestrator.catalog.records`
    n|<sha256 of the name>            whose name it is
    v|<module id>|<number, 8 digits>  a version, in the order of publication
    i|<version id>                    where a version is
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from orchestrator.catalog.records import MOST_TRIES, Records, is_id
from orchestrator.catalog.rows import CATALOG, VERSION, span
from orchestrator.catalog.snapshots import zip_name
from orchestrator.core import module as documents
from orchestrator.core.errors import (
    Conflict,
    InvalidDefinition,
    InvalidRequest,
    MillstreamError,
    Problem,
    TooLarge,
    Unavailable,
    UnknownThing,
)
from orchestrator.core.module import ModuleDocument
from orchestrator.core.names import MODULE, MODULE_VERSION, shown
from orchestrator.files import SYSTEM, FileSize
from orchestrator.pages import Page, read_page
from orchestrator.ports import (
    Commit,
    Delete,
    Get,
    Insert,
    Merge,
    NewId,
    Now,
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

KIND = "module"
ACTIVE, DISABLED, DEPRECATED = "Active", "Disabled", "Deprecated"
STATUSES: Final = (ACTIVE, DISABLED, DEPRECATED)
LONGEST_TEXT = 4000
LARGEST_DOCUMENT = 1_000_000
_MOST_VERSIONS = 10**6
_NAMESPACE = uuid.UUID("0b1f9f0e-4f3e-5a1c-8f0e-6d6f64756c65")


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """A module. `default_version` "": none was named. `created_at` in epoch seconds.

    `status` "Active"; "Deprecated": steps are made of it with a warning; "Disabled": none are.
    """

    id: str
    name: str
    created_at: float
    description: str = ""
    status: str = ACTIVE
    default_version: str = ""
    versions_total: int = 0


class ModuleVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a module. `document` is the sha256 of what it holds, `number` counts publications from 0."""

    id: str
    module_id: str
    version: str
    number: int
    document: str
    created_at: float
    description: str = ""
    category: str = ""
    status: str = ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A version to be made. Without a `version`, the next free number is its text."""

    document: ModuleDocument
    version: str = ""
    description: str = ""
    category: str = ""
    default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to be changed of a module; None leaves it as it is."""

    name: str | None = None
    description: str | None = None
    status: str | None = None
    default_version: str | None = None


def create(name: str, description: str) -> Task[tuple[Module, bool]]:
    """The module of this name, and whether it was made by this call.

    One of the same name and description is found again. Raises Conflict for a name that is taken by another.
    """
    MODULE.check(name, "name")
    _check_length(description)
    now = yield from Now()
    identity = yield from _new_id()
    made = Module(id=identity, name=name, description=description, created_at=now)
    taken: Write = Insert(rk=_name_key(name), props={"v": VERSION, "id": identity})
    try:
        yield from Commit(table=CATALOG, pk=KIND, writes=(taken, *_RECORDS.inserts(made)))
    except (Refused, Unanswered):
        there = yield from find_by_name(name)
        if there is None:
            raise Unavailable("Storage did not say whether the module was made. Send the request again.") from None
        if there.description != description:
            message = f"The name {shown(name)} is taken by the module {there.id}, whose description is another."
            raise Conflict(f"{message} Get it by its name, or choose another name.", field="name") from None
        return there, there.id == made.id
    return made, True


def get(wanted: str, field: str = "module_id") -> Task[Module]:
    """The module with this id. Raises UnknownThing naming `field`."""
    return (yield from _RECORDS.get(wanted, field))


def find_by_name(name: str) -> Task[Module | None]:
    row = yield from Get(table=CATALOG, pk=KIND, rk=_name_key(name))
    return None if row is None else (yield from _RECORDS.find(str(row.props["id"])))


def listing(*, active_only: bool, limit: int, continuation: str | None) -> Task[Page[Module]]:
    """Modules, newest first."""

    def wanted(module: Module) -> bool:
        return module.status == ACTIVE or not active_only

    return (yield from _RECORDS.listing(wanted, limit=limit, continuation=continuation))


def change(wanted: str, changes: Changes) -> Task[Module]:
    """Raises UnknownThing, InvalidRequest, and Conflict for a name that is taken."""
    _check_status(changes.status)
    if changes.name is not None:
        MODULE.check(changes.name, "name")
    _check_length(changes.description or "")
    if changes.default_version:
        yield from _find_in(wanted, changes.default_version, "default_version")
    for attempt in range(MOST_TRIES):
        if attempt:
            yield from Pause(at_most=0.05 * attempt)
        # Each time: somebody may have taken the name since, which is another refusal than that of a changed record.
        there = None if changes.name is None else (yield from find_by_name(changes.name))
        if there is not None and there.id != wanted.lower():
            raise Conflict(f"The name {shown(there.name)} is taken by the module {there.id}.", field="name")
        changed = yield from _RECORDS.try_change(wanted, _altered(changes), "module_id", _renamed)
        if changed is not None:
            return changed
    raise _RECORDS.too_often(wanted)


def publish(wanted: str, wish: Publication) -> Task[tuple[Module, ModuleVersion, bool]]:
    """Add a version to the module; whether it was added now.

    What is there already is found: the same document under the version asked for, or, where none is asked for, as the
    one published last. Raises UnknownThing, InvalidDefinition, and Conflict for a version that holds something else.
    """
    yield from _check(wish)
    holds = documents.address(wish.document)
    # The document first: a row never refers to one that is not there.
    yield from WriteBlob(name=_blob(holds), data=documents.encode(wish.document))
    now = yield from Now()
    tried = False
    for attempt in range(MOST_TRIES):
        if attempt:
            yield from Pause(at_most=0.05 * attempt)
        there = yield from get(wanted)
        known = yield from _same(there, wish, holds)
        if known is not None:
            if wish.default:
                there = yield from change(there.id, Changes(default_version=known.version))
            return there, known, tried
        text = wish.version or (yield from _free(there))
        made = ModuleVersion(
            id=version_id(there.id, text),
            module_id=there.id,
            version=text,
            number=there.versions_total,
            document=holds,
            created_at=now,
            description=wish.description,
            category=wish.category,
        )
        added = yield from _RECORDS.try_change(there.id, _with_one_more(made, wish.default), "module_id", _added(made))
        tried = True
        if added is not None:
            return added, made, True
    raise _RECORDS.too_often(wanted)


def version(wanted: str) -> Task[ModuleVersion]:
    """The version with this id. Raises UnknownThing."""
    row = yield from _version_row(wanted)
    return _decode(row)


def load(found: ModuleVersion) -> Task[ModuleDocument]:
    """What a version holds."""
    data = yield from ReadBlob(name=_blob(found.document))
    if data is None:
        raise MillstreamError(f"What the module version {found.id} holds is not stored.")
    return documents.decode(data)


def versions(wanted: str, *, limit: int, continuation: str | None) -> Task[Page[ModuleVersion]]:
    """In the order of publication. Raises UnknownThing."""
    there = yield from get(wanted)
    rows = span(KIND, f"v|{there.id}|")
    return (yield from read_page(rows, limit=limit, continuation=continuation, decode=_decode))


def change_version(wanted: str, *, status: str | None, description: str | None) -> Task[ModuleVersion]:
    """None leaves it as it is. Raises UnknownThing, InvalidRequest."""
    _check_status(status)
    _check_length(description or "")
    given = {name: it for name, it in (("status", status), ("description", description)) if it is not None}
    for attempt in range(MOST_TRIES):
        if attempt:
            yield from Pause(at_most=0.05 * attempt)
        row = yield from _version_row(wanted)
        after = msgspec.structs.replace(_decode(row), **given)
        try:
            yield from Commit(table=CATALOG, pk=KIND, writes=(Merge(rk=row.rk, props=_props(after), etag=row.etag),))
        except (Refused, Unanswered):
            continue
        return after
    raise Unavailable(f"The module version {wanted} is changed too often at once. Try again.")


def version_id(module_id: str, version: str) -> str:
    """The id that this version of the module has, always."""
    return str(uuid.uuid5(_NAMESPACE, msgspec.json.encode([module_id, version]).decode()))


def _check(wish: Publication) -> Task[None]:
    """Raises InvalidRequest, InvalidDefinition, TooLarge."""
    if wish.version:
        MODULE_VERSION.check(wish.version, "version")
    _check_length(wish.description)
    _check_length(wish.category, "category")
    found = documents.problems(wish.document)
    snapshot = wish.document.snapshot
    if not found and snapshot and not (yield from FileSize(container=SYSTEM, name=zip_name(snapshot))):
        message, fix = "The source folder is not stored.", "Upload it first: POST /api/snapshots."
        found = [Problem("SnapshotNotUploaded", "document.snapshot", message, fix)]
    if found:
        raise InvalidDefinition(found)
    if len(documents.encode(wish.document)) > LARGEST_DOCUMENT:
        raise TooLarge(f"The document is larger than {LARGEST_DOCUMENT:,} bytes.", field="document")


def _same(there: Module, wish: Publication, holds: str) -> Task[ModuleVersion | None]:
    """The version that is what is wished. Raises Conflict if it holds something else."""
    if wish.version:
        known = yield from _find(version_id(there.id, wish.version))
        if known is not None and known.document != holds:
            raise Conflict(
                f"The module {shown(there.name)} has a version {shown(wish.version)}, which holds something else. "
                "Publish under another version, or without one for the next number.",
                field="version",
            )
        return known
    if not there.versions_total:
        return None
    row = yield from Get(table=CATALOG, pk=KIND, rk=_version_key(there.id, there.versions_total - 1))
    last = None if row is None else _decode(row)
    return last if last is not None and last.document == holds else None


def _free(there: Module) -> Task[str]:
    """The next number that is no version of the module."""
    number = there.versions_total + 1
    while (yield from _find(version_id(there.id, str(number)))) is not None:
        number += 1
    return str(number)


def _with_one_more(made: ModuleVersion, default: bool) -> Callable[[Module], Module]:
    def one_more(before: Module) -> Module:
        chosen = made.version if default else before.default_version
        return msgspec.structs.replace(before, versions_total=before.versions_total + 1, default_version=chosen)

    return one_more


def _added(made: ModuleVersion) -> Callable[[Module, Module], tuple[Write, ...]]:
    """The rows of a version. That of its number is refused if another version has taken it since."""
    if made.number >= _MOST_VERSIONS:
        raise TooLarge("The module has too many versions. Make another one.", field="module_id")
    key = _version_key(made.module_id, made.number)
    rows: tuple[Write, ...] = (
        Insert(rk=key, props=_props(made)),
        Insert(rk=_id_key(made.id), props={"v": VERSION, "key": key}),
    )
    return lambda _before, _after: rows


def _altered(changes: Changes) -> Callable[[Module], Module]:
    names = ("name", "description", "status", "default_version")
    given = {name: value for name in names if (value := getattr(changes, name)) is not None}
    return lambda there: msgspec.structs.replace(there, **given)


def _renamed(before: Module, after: Module) -> tuple[Write, ...]:
    if before.name == after.name:
        return ()
    taken = Insert(rk=_name_key(after.name), props={"v": VERSION, "id": after.id})
    return taken, Delete(rk=_name_key(before.name))


def _find_in(wanted: str, text: str, field: str) -> Task[ModuleVersion]:
    """The version of the module whose text this is. Raises UnknownThing naming `field`."""
    there = yield from get(wanted)
    found = yield from _find(version_id(there.id, text))
    if found is None:
        raise UnknownThing(f"The module {shown(there.name)} has no version {shown(text)}.", field=field)
    return found


def _find(wanted: str) -> Task[ModuleVersion | None]:
    row = yield from Get(table=CATALOG, pk=KIND, rk=_id_key(wanted))
    if row is None:
        return None
    there = yield from Get(table=CATALOG, pk=KIND, rk=str(row.props["key"]))
    return None if there is None else _decode(there)


def _version_row(wanted: str) -> Task[Row]:
    row = None
    if is_id(wanted):
        named = yield from Get(table=CATALOG, pk=KIND, rk=_id_key(wanted.lower()))
        row = None if named is None else (yield from Get(table=CATALOG, pk=KIND, rk=str(named.props["key"])))
    if row is None:
        raise UnknownThing(f"There is no module version with the id {shown(wanted)}.", field="module_version_id")
    return row


def _check_status(status: str | None) -> None:
    if status not in (None, *STATUSES):
        message = f"{shown(status or '')} is no status. There is: {', '.join(STATUSES)}."
        raise InvalidRequest(message, field="status")


def _check_length(text: str, field: str = "description") -> None:
    if len(text) > LONGEST_TEXT:
        raise TooLarge(f"The {field} is longer than {LONGEST_TEXT:,} characters.", field=field)


def _new_id() -> Task[str]:
    first, second, third = (yield from NewId()), (yield from NewId()), (yield from NewId())
    return str(uuid.UUID(hex=f"{first}{second}{third}"[:32]))


def _blob(holds: str) -> str:
    return f"modules/{holds}.json"


def _name_key(name: str) -> str:
    # Names may have any characters, keys of rows not.
    return f"n|{hashlib.sha256(name.encode()).hexdigest()}"


def _version_key(module: str, number: int) -> str:
    return f"v|{module}|{number:08d}"


def _id_key(wanted: str) -> str:
    return f"i|{wanted}"


def _props(found: ModuleVersion) -> Props:
    return {"v": VERSION, "version": msgspec.json.encode(found).decode()}


_decoder = msgspec.json.Decoder(ModuleVersion)


def _decode(row: Row) -> ModuleVersion:
    return _decoder.decode(str(row.props["version"]))


_RECORDS = Records(
    kind=KIND,
    letter="m",
    type=Module,
    identity=lambda module: module.id,
    made_at=lambda module: module.created_at,
    noun="module",
    where="modules",
)

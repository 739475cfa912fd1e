"""Modules: steps kept under a name, with versions, for pipelines to be made of.

The rows are those of `orchestrator.catalog.named`, with the letter m, and of `orchestrator.catalog.versions`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

import msgspec

from orchestrator.catalog.named import Changes, NamedRecord, NamedRecords, check_length, new_id
from orchestrator.catalog.snapshots import zip_name
from orchestrator.catalog.versions import DocumentVersion, Versions, Wish
from orchestrator.core import module as documents
from orchestrator.core.errors import Conflict, InvalidDefinition, Problem, TooLarge
from orchestrator.core.module import ModuleDocument
from orchestrator.core.names import MODULE, MODULE_VERSION, shown
from orchestrator.files import SYSTEM, FileSize
from orchestrator.ports import Now, Task

KIND = "module"
LARGEST_DOCUMENT: Final = 1_000_000


class Module(NamedRecord, frozen=True, kw_only=True):
    """A module. `default_version` "": none was named. `created_at` in epoch seconds.

    `status` "Active"; "Deprecated": steps are made of it with a warning; "Disabled": none are.
    """

    default_version: str = ""


class ModuleVersion(DocumentVersion, frozen=True, kw_only=True):
    """A version of a module. `document` is the sha256 of what it holds, `number` counts publications from 0."""

    module_id: str
    category: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A version to be made. Without a `version`, the next free number is its text."""

    document: ModuleDocument
    version: str = ""
    description: str = ""
    category: str = ""
    default: bool = False


def create(name: str, description: str) -> Task[tuple[Module, bool]]:
    """The module of this name, and whether it was made by this call.

    One of the same name and description is found again. Raises Conflict for a name that is taken by another.
    """
    MODULE.check(name, "name")
    check_length(description)
    now = yield from Now()
    identity = yield from new_id()
    made = Module(id=identity, name=name, description=description, created_at=now)
    there = yield from RECORDS.make(made)
    if there.description != description:
        message = f"The name {shown(name)} is taken by the module {there.id}, whose description is another."
        raise Conflict(f"{message} Get it by its name, or choose another name.", field="name")
    return there, there.id == made.id


def change(wanted: str, changes: Changes) -> Task[Module]:
    """Raises UnknownThing, InvalidRequest, and Conflict for a name that is taken."""
    RECORDS.check(changes)
    if changes.default_version:
        there = yield from get(wanted)
        yield from VERSIONS.of(there, changes.default_version, "default_version")
    return (yield from RECORDS.change_named(wanted, changes))


def publish(wanted: str, wish: Publication) -> Task[tuple[Module, ModuleVersion, bool]]:
    """Add a version to the module; whether it was added now.

    What is there already is found: the same document under the version asked for, or, where none is asked for, as the
    one published last. Raises UnknownThing, InvalidDefinition, and Conflict for a version that holds something else.
    """
    yield from _check(wish)
    now = yield from Now()
    data, address = documents.encode(wish.document), documents.address(wish.document)

    def make(there: Module, identity: str, version: str, number: int) -> ModuleVersion:
        return ModuleVersion(
            id=identity,
            module_id=there.id,
            version=version,
            number=number,
            document=address,
            created_at=now,
            description=wish.description,
            category=wish.category,
        )

    asked = Wish(data=data, document=address, version=wish.version, default=wish.default)
    return (yield from VERSIONS.add(wanted, asked, make))


def load(found: ModuleVersion) -> Task[ModuleDocument]:
    """What a version holds."""
    return documents.decode((yield from VERSIONS.load(found)))


def _check(wish: Publication) -> Task[None]:
    """Raises InvalidRequest, InvalidDefinition, TooLarge."""
    if wish.version:
        MODULE_VERSION.check(wish.version, "version")
    check_length(wish.description)
    check_length(wish.category, "category")
    found = documents.problems(wish.document)
    snapshot = wish.document.snapshot
    if not found and snapshot and not (yield from FileSize(container=SYSTEM, name=zip_name(snapshot))):
        message, fix = "The source folder is not stored.", "Upload it first: POST /api/snapshots."
        found = [Problem("SnapshotNotUploaded", "document.snapshot", message, fix)]
    if found:
        raise InvalidDefinition(found)
    if len(documents.encode(wish.document)) > LARGEST_DOCUMENT:
        raise TooLarge(f"The document is larger than {LARGEST_DOCUMENT:,} bytes.", field="document")


RECORDS = NamedRecords(
    kind=KIND,
    letter="m",
    type=Module,
    identity=lambda module: module.id,
    made_at=lambda module: module.created_at,
    noun="module",
    where="modules",
    rule=MODULE,
    field="module_id",
    as_default=lambda module, version: msgspec.structs.replace(module, default_version=version),
    most_versions=10**6,
)
VERSIONS = Versions(
    records=RECORDS, type=ModuleVersion, namespace=uuid.UUID("0b1f9f0e-4f3e-5a1c-8f0e-6d6f64756c65"), folder="modules"
)
get = RECORDS.get_named
find_by_name = RECORDS.find_by_name
listing = RECORDS.list_named
version = VERSIONS.get
versions = VERSIONS.listing
change_version = VERSIONS.change

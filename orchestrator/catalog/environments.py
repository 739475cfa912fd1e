"""Environments kept by name: what steps ask to find installed, in versions.

The rows are those of `orchestrator.catalog.named`, with the letter e, and of `orchestrator.catalog.versions`. A step is
made of what a version holds when its pipeline is written, and has it in its definition: nothing here is read by a run.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from orchestrator.catalog.named import NamedRecord, NamedRecords, new_id
from orchestrator.catalog.versions import DocumentVersion, Versions, Wish
from orchestrator.core.environments import document as documents
from orchestrator.core.environments.document import EnvironmentDocument
from orchestrator.core.errors import InvalidDefinition, InvalidRequest, TooLarge, UnknownThing
from orchestrator.core.names import ENVIRONMENT, ENVIRONMENT_VERSION, shown
from orchestrator.pages import Page
from orchestrator.ports import Now, Task

KIND = "environment"
LARGEST_DOCUMENT: Final = 200_000
RESERVED: Final = ("azureml", "microsoft")
"""What names of v1's curated environments begin with, in any case."""


class Environment(NamedRecord, frozen=True, kw_only=True):
    """A name with versions of an environment."""


class EnvironmentVersion(DocumentVersion, frozen=True, kw_only=True):
    """A version of an environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A version of an environment, and what it holds."""

    environment: Environment
    version: EnvironmentVersion
    document: EnvironmentDocument


def register(name: str, document: EnvironmentDocument, version: str = "") -> Task[tuple[Kept, bool]]:
    """The version that the document has under the name, and whether it was made by this call.

    The same document as the last version is that version; another one is the next number, or the `version` asked for.
    Raises InvalidRequest, InvalidDefinition, TooLarge, and Conflict for a version that holds something else.
    """
    _check(name, document, version)
    there = yield from RECORDS.find_by_name(name)
    now = yield from Now()
    if there is None:
        identity = yield from new_id()
        there = yield from RECORDS.make(Environment(id=identity, name=name, created_at=now))
    data, address = documents.encode(document), documents.address(document)

    def make(_: Environment, identity: str, text: str, number: int) -> EnvironmentVersion:
        return EnvironmentVersion(id=identity, version=text, number=number, document=address, created_at=now)

    again = "Register it under another version, or without one for the next number."
    wish = Wish(data=data, document=address, version=version, again=again)
    record, made, added = yield from VERSIONS.add(there.id, wish, make)
    return Kept(environment=record, version=made, document=document), added


def get(name: str, version: str = "") -> Task[Kept]:
    """A version of an environment, by default the one registered last. Raises UnknownThing."""
    there = yield from _named(name)
    if version:
        found = yield from VERSIONS.of(there, version, "version")
        return (yield from _kept(there, found))
    last = yield from _last(there)
    if last is None:
        raise UnknownThing(f"The environment {shown(name)} has no version yet. Register it again.", field="name")
    return last


def listing(*, limit: int, continuation: str | None) -> Task[Page[Kept]]:
    """The last version of each, those newest first whose name is newest."""
    page = yield from RECORDS.list_named(active_only=False, limit=limit, continuation=continuation)
    found: list[Kept] = []
    for record in page.items:
        kept = yield from _last(record)
        if kept is not None:
            found.append(kept)
    return Page(tuple(found), page.continuation)


def versions(name: str, *, limit: int, continuation: str | None) -> Task[Page[EnvironmentVersion]]:
    """In the order in which they were registered. Raises UnknownThing."""
    there = yield from _named(name)
    return (yield from VERSIONS.listing(there.id, limit=limit, continuation=continuation))


def _named(name: str) -> Task[Environment]:
    found = (yield from RECORDS.find_by_name(name)) if ENVIRONMENT.allows(name) else None
    if found is None:
        message = f"There is no environment {shown(name)}. GET /api/environments lists what there is."
        raise UnknownThing(message, field="name")
    return found


def _last(record: Environment) -> Task[Kept | None]:
    """None: whoever made the name has not come to a version."""
    last = (yield from VERSIONS.last(record)) if record.versions_total else None
    return None if last is None else (yield from _kept(record, last))


def _kept(record: Environment, found: EnvironmentVersion) -> Task[Kept]:
    data = yield from VERSIONS.load(found)
    return Kept(environment=record, version=found, document=documents.decode(data))


def _check(name: str, document: EnvironmentDocument, version: str) -> None:
    ENVIRONMENT.check(name, "name")
    if name.lower().startswith(RESERVED):
        message = f"The name {shown(name)} begins as those of the environments that version 1 of the SDK brings."
        raise InvalidRequest(f"{message} Choose another one.", field="name")
    if version:
        ENVIRONMENT_VERSION.check(version, "version")
    found = list(document.problems("document"))
    if found:
        raise InvalidDefinition(found)
    if len(documents.encode(document)) > LARGEST_DOCUMENT:
        raise TooLarge(f"The document is larger than {LARGEST_DOCUMENT:,} bytes.", field="document")


RECORDS = NamedRecords(
    kind=KIND,
    letter="e",
    type=Environment,
    identity=lambda environment: environment.id,
    made_at=lambda environment: environment.created_at,
    noun="environment",
    where="environments",
    rule=ENVIRONMENT,
    field="environment_id",
    most_versions=10**6,
)
VERSIONS = Versions(
    records=RECORDS,
    type=EnvironmentVersion,
    namespace=uuid.UUID("6c1d0f63-8f2e-5b7d-9d57-656e7669726f"),
    folder="environments",
)

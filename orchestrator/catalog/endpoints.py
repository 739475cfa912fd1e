"""Pipeline endpoints: a name and an address that stay while the published pipelines behind them change.

An endpoint has versions "0", "1", "2" ..., each a published pipeline, and one of them is its default. Versions are only
ever added. Everything that changes an endpoint is a transaction on the etag of its record, so versions are numbered
without gaps, and a pipeline is a version of an endpoint once, however often it is added.

    e|<id>, t|<time>|<id>          the endpoint: see `orchestrator.catalog.records`
    n|<sha256 of the name>         whose name it is
    v|<id>|<version, 8 digits>     the pipeline of a version
    i|<id>|<pipeline id>           the version of a pipeline
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from orchestrator.catalog import pipelines
from orchestrator.catalog.records import MOST_TRIES, Records
from orchestrator.catalog.rows import CATALOG, VERSION, span
from orchestrator.core.errors import Conflict, InvalidRequest, TooLarge, Unavailable, UnknownThing
from orchestrator.core.names import ENDPOINT, shown
from orchestrator.pages import Page, read_page
from orchestrator.ports import Commit, Delete, Get, Insert, NewId, Now, Pause, Refused, Row, Task, Unanswered, Write

KIND = "endpoint"
ACTIVE, DISABLED, DEPRECATED = "Active", "Disabled", "Deprecated"
STATUSES: Final = (ACTIVE, DISABLED, DEPRECATED)
LONGEST_TEXT = 4000
_MOST_VERSIONS = 10**8


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline endpoint with versions 0 to `versions_total - 1`. `created_at` in epoch seconds.

    `status` "Active"; "Disabled" or "Deprecated" (archived): it starts no runs.
    """

    id: str
    name: str
    created_at: float
    description: str = ""
    status: str = ACTIVE
    default_version: int = 0
    versions_total: int = 1


class Version(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    pipeline_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to be changed of an endpoint; None leaves it as it is."""

    name: str | None = None
    description: str | None = None
    status: str | None = None
    default_version: str | None = None


def publish(name: str, description: str, pipeline_id: str) -> Task[tuple[Endpoint, bool]]:
    """The endpoint of this name, with this pipeline as version 0 if it is made by this call; and whether it was.

    An endpoint that has the name and the pipeline is found again. Raises UnknownThing (no such pipeline), and Conflict
    for a name that is taken by an endpoint without this pipeline.
    """
    ENDPOINT.check(name, "name")
    _check_length(description)
    pipeline = yield from pipelines.get(pipeline_id)
    now = yield from Now()
    identity = yield from _new_id()
    made = Endpoint(id=identity, name=name, description=description, created_at=now)
    taken: Write = Insert(rk=_name_key(name), props={"v": VERSION, "id": identity})
    writes = (taken, *_RECORDS.inserts(made), *_version(made.id, 0, pipeline.id))
    try:
        yield from Commit(table=CATALOG, pk=KIND, writes=writes)
    except (Refused, Unanswered):
        there = yield from find_by_name(name)
        if there is None:
            raise Unavailable("Storage did not say whether the endpoint was made. Send the request again.") from None
        if (yield from version_of(there.id, pipeline.id)) is None:
            raise Conflict(
                f"The name {shown(name)} is taken by the endpoint {there.id}, which does not have this pipeline. Add "
                "it there as a version, or choose another name.",
                field="name",
            ) from None
        return there, there.id == made.id
    return made, True


def get(wanted: str, field: str = "endpoint_id") -> Task[Endpoint]:
    """The endpoint with this id. Raises UnknownThing naming `field`."""
    return (yield from _RECORDS.get(wanted, field))


def find_by_name(name: str) -> Task[Endpoint | None]:
    row = yield from Get(table=CATALOG, pk=KIND, rk=_name_key(name))
    return None if row is None else (yield from _RECORDS.find(str(row.props["id"])))


def get_by_name(name: str, field: str = "name") -> Task[Endpoint]:
    """Raises UnknownThing naming `field`."""
    found = yield from find_by_name(name)
    if found is None:
        message = f"There is no pipeline endpoint named {shown(name)}. GET /api/endpoints lists what there is."
        raise UnknownThing(message, field=field)
    return found


def listing(*, active_only: bool, limit: int, continuation: str | None) -> Task[Page[Endpoint]]:
    """Endpoints, newest first."""

    def wanted(endpoint: Endpoint) -> bool:
        return endpoint.status == ACTIVE or not active_only

    return (yield from _RECORDS.listing(wanted, limit=limit, continuation=continuation))


def change(wanted: str, changes: Changes) -> Task[Endpoint]:
    """Raises UnknownThing, InvalidRequest, and Conflict for a name that is taken."""
    if changes.status not in (None, *STATUSES):
        message = f"{shown(changes.status or '')} is no status. There is: {', '.join(STATUSES)}."
        raise InvalidRequest(message, field="status")
    if changes.name is not None:
        ENDPOINT.check(changes.name, "name")
    _check_length(changes.description or "")
    for attempt in range(MOST_TRIES):
        if attempt:
            yield from Pause(at_most=0.05 * attempt)
        # Each time: somebody may have taken the name since, which is another refusal than that of a changed record.
        there = None if changes.name is None else (yield from find_by_name(changes.name))
        if there is not None and there.id != wanted.lower():
            raise Conflict(f"The name {shown(there.name)} is taken by the endpoint {there.id}.", field="name")
        changed = yield from _RECORDS.try_change(wanted, _altered(changes), "endpoint_id", _renamed)
        if changed is not None:
            return changed
    raise _RECORDS.too_often(wanted)


def _altered(changes: Changes) -> Callable[[Endpoint], Endpoint]:
    def altered(there: Endpoint) -> Endpoint:
        names = ("name", "description", "status")
        given = {name: value for name in names if (value := getattr(changes, name)) is not None}
        if changes.default_version is not None:
            given["default_version"] = _number(there, changes.default_version, "default_version")
        return msgspec.structs.replace(there, **given)

    return altered


def _renamed(before: Endpoint, after: Endpoint) -> tuple[Write, ...]:
    if before.name == after.name:
        return ()
    taken = Insert(rk=_name_key(after.name), props={"v": VERSION, "id": after.id})
    return taken, Delete(rk=_name_key(before.name))


def add(wanted: str, pipeline_id: str, *, default: bool) -> Task[tuple[Endpoint, Version, bool]]:
    """Let the pipeline be a version of the endpoint, and its default if that is asked for; whether it was added now.

    Raises UnknownThing for an endpoint or a pipeline that is not there.
    """
    pipeline = yield from pipelines.get(pipeline_id)
    tried = False
    for attempt in range(MOST_TRIES):
        if attempt:
            yield from Pause(at_most=0.05 * attempt)
        there = yield from get(wanted)
        known = yield from version_of(there.id, pipeline.id)
        if known is not None:
            if default:
                there = yield from change(there.id, Changes(default_version=known))
            return there, Version(version=known, pipeline_id=pipeline.id), tried
        added = yield from _RECORDS.try_change(there.id, _with_one_more(default), "endpoint_id", _added(pipeline.id))
        tried = True
        if added is not None:
            return added, Version(version=str(added.versions_total - 1), pipeline_id=pipeline.id), True
    raise _RECORDS.too_often(wanted)


def _with_one_more(default: bool) -> Callable[[Endpoint], Endpoint]:
    def one_more(before: Endpoint) -> Endpoint:
        number = before.versions_total
        chosen = number if default else before.default_version
        return msgspec.structs.replace(before, versions_total=number + 1, default_version=chosen)

    return one_more


def _added(pipeline_id: str) -> Callable[[Endpoint, Endpoint], tuple[Write, ...]]:
    return lambda before, after: _version(after.id, before.versions_total, pipeline_id)


def version_of(wanted: str, pipeline_id: str) -> Task[str | None]:
    """The version of the endpoint that the pipeline is."""
    row = yield from Get(table=CATALOG, pk=KIND, rk=_pipeline_key(wanted, pipeline_id))
    return None if row is None else str(row.props["version"])


def versions(wanted: str, *, limit: int, continuation: str | None) -> Task[Page[Version]]:
    """From "0" on. Raises UnknownThing."""
    there = yield from get(wanted)

    def decode(row: Row) -> Version:
        number = int(row.rk.rpartition("|")[2])
        return Version(version=str(number), pipeline_id=str(row.props["pipeline_id"]))

    return (yield from read_page(span(KIND, f"v|{there.id}|"), limit=limit, continuation=continuation, decode=decode))


def pipeline_of(wanted: str, version: str | None = None, *, version_field: str = "pipeline_version") -> Task[Version]:
    """Which published pipeline a run of the endpoint is a run of: that of the version, by default the default one.

    Raises UnknownThing for an endpoint or version that is not there, Conflict for an endpoint that is not active.
    """
    there = yield from get(wanted)
    if there.status != ACTIVE:
        raise Conflict(
            f"The pipeline endpoint {shown(there.name)} ({there.id}) is {there.status}, and starts no runs. Enable it, "
            "or use another one.",
            field="endpoint_id",
        )
    number = there.default_version if version is None else _number(there, version, version_field)
    row = yield from Get(table=CATALOG, pk=KIND, rk=_version_key(there.id, number))
    if row is None:
        raise _no_version(there, str(number), version_field)
    return Version(version=str(number), pipeline_id=str(row.props["pipeline_id"]))


def _number(endpoint: Endpoint, version: str, field: str) -> int:
    if version.isascii() and version.isdigit() and len(version) <= 8 and int(version) < endpoint.versions_total:
        return int(version)
    raise _no_version(endpoint, version, field)


def _no_version(endpoint: Endpoint, version: str, field: str) -> UnknownThing:
    known = f'The last one is "{endpoint.versions_total - 1}", the default "{endpoint.default_version}".'
    return UnknownThing(
        f"The pipeline endpoint {shown(endpoint.name)} has no version {shown(version)}. {known}", field=field
    )


def _version(endpoint: str, number: int, pipeline_id: str) -> tuple[Write, ...]:
    if number >= _MOST_VERSIONS:
        raise TooLarge("The endpoint has too many versions. Make another one.", field="endpoint_id")
    return (
        Insert(rk=_version_key(endpoint, number), props={"v": VERSION, "pipeline_id": pipeline_id}),
        Insert(rk=_pipeline_key(endpoint, pipeline_id), props={"v": VERSION, "version": str(number)}),
    )


def _check_length(description: str) -> None:
    if len(description) > LONGEST_TEXT:
        raise TooLarge(f"The description is longer than {LONGEST_TEXT:,} characters.", field="description")


def _new_id() -> Task[str]:
    first, second, third = (yield from NewId()), (yield from NewId()), (yield from NewId())
    return str(uuid.UUID(hex=f"{first}{second}{third}"[:32]))


def _name_key(name: str) -> str:
    # Names may have any characters, keys of rows not.
    return f"n|{hashlib.sha256(name.encode()).hexdigest()}"


def _version_key(endpoint: str, number: int) -> str:
    return f"v|{endpoint}|{number:08d}"


def _pipeline_key(endpoint: str, pipeline_id: str) -> str:
    return f"i|{endpoint}|{pipeline_id}"


_RECORDS = Records(
    kind=KIND,
    letter="e",
    type=Endpoint,
    identity=lambda endpoint: endpoint.id,
    made_at=lambda endpoint: endpoint.created_at,
    noun="pipeline endpoint",
    where="endpoints",
)

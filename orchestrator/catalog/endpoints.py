"""Pipeline endpoints: a name and an address that stay while the published pipelines behind them change.

An endpoint has versions "0", "1", "2" ..., each a published pipeline, and one of them is its default. A pipeline is a
version of an endpoint once, however often it is added. The rows are those of `orchestrator.catalog.named`, with the
letter e, and

    v|<id>|<version, 8 digits>     the pipeline of a version
    i|<id>|<pipeline id>           the version of a pipeline
"""

from __future__ import annotations

import msgspec

from orchestrator.catalog import pipelines
from orchestrator.catalog.named import ACTIVE, Changes, NamedRecord, NamedRecords, check_length, new_id, version_key
from orchestrator.catalog.rows import CATALOG, VERSION
from orchestrator.core.errors import Conflict, UnknownThing
from orchestrator.core.names import ENDPOINT, shown
from orchestrator.pages import Page, read_page
from orchestrator.ports import Get, Insert, Now, Row, Task, Write

KIND = "endpoint"


class Endpoint(NamedRecord, frozen=True, kw_only=True):
    """A pipeline endpoint with versions 0 to `versions_total - 1`. `created_at` in epoch seconds.

    `status` "Active"; "Disabled" or "Deprecated" (archived): it starts no runs.
    """

    default_version: int = 0
    versions_total: int = 1


class Version(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    pipeline_id: str


def publish(name: str, description: str, pipeline_id: str) -> Task[tuple[Endpoint, bool]]:
    """The endpoint of this name, with this pipeline as version 0 if it is made by this call; and whether it was.

    An endpoint that has the name and the pipeline is found again. Raises UnknownThing (no such pipeline), and Conflict
    for a name that is taken by an endpoint without this pipeline.
    """
    ENDPOINT.check(name, "name")
    check_length(description)
    pipeline = yield from pipelines.get(pipeline_id)
    now = yield from Now()
    identity = yield from new_id()
    made = Endpoint(id=identity, name=name, description=description, created_at=now)
    there = yield from RECORDS.make(made, *_rows(made.id, Version(version="0", pipeline_id=pipeline.id)))
    if there.id != made.id and (yield from version_of(there.id, pipeline.id)) is None:
        raise Conflict(
            f"The name {shown(name)} is taken by the endpoint {there.id}, which does not have this pipeline. Add "
            "it there as a version, or choose another name.",
            field="name",
        )
    return there, there.id == made.id


def get(wanted: str, field: str = "endpoint_id") -> Task[Endpoint]:
    """The endpoint with this id. Raises UnknownThing naming `field`."""
    return (yield from RECORDS.get(wanted, field))


def get_by_name(name: str, field: str = "name") -> Task[Endpoint]:
    """Raises UnknownThing naming `field`."""
    found = yield from RECORDS.find_by_name(name)
    if found is None:
        message = f"There is no pipeline endpoint named {shown(name)}. GET /api/endpoints lists what there is."
        raise UnknownThing(message, field=field)
    return found


def change(wanted: str, changes: Changes) -> Task[Endpoint]:
    """Raises UnknownThing, InvalidRequest, and Conflict for a name that is taken."""
    return (yield from RECORDS.change_named(wanted, changes))


def add(wanted: str, pipeline_id: str, *, default: bool) -> Task[tuple[Endpoint, Version, bool]]:
    """Let the pipeline be a version of the endpoint, and its default if that is asked for; whether it was added now.

    Raises UnknownThing for an endpoint or a pipeline that is not there.
    """
    pipeline = yield from pipelines.get(pipeline_id)

    def known(there: Endpoint) -> Task[Version | None]:
        version = yield from version_of(there.id, pipeline.id)
        return None if version is None else Version(version=version, pipeline_id=pipeline.id)

    def draft(there: Endpoint) -> Task[Version]:
        yield from ()
        return Version(version=str(there.versions_total), pipeline_id=pipeline.id)

    return (yield from RECORDS.add(wanted, known, draft, lambda there, made: _rows(there.id, made), default=default))


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

    return (yield from read_page(RECORDS.versions_of(there), limit=limit, continuation=continuation, decode=decode))


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
    row = yield from Get(table=CATALOG, pk=KIND, rk=version_key(there.id, number))
    if row is None:
        raise _no_version(there, str(number), version_field)
    return Version(version=str(number), pipeline_id=str(row.props["pipeline_id"]))


def _as_default(endpoint: Endpoint, version: str) -> Endpoint:
    return msgspec.structs.replace(endpoint, default_version=_number(endpoint, version, "default_version"))


def _number(endpoint: Endpoint, version: str, field: str) -> int:
    if version.isascii() and version.isdigit() and len(version) <= 8 and int(version) < endpoint.versions_total:
        return int(version)
    raise _no_version(endpoint, version, field)


def _no_version(endpoint: Endpoint, version: str, field: str) -> UnknownThing:
    known = f'The last one is "{endpoint.versions_total - 1}", the default "{endpoint.default_version}".'
    return UnknownThing(
        f"The pipeline endpoint {shown(endpoint.name)} has no version {shown(version)}. {known}", field=field
    )


def _rows(endpoint: str, made: Version) -> tuple[Write, ...]:
    return (
        Insert(rk=version_key(endpoint, int(made.version)), props={"v": VERSION, "pipeline_id": made.pipeline_id}),
        Insert(rk=_pipeline_key(endpoint, made.pipeline_id), props={"v": VERSION, "version": made.version}),
    )


def _pipeline_key(endpoint: str, pipeline_id: str) -> str:
    return f"i|{endpoint}|{pipeline_id}"


RECORDS = NamedRecords(
    kind=KIND,
    letter="e",
    type=Endpoint,
    identity=lambda endpoint: endpoint.id,
    made_at=lambda endpoint: endpoint.created_at,
    noun="pipeline endpoint",
    where="endpoints",
    rule=ENDPOINT,
    field="endpoint_id",
    as_default=_as_default,
    most_versions=10**8,
)
find_by_name = RECORDS.find_by_name
listing = RECORDS.list_named

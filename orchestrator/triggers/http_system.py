"""The service about itself: whether it is well, what it offers, and this very API."""

from __future__ import annotations

from typing import Literal

import msgspec

from orchestrator.catalog import computes, registered_datastores
from orchestrator.catalog.datastores import MOST_UPLOADS
from orchestrator.core.errors import Unavailable
from orchestrator.engine.index import ACTIVE, INDEX
from orchestrator.ports import Now, Query
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import Strict
from orchestrator.version import VERSION


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """Where a token of Entra ID for this service is to be had; empty where it takes none. `functions_key`: every caller
    needs a key of the Functions app."""

    authority: str = ""
    tenant: str = ""
    audience: str = ""
    functions_key: bool = False


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`time` is the service's clock, in epoch seconds."""

    status: Literal["ok", "unavailable"]
    version: str
    storage: Literal["ok", "unreachable"]
    time: float
    sign_in: SignIn


class DatastoreLine(msgspec.Struct, frozen=True, kw_only=True):
    """`container` is empty for a datastore that has none."""

    name: str
    type: str
    container: str


class ComputeBody(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    kind: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What is refused above: bytes of a source folder, of request bodies, of what a run is given; files at a time."""

    snapshot_bytes: int
    snapshot_files: int
    definition_bytes: int
    body_bytes: int
    assignment_bytes: int
    upload_files: int


class WorkspaceBody(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    subscription_id: str
    resource_group: str
    version: str
    default_datastore: str
    datastores: tuple[DatastoreLine, ...]
    computes: tuple[ComputeBody, ...]
    compute_kinds: tuple[str, ...]
    limits: Limits


class DefaultRequest(Strict, frozen=True, kw_only=True):
    """The name of a datastore of files."""

    name: str


class DefaultBody(msgspec.Struct, frozen=True, kw_only=True):
    name: str


@route("GET", "health", summary="Whether the service is well", role=None, answers={200: Health, 503: Health})
def health(service: Service, asked: Asked) -> Reply:
    """Asks storage for one row, every few seconds at most. Needs no token. 503 with the same shape when it does not
    answer.
    """
    del asked
    now = service.world.run(iter(Now()))
    sign_in = _sign_in(service)
    if not service.pulse.beats(lambda: _storage_answers(service)):
        ill = Health(status="unavailable", version=VERSION, storage="unreachable", time=now, sign_in=sign_in)
        return Reply(body=ill, status=503)
    return Reply(body=Health(status="ok", version=VERSION, storage="ok", time=now, sign_in=sign_in))


def _storage_answers(service: Service) -> bool:
    try:
        service.world.run(iter(Query(table=INDEX, pk=ACTIVE, first="", last="~", limit=1, select=("v",))))
    except Unavailable:
        return False
    return True


def _sign_in(service: Service) -> SignIn:
    settings = service.settings
    key = bool(settings.functions_key_role)
    if not settings.entra_audience:
        return SignIn(functions_key=key)
    return SignIn(
        authority=settings.entra_authority,
        tenant=settings.entra_tenant,
        audience=settings.entra_audience,
        functions_key=key,
    )


@route("GET", "openapi.json", summary="This document", role=None, answers={200: dict})
def openapi(service: Service, asked: Asked) -> Reply:
    """The OpenAPI 3.1 document of this API. Needs no token."""
    del asked
    return Reply(body=msgspec.Raw(service.api_document()))


@route("GET", "workspace", summary="The workspace", role=Role.READER, answers={200: WorkspaceBody})
def workspace(service: Service, asked: Asked) -> Reply:
    """Its name, datastores and computes, and the limits that requests are held to."""
    del asked
    settings = service.settings
    made = service.world.run(computes.every())
    kinds = {compute.name: compute.kind for compute in (*made, *settings.computes.values())}
    return Reply(
        body=WorkspaceBody(
            name=settings.workspace,
            subscription_id=settings.subscription_id,
            resource_group=settings.resource_group,
            version=VERSION,
            default_datastore=service.world.run(registered_datastores.default(settings.datastores)),
            datastores=_datastores(service),
            computes=tuple(ComputeBody(name=name, kind=kind) for name, kind in kinds.items()),
            compute_kinds=settings.compute_kinds,
            limits=Limits(
                snapshot_bytes=settings.snapshot_bytes,
                snapshot_files=settings.snapshot_files,
                definition_bytes=settings.definition_bytes,
                body_bytes=settings.body_bytes,
                assignment_bytes=settings.assignment_bytes,
                upload_files=MOST_UPLOADS,
            ),
        )
    )


@route(
    "PUT",
    "workspace/default-datastore",
    summary="Choose the default datastore",
    role=Role.SUBMITTER,
    answers={200: DefaultBody},
    errors=(404,),
    example={"name": "workspaceblobstore"},
)
def put_default_datastore(service: Service, asked: Asked, body: DefaultRequest) -> Reply:
    """What clients take where no datastore is named, from now on."""
    del asked
    chosen = service.world.run(registered_datastores.set_default(body.name, configured=service.settings.datastores))
    return Reply(body=DefaultBody(name=chosen))


def _datastores(service: Service) -> tuple[DatastoreLine, ...]:
    """Those of the settings, then those registered, by name."""
    configured = service.settings.datastores.items()
    own = [DatastoreLine(name=name, type="AzureBlob", container=container) for name, container in configured]
    registered = service.world.run(registered_datastores.every())
    return (*own, *(DatastoreLine(name=it.name, type=it.type, container=it.container) for it in registered))


ROUTES = (health, openapi, workspace, put_default_datastore)

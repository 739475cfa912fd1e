"""The service about itself: whether it is well, what it offers, and this very API."""

from __future__ import annotations

import sys
from typing import Literal

import msgspec

from orchestrator.catalog import computes, registered_datastores
from orchestrator.catalog.datastores import MOST_UPLOADS
from orchestrator.core.compute import queue_of
from orchestrator.core.stored import generation
from orchestrator.engine.health import look
from orchestrator.executions import CountMessages
from orchestrator.ports import Now
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


class LagBody(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: the age of the oldest message of a step that could be run now, 0 when there is none; and since when the
    sweep, which comes once a minute, has not been through, null when it never has."""

    steps: float
    sweep: float | None


class QueueLine(msgspec.Struct, frozen=True, kw_only=True):
    queue: str
    messages: int
    age_seconds: float


class QueuesBody(msgspec.Struct, frozen=True, kw_only=True):
    """`python`: the version that the app runs on."""

    version: str
    python: str
    queues: tuple[QueueLine, ...]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`time` is the service's clock, in epoch seconds. `lag` is null when storage does not answer."""

    status: Literal["ok", "unavailable"]
    version: str
    rows: int
    storage: Literal["ok", "unreachable"]
    time: float
    sign_in: SignIn
    lag: LagBody | None


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
    """Asks storage, every few seconds at most. Needs no token. 503 with the same shape when storage does not answer.

    `rows` rises with each version of what is stored. `lag` is how far the service is behind.
    """
    del asked
    lag = service.world.run(look(service.memory))
    body = Health(
        status="ok" if lag else "unavailable",
        version=VERSION,
        rows=generation(),
        storage="ok" if lag else "unreachable",
        time=service.world.run(iter(Now())),
        sign_in=_sign_in(service),
        lag=LagBody(steps=lag.steps, sweep=lag.sweep) if lag else None,
    )
    return Reply(body=body, status=200 if lag else 503)


@route("GET", "health/queues", summary="What waits", role=Role.READER, answers={200: QueuesBody})
def queues(service: Service, asked: Asked) -> Reply:
    """Every queue of the service and of its computes: how many messages, those being worked on among them, and how long
    the oldest that waits has waited. A queue for what was given up ends in `-poison`.
    """
    del asked
    lines = []
    for queue in _queues(service):
        found = service.world.run(iter(CountMessages(queue=queue)))
        lines.append(QueueLine(queue=queue, messages=found.total, age_seconds=round(found.oldest, 1)))
    python = ".".join(map(str, sys.version_info[:3]))
    return Reply(body=QueuesBody(version=VERSION, python=python, queues=tuple(lines)))


def _queues(service: Service) -> tuple[str, ...]:
    settings = service.settings
    every = service.world.run(computes.every(settings.computes.values()))
    of_computes = (queue_of(settings.queue, it.name, it.kind) for it in every)
    own = (*settings.step_queues, settings.changes_queue, *((settings.webhook_queue,) if settings.webhook_keys else ()))
    return tuple(dict.fromkeys((*own, *(f"{queue}-poison" for queue in own), *of_computes)))


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


ROUTES = (health, queues, openapi, workspace, put_default_datastore)

"""Pipeline endpoints: a name and an address that stay while the published pipelines behind them change."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from orchestrator.catalog import endpoints
from orchestrator.catalog.endpoints import Endpoint, Version
from orchestrator.triggers.named_shapes import NamedChanges, NamedQuery, fields_of, listed
from orchestrator.triggers.routes import PREFIX, Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import PIPELINE_ID, Continuation, PageQuery, Strict

PipelineId = Annotated[str, Meta(description="The id of a published pipeline.")]


class EndpointRequest(Strict, frozen=True, kw_only=True):
    """`pipeline_id` becomes version "0" and the default."""

    name: str
    pipeline_id: PipelineId
    description: str = ""


class EndpointChanges(NamedChanges, frozen=True, kw_only=True):
    """What is to be changed; null leaves it as it is. An endpoint that is not "Active" starts no runs; "Deprecated" is
    what the SDK calls archived.
    """


class VersionRequest(Strict, frozen=True, kw_only=True):
    """`default`: whether runs are of this version from now on, where they ask for none."""

    pipeline_id: PipelineId
    default: bool = False


class EndpointBody(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline endpoint. POST to `endpoint` starts its default version. Its versions are "0" to `versions_total` - 1.
    `created_at` in epoch seconds.
    """

    id: str
    name: str
    description: str
    status: str
    default_version: str
    versions_total: int
    created_at: float
    endpoint: str


class EndpointMade(EndpointBody, frozen=True, kw_only=True):
    """`created` False: there was such an endpoint, with this pipeline, and nothing has changed."""

    created: bool


class VersionMade(EndpointBody, frozen=True, kw_only=True):
    """`added` False: the pipeline was this `version` before."""

    version: str
    pipeline_id: str
    added: bool


class EndpointList(msgspec.Struct, frozen=True, kw_only=True):
    endpoints: tuple[EndpointBody, ...]
    continuation: Continuation


class VersionList(msgspec.Struct, frozen=True, kw_only=True):
    versions: tuple[Version, ...]
    continuation: Continuation


@route(
    "POST",
    "endpoints",
    summary="Make a pipeline endpoint",
    role=Role.SUBMITTER,
    answers={201: EndpointMade, 200: EndpointMade},
    errors=(404, 409, 413),
    example={"name": "training", "pipeline_id": PIPELINE_ID, "description": "The one in use"},
)
def publish_endpoint(service: Service, asked: Asked, body: EndpointRequest) -> Reply:
    """Give a published pipeline an address that can be moved on to others. The name is the endpoint's alone.

    If there is an endpoint of this name that has the pipeline, it is the answer (200).
    """
    made, created = service.world.run(endpoints.publish(body.name, body.description, body.pipeline_id))
    return Reply(body=EndpointMade(**_fields(made, asked), created=created), status=201 if created else 200)


@route("GET", "endpoints", summary="List pipeline endpoints", role=Role.READER, answers={200: EndpointList})
def list_endpoints(service: Service, asked: Asked, query: NamedQuery) -> Reply:
    """Newest first."""
    page = listed(service, endpoints.RECORDS, query)
    return Reply(body=EndpointList(endpoints=_bodies(page.items, asked), continuation=page.continuation))


@route(
    "GET",
    "endpoints/{endpoint_id}",
    summary="Get a pipeline endpoint",
    role=Role.READER,
    answers={200: EndpointBody},
    errors=(404,),
)
def get_endpoint(service: Service, asked: Asked) -> Reply:
    """Where it is, and which version it starts."""
    found = service.world.run(endpoints.get(asked.path["endpoint_id"]))
    return Reply(body=EndpointBody(**_fields(found, asked)))


@route(
    "PATCH",
    "endpoints/{endpoint_id}",
    summary="Change a pipeline endpoint",
    role=Role.SUBMITTER,
    answers={200: EndpointBody},
    errors=(404, 409, 413),
    example={"default_version": "1"},
)
def patch_endpoint(service: Service, asked: Asked, body: EndpointChanges) -> Reply:
    """Name, description, status, default version."""
    changed = service.world.run(endpoints.change(asked.path["endpoint_id"], body.changes))
    return Reply(body=EndpointBody(**_fields(changed, asked)))


@route(
    "POST",
    "endpoints/{endpoint_id}/versions",
    summary="Add a version to a pipeline endpoint",
    role=Role.SUBMITTER,
    answers={201: VersionMade, 200: VersionMade},
    errors=(404, 413),
    example={"pipeline_id": PIPELINE_ID, "default": True},
)
def add_version(service: Service, asked: Asked, body: VersionRequest) -> Reply:
    """A pipeline is a version of an endpoint once: added again it is found (200), and made the default if wished."""
    task = endpoints.add(asked.path["endpoint_id"], body.pipeline_id, default=body.default)
    endpoint, version, added = service.world.run(task)
    answer = VersionMade(
        **_fields(endpoint, asked), version=version.version, pipeline_id=version.pipeline_id, added=added
    )
    return Reply(body=answer, status=201 if added else 200)


@route(
    "GET",
    "endpoints/{endpoint_id}/versions",
    summary="List the versions of a pipeline endpoint",
    role=Role.READER,
    answers={200: VersionList},
    errors=(404,),
)
def list_versions(service: Service, asked: Asked, query: PageQuery) -> Reply:
    """From "0" on."""
    task = endpoints.versions(asked.path["endpoint_id"], limit=query.limit, continuation=query.continuation or None)
    page = service.world.run(task)
    return Reply(body=VersionList(versions=page.items, continuation=page.continuation))


def address(base_url: str, endpoint_id: str) -> str:
    """Where a POST starts the default version.

    Callers of version 1 cut this address at the first "Id" to make the form with a name of it, so there must be none
    before: host names have no case.
    """
    parts = urlsplit(base_url)
    base = parts._replace(netloc=parts.netloc.lower()).geturl()
    return f"{base}{PREFIX}PipelineRuns/PipelineEndpointSubmit/Id/{endpoint_id}"


def _bodies(found: tuple[Endpoint, ...], asked: Asked) -> tuple[EndpointBody, ...]:
    return tuple(EndpointBody(**_fields(endpoint, asked)) for endpoint in found)


def _fields(endpoint: Endpoint, asked: Asked) -> dict[str, Any]:
    return {
        **fields_of(endpoint),
        "default_version": str(endpoint.default_version),
        "endpoint": address(asked.base_url, endpoint.id),
    }


ROUTES = (publish_endpoint, list_endpoints, get_endpoint, patch_endpoint, add_version, list_versions)

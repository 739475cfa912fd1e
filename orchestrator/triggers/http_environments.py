"""Environments kept by name: what steps ask to find installed."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from orchestrator.catalog import environments
from orchestrator.catalog.environments import EnvironmentVersion, Kept
from orchestrator.core.environments.document import EnvironmentDocument
from orchestrator.triggers.named_shapes import fields_of
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import Continuation, PageQuery, Strict

_EXAMPLE = {
    "name": "training",
    "document": {
        "conda": {"name": "training", "dependencies": ["python=3.11", {"pip": ["scikit-learn==1.9"]}]},
        "variables": {"MODE": "fast"},
    },
}


class EnvironmentRequest(Strict, frozen=True, kw_only=True):
    """Without a `version` it is found, if the last version holds the same, or gets the next free number."""

    name: str
    document: EnvironmentDocument
    version: str = ""


class EnvironmentBody(msgspec.Struct, frozen=True, kw_only=True):
    """A version of an environment, and what it `holds`. `created_at` in epoch seconds."""

    name: str
    version: str
    created_at: float
    versions_total: int
    holds: EnvironmentDocument


class EnvironmentMade(EnvironmentBody, frozen=True, kw_only=True):
    """`created` False: there was such a version, and nothing has changed."""

    created: bool


class EnvironmentList(msgspec.Struct, frozen=True, kw_only=True):
    environments: tuple[EnvironmentBody, ...]
    continuation: Continuation


class EnvironmentVersionList(msgspec.Struct, frozen=True, kw_only=True):
    versions: tuple[EnvironmentVersion, ...]
    continuation: Continuation


class EnvironmentQuery(Strict, frozen=True, kw_only=True):
    version: Annotated[str, Meta(description="By default the one that was registered last.")] = ""


@route(
    "POST",
    "environments",
    summary="Register an environment",
    role=Role.SUBMITTER,
    answers={201: EnvironmentMade, 200: EnvironmentMade},
    errors=(409, 413),
    example=_EXAMPLE,
    large=True,
)
def register_environment(service: Service, asked: Asked, body: EnvironmentRequest) -> Reply:
    """A version of a name. Registered again as it is, it is found (200); one that holds something else stays (409)."""
    del asked
    kept, created = service.world.run(environments.register(body.name, body.document, body.version))
    answer = EnvironmentMade(**fields_of(_body(kept)), created=created)
    return Reply(body=answer, status=201 if created else 200)


@route("GET", "environments", summary="List environments", role=Role.READER, answers={200: EnvironmentList})
def list_environments(service: Service, asked: Asked, query: PageQuery) -> Reply:
    """The last version of each; the names that were registered last come first."""
    del asked
    task = environments.listing(limit=query.limit, continuation=query.continuation or None)
    page = service.world.run(task)
    return Reply(body=EnvironmentList(environments=tuple(map(_body, page.items)), continuation=page.continuation))


@route(
    "GET",
    "environments/{name}",
    summary="Get an environment",
    role=Role.READER,
    answers={200: EnvironmentBody},
    errors=(404,),
)
def get_environment(service: Service, asked: Asked, query: EnvironmentQuery) -> Reply:
    """The version that was registered last, or the one asked for."""
    return Reply(body=_body(service.world.run(environments.get(asked.path["name"], query.version))))


@route(
    "GET",
    "environments/{name}/versions",
    summary="List the versions of an environment",
    role=Role.READER,
    answers={200: EnvironmentVersionList},
    errors=(404,),
)
def list_environment_versions(service: Service, asked: Asked, query: PageQuery) -> Reply:
    """In the order in which they were registered."""
    task = environments.versions(asked.path["name"], limit=query.limit, continuation=query.continuation or None)
    page = service.world.run(task)
    return Reply(body=EnvironmentVersionList(versions=page.items, continuation=page.continuation))


def _body(kept: Kept) -> EnvironmentBody:
    return EnvironmentBody(
        name=kept.environment.name,
        version=kept.version.version,
        created_at=kept.version.created_at,
        versions_total=kept.environment.versions_total,
        holds=kept.document,
    )


ROUTES = (register_environment, list_environments, get_environment, list_environment_versions)

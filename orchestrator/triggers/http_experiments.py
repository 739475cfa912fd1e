"""Experiments: list, get, tag, archive, remove."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from orchestrator.catalog import experiments
from orchestrator.catalog.experiments import Experiment, State
from orchestrator.core.errors import InvalidRequest
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import Continuation, PageQuery, Strict


class ExperimentList(msgspec.Struct, frozen=True, kw_only=True):
    experiments: tuple[Experiment, ...]
    continuation: Continuation


class ExperimentsQuery(PageQuery, frozen=True, kw_only=True):
    state: Annotated[State, Meta(description="active, archived, or all of them.")] = "active"


class ExperimentChange(Strict, frozen=True, kw_only=True):
    """Tags to set; null removes one. `archived`: whether it is to be archived; absent: as it is."""

    tags: dict[str, str | None] = msgspec.field(default_factory=dict)
    archived: bool | None = None


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """The experiment that is no more."""

    name: str


@route("GET", "experiments", summary="List experiments", role=Role.READER, answers={200: ExperimentList})
def list_experiments(service: Service, asked: Asked, query: ExperimentsQuery) -> Reply:
    """By name. An experiment is there from its first run, or its first tag, on."""
    del asked
    task = experiments.listing(query.state, limit=query.limit, continuation=query.continuation or None)
    page = service.world.run(task)
    return Reply(body=ExperimentList(experiments=page.items, continuation=page.continuation))


@route(
    "GET", "experiments/{name}", summary="Get an experiment", role=Role.READER, answers={200: Experiment}, errors=(404,)
)
def get_experiment(service: Service, asked: Asked) -> Reply:
    """Its tags, and whether it is archived. Its runs: GET /api/runs?experiment=..."""
    return Reply(body=service.world.run(experiments.get(asked.path["name"])))


@route(
    "PATCH",
    "experiments/{name}",
    summary="Tag or archive an experiment",
    role=Role.SUBMITTER,
    answers={200: Experiment},
    errors=(404,),
    example={"tags": {"team": "risk", "draft": None}, "archived": True},
)
def change_experiment(service: Service, asked: Asked, body: ExperimentChange) -> Reply:
    """One that is not there is made. An archived one goes on as before, but is listed only when it is asked for."""
    if "" in body.tags:
        raise InvalidRequest("A tag has a name.", field="tags")
    task = experiments.change(
        asked.path["name"], tags=body.tags, archived=body.archived, most_bytes=service.settings.assignment_bytes
    )
    return Reply(body=service.world.run(task))


@route(
    "DELETE",
    "experiments/{name}",
    summary="Remove an experiment",
    role=Role.SUBMITTER,
    answers={200: Removed},
    errors=(404, 409),
)
def remove_experiment(service: Service, asked: Asked) -> Reply:
    """Only one without runs; archive the others."""
    name = asked.path["name"]
    service.world.run(experiments.remove(name))
    return Reply(body=Removed(name=name))


ROUTES = (list_experiments, get_experiment, change_experiment, remove_experiment)

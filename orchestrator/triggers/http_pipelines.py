"""Published pipelines: publish, list, get, enable, disable."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from orchestrator.catalog import pipelines
from orchestrator.catalog.pipelines import Pipeline, Publication
from orchestrator.core.definition import Definition, Parameter
from orchestrator.engine.reading import load_plan
from orchestrator.triggers.routes import PREFIX, Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import Continuation, PageQuery, Strict, example_definition, texts


class PublishRequest(Strict, frozen=True, kw_only=True):
    """`name` and `description` default to the definition's own. `version` is free text."""

    definition: Definition
    name: str = ""
    description: str = ""
    version: str = ""
    continue_on_step_failure: bool = False


class PipelineBody(msgspec.Struct, frozen=True, kw_only=True):
    """A published pipeline. POST to `endpoint` starts it, while its `status` is "Active". `published_at` in epoch
    seconds.
    """

    id: str
    name: str
    description: str
    version: str
    continue_on_step_failure: bool
    steps_total: int
    published_at: float
    status: str
    endpoint: str


class PublishedBody(PipelineBody, frozen=True, kw_only=True):
    """`created` False: exactly this was published before, and nothing has changed."""

    created: bool
    warnings: tuple[str, ...]


class PipelineDetail(PipelineBody, frozen=True, kw_only=True):
    """With its parameters, and its definition if that was asked for."""

    parameters: tuple[Parameter, ...]
    definition: Definition | None = None


class PipelineList(msgspec.Struct, frozen=True, kw_only=True):
    pipelines: tuple[PipelineBody, ...]
    continuation: Continuation


class PipelinesQuery(PageQuery, frozen=True, kw_only=True):
    name: Annotated[str, Meta(description="Only pipelines of exactly this name.")] = ""
    active_only: Annotated[bool, Meta(description="Whether disabled ones are left out.")] = False


class PipelineChanges(Strict, frozen=True, kw_only=True):
    """A published pipeline never changes, but for this. `status` "Active", or "Disabled": it starts no runs."""

    status: Literal["Active", "Disabled"]


class PipelineQuery(Strict, frozen=True, kw_only=True):
    definition: Annotated[bool, Meta(description="Whether the answer includes the definition.")] = False


@route(
    "POST",
    "pipelines",
    summary="Publish a pipeline",
    role=Role.SUBMITTER,
    answers={201: PublishedBody, 200: PublishedBody},
    errors=(413,),
    example={"definition": example_definition(), "version": "1"},
    large=True,
)
def publish_pipeline(service: Service, asked: Asked, body: PublishRequest) -> Reply:
    """Give a definition a name and an endpoint. Publishing the same again, whoever does it, finds the first (200)."""
    warnings = service.world.run(service.submitter.check(body.definition))
    wish = Publication(
        definition=body.definition,
        name=body.name,
        description=body.description,
        version=body.version,
        continue_on_step_failure=body.continue_on_step_failure,
    )
    pipeline, created = service.world.run(pipelines.publish(wish))
    fields = fields_of(pipeline, asked)
    answer = PublishedBody(**fields, created=created, warnings=texts(warnings))
    return Reply(body=answer, status=201 if created else 200)


@route("GET", "pipelines", summary="List published pipelines", role=Role.READER, answers={200: PipelineList})
def list_pipelines(service: Service, asked: Asked, query: PipelinesQuery) -> Reply:
    """Newest first."""
    task = pipelines.listing(
        name=query.name or None,
        limit=query.limit,
        continuation=query.continuation or None,
        active_only=query.active_only,
    )
    page = service.world.run(task)
    items = tuple(PipelineBody(**fields_of(pipeline, asked)) for pipeline in page.items)
    return Reply(body=PipelineList(pipelines=items, continuation=page.continuation))


@route(
    "GET",
    "pipelines/{pipeline_id}",
    summary="Get a published pipeline",
    role=Role.READER,
    answers={200: PipelineDetail},
    errors=(404,),
)
def get_pipeline(service: Service, asked: Asked, query: PipelineQuery) -> Reply:
    """With its parameters; with its whole definition on request."""
    pipeline = service.world.run(pipelines.get(asked.path["pipeline_id"]))
    definition = service.world.run(load_plan(service.memory, pipeline.definition)).definition
    answer = PipelineDetail(
        **fields_of(pipeline, asked),
        parameters=definition.parameters,
        definition=definition if query.definition else None,
    )
    return Reply(body=answer)


@route(
    "PATCH",
    "pipelines/{pipeline_id}",
    summary="Enable or disable a published pipeline",
    role=Role.SUBMITTER,
    answers={200: PipelineBody},
    errors=(404,),
    example={"status": "Disabled"},
)
def patch_pipeline(service: Service, asked: Asked, body: PipelineChanges) -> Reply:
    """A disabled one answers 409 to whoever would start it. Runs that were started before are not touched."""
    pipeline = service.world.run(pipelines.set_status(asked.path["pipeline_id"], body.status))
    return Reply(body=PipelineBody(**fields_of(pipeline, asked)))


def endpoint(base_url: str, pipeline_id: str) -> str:
    """Where a POST starts the pipeline."""
    return f"{base_url}{PREFIX}PipelineRuns/PipelineSubmit/{pipeline_id}"


def fields_of(pipeline: Pipeline, asked: Asked) -> dict[str, Any]:
    """Of a PipelineBody."""
    kept = {name: getattr(pipeline, name) for name in PipelineBody.__struct_fields__ if name != "endpoint"}
    return {**kept, "endpoint": endpoint(asked.base_url, pipeline.id)}


ROUTES = (publish_pipeline, list_pipelines, get_pipeline, patch_pipeline)

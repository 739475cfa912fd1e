"""Pipeline drafts: what a run would be given, kept to be changed, tried and at last published."""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrator.catalog import drafts, pipelines, repeats
from orchestrator.catalog.drafts import Draft
from orchestrator.catalog.pipelines import Pipeline, Publication
from orchestrator.catalog.submissions import Submission
from orchestrator.core.definition import Definition, ParameterValue
from orchestrator.core.errors import InvalidRequest
from orchestrator.core.parameters import resolve_parameters
from orchestrator.core.run import RunInfo
from orchestrator.engine.reading import load_plan
from orchestrator.engine.view import RunView
from orchestrator.triggers.draft_bodies import (
    DraftBody,
    DraftChanges,
    DraftList,
    DraftPublication,
    DraftQuery,
    DraftRequest,
    DraftRunRequest,
    DraftsQuery,
    body_of,
)
from orchestrator.triggers.http_pipelines import PublishedBody, fields_of
from orchestrator.triggers.http_runs import IDEMPOTENCY_KEY, KEY_HELP, labels, started
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import PIPELINE_ID, texts

DRAFT_ID = "azureml.pipelinedraftid"
"""The property of a run that says of which draft it is."""
_EXAMPLE_ID = "0b8e0d1c-7f5e-4c7e-8a63-1f2f5a0e9d11"


@route(
    "POST",
    "drafts",
    summary="Make a draft",
    role=Role.SUBMITTER,
    answers={201: DraftBody, 200: DraftBody},
    errors=(404, 409, 413),
    example={"id": _EXAMPLE_ID, "pipeline_id": PIPELINE_ID, "experiment_name": "trials"},
    large=True,
)
def create_draft(service: Service, asked: Asked, body: DraftRequest) -> Reply:
    """Of a definition sent along, or a copy of what a published pipeline, a run or another draft has."""
    del asked
    draft, definition = _original(service, body)
    warnings = service.world.run(service.submitter.check(definition))
    given = {
        "name": body.name,
        "experiment": body.experiment_name,
        "description": body.description,
        "continue_on_step_failure": body.continue_on_step_failure,
        "tags": body.tags,
        "properties": body.properties,
    }
    draft = msgspec.structs.replace(draft, **{name: value for name, value in given.items() if value is not None})
    values, unknown = _values(definition, {**draft.parameters, **body.parameters})
    draft = msgspec.structs.replace(draft, parameters=values)
    made, created = service.world.run(drafts.create(draft, definition))
    answer = body_of(made, warnings=texts((*warnings, *unknown)))
    return Reply(body=answer, status=201 if created else 200)


@route("GET", "drafts", summary="List drafts", role=Role.READER, answers={200: DraftList})
def list_drafts(service: Service, asked: Asked, query: DraftsQuery) -> Reply:
    """Newest first."""
    del asked
    task = drafts.listing(tags=labels(query.tag, "tag"), limit=query.limit, continuation=query.continuation or None)
    page = service.world.run(task)
    return Reply(body=DraftList(drafts=tuple(map(body_of, page.items)), continuation=page.continuation))


@route("GET", "drafts/{draft_id}", summary="Get a draft", role=Role.READER, answers={200: DraftBody}, errors=(404,))
def get_draft(service: Service, asked: Asked, query: DraftQuery) -> Reply:
    """With its whole definition on request."""
    draft = service.world.run(drafts.get(asked.path["draft_id"]))
    return Reply(body=body_of(draft, definition=_definition(service, draft) if query.definition else None))


@route(
    "PATCH",
    "drafts/{draft_id}",
    summary="Change a draft",
    role=Role.SUBMITTER,
    answers={200: DraftBody},
    errors=(404, 413),
    example={"parameters": {"reg_rate": 0.05}},
    large=True,
)
def patch_draft(service: Service, asked: Asked, body: DraftChanges) -> Reply:
    """Its runs, and what was published of it, stay as they are."""
    draft = service.world.run(drafts.get(asked.path["draft_id"]))
    given = {
        "name": body.name,
        "experiment": body.experiment_name,
        "description": body.description,
        "continue_on_step_failure": body.continue_on_step_failure,
        "tags": body.tags,
        "properties": body.properties,
    }
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    warnings: tuple[Any, ...] = ()
    if body.definition is not None:
        warnings = service.world.run(service.submitter.check(body.definition))
        changes["definition"] = service.world.run(drafts.keep(body.definition))
    definition = body.definition or _definition(service, draft)
    values, unknown = _values(definition, draft.parameters if body.parameters is None else body.parameters)
    changed = service.world.run(drafts.change(draft.id, {**changes, "parameters": values}, definition))
    return Reply(body=body_of(changed, warnings=texts((*warnings, *unknown))))


@route(
    "DELETE",
    "drafts/{draft_id}",
    summary="Remove a draft",
    role=Role.SUBMITTER,
    answers={200: DraftBody},
    errors=(404,),
)
def delete_draft(service: Service, asked: Asked) -> Reply:
    """Its runs, and what was published of it, stay."""
    return Reply(body=body_of(service.world.run(drafts.remove(asked.path["draft_id"]))))


@route(
    "POST",
    "drafts/{draft_id}/runs",
    summary="Start a run of a draft",
    role=Role.SUBMITTER,
    answers={202: RunView, 200: RunView},
    errors=(404, 409, 413),
    headers={IDEMPOTENCY_KEY: KEY_HELP},
    example={"run_id": "a-name-for-the-run"},
    sends=True,
)
def start_draft(service: Service, asked: Asked, body: DraftRunRequest) -> Reply:
    """With what the draft is given now. The draft keeps the id of its last run."""
    draft = service.world.run(drafts.get(asked.path["draft_id"]))
    wish = Submission(
        experiment=draft.experiment,
        definition=msgspec.structs.replace(_definition(service, draft), name=draft.name),
        parameters=draft.parameters,
        tags=draft.tags,
        properties={**draft.properties, DRAFT_ID: draft.id},
        description=draft.description,
        keep_going=draft.continue_on_step_failure,
        run_id=body.run_id,
        idempotency_key=asked.headers.get(IDEMPOTENCY_KEY.lower()),
        source=body.source,
        parent_run=body.parent_run,
        started_by=asked.caller,
    )
    reply = started(service, wish)
    service.world.run(drafts.change(draft.id, {"last_run_id": reply.body.id}))
    return reply


@route(
    "POST",
    "drafts/{draft_id}/publish",
    summary="Publish a draft",
    role=Role.SUBMITTER,
    answers={201: PublishedBody, 200: PublishedBody},
    errors=(404, 413),
    example={"version": "1"},
)
def publish_draft(service: Service, asked: Asked, body: DraftPublication) -> Reply:
    """As a published pipeline, with the draft's values as the defaults of its parameters."""
    draft = service.world.run(drafts.get(asked.path["draft_id"]))
    definition = _definition(service, draft)
    defaults = tuple(
        msgspec.structs.replace(parameter, default=draft.parameters.get(parameter.name, parameter.default))
        for parameter in definition.parameters
    )
    definition = msgspec.structs.replace(definition, parameters=defaults)
    warnings = service.world.run(service.submitter.check(definition))
    wish = Publication(
        definition=definition,
        name=draft.name,
        description=draft.description,
        version=body.version,
        continue_on_step_failure=draft.continue_on_step_failure,
    )
    pipeline, created = service.world.run(pipelines.publish(wish))
    answer = PublishedBody(**fields_of(pipeline, asked), created=created, warnings=texts(warnings))
    return Reply(body=answer, status=201 if created else 200)


def _original(service: Service, body: DraftRequest) -> tuple[Draft, Definition]:
    """What the draft is made of, before anything is changed. Raises InvalidRequest, UnknownThing."""
    given = [name for name in ("definition", "pipeline_id", "run_id", "draft_id") if getattr(body, name) is not None]
    if len(given) != 1:
        raise InvalidRequest("Give one of definition, pipeline_id, run_id and draft_id.", field="definition")
    empty = Draft(id=body.id, name="", experiment="", definition="", created_at=0.0)
    if body.definition is not None:
        return msgspec.structs.replace(empty, name=body.definition.name), body.definition
    if body.pipeline_id is not None:
        draft = _of_pipeline(empty, service.world.run(pipelines.get(body.pipeline_id)))
    elif body.run_id is not None:
        draft = _of_run(empty, service.world.run(repeats.earlier(body.run_id)))
    else:
        other = service.world.run(drafts.get(body.draft_id or ""))
        draft = msgspec.structs.replace(other, id=body.id, last_run_id="", pipeline_id="", run_id="", draft_id=other.id)
    return draft, _definition(service, draft)


def _of_pipeline(empty: Draft, pipeline: Pipeline) -> Draft:
    return msgspec.structs.replace(
        empty,
        name=pipeline.name,
        description=pipeline.description,
        definition=pipeline.definition,
        continue_on_step_failure=pipeline.continue_on_step_failure,
        pipeline_id=pipeline.id,
    )


def _of_run(empty: Draft, run: RunInfo) -> Draft:
    return msgspec.structs.replace(
        empty,
        name=run.pipeline_name,
        experiment=run.experiment,
        description=run.description,
        definition=run.definition,
        parameters=run.parameters,
        continue_on_step_failure=run.keep_going,
        tags=run.tags,
        run_id=run.id,
    )


def _values(definition: Definition, given: dict[str, Any]) -> tuple[dict[str, ParameterValue], tuple[Any, ...]]:
    """The given values in the declared types, and a warning for each name that the definition does not have."""
    values, unknown = resolve_parameters(definition, given)
    return {name: value for name, value in values.items() if name in given}, unknown


def _definition(service: Service, draft: Draft) -> Definition:
    return service.world.run(load_plan(service.memory, draft.definition)).definition


ROUTES = (create_draft, list_drafts, get_draft, patch_draft, delete_draft, start_draft, publish_draft)

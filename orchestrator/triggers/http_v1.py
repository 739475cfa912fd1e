"""The routes of version 1 that start, show and cancel runs, so that what called it before calls it unchanged.

Each route is there twice: right below the service, which is where the addresses of published pipelines and pipeline
endpoints lead, and below the long path that version 1's callers put together of subscription, group and workspace.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from orchestrator.catalog import datasets, endpoints
from orchestrator.catalog.submissions import Accepted, Submission
from orchestrator.core.errors import InvalidRequest, UnknownThing, UserError
from orchestrator.core.head import Head
from orchestrator.core.names import RUN_ID, shown
from orchestrator.engine.cancel import cancel
from orchestrator.engine.view import RunView, run_view, unknown_run, view_of
from orchestrator.triggers.executions import end_executions
from orchestrator.triggers.http_runs import IDEMPOTENCY_KEY, KEY_HELP
from orchestrator.triggers.routes import Asked, Reply, Role, Route, Service, route
from orchestrator.triggers.shapes import texts
from orchestrator.triggers.v1_bodies import (
    PARENT_RUN,
    RUN_SOURCE,
    RUN_TYPE,
    PipelineRunEntity,
    PipelineSubmissionInfo,
    entity,
)

LONG_PREFIX: Final = (
    "pipelines/v1.0/subscriptions/{subscription_id}/resourceGroups/{resource_group}"
    "/providers/Microsoft.MachineLearningServices/workspaces/{workspace}/"
)
EXAMPLE: Final = {"ExperimentName": "diabetes", "ParameterAssignments": {"reg_rate": 0.05}}
_LONGEST_SOURCE = 100


class SubmitQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """As in version 1, others are left aside."""

    parent_run_id: Annotated[str, Meta(description="The run of which this one is a child; a property of it.")] = ""


class VersionQuery(SubmitQuery, frozen=True, kw_only=True, rename="camel"):
    pipeline_version: Annotated[str, Meta(description="Of the endpoint; by default, its default version.")] = ""


class NameQuery(VersionQuery, frozen=True, kw_only=True, rename="camel"):
    name: Annotated[str, Meta(description="The name of the pipeline endpoint. It must be given.")] = ""


@route(
    "POST",
    "PipelineRuns/PipelineSubmit/{pipeline_id}",
    summary="Start a published pipeline (version 1)",
    role=Role.SUBMITTER,
    answers={200: PipelineRunEntity},
    errors=(404, 409, 413),
    headers={IDEMPOTENCY_KEY: KEY_HELP},
    example=EXAMPLE,
    sends=True,
)
def submit_pipeline(service: Service, asked: Asked, query: SubmitQuery, body: PipelineSubmissionInfo) -> Reply:
    """The REST endpoint of a published pipeline, in the casing of Azure ML v1; `Id` of the answer is the run."""
    return _submit(service, asked, query, body, pipeline_id=asked.path["pipeline_id"])


@route(
    "POST",
    "PipelineRuns/PipelineEndpointSubmit/Id/{endpoint_id}",
    summary="Start a pipeline endpoint (version 1)",
    role=Role.SUBMITTER,
    answers={200: PipelineRunEntity},
    errors=(404, 409, 413),
    headers={IDEMPOTENCY_KEY: KEY_HELP},
    example=EXAMPLE,
    sends=True,
)
def submit_endpoint(service: Service, asked: Asked, query: VersionQuery, body: PipelineSubmissionInfo) -> Reply:
    """The REST endpoint of a pipeline endpoint: its default version, or the one that is asked for."""
    endpoint, version = asked.path["endpoint_id"], query.pipeline_version or None
    return _submit(service, asked, query, body, endpoint_id=endpoint, pipeline_version=version)


@route(
    "POST",
    "PipelineRuns/PipelineEndpointSubmit/Id/{endpoint_id}/{pipeline_version}",
    summary="Start a version of a pipeline endpoint (version 1)",
    role=Role.SUBMITTER,
    answers={200: PipelineRunEntity},
    errors=(404, 409, 413),
    headers={IDEMPOTENCY_KEY: KEY_HELP},
    example=EXAMPLE,
    sends=True,
)
def submit_endpoint_version(service: Service, asked: Asked, query: SubmitQuery, body: PipelineSubmissionInfo) -> Reply:
    """The same, with the version at the end of the path."""
    endpoint, version = asked.path["endpoint_id"], asked.path["pipeline_version"]
    return _submit(service, asked, query, body, endpoint_id=endpoint, pipeline_version=version)


@route(
    "POST",
    "PipelineRuns/PipelineEndpointSubmit/Name",
    summary="Start a pipeline endpoint by its name (version 1)",
    role=Role.SUBMITTER,
    answers={200: PipelineRunEntity},
    errors=(404, 409, 413),
    headers={IDEMPOTENCY_KEY: KEY_HELP},
    example=EXAMPLE,
    sends=True,
)
def submit_endpoint_by_name(service: Service, asked: Asked, query: NameQuery, body: PipelineSubmissionInfo) -> Reply:
    """The same, by name."""
    if not query.name:
        raise InvalidRequest("Give the name of a pipeline endpoint: .../Name?name=...", field="name")
    endpoint, version = service.world.run(endpoints.get_by_name(query.name)).id, query.pipeline_version or None
    return _submit(service, asked, query, body, endpoint_id=endpoint, pipeline_version=version)


@route(
    "GET",
    "PipelineRuns/{run_id}",
    summary="Get a run (version 1)",
    role=Role.READER,
    answers={200: PipelineRunEntity},
    errors=(404,),
)
def get_pipeline_run(service: Service, asked: Asked) -> Reply:
    """For callers that started it and ask until `Status.StatusCode` is Finished, Failed or Canceled."""
    _check_place(service, asked)
    return Reply(body=entity(service.world.run(run_view(service.memory, asked.path["run_id"])), ()))


@route(
    "DELETE",
    "PipelineRuns/{run_id}/Execution",
    summary="Cancel a run (version 1)",
    role=Role.SUBMITTER,
    answers={200: PipelineRunEntity},
    errors=(404,),
    changes_run=True,
)
def cancel_pipeline_run(service: Service, asked: Asked) -> Reply:
    """Nothing new starts from now on. A run that has ended stays as it is."""
    _check_place(service, asked)
    run_id = asked.path["run_id"]
    if not RUN_ID.allows(run_id):
        raise unknown_run(run_id)
    service.world.run(cancel(service.memory, run_id))
    end_executions(service, run_id)
    return Reply(body=entity(service.world.run(run_view(service.memory, run_id)), ()))


def _submit(
    service: Service,
    asked: Asked,
    query: SubmitQuery,
    body: PipelineSubmissionInfo,
    *,
    pipeline_id: str | None = None,
    endpoint_id: str | None = None,
    pipeline_version: str | None = None,
) -> Reply:
    """Start what is wanted. Errors name fields as the caller does."""
    _check_place(service, asked)
    if query.parent_run_id:
        RUN_ID.check(query.parent_run_id, "parentRunId")
    try:
        wish = Submission(
            experiment=body.experiment_name,
            pipeline_id=pipeline_id,
            endpoint_id=endpoint_id,
            pipeline_version=pipeline_version,
            parameters=_values(service, body),
            tags=body.tags or {},
            properties=_properties(query, body),
            description=body.description or "",
            keep_going=body.continue_run_on_step_failure,
            idempotency_key=asked.headers.get(IDEMPOTENCY_KEY.lower()),
            source=(body.run_source or "http")[:_LONGEST_SOURCE],
            parent_run=query.parent_run_id,
            started_by=asked.caller,
        )
        accepted = service.world.run(service.submitter.submit(wish))
    except UserError as error:
        error.field = body.field_of(error.field)
        raise
    warnings = texts(accepted.warnings)
    return Reply(body=entity(_view(service, accepted), warnings), messages=accepted.messages)


def _check_place(service: Service, asked: Asked) -> None:
    """The long path leads here only with the names that the service goes by. Raises UnknownThing."""
    settings = service.settings
    own = {
        "subscription_id": settings.subscription_id,
        "resource_group": settings.resource_group,
        "workspace": settings.workspace,
    }
    for name, value in own.items():
        given = asked.path.get(name, value)
        if given.casefold() != value.casefold():
            raise UnknownThing(f"This service is not that of {shown(given)}, but of {shown(value)}.", field=name)


def _properties(query: SubmitQuery, body: PipelineSubmissionInfo) -> dict[str, str]:
    said = {PARENT_RUN: query.parent_run_id, RUN_SOURCE: body.run_source, RUN_TYPE: body.run_type}
    return {**(body.properties or {}), **{name: text[:_LONGEST_SOURCE] for name, text in said.items() if text}}


def _values(service: Service, body: PipelineSubmissionInfo) -> dict[str, Any]:
    """The values for parameters; datasets by name and version become those with their ids. Raises UserErrors."""
    return {name: _value(service, name, value) for name, value in body.assignments().items()}


def _value(service: Service, name: str, value: Any) -> Any:
    match value:
        case None:
            return msgspec.UNSET
        case {"DataSetReference": {"Name": str(wanted), **rest}} if not rest.get("Id"):
            return _registered(service, name, wanted, rest.get("Version"))
        case _:
            return value


def _registered(service: Service, name: str, wanted: str, version: Any) -> Any:
    newest = version in (None, "", "latest")
    if not (newest or isinstance(version, int) or (isinstance(version, str) and version.isdigit())):
        raise InvalidRequest("The version of a dataset is a whole number.", field=f"parameters.{name}")
    try:
        found = service.world.run(datasets.get(wanted, None if newest else int(version)))
    except UserError as error:
        error.field = f"parameters.{name}"
        raise
    return {"SavedDataSetReference": {"Id": found.id}}


def _view(service: Service, accepted: Accepted) -> RunView:
    if accepted.created:
        return view_of(accepted.info, Head(keep_going=accepted.info.keep_going), accepted.plan, ended_at=None)
    return service.world.run(run_view(service.memory, accepted.info.id))


def _below_long_prefix(short: Route) -> Route:
    return replace(
        short, name=f"{short.name}_of_workspace", path=LONG_PREFIX + short.path, summary=f"{short.summary[:-1]}, long)"
    )


_SHORT: Final = (
    submit_pipeline,
    submit_endpoint,
    submit_endpoint_version,
    submit_endpoint_by_name,
    get_pipeline_run,
    cancel_pipeline_run,
)
ROUTES: Final = (*_SHORT, *map(_below_long_prefix, _SHORT))

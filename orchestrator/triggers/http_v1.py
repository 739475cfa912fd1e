"""The submission route in the casing of version 1, so that what called it before calls it unchanged.

Contract: Azure ML pipelines v1.0 REST, `POST .../PipelineRuns/PipelineSubmit/{id}`, PipelineSubmissionInfo in,
PipelineRunEntity out. Fields of version 1 that mean nothing here are accepted and left aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from orchestrator.catalog.submissions import Accepted, Submission
from orchestrator.core.errors import UserError
from orchestrator.core.head import Head
from orchestrator.core.parameters import text_of
from orchestrator.core.states import RunStatus
from orchestrator.engine.view import RunView, run_view, view_of
from orchestrator.triggers.http_runs import IDEMPOTENCY_KEY, KEY_HELP
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import ExperimentName, texts

STATUS_CODES: Mapping[RunStatus, str] = {
    RunStatus.RUNNING: "Running",
    RunStatus.COMPLETED: "Finished",
    RunStatus.FAILED: "Failed",
    RunStatus.CANCELED: "Canceled",
}
FIELDS: Mapping[str, str] = {
    "experiment_name": "ExperimentName",
    "parameters": "ParameterAssignments",
    "properties": "Properties",
    "description": "Description",
}
"""Our name of a field -> the name that the caller used, for error messages."""


class PipelineSubmissionInfo(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The body of a submission. Only `ExperimentName` is needed; other fields of version 1 may be there."""

    experiment_name: ExperimentName
    description: str | None = None
    run_source: str | None = None
    parameter_assignments: Annotated[
        dict[str, Any] | None, Meta(description="Values for pipeline parameters: numbers, texts, true or false.")
    ] = None
    data_path_assignments: Annotated[
        dict[str, Any] | None,
        Meta(description='Values for parameters of type "datapath": {"DataStoreName": ..., "RelativePath": ...}.'),
    ] = None
    data_set_definition_value_assignments: Annotated[
        dict[str, Any] | None,
        Meta(description='Values for parameters of type "dataset": {"SavedDataSetReference": {"Id": ...}}.'),
    ] = None
    continue_run_on_step_failure: bool | None = None
    tags: dict[str, str] | None = msgspec.field(name="tags", default=None)
    properties: dict[str, str] | None = None


class PipelineRunStatus(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`StatusCode` is NotStarted, Running, Finished, Failed or Canceled; times are ISO 8601."""

    status_code: str
    status_detail: str | None
    creation_time: str
    end_time: str | None


class PipelineRunEntity(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The run that was started. `Warnings` is an addition: names of parameters that the pipeline does not have ..."""

    id: str
    status: PipelineRunStatus
    pipeline_id: str | None
    run_history_experiment_name: str
    description: str
    parameter_assignments: dict[str, str]
    total_run_steps: int
    run_source: str
    run_type: str
    tags: dict[str, str] = msgspec.field(name="tags")
    properties: dict[str, str]
    has_errors: bool
    has_warnings: bool
    entity_status: str
    created_date: str
    warnings: tuple[str, ...]


@route(
    "POST",
    "PipelineRuns/PipelineSubmit/{pipeline_id}",
    summary="Start a published pipeline (version 1)",
    role=Role.SUBMITTER,
    answers={200: PipelineRunEntity},
    errors=(404, 409, 413),
    headers={IDEMPOTENCY_KEY: KEY_HELP},
    example={"ExperimentName": "diabetes", "ParameterAssignments": {"reg_rate": 0.05}},
    sends=True,
)
def submit_pipeline(service: Service, asked: Asked, body: PipelineSubmissionInfo) -> Reply:
    """The REST endpoint of a published pipeline, in the casing of Azure ML v1; `Id` of the answer is the run."""
    wish = Submission(
        experiment=body.experiment_name,
        pipeline_id=asked.path["pipeline_id"],
        parameters=_assignments(body),
        tags=body.tags or {},
        properties=body.properties or {},
        description=body.description or "",
        keep_going=body.continue_run_on_step_failure,
        idempotency_key=asked.headers.get(IDEMPOTENCY_KEY.lower()),
        source=(body.run_source or "http")[:100],
    )
    try:
        accepted = service.world.run(service.submitter.submit(wish))
    except UserError as error:
        error.field = _field(error.field)
        raise
    warnings = texts(accepted.warnings)
    return Reply(body=_entity(_view(service, accepted), warnings), messages=accepted.messages)


def _view(service: Service, accepted: Accepted) -> RunView:
    if accepted.created:
        return view_of(accepted.info, Head(keep_going=accepted.info.keep_going), accepted.plan, ended_at=None)
    return service.world.run(run_view(service.memory, accepted.info.id))


def _entity(run: RunView, warnings: tuple[str, ...]) -> PipelineRunEntity:
    created = _iso(run.submitted_at)
    return PipelineRunEntity(
        id=run.id,
        status=PipelineRunStatus(
            status_code=STATUS_CODES[run.status],
            status_detail=None,
            creation_time=created,
            end_time=None if run.ended_at is None else _iso(run.ended_at),
        ),
        pipeline_id=run.pipeline_id,
        run_history_experiment_name=run.experiment,
        description=run.description,
        parameter_assignments={name: text_of(value) for name, value in run.parameters.items()},
        total_run_steps=run.steps_total,
        run_source=run.source,
        run_type="HTTP",
        tags=run.tags,
        properties=run.properties,
        has_errors=run.steps_failed > 0,
        has_warnings=bool(warnings),
        entity_status="Active",
        created_date=created,
        warnings=warnings,
    )


def _assignments(body: PipelineSubmissionInfo) -> dict[str, Any]:
    """Version 1 gives texts and numbers, paths, and datasets in a field each."""
    return {
        **(body.parameter_assignments or {}),
        **(body.data_path_assignments or {}),
        **(body.data_set_definition_value_assignments or {}),
    }


def _field(field: str | None) -> str | None:
    if field is None:
        return None
    first, dot, rest = field.partition(".")
    return f"{FIELDS.get(first, first)}{dot}{rest}"


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


ROUTES = (submit_pipeline,)

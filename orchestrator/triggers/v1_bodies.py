"""What version 1's callers send to start a run, and what they are answered, in its names and casing.

Facts: azureml pipelines v1.0 REST, PipelineSubmissionInfo in, PipelineRunEntity out. Fields of version 1 that mean
nothing here are accepted, and checked for their type; others that are not known are left aside, as version 1 does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from orchestrator.catalog.firing import SCHEDULE_ID
from orchestrator.core.definition import DataPathValue, DatasetValue, ParameterValue
from orchestrator.core.errors import InvalidRequest
from orchestrator.core.parameters import text_of
from orchestrator.core.states import RunStatus
from orchestrator.engine.view import RunView
from orchestrator.triggers.shapes import ExperimentName

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
    "pipeline_version": "pipelineVersion",
}
"""Our name of a field -> the name that the caller used, for error messages."""

PARENT_RUN, RUN_SOURCE, RUN_TYPE = "azureml.parentrunid", "runSource", "runType"
"""Properties that keep what the caller said of itself, under the names that version 1 gives them."""

RunType = Literal["HTTP", "SDK", "Schedule", "Portal"]
Assignments = dict[str, Any] | None


class PipelineSubmissionInfo(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The body of a submission. Only `ExperimentName` is needed; other fields of version 1 may be there.

    A value that is null stands for the parameter's default.
    """

    experiment_name: ExperimentName
    description: str | None = None
    run_source: str | None = None
    run_type: RunType | None = None
    parameter_assignments: Annotated[
        Assignments, Meta(description="Values for pipeline parameters: numbers, texts, true or false.")
    ] = None
    data_path_assignments: Annotated[
        Assignments,
        Meta(description='Values for parameters of type "datapath": {"DataStoreName": ..., "RelativePath": ...}.'),
    ] = None
    data_set_definition_value_assignments: Annotated[
        Assignments,
        Meta(
            description='Values for parameters of type "dataset": {"SavedDataSetReference": {"Id": ...}} or '
            '{"DataSetReference": {"Name": ..., "Version": ...}}.'
        ),
    ] = None
    continue_run_on_step_failure: bool | None = None
    enable_notification: Annotated[bool | None, Meta(description="Left aside.")] = None
    schedule_id: Annotated[str | None, Meta(description="Left aside.")] = None
    tags: dict[str, str] | None = msgspec.field(name="tags", default=None)
    step_tags: Annotated[dict[str, str] | None, Meta(description="Left aside.")] = None
    properties: dict[str, str] | None = None

    def assignments(self) -> dict[str, Any]:
        """All values. Raises InvalidRequest for a name that is given a value twice."""
        given: dict[str, Any] = {}
        for field, values in self._values():
            for name, value in values.items():
                if name in given:
                    raise InvalidRequest(f"The parameter {name!r} is given a value twice.", field=f"{field}.{name}")
                given[name] = value
        return given

    def field_of(self, ours: str | None) -> str | None:
        """The name that the caller used for a field of ours."""
        if ours is None:
            return None
        first, dot, rest = ours.partition(".")
        if first == "parameters" and rest:
            used = next((field for field, values in self._values() if rest.partition(".")[0] in values), None)
            return f"{used or 'ParameterAssignments'}.{rest}"
        return f"{FIELDS.get(first, first)}{dot}{rest}"

    def _values(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        return (
            ("ParameterAssignments", self.parameter_assignments or {}),
            ("DataPathAssignments", self.data_path_assignments or {}),
            ("DataSetDefinitionValueAssignments", self.data_set_definition_value_assignments or {}),
        )


class DataPath(msgspec.Struct, frozen=True, kw_only=True):
    data_store_name: str = msgspec.field(name="DataStoreName")
    relative_path: str = msgspec.field(name="RelativePath")


class SavedDataSetReference(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    id: str


class DataSetDefinitionValue(msgspec.Struct, frozen=True, kw_only=True):
    saved_data_set_reference: SavedDataSetReference = msgspec.field(name="SavedDataSetReference")


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
    graph_id: str
    is_submitted: bool
    pipeline_id: str | None
    run_history_experiment_name: str
    description: str
    parameter_assignments: dict[str, str]
    data_path_assignments: dict[str, DataPath]
    data_set_definition_value_assignments: dict[str, DataSetDefinitionValue]
    total_run_steps: int
    run_source: str
    run_type: str
    schedule_id: str | None
    tags: dict[str, str] = msgspec.field(name="tags")
    properties: dict[str, str]
    has_errors: bool
    has_warnings: bool
    entity_status: str
    created_date: str
    last_modified_date: str
    warnings: tuple[str, ...]


def entity(run: RunView, warnings: tuple[str, ...]) -> PipelineRunEntity:
    """The run as version 1 describes it."""
    created = _iso(run.submitted_at)
    ended = None if run.ended_at is None else _iso(run.ended_at)
    values = run.parameters
    return PipelineRunEntity(
        id=run.id,
        status=PipelineRunStatus(
            status_code=STATUS_CODES[run.status], status_detail=None, creation_time=created, end_time=ended
        ),
        graph_id=run.definition,
        is_submitted=True,
        pipeline_id=run.pipeline_id,
        run_history_experiment_name=run.experiment,
        description=run.description,
        parameter_assignments={name: text_of(value) for name, value in values.items() if _is_text(value)},
        data_path_assignments={
            name: DataPath(data_store_name=value.datastore, relative_path=value.path)
            for name, value in values.items()
            if isinstance(value, DataPathValue)
        },
        data_set_definition_value_assignments={
            name: DataSetDefinitionValue(saved_data_set_reference=SavedDataSetReference(id=value.id))
            for name, value in values.items()
            if isinstance(value, DatasetValue)
        },
        total_run_steps=run.steps_total,
        run_source=run.properties.get(RUN_SOURCE, run.source),
        run_type=run.properties.get(RUN_TYPE, "Schedule" if SCHEDULE_ID in run.properties else "HTTP"),
        schedule_id=run.properties.get(SCHEDULE_ID),
        tags=run.tags,
        properties=run.properties,
        has_errors=run.steps_failed > 0,
        has_warnings=bool(warnings),
        entity_status="Active",
        created_date=created,
        last_modified_date=ended or created,
        warnings=warnings,
    )


def _is_text(value: ParameterValue) -> bool:
    return not isinstance(value, DataPathValue | DatasetValue)


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()

"""What a schedule starts: a published pipeline, or whichever one its pipeline endpoint stands for at the time."""

from __future__ import annotations

from collections.abc import Collection

from orchestrator.catalog import endpoints, pipelines
from orchestrator.catalog.endpoints import Version
from orchestrator.catalog.pipelines import Pipeline
from orchestrator.core.definition import DataPathValue, Definition
from orchestrator.core.errors import InvalidRequest, Problem, UserError
from orchestrator.core.names import shown, suggestion
from orchestrator.core.parameters import resolve_parameters
from orchestrator.core.schedule import Schedule
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import load_plan
from orchestrator.ports import Task


def resolve(schedule: Schedule) -> Task[Pipeline]:
    """The published pipeline to start now. Raises UnknownThing, and Conflict for what is not active."""
    if schedule.pipeline_endpoint_id is not None:
        version = yield from _behind(schedule.pipeline_endpoint_id)
        found = yield from pipelines.get(version.pipeline_id, "pipeline_endpoint_id")
    else:
        found = yield from pipelines.get(schedule.pipeline_id or "")
    pipelines.check_active(found, "pipeline_endpoint_id" if schedule.pipeline_endpoint_id else "pipeline_id")
    return found


def _behind(endpoint: str) -> Task[Version]:
    try:
        return (yield from endpoints.pipeline_of(endpoint))
    except UserError as error:
        error.field = "pipeline_endpoint_id"
        raise


def check(memory: ProcessMemory, schedule: Schedule, datastores: Collection[str]) -> Task[tuple[Problem, ...]]:
    """Whether runs could be started with these parameters, as far as that is known today. Returns warnings.

    Raises InvalidRequest, UnknownThing, Conflict naming the field.
    """
    if (schedule.pipeline_id is None) == (schedule.pipeline_endpoint_id is None):
        raise InvalidRequest("Give either a pipeline_id or a pipeline_endpoint_id.", field="pipeline_id")
    pipeline = yield from resolve(schedule)
    plan = yield from load_plan(memory, pipeline.definition)
    values, unknown = resolve_parameters(plan.definition, schedule.parameters)
    for name, value in values.items():
        if isinstance(value, DataPathValue) and value.datastore not in datastores:
            hint = suggestion(value.datastore, datastores, "datastores")
            message = f"There is no datastore {shown(value.datastore)}. {hint}"
            raise InvalidRequest(message, field=f"parameters.{name}")
    if schedule.data_change is not None:
        _check_data_path(schedule.data_change.data_path_parameter_name, plan.definition)
    return unknown


def _check_data_path(name: str, definition: Definition) -> None:
    """The parameter that takes the path of a change must be one that takes paths."""
    if not name:
        return
    known = [parameter.name for parameter in definition.parameters if parameter.type == "datapath"]
    if name not in known:
        hint = suggestion(name, known, "parameters of type datapath")
        message = f"The pipeline has no parameter {shown(name)} that takes a path in a datastore. {hint}"
        raise InvalidRequest(message, field="data_change.data_path_parameter_name")

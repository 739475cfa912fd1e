"""What a schedule starts: a published pipeline, or whichever one its pipeline endpoint stands for at the time."""

from __future__ import annotations

from collections.abc import Collection

from orchestrator.catalog import registered_datastores, subjects
from orchestrator.catalog.subjects import Subject
from orchestrator.core import datachange
from orchestrator.core.datachange import DataChange
from orchestrator.core.definition import DataPathValue, Definition, ParameterValue
from orchestrator.core.errors import InvalidRequest, Problem, UserError
from orchestrator.core.fitting import check_fit
from orchestrator.core.names import shown, suggestion
from orchestrator.core.parameters import resolve_parameters
from orchestrator.core.schedule import Schedule
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import load_plan
from orchestrator.ports import Task


def check(memory: ProcessMemory, schedule: Schedule, datastores: Collection[str]) -> Task[tuple[Problem, ...]]:
    """Whether runs could be started with these parameters, as far as that is known today. Returns warnings.

    `datastores`: those of the settings. Raises InvalidRequest, UnknownThing, Conflict naming the field.
    """
    if (schedule.pipeline_id is None) == (schedule.pipeline_endpoint_id is None):
        raise InvalidRequest("Give either a pipeline_id or a pipeline_endpoint_id.", field="pipeline_id")
    subject = yield from _subject(memory, schedule)
    plan = yield from load_plan(memory, subject.pipeline.definition)
    values, unknown = resolve_parameters(plan.definition, schedule.parameters)
    for name, value in values.items():
        yield from _check_datastore(name, value, datastores)
    check_fit(plan.particular, values)
    if schedule.data_change is not None:
        yield from _check_watched(schedule.data_change, datastores)
        _check_data_path(schedule.data_change.data_path_parameter_name, plan.definition)
    return unknown


def _subject(memory: ProcessMemory, schedule: Schedule) -> Task[Subject]:
    if schedule.pipeline_id is not None:
        return (yield from subjects.of_pipeline(memory, schedule.pipeline_id, None))
    try:
        return (yield from subjects.of_endpoint(memory, schedule.pipeline_endpoint_id or "", None, None))
    except UserError as error:
        error.field = "pipeline_endpoint_id"
        raise


def _check_datastore(name: str, value: ParameterValue, configured: Collection[str]) -> Task[None]:
    if not isinstance(value, DataPathValue):
        return
    stores = yield from registered_datastores.known(configured, [value.datastore])
    if value.datastore not in stores:
        hint = suggestion(value.datastore, stores, "datastores")
        raise InvalidRequest(f"There is no datastore {shown(value.datastore)}. {hint}", field=f"parameters.{name}")


def _check_watched(change: DataChange, configured: Collection[str]) -> Task[None]:
    """Its datastore must be one that has files."""
    stores = yield from registered_datastores.known(configured, [change.datastore])
    for problem in datachange.problems(change, "data_change", datastores=stores):
        raise InvalidRequest(f"{problem.message} {problem.fix}".strip(), field=problem.field)


def _check_data_path(name: str, definition: Definition) -> None:
    """The parameter that takes the path of a change must be one that takes paths."""
    if not name:
        return
    known = [parameter.name for parameter in definition.parameters if parameter.type == "datapath"]
    if name not in known:
        hint = suggestion(name, known, "parameters of type datapath")
        message = f"The pipeline has no parameter {shown(name)} that takes a path in a datastore. {hint}"
        raise InvalidRequest(message, field="data_change.data_path_parameter_name")

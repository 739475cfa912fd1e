"""What a schedule is asked for with: its one trigger, its parameters, and what else is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from millstream import submission
from millstream.datastore import Datastore
from millstream.schedule_recurrence import ScheduleRecurrence
from millstream.time_zone import TimeZone
from millstream.workspace import Workspace
from orchestrator.core import cron as crons
from orchestrator.core.cron import Cron
from orchestrator.core.definition import Definition
from orchestrator.core.names import suggestion
from orchestrator.core.schedule import CatchUp

POLLING = 5
"""Minutes between two looks at a datastore."""
OF_DATA = ("recursive", "pattern", "include_outputs", "per", "debounce_seconds", "max_wait_seconds")
OF_TIME = ("cron", "time_zone", "catch_up")
ALSO = (*OF_TIME, *OF_DATA, "tags")
"""What is taken beside v1's arguments, by `create`, `create_for_pipeline_endpoint` and `update`."""


def trigger_of(
    recurrence: ScheduleRecurrence | None,
    datastore: Datastore | None,
    polling_interval: int,
    data_path_parameter_name: str | None,
    path_on_datastore: str | None,
    also: Mapping[str, Any],
    *,
    needed: bool,
) -> dict[str, Any]:
    """The one trigger that is given. Raises ValueError, TypeError."""
    cron = also.get("cron")
    given = only_given(recurrence=recurrence, cron=cron, datastore=datastore)
    if len(given) > 1:
        raise ValueError(f"Give only one of {' and '.join(given)}: a schedule has one trigger.")
    if not given and needed:
        raise ValueError("Give a recurrence, a cron expression or a datastore: without one, nothing starts it.")
    of_data = only_given(data_path_parameter_name=data_path_parameter_name, path_on_datastore=path_on_datastore)
    of_data |= only_given(**{name: also.get(name) for name in OF_DATA})
    if of_data and datastore is None:
        raise ValueError(f"{next(iter(of_data))}: this belongs to a datastore, whose changes start the schedule.")
    if also.get("time_zone") is not None and cron is None:
        raise ValueError("time_zone: this belongs to cron; a ScheduleRecurrence has a time zone of its own.")
    if recurrence is not None:
        if not isinstance(recurrence, ScheduleRecurrence):
            raise TypeError(f"recurrence: a ScheduleRecurrence is needed, not {recurrence!r}.")
        return {"recurrence": recurrence.document()}
    if cron is not None:
        return {"cron": _cron(cron, also.get("time_zone"))}
    return {} if datastore is None else {"data_change": _data_change(datastore, polling_interval, of_data)}


def _cron(expression: str, time_zone: TimeZone | str | None) -> Cron:
    name = time_zone.value if isinstance(time_zone, TimeZone) else time_zone or "UTC"
    made = Cron(expression=expression, time_zone=name)
    for problem in crons.problems(made, "cron"):
        raise ValueError(f"{problem.field.rpartition('.')[2]}: {problem.message} {problem.fix}".strip())
    return made


def _data_change(datastore: Datastore, polling_interval: int, of_data: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(datastore, Datastore):
        raise TypeError(f"datastore: a Datastore is needed, not {datastore!r}.")
    path = str(of_data.get("path_on_datastore", "")).strip("/")
    others = {name: value for name, value in of_data.items() if name != "path_on_datastore"}
    return {"datastore": datastore.name, "polling_interval": polling_interval, "path": path, **others}


def common_of(
    description: str | None, continue_on_step_failure: bool | None, also: Mapping[str, Any]
) -> dict[str, Any]:
    found = only_given(description=description, continue_on_step_failure=continue_on_step_failure)
    if also.get("catch_up") is not None:
        found["catch_up"] = one_of(CatchUp, also["catch_up"], "catch_up")
    if also.get("tags") is not None:
        found["tags"] = submission.texts(also["tags"])
    return found


def parameters_of(workspace: Workspace, pipeline_id: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The values, as the pipeline declares them. Raises InvalidRequest for a name that it does not have."""
    if not given:
        return {}
    submission.save_given(workspace, given)
    declared = Definition(name="scheduled", parameters=workspace.api.pipeline(pipeline_id).parameters, steps=())
    return dict(submission.given_parameters(declared, given))


def pipeline_behind(workspace: Workspace, endpoint_id: str) -> str:
    from millstream.pipeline_endpoint import PipelineEndpoint

    return PipelineEndpoint.get(workspace, id=endpoint_id).get_pipeline().id


def only_given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def one_of(kind: Any, given: Any, name: str) -> str:
    known = [member.value for member in kind]
    if given not in known:
        raise ValueError(f"{name}: {given!r} is none of them. {suggestion(str(given), known, 'words')}")
    return str(kind(given).value)

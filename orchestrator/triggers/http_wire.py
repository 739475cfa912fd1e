"""What a real azureml-core in the environment of a step asks for: where services are, its run, metrics.

Contract: Azure ML run history v1.0 and metrics v2.0, as azureml-core 1.61 calls them from inside a run. The run of a
step has the id `<run>_<step>`, the run of the pipeline its own. Fields that mean nothing here are left aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from orchestrator.core.errors import Conflict, InvalidRequest
from orchestrator.core.result import Metric
from orchestrator.engine import said, script_metrics
from orchestrator.engine.script_metrics import Logged
from orchestrator.engine.stepview import Execution, StepView, execution, step_view
from orchestrator.engine.tags import change_tags
from orchestrator.engine.view import RunView, run_view
from orchestrator.triggers.routes import PREFIX, Asked, Reply, Role, Service, route

_WORKSPACE = (
    "subscriptions/{subscription_id}/resourceGroups/{resource_group}/providers/Microsoft.MachineLearningServices"
    "/workspaces/{workspace}"
)
_RUN = f"history/v1.0/{_WORKSPACE}/experimentids/{{experiment_id}}/runs/{{run_id}}"
_BY_NAME = f"history/v1.0/{_WORKSPACE}/experiments/{{experiment_name}}/runs/{{run_id}}"
_BATCH = f"metric/v2.0/{_WORKSPACE}/runs/{{run_id}}/batch"
_SERVICES = (
    "api",
    "artifact",
    "experimentation",
    "history",
    "hyperdrive",
    "metric",
    "modelmanagement",
    "pipelines",
    "studio",
)
_KINDS = {"azureml.v1.scalar": "scalar", "azureml.v1.list": "list", "azureml.v1.image": "image"}
"""The kinds of metrics. Whatever else there is has rows."""


class WireRun(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A run, of a pipeline or of a step. Times are ISO 8601."""

    run_id: str
    root_run_id: str
    parent_run_id: str | None
    data_container_id: str
    experiment_id: str
    run_type: str
    run_number: int
    name: str
    display_name: str
    status: str
    target: str
    created_utc: str
    start_time_utc: str | None
    end_time_utc: str | None
    tags: dict[str, str]
    properties: dict[str, str]


class WireRunChange(msgspec.Struct, frozen=True, kw_only=True):
    """Tags to set; null removes one. Properties to add. Other fields of version 1 may be there."""

    tags: dict[str, str | None] | None = None
    properties: dict[str, str] | None = None


class WireValue(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "metricId", "created": "createdUtc"}):
    """One logged value: a number or text for each column. Known by `metricId`, so it may be sent again."""

    id: Annotated[str, Meta(pattern="^[A-Za-z0-9-]{1,64}$")]
    created: Annotated[datetime, Meta(tz=True)]
    data: dict[str, Any]
    step: int | None = None


class WireMetric(msgspec.Struct, frozen=True, kw_only=True):
    """Values of one name. `uxMetricType` among the properties says whether it is a scalar, a list or rows."""

    name: str
    value: tuple[WireValue, ...]
    columns: dict[str, str] | None = None
    properties: dict[str, Any] | None = None


class WireMetrics(msgspec.Struct, frozen=True, kw_only=True):
    values: tuple[WireMetric, ...]


class Empty(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing to be said."""


@route("GET", "discovery", summary="Where services are (version 1)", role=None, answers={200: dict[str, str]})
def discover_wire(service: Service, asked: Asked) -> Reply:
    """All of them are here. Needs no token."""
    del service
    return Reply(body=dict.fromkeys(_SERVICES, f"{asked.base_url}{PREFIX}".rstrip("/")))


@route("GET", _RUN, summary="Get a run (version 1)", role=Role.READER, answers={200: WireRun}, errors=(404,))
def get_wire_run(service: Service, asked: Asked) -> Reply:
    """Of a pipeline, or of a step of it."""
    return Reply(body=_run(service, asked))


@route(
    "PATCH",
    _RUN,
    summary="Tag a run (version 1)",
    role=Role.SUBMITTER,
    answers={200: WireRun},
    errors=(404, 409),
    example={"tags": {"quality": "good"}, "properties": {"seed": "17"}},
)
def patch_wire_run(service: Service, asked: Asked, body: WireRunChange) -> Reply:
    """Tags and properties. Those of a step can be changed while it is being executed."""
    tags, properties = body.tags or {}, body.properties or {}
    if "" in tags or "" in properties:
        raise InvalidRequest("A tag and a property have a name.", field="tags" if "" in tags else "properties")
    _label(service, asked, tags, properties)
    return Reply(body=_run(service, asked))


@route(
    "POST",
    _BATCH,
    summary="Log metrics (version 1)",
    role=Role.SUBMITTER,
    answers={200: Empty},
    errors=(404, 409),
    example={
        "values": [
            {
                "name": "rmse",
                "columns": {"rmse": "double"},
                "value": [{"metricId": "5f0c1f1c", "createdUtc": "2026-01-31T12:00:00Z", "data": {"rmse": 0.5}}],
                "properties": {"uxMetricType": "azureml.v1.scalar"},
            }
        ]
    },
    words=True,
)
def log_wire_metrics(service: Service, asked: Asked, body: WireMetrics) -> Reply:
    """Of a step that is being executed. What its script logs on the run of the pipeline is kept with the step."""
    on = _execution(service, asked)
    values = [one for metric in body.values for one in _logged(metric)]
    service.world.run(script_metrics.keep(on.run, on.position, on.owner, on.prefix, values))
    return Reply(body=Empty())


@route(
    "GET",
    f"{_BY_NAME}/metricsingest/wait",
    summary="Wait for metrics (version 1)",
    role=Role.READER,
    answers={200: Empty},
    errors=(404,),
)
def wait_for_wire_metrics(service: Service, asked: Asked) -> Reply:
    """Answered at once: metrics are in storage when their logging is answered."""
    run, _ = _ids(asked)
    service.world.run(run_view(service.memory, run))
    return Reply(body=Empty())


@route(
    "DELETE",
    f"{_BY_NAME}/tags",
    summary="Remove tags (version 1)",
    role=Role.SUBMITTER,
    answers={200: WireRun},
    errors=(404, 409),
    example=["draft"],
)
def remove_wire_tags(service: Service, asked: Asked, body: tuple[str, ...]) -> Reply:
    """By their names; one that is not there is removed already."""
    _label(service, asked, dict.fromkeys(body), {})
    return Reply(body=_run(service, asked))


def _ids(asked: Asked) -> tuple[str, str]:
    """(run, step) of the run that is meant; "" for the pipeline's."""
    run_id = asked.path["run_id"]
    if asked.script is not None:
        return asked.script.run, asked.script.step if run_id == asked.script.step_run_id else ""
    run, _, step = run_id.partition("_")
    return run, step


def _label(service: Service, asked: Asked, tags: Mapping[str, str | None], properties: Mapping[str, str]) -> None:
    """Change tags and add properties, of the step while it is being executed, or of the run of the pipeline."""
    run, step = _ids(asked)
    most = service.settings.assignment_bytes
    if step:
        on = _execution(service, asked)
        service.world.run(said.say(run, on.position, on.owner, tags=tags, properties=properties, most_bytes=most))
    else:
        service.world.run(change_tags(service.memory, run, tags, most_bytes=most, properties=properties))


def _execution(service: Service, asked: Asked) -> Execution:
    """The execution that is spoken for. Raises UnknownThing, and Conflict when there is none."""
    if asked.script is not None:
        script = asked.script
        return Execution(
            run=script.run, step=script.step, position=script.position, attempt=script.attempt, owner=script.owner
        )
    run, step = _ids(asked)
    found = service.world.run(execution(service.memory, run, step))
    if found is None:
        raise Conflict("The step is not being executed: its metrics, tags and properties stay as they are.")
    return found


def _run(service: Service, asked: Asked) -> WireRun:
    run, step = _ids(asked)
    whole = service.world.run(run_view(service.memory, run))
    experiment = asked.path.get("experiment_id") or asked.path["experiment_name"]
    if not step:
        return _of_pipeline(whole, experiment)
    return _of_step(whole, service.world.run(step_view(service.memory, run, step)), experiment)


def _of_pipeline(run: RunView, experiment: str) -> WireRun:
    created = _iso(run.submitted_at)
    return WireRun(
        run_id=run.id,
        root_run_id=run.id,
        parent_run_id=None,
        data_container_id=f"dcid.{run.id}",
        experiment_id=experiment,
        run_type="azureml.PipelineRun",
        run_number=1,
        name=run.pipeline_name,
        display_name=run.pipeline_name,
        status=run.status.value,
        target="",
        created_utc=created,
        start_time_utc=created,
        end_time_utc=None if run.ended_at is None else _iso(run.ended_at),
        tags=run.tags,
        properties=run.properties,
    )


def _of_step(run: RunView, step: StepView, experiment: str) -> WireRun:
    return WireRun(
        run_id=step.step_run_id,
        root_run_id=run.id,
        parent_run_id=run.id,
        data_container_id=f"dcid.{step.step_run_id}",
        experiment_id=experiment,
        run_type="azureml.StepRun",
        run_number=step.position + 1,
        name=step.name,
        display_name=step.name,
        status=step.status.value,
        target=step.compute,
        created_utc=_iso(run.submitted_at),
        start_time_utc=None if step.started_at is None else _iso(step.started_at),
        end_time_utc=None if step.ended_at is None else _iso(step.ended_at),
        tags=step.tags,
        properties=step.properties,
    )


def _logged(metric: WireMetric) -> list[Logged]:
    kind = _KINDS.get(str((metric.properties or {}).get("uxMetricType", "")), "row")
    return [Logged(id=one.id, metric=_metric(metric.name, kind, one)) for one in metric.value]


def _metric(name: str, kind: str, value: WireValue) -> Metric:
    """A value of several columns is a row, whatever it calls itself. A list comes element by element."""
    kept: Any = value.data
    if kind == "row" or len(value.data) != 1:
        kind = "row"
    else:
        (kept,) = value.data.values()
    if kind == "list":
        kept = [kept]
    return Metric(name=name, kind=kind, value=kept, at=value.created.timestamp(), step=value.step)


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


ROUTES = (
    discover_wire,
    get_wire_run,
    patch_wire_run,
    log_wire_metrics,
    wait_for_wire_metrics,
    remove_wire_tags,
)

"""What a real azureml-core in the environment of a step asks for: where services are, its run, metrics.

Contract: Azure ML run history v1.0 and metrics v2.0, as azureml-core 1.61 calls them from inside a run. The run of a
step has the id `<run>_<step>`, the run of the pipeline its own. Fields that mean nothing here are left aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from orchestrator.core.errors import InvalidRequest
from orchestrator.core.result import Metric
from orchestrator.engine import given, said, script_metrics
from orchestrator.engine.script_metrics import Logged
from orchestrator.engine.stepview import Execution, StepView, step_view
from orchestrator.engine.tags import change_tags
from orchestrator.engine.view import RunView, run_view
from orchestrator.triggers.http_wire_metrics import ARTIFACT
from orchestrator.triggers.routes import PREFIX, Asked, Reply, Role, Service, route
from orchestrator.triggers.wire_place import WORKSPACE, ids, iso, must_execute

_LARGEST_DOCUMENT = 1024 * 1024
"""Bytes of what a chart is drawn from, as far as it is taken in place of its file."""
_RUN = f"history/v1.0/{WORKSPACE}/experimentids/{{experiment_id}}/runs/{{run_id}}"
_BY_NAME = f"history/v1.0/{WORKSPACE}/experiments/{{experiment_name}}/runs/{{run_id}}"
_BATCH = f"metric/v2.0/{WORKSPACE}/runs/{{run_id}}/batch"
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
_KINDS = {"azureml.v1.scalar": "scalar", "azureml.v1.list": "list"}
"""The kinds of metrics that lie in their values. Whatever else there is has rows, or is a file."""


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
    user_id: str
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


class WireDetails(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is known of a run. Times are ISO 8601."""

    run_id: str
    target: str
    status: str
    submitted_by: str
    start_time_utc: str | None
    end_time_utc: str | None
    properties: dict[str, str]
    tags: dict[str, str]
    services: dict[str, str] = {}
    warnings: tuple[str, ...] = ()
    input_datasets: tuple[str, ...] = ()
    output_datasets: tuple[str, ...] = ()
    run_definition: dict[str, str] = {}
    log_files: dict[str, str] = {}


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
    changes_run=True,
    example={"tags": {"quality": "good"}, "properties": {"seed": "17"}},
)
def patch_wire_run(service: Service, asked: Asked, body: WireRunChange) -> Reply:
    """Tags and properties. Those of a step can be changed while it is being executed."""
    return _patch(service, asked, body)


def _patch(service: Service, asked: Asked, body: WireRunChange) -> Reply:
    tags, properties = body.tags or {}, body.properties or {}
    if "" in tags or "" in properties:
        raise InvalidRequest("A tag and a property have a name.", field="tags" if "" in tags else "properties")
    _label(service, asked, tags, properties)
    return Reply(body=_run(service, asked))


@route("GET", _BY_NAME, summary="Get a run (version 1)", role=Role.READER, answers={200: WireRun}, errors=(404,))
def get_wire_run_by_name(service: Service, asked: Asked) -> Reply:
    """As by the id of its experiment."""
    return Reply(body=_run(service, asked))


@route(
    "PATCH",
    _BY_NAME,
    summary="Tag a run (version 1)",
    role=Role.SUBMITTER,
    answers={200: WireRun},
    errors=(404, 409),
    changes_run=True,
    example={"tags": {"quality": "good"}},
)
def patch_wire_run_by_name(service: Service, asked: Asked, body: WireRunChange) -> Reply:
    """As by the id of its experiment."""
    return _patch(service, asked, body)


@route(
    "GET",
    f"{_BY_NAME}/details",
    summary="Get the details of a run (version 1)",
    role=Role.READER,
    answers={200: WireDetails},
    errors=(404,),
)
def get_wire_details(service: Service, asked: Asked) -> Reply:
    """Its status, its times, tags and properties."""
    run = _run(service, asked)
    return Reply(
        body=WireDetails(
            run_id=run.run_id,
            target=run.target,
            status=run.status,
            submitted_by=run.user_id,
            start_time_utc=run.start_time_utc,
            end_time_utc=run.end_time_utc,
            properties=run.properties,
            tags=run.tags,
        )
    )


@route(
    "POST",
    _BATCH,
    summary="Log metrics (version 1)",
    role=Role.SUBMITTER,
    answers={200: Empty},
    errors=(404, 409),
    changes_run=True,
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
    on = must_execute(service, asked)
    values = [one for metric in body.values for one in _logged(service, on, metric)]
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
    run, _ = ids(asked)
    service.world.run(run_view(service.memory, run))
    return Reply(body=Empty())


@route(
    "DELETE",
    f"{_BY_NAME}/tags",
    summary="Remove tags (version 1)",
    role=Role.SUBMITTER,
    answers={200: WireRun},
    errors=(404, 409),
    changes_run=True,
    example=["draft"],
)
def remove_wire_tags(service: Service, asked: Asked, body: tuple[str, ...]) -> Reply:
    """By their names; one that is not there is removed already."""
    _label(service, asked, dict.fromkeys(body), {})
    return Reply(body=_run(service, asked))


def _label(service: Service, asked: Asked, tags: Mapping[str, str | None], properties: Mapping[str, str]) -> None:
    """Change tags and add properties, of the step while it is being executed, or of the run of the pipeline."""
    run, step = ids(asked)
    most = service.settings.assignment_bytes
    if step:
        on = must_execute(service, asked)
        service.world.run(said.say(run, on.position, on.owner, tags=tags, properties=properties, most_bytes=most))
    else:
        service.world.run(change_tags(service.memory, run, tags, most_bytes=most, properties=properties))


def _run(service: Service, asked: Asked) -> WireRun:
    run, step = ids(asked)
    whole = service.world.run(run_view(service.memory, run))
    experiment = asked.path.get("experiment_id") or asked.path["experiment_name"]
    if not step:
        return _of_pipeline(whole, experiment)
    return _of_step(whole, service.world.run(step_view(service.memory, run, step)), experiment)


def _of_pipeline(run: RunView, experiment: str) -> WireRun:
    created = iso(run.submitted_at)
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
        user_id=run.started_by,
        created_utc=created,
        start_time_utc=created,
        end_time_utc=None if run.ended_at is None else iso(run.ended_at),
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
        user_id=run.started_by,
        created_utc=iso(run.submitted_at),
        start_time_utc=None if step.started_at is None else iso(step.started_at),
        end_time_utc=None if step.ended_at is None else iso(step.ended_at),
        tags=step.tags,
        properties=step.properties,
    )


def _logged(service: Service, on: Execution, metric: WireMetric) -> list[Logged]:
    kind = _KINDS.get(str((metric.properties or {}).get("uxMetricType", "")), "row")
    return [
        Logged(id=one.id, metric=_of_file(service, on, metric.name, one) or _metric(metric.name, kind, one))
        for one in metric.value
    ]


def _of_file(service: Service, on: Execution, name: str, value: WireValue) -> Metric | None:
    """A value that is the address of a file: an image, or the document of a chart, which is taken in its place."""
    place = value.data.get(name)
    if not isinstance(place, str) or not place.startswith(ARTIFACT):
        return None
    path = place.removeprefix(ARTIFACT).partition("/")[2]
    part = service.world.run(given.part(given.by_script(on), path, limit=_LARGEST_DOCUMENT))
    kind: str = "image"
    kept: Any = path
    if part is not None and part.size <= _LARGEST_DOCUMENT and part.data.lstrip().startswith(b"{"):
        with suppress(msgspec.DecodeError):
            kind, kept = "table", msgspec.json.decode(part.data)
    return Metric(name=name, kind=kind, value=kept, at=value.created.timestamp(), step=value.step)


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


ROUTES = (
    discover_wire,
    get_wire_run,
    patch_wire_run,
    log_wire_metrics,
    wait_for_wire_metrics,
    remove_wire_tags,
    get_wire_run_by_name,
    patch_wire_run_by_name,
    get_wire_details,
)

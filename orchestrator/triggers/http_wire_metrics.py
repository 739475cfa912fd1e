"""What was logged, as a real azureml-core asks for it inside a step: metrics v2.0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from orchestrator.core.errors import UnknownThing
from orchestrator.core.names import shown
from orchestrator.core.result import Metric
from orchestrator.engine.resultview import metrics_view
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.wire_place import CONTAINER, WORKSPACE, ids, iso

_METRICS = f"metric/v2.0/{WORKSPACE}/runs/{{run_id}}"
_NUMBERS = ("NaN", "Infinity", "-Infinity")
ARTIFACT = "aml://artifactId/ExperimentRun/"
"""Before container and path: how version 1 writes the address of a file of a run."""


class WireMetricsWish(msgspec.Struct, frozen=True, kw_only=True):
    """All names. Fields of version 1 may be there."""


class WireMetricWish(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A name. Other fields of version 1 may be there."""

    metric_name: str


class WireMetricKey(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    namespace: str = ""


class WireMetricName(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`columns`: name -> type."""

    metric_key: WireMetricKey
    columns: dict[str, str]


class WireMetricNames(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All of them: there is no further page."""

    value: tuple[WireMetricName, ...]
    continuation_token: str | None = None


class WireKeptValue(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    metric_id: str
    created_utc: str
    step: int | None
    data: dict[str, Any]


class WireKind(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    ux_metric_type: str


class WireKeptMetric(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All values of one name, in the order of their times."""

    data_container_id: str
    name: str
    columns: dict[str, str]
    value: tuple[WireKeptValue, ...]
    properties: WireKind
    continuation_token: str | None = None


@route(
    "POST",
    f"{_METRICS}/list",
    summary="List the names of metrics (version 1)",
    role=Role.READER,
    answers={200: WireMetricNames},
    errors=(404,),
    example={},
)
def list_wire_metrics(service: Service, asked: Asked, body: WireMetricsWish) -> Reply:
    """Of a step, or of the run of a pipeline with its steps."""
    del body
    named: dict[str, list[Metric]] = {}
    for metric in _logged(service, asked):
        named.setdefault(metric.name, []).append(metric)
    value = tuple(
        WireMetricName(metric_key=WireMetricKey(name=name), columns=_columns(_rows(metrics)))
        for name, metrics in named.items()
    )
    return Reply(body=WireMetricNames(value=value))


@route(
    "POST",
    f"{_METRICS}/full",
    summary="Get a metric (version 1)",
    role=Role.READER,
    answers={200: WireKeptMetric},
    errors=(404,),
    example={"metricName": "rmse"},
)
def get_wire_metric(service: Service, asked: Asked, body: WireMetricWish) -> Reply:
    """All values of one name."""
    metrics = [metric for metric in _logged(service, asked) if metric.name == body.metric_name]
    if not metrics:
        raise UnknownThing(f"Nothing is logged as {shown(body.metric_name)}.", field="metricName")
    container = f"{CONTAINER}{asked.path['run_id']}"
    rows = list(_rows(metrics))
    values = tuple(
        WireKeptValue(
            metric_id=f"{number:08d}", created_utc=iso(metric.at), step=metric.step, data=_data(metric, row, container)
        )
        for number, (metric, row) in enumerate(rows)
    )
    kind = WireKind(ux_metric_type=_kind(metrics[0]))
    made = WireKeptMetric(
        data_container_id=container, name=body.metric_name, columns=_columns(rows), value=values, properties=kind
    )
    return Reply(body=made)


def _logged(service: Service, asked: Asked) -> tuple[Metric, ...]:
    run, step = ids(asked)
    seen = service.world.run(metrics_view(service.memory, run))
    if step:
        return seen.steps.get(step, ())
    return (*(metric for metrics in seen.steps.values() for metric in metrics), *seen.run)


def _kind(metric: Metric) -> str:
    match metric.kind:
        case "image":
            return "azureml.v2.image"
        case "row" | "table":
            return "azureml.v1.table"
    return f"azureml.v1.{metric.kind}"


_Row = tuple[Metric, dict[str, Any]]


def _rows(metrics: Iterable[Metric]) -> Iterator[_Row]:
    """Each value as version 1 has it: a cell for each column; lists value by value, tables row by row."""
    for metric in metrics:
        if metric.kind == "list" and isinstance(metric.value, list):
            yield from ((metric, {metric.name: value}) for value in metric.value)
        elif metric.kind in ("row", "table") and isinstance(metric.value, dict):
            yield from ((metric, row) for row in _table(metric.value))
        else:
            yield metric, {metric.name: metric.value}


def _table(columns: dict[str, Any]) -> Iterator[dict[str, Any]]:
    long = {name: values for name, values in columns.items() if isinstance(values, list)}
    if not long:
        yield columns
        return
    for number in range(max(map(len, long.values()))):
        cells = {name: values[number] if number < len(values) else None for name, values in long.items()}
        yield {name: cells.get(name, value) for name, value in columns.items()}


def _columns(rows: Iterable[_Row]) -> dict[str, str]:
    """A column of integers and of other numbers is one of numbers."""
    found: dict[str, str] = {}
    for _, row in rows:
        for name, value in row.items():
            kind, before = _type(value), found.get(name)
            found[name] = (
                kind if before in (None, kind) else "double" if {before, kind} == {"int", "double"} else "string"
            )
    return found


def _type(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "double"
        case str() if value in _NUMBERS:
            return "double"
    return "string"


def _data(metric: Metric, row: dict[str, Any], container: str) -> dict[str, Any]:
    """An image's file by its address."""
    if metric.kind != "image":
        return row
    return {name: f"{ARTIFACT}{container}/{value}" for name, value in row.items()}


ROUTES = (list_wire_metrics, get_wire_metric)

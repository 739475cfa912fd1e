"""Tags, properties and metrics that are given to steps and runs from outside."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from orchestrator.core.errors import InvalidRequest
from orchestrator.core.result import Metric
from orchestrator.engine.resultview import log_from_outside
from orchestrator.engine.script_metrics import Logged
from orchestrator.engine.stepview import StepView, label_step
from orchestrator.triggers.http_runs import TagsRequest
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import Strict


class LoggedValue(Strict, frozen=True, kw_only=True):
    """A value, known by `id`: sent again it is the same value. `at` in epoch seconds, for the order of values."""

    id: Annotated[str, Meta(pattern="^[A-Za-z0-9-]{1,64}$")]
    name: str
    kind: Literal["scalar", "list", "row", "table", "image"]
    value: Any
    at: Annotated[float, Meta(ge=0)]
    step: int | None = None
    description: str = ""


class LogRequest(Strict, frozen=True, kw_only=True):
    metrics: tuple[LoggedValue, ...]


class LoggedBody(msgspec.Struct, frozen=True, kw_only=True):
    """How many values were kept."""

    kept: int


_EXAMPLE = {"metrics": [{"id": "5f0c1f1c", "name": "rmse", "kind": "scalar", "value": 0.5, "at": 1767225600.0}]}


@route(
    "PATCH",
    "runs/{run_id}/steps/{step_id}",
    summary="Change the tags of a step",
    role=Role.SUBMITTER,
    answers={200: StepView},
    errors=(404, 409),
    changes_run=True,
    example={"tags": {"quality": "good", "draft": None}},
)
def patch_step(service: Service, asked: Asked, body: TagsRequest) -> Reply:
    """Before it starts, while it runs, and after it has ended. They win over those that its script has set."""
    for field, given in (("tags", body.tags), ("properties", body.properties)):
        if "" in given:
            raise InvalidRequest("A tag and a property have a name.", field=field)
    task = label_step(
        service.memory,
        asked.path["run_id"],
        asked.path["step_id"],
        tags=body.tags,
        properties=body.properties,
        most_bytes=service.settings.assignment_bytes,
    )
    return Reply(body=service.world.run(task))


@route(
    "POST",
    "runs/{run_id}/steps/{step_id}/metrics",
    summary="Log on a step",
    role=Role.SUBMITTER,
    answers={200: LoggedBody},
    errors=(404,),
    changes_run=True,
    example=_EXAMPLE,
)
def log_on_step(service: Service, asked: Asked, body: LogRequest) -> Reply:
    """From outside. What its script logs goes another way."""
    return _log(service, asked, body, asked.path["step_id"])


@route(
    "POST",
    "runs/{run_id}/metrics",
    summary="Log on a run",
    role=Role.SUBMITTER,
    answers={200: LoggedBody},
    errors=(404,),
    changes_run=True,
    example=_EXAMPLE,
)
def log_on_run(service: Service, asked: Asked, body: LogRequest) -> Reply:
    """From outside, on the run as a whole."""
    return _log(service, asked, body, "")


def _log(service: Service, asked: Asked, body: LogRequest, step: str) -> Reply:
    values = [
        Logged(
            id=one.id,
            metric=Metric(
                name=one.name, kind=one.kind, value=one.value, at=one.at, step=one.step, description=one.description
            ),
        )
        for one in body.metrics
    ]
    service.world.run(log_from_outside(service.memory, asked.path["run_id"], step, values))
    return Reply(body=LoggedBody(kept=len(values)))


ROUTES = (patch_step, log_on_step, log_on_run)

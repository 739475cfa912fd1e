"""What happens inside a run: its steps, their logs, metrics and outputs."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from orchestrator.catalog import registered_datastores
from orchestrator.core.result import Metric
from orchestrator.engine.costview import RunCost, cost_view
from orchestrator.engine.logview import read_log
from orchestrator.engine.outputview import OutputsPage, Signing, What, Wish, outputs_page
from orchestrator.engine.resultview import metrics_view
from orchestrator.engine.stepview import StepView, step_view, steps_view
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import Strict

LOG_LIMIT: Final = 16 * 1024 * 1024


class StepList(msgspec.Struct, frozen=True, kw_only=True):
    steps: tuple[StepView, ...]


class MetricsBody(msgspec.Struct, frozen=True, kw_only=True):
    """Step id -> what it logged; steps that logged nothing are left out. `run`: logged on the run as a whole."""

    steps: dict[str, tuple[Metric, ...]]
    run: tuple[Metric, ...] = ()


class LogQuery(Strict, frozen=True, kw_only=True):
    offset: Annotated[int, Meta(ge=-(2**53), le=2**53, description="First byte; negative: so many from the end.")] = 0
    limit: Annotated[int, Meta(ge=1, le=LOG_LIMIT, description="The most bytes to read.")] = LOG_LIMIT


class CostQuery(Strict, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=5000, description="The most steps to list.")] = 1000
    continuation: Annotated[str, Meta(description="From the answer to the page before.")] = ""


class OutputsQuery(Strict, frozen=True, kw_only=True):
    step: Annotated[str, Meta(description="Only this step, by its id.")] = ""
    output: Annotated[str, Meta(description="Only this output, by its name, and no artifacts.")] = ""
    what: Annotated[What, Meta(description="Outputs of the steps, artifacts of their scripts, or both.")] = "all"
    limit: Annotated[int, Meta(ge=1, le=5000, description="The most files to list, and the most steps.")] = 1000
    continuation: Annotated[str, Meta(description="From the answer to the page before.")] = ""


@route(
    "GET",
    "runs/{run_id}/steps",
    summary="List the steps of a run",
    role=Role.READER,
    answers={200: StepList},
    errors=(404,),
)
def get_steps(service: Service, asked: Asked) -> Reply:
    """All of them, in the order of the definition, with their present status."""
    return Reply(body=StepList(steps=service.world.run(steps_view(service.memory, asked.path["run_id"]))))


@route(
    "GET",
    "runs/{run_id}/steps/{step_id}",
    summary="Get a step of a run",
    role=Role.READER,
    answers={200: StepView},
    errors=(404,),
)
def get_step(service: Service, asked: Asked) -> Reply:
    """By its id in the definition."""
    return Reply(body=service.world.run(step_view(service.memory, asked.path["run_id"], asked.path["step_id"])))


@route(
    "GET",
    "runs/{run_id}/steps/{step_id}/log",
    summary="Read the log of a step",
    role=Role.READER,
    answers={200: bytes},
    errors=(404,),
)
def get_log(service: Service, asked: Asked, query: LogQuery) -> Reply:
    """Standard output and error of the script, while it runs and after.

    To follow it, ask again with `offset` = the header Millstream-Log-Next until Millstream-Log-Complete is true; an
    empty body means that there is nothing new. A retry begins a new log: then Millstream-Log-Attempt has risen, and an
    offset beyond its end is answered from its end.
    """
    run_id, step_id = asked.path["run_id"], asked.path["step_id"]
    part = service.world.run(read_log(service.memory, run_id, step_id, offset=query.offset, limit=query.limit))
    headers = {
        "Millstream-Log-Offset": str(part.start),
        "Millstream-Log-Next": str(part.next),
        "Millstream-Log-Complete": str(part.complete).lower(),
        "Millstream-Log-Attempt": str(part.attempt),
    }
    return Reply(body=part.data, headers=headers)


@route(
    "GET",
    "runs/{run_id}/metrics",
    summary="Read the metrics",
    role=Role.READER,
    answers={200: MetricsBody},
    errors=(404,),
)
def get_metrics(service: Service, asked: Asked) -> Reply:
    """Of the steps that have ended, and of those that run what they have logged until a moment ago."""
    seen = service.world.run(metrics_view(service.memory, asked.path["run_id"]))
    return Reply(body=MetricsBody(steps=seen.steps, run=seen.run))


@route(
    "GET",
    "runs/{run_id}/cost",
    summary="Estimate what a run costs",
    role=Role.READER,
    answers={200: RunCost},
    errors=(404,),
)
def get_cost(service: Service, asked: Asked, query: CostQuery) -> Reply:
    """Of what has been counted until now, by public list prices, or by those of MILLSTREAM_PRICES. An estimate: no free
    grant is deducted, and `not_included` says what else is not in it. The whole run is on each page, its steps are not.
    """
    view = cost_view(
        service.memory,
        asked.path["run_id"],
        service.settings.prices,
        limit=query.limit,
        continuation=query.continuation or None,
    )
    return Reply(body=service.world.run(view))


@route(
    "GET",
    "runs/{run_id}/outputs",
    summary="List the outputs",
    role=Role.READER,
    answers={200: OutputsPage},
    errors=(404,),
)
def get_outputs(service: Service, asked: Asked, query: OutputsQuery) -> Reply:
    """Of the steps that have ended, with URLs to read the files, good for minutes.

    Page by page: a step whose files do not fit is on several pages, each with some of them. The same page asked for
    again has the same files under new URLs.
    """
    places = service.world.run(registered_datastores.addresses(service.settings.datastores))
    signing = Signing(datastores=places, seconds=service.settings.url_seconds, relay=asked.base_url)
    wish = Wish(
        step=query.step or None,
        output=query.output or None,
        what=query.what,
        limit=query.limit,
        continuation=query.continuation or None,
    )
    return Reply(body=service.world.run(outputs_page(service.memory, asked.path["run_id"], signing, wish)))


ROUTES = (get_steps, get_step, get_log, get_metrics, get_cost, get_outputs)

"""Runs: start, list, get, tag, cancel."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from orchestrator.catalog.submissions import Submission
from orchestrator.core.decision import Decision
from orchestrator.core.definition import Definition
from orchestrator.core.errors import InvalidRequest
from orchestrator.core.head import Head
from orchestrator.core.names import RUN_ID as RUN_ID_RULE
from orchestrator.core.priority import LEAST, MOST, USUAL
from orchestrator.core.states import RunStatus
from orchestrator.core.webhook import LONGEST_URL, MOST_A_RUN, Event, Notify
from orchestrator.engine.cancel import cancel
from orchestrator.engine.listing import RunFilter, RunSummary, list_runs
from orchestrator.engine.reading import load_plan
from orchestrator.engine.reuse.ingredients import ALL
from orchestrator.engine.tags import change_tags
from orchestrator.engine.view import RunView, run_view, unknown_run, view_of
from orchestrator.triggers.executions import end_executions
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import (
    PIPELINE_ID,
    Continuation,
    ExperimentName,
    PageQuery,
    RunId,
    Source,
    Strict,
    text,
    texts,
)

IDEMPOTENCY_KEY = "Idempotency-Key"
ME = "me"
KEY_HELP = "Free text. A request that is sent again with the same key finds the run that the first one started."


class NotifyRequest(Strict, frozen=True, kw_only=True):
    """A URL that is called at the end of the run. No `events`: at every end."""

    url: Annotated[str, text("http or https.", "^https?://", longest=LONGEST_URL)]
    events: tuple[Event, ...] = ()


class StartRequest(Strict, frozen=True, kw_only=True):
    """Exactly one of `definition`, `pipeline_id` and `endpoint_id`; of an endpoint, its default version if none is
    given. A chosen `run_id` makes the request safe to repeat.
    """

    experiment_name: ExperimentName
    definition: Definition | None = None
    pipeline_id: str | None = None
    endpoint_id: str | None = None
    pipeline_version: str | None = None
    parameters: Annotated[
        dict[str, Any], Meta(description="Values for pipeline parameters: numbers, texts, true or false.")
    ] = msgspec.field(default_factory=dict)
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    properties: dict[str, str] = msgspec.field(default_factory=dict)
    description: str = ""
    continue_on_step_failure: bool | None = None
    run_id: RunId | None = None
    parent_run: Annotated[str, Meta(description="The id of the run of which this one is a child.")] = ""
    source: Source = "http"
    regenerate: Annotated[
        bool | tuple[str, ...],
        Meta(description="Steps that run even if nothing has changed, by name or id; true: all of them."),
    ] = False
    notify: Annotated[tuple[NotifyRequest, ...], Meta(max_length=MOST_A_RUN)] = ()
    priority: Annotated[
        int, Meta(ge=LEAST, le=MOST, description="Of the steps that have none of their own. More goes first.")
    ] = USUAL


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True):
    """`decision.action`: "run", "reuse", "keep", or "undecided"."""

    id: str
    name: str
    decision: Decision


class RunPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The steps in the order of the definition."""

    steps: tuple[PlannedStep, ...]
    warnings: tuple[str, ...]


class TagsRequest(Strict, frozen=True, kw_only=True):
    """Tags to set; null removes one. Properties to add, which cannot be changed afterwards. Others stay as they are."""

    tags: dict[str, str | None] = msgspec.field(default_factory=dict)
    properties: dict[str, str] = msgspec.field(default_factory=dict)


class RunList(msgspec.Struct, frozen=True, kw_only=True):
    runs: tuple[RunSummary, ...]
    continuation: Continuation


Moment = Annotated[float, Meta(ge=0, le=1e11)]


class RunsQuery(PageQuery, frozen=True, kw_only=True):
    experiment: Annotated[str, Meta(description="Only runs of this experiment.")] = ""
    status: Annotated[RunStatus | msgspec.UnsetType, Meta(description="Only runs of this status.")] = msgspec.UNSET
    pipeline_id: Annotated[str, Meta(description="Only runs of this published pipeline.")] = ""
    source: Annotated[str, Meta(description='Only runs that this asked for: "http", "schedule" ...')] = ""
    started_by: Annotated[
        str, Meta(description='Only runs that this caller has started, by the name in `started_by`; "me": yourself.')
    ] = ""
    parent_run: Annotated[str, Meta(description="Only children of this run.")] = ""
    tag: Annotated[
        tuple[str, ...], Meta(description="NAME or NAME=VALUE: only runs with this tag. Repeat it for several.")
    ] = ()
    property: Annotated[
        tuple[str, ...], Meta(description="NAME or NAME=VALUE: only runs with this property. Repeat it for several.")
    ] = ()
    submitted_after: Annotated[
        Moment | msgspec.UnsetType, Meta(description="Only runs submitted then or later, in seconds since the epoch.")
    ] = msgspec.UNSET
    submitted_before: Annotated[
        Moment | msgspec.UnsetType, Meta(description="Only runs submitted earlier, in seconds since the epoch.")
    ] = msgspec.UNSET


@route(
    "POST",
    "runs",
    summary="Start a run",
    role=Role.SUBMITTER,
    answers={202: RunView, 200: RunView},
    errors=(404, 409, 413),
    headers={IDEMPOTENCY_KEY: KEY_HELP},
    example={"experiment_name": "diabetes", "pipeline_id": PIPELINE_ID, "parameters": {"reg_rate": 0.05}},
    large=True,
    sends=True,
)
def start_run(service: Service, asked: Asked, body: StartRequest) -> Reply:
    """Of a definition sent along, of a published pipeline, or of a version of a pipeline endpoint.

    Answered (202) as soon as the run is safely in storage. Sent again with the same `run_id` or Idempotency-Key it
    answers with the same run (200), or 409 if it asks for something else.
    """
    return started(service, _wish(asked, body))


@route(
    "POST",
    "runs/plan",
    summary="Plan a run",
    role=Role.SUBMITTER,
    answers={200: RunPlan},
    errors=(404, 409, 413),
    example={"experiment_name": "diabetes", "pipeline_id": PIPELINE_ID, "parameters": {"reg_rate": 0.05}},
    large=True,
)
def plan_run(service: Service, asked: Asked, body: StartRequest) -> Reply:
    """What a run would do if it were started now: which steps would run, and why, and which would be reused.

    Takes what `POST /api/runs` takes, and starts nothing. What is left undecided depends on what other steps make.
    """
    found = service.world.run(service.submitter.forecast(_wish(asked, body)))
    steps = tuple(
        PlannedStep(id=step.id, name=step.name, decision=decision)
        for step, decision in zip(found.plan.definition.steps, found.decisions, strict=True)
    )
    return Reply(body=RunPlan(steps=steps, warnings=texts(found.warnings)))


def _wish(asked: Asked, body: StartRequest) -> Submission:
    return Submission(
        experiment=body.experiment_name,
        definition=body.definition,
        pipeline_id=body.pipeline_id,
        endpoint_id=body.endpoint_id,
        pipeline_version=body.pipeline_version,
        parameters=body.parameters,
        tags=body.tags,
        properties=body.properties,
        description=body.description,
        keep_going=body.continue_on_step_failure,
        run_id=body.run_id,
        idempotency_key=asked.headers.get(IDEMPOTENCY_KEY.lower()),
        source=body.source,
        parent_run=body.parent_run,
        regenerate=_regenerate(body.regenerate),
        notify=named(body.notify),
        started_by=asked.caller,
        priority=body.priority,
    )


def named(notify: tuple[NotifyRequest, ...]) -> tuple[Notify, ...]:
    """The webhooks that a request names."""
    return tuple(Notify(url=hook.url, events=tuple(dict.fromkeys(hook.events))) for hook in notify)


def started(service: Service, wish: Submission) -> Reply:
    """Start a run, or find the one that the same request has started: 202 or 200."""
    accepted = service.world.run(service.submitter.submit(wish))
    if accepted.created:
        head = Head(keep_going=accepted.info.keep_going)
        view = view_of(accepted.info, head, accepted.plan, ended_at=None)
    else:
        view = service.world.run(run_view(service.memory, accepted.info.id))
    hooks = tuple(
        msgspec.structs.replace(shown, secret=service.settings.webhook_secret(hook.signer))
        for shown, hook in zip(view.notify, accepted.info.notify, strict=True)
    )
    body = msgspec.structs.replace(view, notify=hooks, warnings=texts(accepted.warnings))
    return Reply(body=body, status=202 if accepted.created else 200, messages=accepted.messages)


def _regenerate(given: bool | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(given, bool):
        return (ALL,) if given else ()
    return given


@route("GET", "runs", summary="List runs", role=Role.READER, answers={200: RunList})
def get_runs(service: Service, asked: Asked, query: RunsQuery) -> Reply:
    """Newest first. With a rare filter a page may be short, even empty, and still have a continuation.

    An experiment, and a time, cost only the runs that they leave; other filters look at each of these.
    """
    wanted = RunFilter(
        experiment=query.experiment or None,
        status=query.status or None,
        pipeline_id=query.pipeline_id or None,
        source=query.source or None,
        started_by=asked.caller if query.started_by == ME else query.started_by or None,
        parent_run=query.parent_run or None,
        tags=labels(query.tag, "tag"),
        properties=labels(query.property, "property"),
        submitted_after=_given(query.submitted_after),
        submitted_before=_given(query.submitted_before),
    )
    page = service.world.run(list_runs(wanted, limit=query.limit, continuation=query.continuation or None))
    return Reply(body=RunList(runs=page.items, continuation=page.continuation))


def labels(given: tuple[str, ...], field: str) -> dict[str, str | None]:
    """NAME or NAME=VALUE, several times."""
    wanted: dict[str, str | None] = {}
    for label in given:
        name, equals, value = label.partition("=")
        if not name:
            raise InvalidRequest("Give a name, or a name and a value as NAME=VALUE.", field=field)
        wanted[name] = value if equals else None
    return wanted


def _given(moment: float | msgspec.UnsetType) -> float | None:
    return None if isinstance(moment, msgspec.UnsetType) else moment


@route("GET", "runs/{run_id}", summary="Get a run", role=Role.READER, answers={200: RunView}, errors=(404,))
def get_run(service: Service, asked: Asked) -> Reply:
    """Its status, its counts of steps, and what it was started with."""
    return Reply(body=service.world.run(run_view(service.memory, asked.path["run_id"])))


@route(
    "GET",
    "runs/{run_id}/definition",
    summary="Get what a run runs",
    role=Role.READER,
    answers={200: Definition},
    errors=(404,),
)
def get_run_definition(service: Service, asked: Asked) -> Reply:
    """The whole definition, as it was submitted: it can be published."""
    view = service.world.run(run_view(service.memory, asked.path["run_id"]))
    return Reply(body=service.world.run(load_plan(service.memory, view.definition)).definition)


@route(
    "PATCH",
    "runs/{run_id}",
    summary="Change the tags of a run",
    role=Role.SUBMITTER,
    answers={200: RunView},
    errors=(404, 409, 413),
    changes_run=True,
    example={"tags": {"quality": "good", "draft": None}},
)
def patch_run(service: Service, asked: Asked, body: TagsRequest) -> Reply:
    """Also after it has ended."""
    run_id, most = asked.path["run_id"], service.settings.assignment_bytes
    for field, given in (("tags", body.tags), ("properties", body.properties)):
        if "" in given:
            raise InvalidRequest("A tag and a property have a name.", field=field)
    task = change_tags(service.memory, run_id, body.tags, most_bytes=most, properties=body.properties)
    service.world.run(task)
    return Reply(body=service.world.run(run_view(service.memory, run_id)))


@route(
    "POST",
    "runs/{run_id}/cancel",
    summary="Cancel a run",
    role=Role.SUBMITTER,
    answers={200: RunView},
    errors=(404,),
    changes_run=True,
)
def cancel_run(service: Service, asked: Asked) -> Reply:
    """Nothing new starts from now on; scripts that run end within seconds. A run that has ended stays as it is."""
    run_id = asked.path["run_id"]
    if not RUN_ID_RULE.allows(run_id):
        raise unknown_run(run_id)
    service.world.run(cancel(service.memory, run_id))
    end_executions(service, run_id)
    return Reply(body=service.world.run(run_view(service.memory, run_id)))


ROUTES = (start_run, plan_run, get_runs, get_run, get_run_definition, patch_run, cancel_run)

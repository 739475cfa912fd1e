"""Schedules: make, find, change, look ahead, make up for the past."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from orchestrator.catalog import backfill, firing, firings, schedules
from orchestrator.catalog.backfill import Filled
from orchestrator.catalog.firings import Firing
from orchestrator.catalog.schedules import Filter, Stored, Wish
from orchestrator.core import schedule as rules
from orchestrator.core.cron import Cron
from orchestrator.core.datachange import DataChange
from orchestrator.core.errors import InvalidRequest
from orchestrator.core.recurrence import Recurrence
from orchestrator.core.schedule import CatchUp, Failure, Schedule, ScheduleStatus
from orchestrator.triggers.http_runs import IDEMPOTENCY_KEY
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import PIPELINE_ID, Continuation, ExperimentName, PageQuery, Strict, texts

KEY_HELP = "Free text. A request that is sent again with the same key finds the schedule that the first one made."
Parameters = Annotated[
    dict[str, Any], Meta(description="Values for pipeline parameters: numbers, texts, true or false, data.")
]


class ScheduleRequest(Strict, frozen=True, kw_only=True):
    """Exactly one of `pipeline_id` and `pipeline_endpoint_id`; exactly one of the three triggers.

    A chosen `id`, a UUID, makes the request safe to repeat. `catch_up`: what is run when occurrences were missed.
    """

    name: str
    experiment_name: ExperimentName
    description: str = ""
    pipeline_id: str | None = None
    pipeline_endpoint_id: str | None = None
    parameters: Parameters = msgspec.field(default_factory=dict)
    recurrence: Recurrence | None = None
    cron: Cron | None = None
    data_change: DataChange | None = None
    continue_on_step_failure: bool | None = None
    catch_up: CatchUp = CatchUp.LATEST
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    id: str | None = None


class ScheduleChanges(Strict, frozen=True, kw_only=True):
    """What is not named stays as it is. A trigger takes the place of the one before; it counts from now.

    With the `etag` that the caller has seen, a schedule that was changed since is not changed (409).
    """

    name: str | UnsetType = UNSET
    experiment_name: ExperimentName | UnsetType = UNSET
    description: str | UnsetType = UNSET
    parameters: Parameters | UnsetType = UNSET
    recurrence: Recurrence | UnsetType = UNSET
    cron: Cron | UnsetType = UNSET
    data_change: DataChange | UnsetType = UNSET
    continue_on_step_failure: bool | UnsetType | None = UNSET
    catch_up: CatchUp | UnsetType = UNSET
    status: ScheduleStatus | UnsetType = UNSET
    tags: dict[str, str] | UnsetType = UNSET
    etag: str | UnsetType = UNSET


class ScheduleBody(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule and how far it has come.

    `next_occurrence`: null, where none is known to come. `skipped`: occurrences that were left out by the catch-up
    policy. `owner`: who has made it or changed it last; its runs are theirs. `failures`: occurrences without a run
    since the last one that has one; `last_failure` says why.
    """

    id: str
    name: str
    description: str
    experiment_name: str
    pipeline_id: str | None
    pipeline_endpoint_id: str | None
    parameters: dict[str, Any]
    recurrence: Recurrence | None
    cron: Cron | None
    data_change: DataChange | None
    continue_on_step_failure: bool | None
    catch_up: CatchUp
    status: ScheduleStatus
    tags: dict[str, str]
    owner: str
    created_at: float
    updated_at: float
    etag: str
    next_occurrence: float | None
    skipped: int
    failures: int
    last_run_id: str | None
    last_occurrence: float | None
    last_failure: Failure | None
    warnings: tuple[str, ...] = ()


class ScheduleList(msgspec.Struct, frozen=True, kw_only=True):
    schedules: tuple[ScheduleBody, ...]
    continuation: Continuation


class SchedulesQuery(PageQuery, frozen=True, kw_only=True):
    active_only: Annotated[bool, Meta(description="Leave out those that are disabled.")] = False
    name: Annotated[str, Meta(description="Only schedules of exactly this name.")] = ""
    pipeline_id: Annotated[str, Meta(description="Only schedules of this published pipeline.")] = ""
    pipeline_endpoint_id: Annotated[str, Meta(description="Only schedules of this pipeline endpoint.")] = ""


class OccurrencesQuery(Strict, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=1000, description="The most to list.")] = 10


class OccurrenceList(msgspec.Struct, frozen=True, kw_only=True):
    """Moments in epoch seconds."""

    occurrences: tuple[float, ...]


class FiringBody(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an occurrence (epoch seconds): the run, or why it could not be started."""

    occurrence: float
    run_id: str
    failure: Failure | None


class FiringList(msgspec.Struct, frozen=True, kw_only=True):
    runs: tuple[FiringBody, ...]
    continuation: Continuation


class FiringsQuery(PageQuery, frozen=True, kw_only=True):
    started_only: Annotated[bool, Meta(description="Leave out occurrences whose run could not be started.")] = False


class BackfillRequest(Strict, frozen=True, kw_only=True):
    """The occurrences with start <= occurrence < end, in epoch seconds; without an `end`, until now."""

    start: float
    end: float | None = None
    dry_run: bool = False


class BackfillReply(msgspec.Struct, frozen=True, kw_only=True):
    """`rest`: ask again with this `start` for what is left; null: the period is done."""

    occurrences: tuple[Filled, ...]
    rest: float | None


@route(
    "POST",
    "schedules",
    summary="Make a schedule",
    role=Role.SUBMITTER,
    answers={201: ScheduleBody, 200: ScheduleBody},
    errors=(404, 409),
    headers={IDEMPOTENCY_KEY: KEY_HELP},
    example={
        "name": "nightly",
        "experiment_name": "diabetes",
        "pipeline_id": PIPELINE_ID,
        "recurrence": {"frequency": "Day", "time_zone": "Europe/Paris", "hours": [2], "minutes": [30]},
    },
)
def create_schedule(service: Service, asked: Asked, body: ScheduleRequest) -> Reply:
    """Runs of a published pipeline, or of what a pipeline endpoint stands for, at times or when data changes.

    A recurrence without `start_time` and without times of its own runs at once, then by its interval. Made again with
    the same `id` or Idempotency-Key, it is the same schedule (200), or 409 if something else is asked for.
    """
    wish = Wish(
        name=body.name,
        experiment=body.experiment_name,
        description=body.description,
        pipeline_id=body.pipeline_id,
        pipeline_endpoint_id=body.pipeline_endpoint_id,
        parameters=body.parameters,
        recurrence=body.recurrence,
        cron=body.cron,
        data_change=body.data_change,
        keep_going=body.continue_on_step_failure,
        catch_up=body.catch_up,
        tags=body.tags,
        id=body.id,
        idempotency_key=asked.headers.get(IDEMPOTENCY_KEY.lower()),
    )
    task = schedules.create(service.memory, wish, datastores=service.settings.datastores, owner=asked.caller)
    made, created, warnings = service.world.run(task)
    made = service.world.run(firing.fire_at_once(service.submitter, made))
    service.world.run(service.intake.arm(made))
    return Reply(body=_body(made, texts(warnings)), status=201 if created else 200)


@route("GET", "schedules", summary="List schedules", role=Role.READER, answers={200: ScheduleList})
def list_schedules(service: Service, asked: Asked, query: SchedulesQuery) -> Reply:
    """Newest first."""
    del asked
    wanted = Filter(
        active_only=query.active_only,
        name=query.name or None,
        pipeline_id=query.pipeline_id.lower() or None,
        pipeline_endpoint_id=query.pipeline_endpoint_id.lower() or None,
    )
    task = schedules.listing(wanted, limit=query.limit, continuation=query.continuation or None)
    page = service.world.run(task)
    items = tuple(_body(stored) for stored in page.items)
    return Reply(body=ScheduleList(schedules=items, continuation=page.continuation))


@route(
    "GET",
    "schedules/{schedule_id}",
    summary="Get a schedule",
    role=Role.READER,
    answers={200: ScheduleBody},
    errors=(404,),
)
def get_schedule(service: Service, asked: Asked) -> Reply:
    """What it starts and when, when it is due next, and what came of it."""
    return Reply(body=_body(service.world.run(schedules.get(asked.path["schedule_id"]))))


@route(
    "PATCH",
    "schedules/{schedule_id}",
    summary="Change a schedule",
    role=Role.SUBMITTER,
    answers={200: ScheduleBody},
    errors=(404, 409),
    example={"status": "Disabled"},
)
def change_schedule(service: Service, asked: Asked, body: ScheduleChanges) -> Reply:
    """Also to enable and disable it. While it is disabled it misses its occurrences for good."""
    task = schedules.change(
        service.memory,
        asked.path["schedule_id"],
        lambda there: _altered(there, body, asked.caller),
        datastores=service.settings.datastores,
        version=None if isinstance(body.etag, UnsetType) else _version(body.etag),
    )
    changed, warnings = service.world.run(task)
    changed = service.world.run(firing.fire_at_once(service.submitter, changed))
    service.world.run(service.intake.arm(changed))
    return Reply(body=_body(changed, texts(warnings)))


@route(
    "GET",
    "schedules/{schedule_id}/occurrences",
    summary="Look ahead",
    role=Role.READER,
    answers={200: OccurrenceList},
    errors=(404,),
)
def list_occurrences(service: Service, asked: Asked, query: OccurrencesQuery) -> Reply:
    """When the schedule will be due next; of one that is disabled, when it would be. None of a data-change schedule."""
    there = service.world.run(schedules.get(asked.path["schedule_id"]))
    found = islice(rules.occurrences(there.schedule, after=there.progress.handled), query.limit)
    return Reply(body=OccurrenceList(occurrences=tuple(moment.timestamp() for moment in found)))


@route(
    "GET",
    "schedules/{schedule_id}/runs",
    summary="List the runs of a schedule",
    role=Role.READER,
    answers={200: FiringList},
    errors=(404,),
)
def list_schedule_runs(service: Service, asked: Asked, query: FiringsQuery) -> Reply:
    """By occurrence, the latest first; also those that could not be started, with the reason."""
    id_ = service.world.run(schedules.get(asked.path["schedule_id"])).schedule.id
    task = firings.listing(
        id_, started_only=query.started_only, limit=query.limit, continuation=query.continuation or None
    )
    page = service.world.run(task)
    return Reply(body=FiringList(runs=tuple(_firing(item) for item in page.items), continuation=page.continuation))


@route(
    "POST",
    "schedules/{schedule_id}/backfill",
    summary="Start the runs of a past period",
    role=Role.SUBMITTER,
    answers={200: BackfillReply},
    errors=(404,),
    example={"start": 1767225600, "end": 1767830400, "dry_run": True},
)
def backfill_schedule(service: Service, asked: Asked, body: BackfillRequest) -> Reply:
    """Oldest first, each occurrence once: one that has a run keeps it. With `dry_run` nothing is started."""
    task = backfill.backfill(
        service.submitter,
        asked.path["schedule_id"],
        start=body.start,
        end=body.end,
        dry_run=body.dry_run,
    )
    done = service.world.run(task)
    return Reply(body=BackfillReply(occurrences=done.occurrences, rest=done.rest))


def _altered(there: Schedule, body: ScheduleChanges, caller: str) -> Schedule:
    """The schedule as it is wanted: the caller's from now on, if that differs from what it is."""
    plain = {
        "name": body.name,
        "experiment": body.experiment_name,
        "description": body.description,
        "parameters": body.parameters,
        "keep_going": body.continue_on_step_failure,
        "catch_up": body.catch_up,
        "status": body.status,
        "tags": body.tags,
    }
    triggers = {"recurrence": body.recurrence, "cron": body.cron, "data_change": body.data_change}
    changes: dict[str, Any] = {name: value for name, value in plain.items() if value is not UNSET}
    given = {name: value for name, value in triggers.items() if value is not UNSET}
    if given:
        changes |= {**dict.fromkeys(triggers), **given}
    altered = msgspec.structs.replace(there, **changes)
    return altered if altered == there else msgspec.structs.replace(altered, owner=caller)


def _version(etag: str) -> int:
    if not (etag.isascii() and etag.isdigit() and len(etag) < 16):
        raise InvalidRequest("This etag was not made by the service.", field="etag")
    return int(etag)


def _body(stored: Stored, warnings: tuple[str, ...] = ()) -> ScheduleBody:
    schedule, progress = stored.schedule, stored.progress
    return ScheduleBody(
        id=schedule.id,
        name=schedule.name,
        description=schedule.description,
        experiment_name=schedule.experiment,
        pipeline_id=schedule.pipeline_id,
        pipeline_endpoint_id=schedule.pipeline_endpoint_id,
        parameters=schedule.parameters,
        recurrence=schedule.recurrence,
        cron=schedule.cron,
        data_change=schedule.data_change,
        continue_on_step_failure=schedule.keep_going,
        catch_up=schedule.catch_up,
        status=schedule.status,
        tags=schedule.tags,
        owner=schedule.owner,
        created_at=schedule.created_at,
        updated_at=schedule.updated_at,
        etag=str(schedule.version),
        next_occurrence=progress.due,
        skipped=progress.skipped,
        failures=progress.failures,
        last_run_id=progress.last_run,
        last_occurrence=progress.last_occurrence,
        last_failure=progress.last_failure,
        warnings=warnings,
    )


def _firing(item: Firing) -> FiringBody:
    return FiringBody(occurrence=item.occurrence, run_id=item.run, failure=item.failure)


ROUTES = (
    create_schedule,
    list_schedules,
    get_schedule,
    change_schedule,
    list_occurrences,
    list_schedule_runs,
    backfill_schedule,
)

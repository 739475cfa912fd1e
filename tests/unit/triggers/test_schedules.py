"""Schedules over HTTP: made, changed, looked ahead, backfilled; and the timer's function."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from orchestrator.adapters.memory import ManualClock, MemoryAccount, MemoryWorld
from orchestrator.core.errors import Unavailable
from orchestrator.engine.view import run_view
from orchestrator.ports import Get
from orchestrator.triggers import v1_bodies
from orchestrator.triggers.timer import LONGEST_FIRING, fire_what_is_due
from tests.unit.triggers.calling import Api, Called, definition

UUID = "5e1f3c5a-8f0b-4d6e-9a43-6d696c6c7374"
YEARLY = {"frequency": "Month", "interval": 12, "start_time": "2198-01-31T00:00:00"}


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def pipeline(api: Api) -> str:
    return str(api.call("POST", "pipelines", {"definition": definition()}).json["id"])


def create(api: Api, pipeline: str, **fields: Any) -> Called:
    body = {"name": "n", "experiment_name": "e", "pipeline_id": pipeline, "recurrence": YEARLY, **fields}
    return api.call("POST", "schedules", {name: value for name, value in body.items() if value is not None})


def test_one_that_was_made_is_found(api: Api, pipeline: str) -> None:
    made = create(api, pipeline, parameters={"rate": 1, "rat": 2}, tags={"a": "b"}, catch_up="all")
    assert made.status == 201
    assert "rat" in made.json["warnings"][0]
    assert made.json["status"] == "Active"
    assert made.json["next_occurrence"] == datetime(2198, 1, 31, tzinfo=UTC).timestamp()
    found = api.call("GET", f"schedules/{made.json['id'].upper()}").json
    assert {**found, "warnings": made.json["warnings"]} == made.json
    assert api.call("GET", "schedules").json == {"schedules": [found], "continuation": None}
    assert api.call("GET", f"schedules?pipeline_id={pipeline.upper()}").json["schedules"] == [found]
    assert api.call("GET", f"schedules?pipeline_endpoint_id={pipeline}").json["schedules"] == []


def test_made_again_it_is_the_same(api: Api, pipeline: str) -> None:
    first = create(api, pipeline, id=UUID)
    second = create(api, pipeline, id=UUID)
    assert (first.status, second.status, second.json) == (201, 200, first.json)
    other = create(api, pipeline, id=UUID, name="other")
    assert (other.status, other.json["error"]["field"]) == (409, "id")
    body = {"name": "k", "experiment_name": "e", "pipeline_id": pipeline, "recurrence": YEARLY}
    headers = {"Idempotency-Key": "k"}
    answers = [api.call("POST", "schedules", body, headers=headers) for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 200]
    assert answers[0].json["id"] == answers[1].json["id"]


def test_without_a_start_it_runs_at_once(api: Api, pipeline: str) -> None:
    made = create(api, pipeline, recurrence={"frequency": "Day"}).json
    assert made["last_run_id"] is not None
    runs = api.call("GET", f"schedules/{made['id']}/runs").json["runs"]
    assert [(run["run_id"], run["failure"]) for run in runs] == [(made["last_run_id"], None)]
    run = api.call("GET", f"runs/{made['last_run_id']}").json
    assert run["properties"]["millstream.schedule_id"] == made["id"]
    assert len(api.world.account.queues.messages(api.settings.queue)) == 1
    assert made["next_occurrence"] - made["last_occurrence"] == 86400


def test_version_1_is_told_which_schedule_it_was(api: Api, pipeline: str) -> None:
    made = create(api, pipeline, recurrence={"frequency": "Day"}).json
    entity = msgspec.to_builtins(v1_bodies.entity(api.world.run(run_view(api.memory, made["last_run_id"])), ()))
    assert (entity["ScheduleId"], entity["RunType"]) == (made["id"], "Schedule")


def test_a_change_is_made_on_what_was_seen(api: Api, pipeline: str) -> None:
    made = create(api, pipeline).json
    path = f"schedules/{made['id']}"
    disabled = api.call("PATCH", path, {"status": "Disabled", "etag": made["etag"]})
    assert (disabled.status, disabled.json["status"], disabled.json["next_occurrence"]) == (200, "Disabled", None)
    stale = api.call("PATCH", path, {"name": "x", "etag": made["etag"]})
    assert (stale.status, stale.json["error"]["field"]) == (409, "etag")
    assert api.call("GET", "schedules?active_only=true").json["schedules"] == []
    fields = {"status": "Active", "cron": {"expression": "0 0 1 1 *"}, "continue_on_step_failure": None, "tags": {}}
    changed = api.call("PATCH", path, fields).json
    assert (changed["cron"]["expression"], changed["recurrence"]) == ("0 0 1 1 *", None)
    assert changed["next_occurrence"] is not None


def test_looking_ahead(api: Api, pipeline: str) -> None:
    made = create(api, pipeline, recurrence={**YEARLY, "interval": 1}).json
    ahead = api.call("GET", f"schedules/{made['id']}/occurrences?limit=3").json["occurrences"]
    dates = [datetime.fromtimestamp(moment, UTC).date().isoformat() for moment in ahead]
    assert dates == ["2198-01-31", "2198-02-28", "2198-03-31"]
    api.call("PATCH", f"schedules/{made['id']}", {"status": "Disabled"})
    assert api.call("GET", f"schedules/{made['id']}/occurrences?limit=3").json["occurrences"] == ahead


def test_backfill_starts_what_a_period_lacks_and_says_so(api: Api, pipeline: str) -> None:
    recurrence = {"frequency": "Hour", "start_time": "2020-01-01T00:00:00"}
    made = create(api, pipeline, recurrence=recurrence).json
    path = f"schedules/{made['id']}/backfill"
    start = datetime(2021, 1, 1, tzinfo=UTC).timestamp()
    period = {"start": start, "end": start + 120 * 3600}
    planned = api.call("POST", path, {**period, "dry_run": True}).json
    assert (len(planned["occurrences"]), planned["rest"]) == (120, None)
    assert {one["state"] for one in planned["occurrences"]} == {"planned"}
    states: list[str] = []
    rest: float | None = start
    while rest is not None:
        done = api.call("POST", path, {**period, "start": rest}).json
        states += [one["state"] for one in done["occurrences"]]
        rest = done["rest"]
    assert states == ["started"] * 120
    again = api.call("POST", path, period).json
    assert [one["state"] for one in again["occurrences"]] == ["exists"] * 120
    assert [one["run_id"] for one in again["occurrences"]] == [one["run_id"] for one in planned["occurrences"]]
    assert len(api.call("GET", "runs?limit=1000").json["runs"]) == 120
    listed = api.call("GET", f"schedules/{made['id']}/runs?limit=1000&started_only=true").json["runs"]
    assert [run["occurrence"] for run in listed] == [one["occurrence"] for one in reversed(again["occurrences"])]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"start": 5, "end": 5}, "start"),
        ({"start": -1}, "start"),
        ({"start": 0, "end": 1e300}, "end"),
        ({"start": 1e300}, "start"),
        ({"start": 1577836800}, "end"),
        ({}, "start"),
        ({"start": 1, "days": 3}, "days"),
    ],
)
def test_periods_that_cannot_be_backfilled(api: Api, pipeline: str, body: dict[str, Any], field: str) -> None:
    made = create(api, pipeline, recurrence={"frequency": "Minute", "start_time": "2020-01-01T00:00:00"}).json
    refused = api.call("POST", f"schedules/{made['id']}/backfill", body)
    assert (refused.status, refused.json["error"]["field"]) == (400, field)


def test_backfill_tells_what_could_not_be_started(api: Api, pipeline: str) -> None:
    made = create(api, pipeline, recurrence={"frequency": "Day", "start_time": "2020-01-01T00:00:00"}).json
    api.world.account.blobs.clear()
    api.memory.plans = type(api.memory)().plans
    body = {"start": 1577836800, "end": 1577836801}
    (failed,) = api.call("POST", f"schedules/{made['id']}/backfill", body).json["occurrences"]
    assert (failed["state"], failed["failure"]["code"]) == ("failed", "InternalError")


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"name": ""}, 400, "name"),
        ({"recurrence": {"frequency": "Fortnight"}}, 400, "recurrence.frequency"),
        ({"recurrence": {"frequency": "Day", "interval": 0}}, 400, "recurrence.interval"),
        ({"recurrence": {"frequency": "Day", "time_zone": "Nowhere"}}, 400, "recurrence.time_zone"),
        ({"recurrence": {"frequency": "Day", "start_time": "2026-01-01T00:00:00Z"}}, 400, "recurrence.start_time"),
        ({"recurrence": {"frequency": "Day", "hour": [1]}}, 400, "recurrence.hour"),
        ({"recurrence": None}, 400, "recurrence"),
        ({"cron": {"expression": "* * * * *"}}, 400, "cron"),
        ({"recurrence": None, "cron": {"expression": "61 * * * *"}}, 400, "cron.expression"),
        ({"recurrence": None, "data_change": {"datastore": "nowhere"}}, 400, "data_change.datastore"),
        ({"pipeline_id": UUID}, 404, "pipeline_id"),
        ({"pipeline_id": None, "pipeline_endpoint_id": UUID}, 404, "pipeline_endpoint_id"),
        ({"parameters": {"rate": "x"}}, 400, "parameters.rate"),
        ({"parameters": {"rate": 1, "x": "y" * 25_000}}, 413, "parameters"),
        ({"id": "x"}, 400, "id"),
        ({"catch_up": "some"}, 400, "catch_up"),
    ],
)
def test_what_cannot_be_made(api: Api, pipeline: str, fields: dict[str, Any], status: int, field: str) -> None:
    refused = create(api, pipeline, **fields)
    assert (refused.status, refused.json["error"]["field"]) == (status, field)
    assert api.call("GET", "schedules").json["schedules"] == []


@pytest.mark.parametrize("call", ["GET ", "PATCH ", "GET /occurrences", "GET /runs", "POST /backfill"])
def test_what_is_not_there(api: Api, call: str) -> None:
    method, _, rest = call.partition(" ")
    body = {"PATCH": {}, "POST": {"start": 1}}.get(method)
    for id_ in (UUID, "x"):
        answer = api.call(method, f"schedules/{id_}{rest}", body)
        assert (answer.status, answer.json["error"]["field"]) == (404, "schedule_id")


def test_a_wrong_etag_is_refused(api: Api, pipeline: str) -> None:
    made = create(api, pipeline).json
    refused = api.call("PATCH", f"schedules/{made['id']}", {"etag": "W/x"})
    assert (refused.status, refused.json["error"]["field"]) == (400, "etag")


class TestTimer:
    """Its function, by a clock that moves when it waits."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock(datetime(2027, 1, 15, 8, 0, 30, tzinfo=UTC).timestamp())

    @staticmethod
    def api_of(clock: ManualClock, recurrence: dict[str, Any], *, fire_ahead: str = "5") -> tuple[Api, str]:
        """A service that lives by this clock, and a schedule of it that runs all it has missed."""
        world = MemoryWorld(MemoryAccount(server_now=clock.now), clock=clock.clock())
        api = Api({"MILLSTREAM_FIRE_AHEAD_SECONDS": fire_ahead}, world=world)
        pipeline = api.call("POST", "pipelines", {"definition": definition()}).json["id"]
        return api, str(create(api, pipeline, recurrence=recurrence, catch_up="all").json["id"])

    def test_what_is_due_in_a_moment_is_waited_for(self, clock: ManualClock) -> None:
        recurrence = {"frequency": "Minute", "start_time": "2027-01-15T08:00:10"}
        api, id_ = self.api_of(clock, recurrence, fire_ahead="50")
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            clock.advance(seconds)

        fire_what_is_due(api.service, monotonic=clock.now, sleep=sleep)
        assert slept == [pytest.approx(40.25)]
        progress = api.call("GET", f"schedules/{id_}").json
        assert progress["last_occurrence"] == datetime(2027, 1, 15, 8, 1, 10, tzinfo=UTC).timestamp()

    def test_what_is_further_off_is_left_to_the_next_minute(self, clock: ManualClock) -> None:
        api, _ = self.api_of(clock, {"frequency": "Minute", "start_time": "2027-01-15T08:00:10"})
        fire_what_is_due(api.service, monotonic=clock.now, sleep=lambda seconds: pytest.fail("it waits"))

    def test_a_long_night_is_caught_up_in_rounds(self, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
        api, _ = self.api_of(clock, {"frequency": "Minute", "start_time": "2027-01-15T08:00:00"})
        clock.advance(250 * 60)
        with caplog.at_level(logging.INFO):
            fire_what_is_due(api.service, monotonic=clock.now, sleep=clock.advance)
        told = [record.getMessage() for record in caplog.records]
        assert told == [f"schedules have started {n} runs" for n in (100, 100, 50)]

    def test_it_ends_even_if_there_is_no_end_of_work(self, clock: ManualClock) -> None:
        api, _ = self.api_of(clock, {"frequency": "Minute", "start_time": "2027-01-15T08:00:00"})
        clock.advance(100_000 * 60)
        rounds: list[float] = []

        def sleep(seconds: float) -> None:
            rounds.append(seconds)
            clock.advance(20.0)

        fire_what_is_due(api.service, monotonic=clock.now, sleep=sleep)
        assert len(rounds) == LONGEST_FIRING // 20 + 1

    def test_what_could_not_be_fired_is_told(self, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
        api, _ = self.api_of(clock, {"frequency": "Minute", "start_time": "2027-01-15T08:00:00"})
        clock.advance(60)

        def refuse(effect: Get) -> None:
            raise Unavailable("storage is not there for us")

        api.world.register(Get, refuse)
        began = time.monotonic()
        fire_what_is_due(api.service, monotonic=clock.now, sleep=lambda seconds: pytest.fail("it waits"))
        assert time.monotonic() - began < 10
        assert "is tried again: storage is not there for us" in caplog.records[0].getMessage()

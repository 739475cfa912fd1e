"""The Schedule class against the service's own routes, over HTTP, in one process."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from millstream import Conflict, Datastore, InvalidRequest, Schedule, ScheduleRecurrence, UnknownThing, Workspace
from tests.unit.millstream.loopback import Answer, Asked, loopback
from tests.unit.triggers.calling import TOKEN, Api, definition, find

FAR = datetime(2198, 1, 31, 9, 0)
YEARLY = ScheduleRecurrence("Month", 12, start_time=FAR)


class Served:
    """A service in memory behind a port."""

    def __init__(self) -> None:
        self.api = Api()
        definition_ = definition()
        definition_["parameters"].append({"name": "where", "type": "datapath", "default": PLACE})
        self.pipeline = str(self.api.call("POST", "pipelines", {"definition": definition_}).json["id"])

    def answer(self, asked: Asked) -> Answer:
        url = urlsplit(asked.path)
        path = unquote(url.path.removeprefix("/api/"))
        route, _ = find(asked.method, path)
        query = "&".join(f"{name}={value}" for name, value in parse_qsl(url.query))
        called = self.api.call(route.method, f"{path}?{query}" if query else path, asked.body or None)
        return Answer(called.status, called.text, {"Content-Type": "application/json"})


PLACE = {"kind": "datapath", "datastore": "workspaceblobstore", "path": "x"}


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
def workspace(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    with loopback(served.answer) as server:
        monkeypatch.setenv("MILLSTREAM_ENDPOINT", server.url)
        monkeypatch.setenv("MILLSTREAM_TOKEN", TOKEN)
        yield Workspace.from_config()


@pytest.fixture
def schedule(served: Served, workspace: Workspace) -> Schedule:
    return Schedule.create(workspace, "n", served.pipeline, "e", YEARLY, pipeline_parameters={"rate": 1})


def of_data(workspace: Workspace, served: Served, **more: Any) -> Schedule:
    given = {"datastore": Datastore(workspace, "workspaceblobstore"), "path_on_datastore": "raw", **more}
    return Schedule.create(workspace, "d", served.pipeline, "e", **given)


def test_what_was_made_is_told(schedule: Schedule, served: Served) -> None:
    assert (schedule.name, schedule.status, schedule.pipeline_id) == ("n", "Active", served.pipeline)
    assert (schedule.experiment_name, schedule.pipeline_endpoint_id) == ("e", None)
    assert schedule.recurrence == YEARLY
    assert schedule.pipeline_parameters == {"rate": 1.0}
    assert (schedule.cron, schedule.datastore_name, schedule.polling_interval) == (None, None, None)
    assert schedule.next_runs(1) == [FAR.replace(tzinfo=UTC)]
    assert schedule.get_pipeline_runs() == []
    assert schedule.get_last_pipeline_run() is None


def test_one_of_data(workspace: Workspace, served: Served) -> None:
    made = of_data(workspace, served, polling_interval=7, data_path_parameter_name="where", recursive=True)
    assert (made.datastore_name, made.path_on_datastore, made.polling_interval) == ("workspaceblobstore", "raw", 7)
    assert (made.data_path_parameter_name, made.recurrence, made.next_runs()) == ("where", None, [])
    made.update(path_on_datastore="/other/", polling_interval=9)
    assert (made.path_on_datastore, made.polling_interval, made.data_path_parameter_name) == ("other", 9, "where")
    assert made.data_change is not None
    assert made.data_change.recursive
    with pytest.raises(ValueError, match="one of data"):
        made.update(recurrence=YEARLY)


def test_changes_leave_the_rest_as_it_is(schedule: Schedule, workspace: Workspace) -> None:
    schedule.update(name="b", description="d", continue_on_step_failure=True, tags={"a": 1})
    again = Schedule.get(workspace, schedule.id)
    assert (again.name, again.description, again.continue_on_step_failure, again.tags) == ("b", "d", True, {"a": "1"})
    assert again.recurrence == YEARLY
    schedule.update(pipeline_parameters={"rate": 2}, status="Disabled", catch_up="none")
    assert (schedule.pipeline_parameters, schedule.status, schedule.catch_up) == ({"rate": 2.0}, "Disabled", "none")
    schedule.enable(wait_for_provisioning=True)
    assert schedule.refresh().status == "Active"
    schedule.update()
    assert schedule.name == "b"


def test_a_recurrence_and_a_cron_expression_take_each_others_place(schedule: Schedule) -> None:
    schedule.update(cron="0 9 31 1 *", time_zone="Europe/Paris")
    assert (schedule.cron, schedule.recurrence) == ("0 9 31 1 *", None)
    schedule.update(time_zone="America/New_York")
    assert schedule.cron == "0 9 31 1 *"
    (coming,) = schedule.next_runs(1)
    assert (coming.hour, str(coming.tzinfo)) == (9, "America/New_York")
    schedule.update(recurrence=YEARLY)
    assert schedule.refresh().cron is None
    assert schedule.refresh().recurrence == YEARLY
    with pytest.raises(ValueError, match="one of time"):
        schedule.update(path_on_datastore="x")
    with pytest.raises(ValueError, match="status: 'Paused'"):
        schedule.update(status="Paused")


def test_who_has_not_seen_the_last_change_is_refused(schedule: Schedule, workspace: Workspace) -> None:
    Schedule.get(workspace, schedule.id).update(name="theirs")
    with pytest.raises(Conflict, match="changed meanwhile"):
        schedule.update(name="ours")
    schedule.refresh().update(name="ours")
    assert Schedule.get(workspace, schedule.id).name == "ours"


def test_lists(schedule: Schedule, workspace: Workspace, served: Served) -> None:
    other = of_data(workspace, served)
    other.disable()
    assert [found.id for found in Schedule.list(workspace)] == [schedule.id]
    assert {found.id for found in Schedule.get_all(workspace, active_only=False)} == {schedule.id, other.id}
    assert len(Schedule.get_schedules_for_pipeline_id(workspace, served.pipeline)) == 2
    assert Schedule.get_schedules_for_pipeline_endpoint_id(workspace, served.pipeline) == []
    with pytest.raises(UnknownThing):
        Schedule.get(workspace, "nobody")


def test_a_long_period_is_backfilled_in_parts(workspace: Workspace, served: Served) -> None:
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=130)
    every_minute = ScheduleRecurrence("Minute", 1, start_time=start.replace(tzinfo=None))
    schedule = Schedule.create(workspace, "m", served.pipeline, "e", every_minute)
    end = start + timedelta(minutes=120)
    planned = schedule.backfill(start, end, dry_run=True)
    assert ([item.state for item in planned], planned[0].occurrence) == (["planned"] * 120, start)
    assert [item.state for item in schedule.backfill(start, end)] == ["started"] * 120
    naive = schedule.backfill(start.replace(tzinfo=None), end.replace(tzinfo=None))
    assert [item.state for item in naive] == ["exists"] * 120
    assert [item.run_id for item in naive] == [item.run_id for item in planned]
    assert len(schedule.get_pipeline_runs()) == 120
    last = schedule.get_last_pipeline_run()
    assert last is not None
    assert last.id == naive[-1].run_id
    with pytest.raises(InvalidRequest, match="future"):
        schedule.backfill(start, datetime.now(UTC) + timedelta(days=1))


def test_why_an_occurrence_has_no_run_is_told(schedule: Schedule, workspace: Workspace, served: Served) -> None:
    assert schedule.last_failure is None
    served.api.call("PATCH", f"pipelines/{served.pipeline}", {"status": "Disabled"})
    start = datetime(2020, 1, 31, 9, 0)
    past = ScheduleRecurrence("Month", 1, start_time=start)
    schedule.disable()
    schedule.update(recurrence=past)
    (failed,) = schedule.backfill(start, start + timedelta(days=1))
    assert failed.state == "failed"
    assert failed.failure is not None
    assert "Disabled" in failed.failure
    with pytest.raises(Conflict):
        schedule.enable()


def test_a_parameter_that_the_pipeline_does_not_have(workspace: Workspace, served: Served) -> None:
    with pytest.raises(InvalidRequest, match="rate"):
        Schedule.create(workspace, "n", served.pipeline, "e", YEARLY, pipeline_parameters={"rat": 1})

"""Schedules at rest: made once however often, changed on what was seen, listed, and indexed by what comes next."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from orchestrator.catalog import schedules
from orchestrator.catalog.schedules import Filter
from orchestrator.core.cron import Cron
from orchestrator.core.datachange import DataChange
from orchestrator.core.errors import Conflict, InvalidRequest, TooLarge, Unavailable, UnknownThing
from orchestrator.core.recurrence import Frequency, Recurrence
from orchestrator.core.schedule import Schedule, ScheduleStatus
from orchestrator.ports import Commit, Unanswered
from tests.unit.catalog.scheduling import START, Scheduling

UUID = "5e1f3c5a-8f0b-4d6e-9a43-6d696c6c7374"


@pytest.fixture
def scheduling() -> Scheduling:
    return Scheduling()


def to(**fields: Any) -> Any:
    return lambda there: msgspec.structs.replace(there, **fields)


def listed(scheduling: Scheduling, **wanted: Any) -> list[str]:
    page = scheduling.world.run(schedules.listing(Filter(**wanted), limit=100, continuation=None))
    return [stored.schedule.name for stored in page.items]


def test_one_that_was_made_is_found_and_due(scheduling: Scheduling) -> None:
    made = scheduling.create(name="hourly", tags={"team": "a"}, parameters={"rate": 1})
    assert scheduling.get(made.schedule.id) == made
    assert made.progress.due == START.timestamp() + 3600
    assert scheduling.due_rows() == [f"d|{round(made.progress.due * 1000):014d}|{made.schedule.id}"]
    coming = scheduling.world.run(schedules.coming(10))
    assert [(entry.due, entry.schedule_id) for entry in coming] == [(made.progress.due, made.schedule.id)]


def test_made_again_by_its_id_it_is_the_same(scheduling: Scheduling) -> None:
    first, created, _ = scheduling.create_as(id=UUID.upper())
    scheduling.clock.advance(60)
    second, again, _ = scheduling.create_as(id=UUID.upper())
    assert (created, again, second) == (True, False, first)
    scheduling.change(UUID, to(name="other"))
    assert scheduling.create_as(id=UUID.upper())[1] is False
    with pytest.raises(Conflict, match="another was asked for"):
        scheduling.create_as(id=UUID.upper(), name="different")
    assert len(scheduling.due_rows()) == 1


def test_made_again_with_its_key_it_is_the_same(scheduling: Scheduling) -> None:
    first = scheduling.create(idempotency_key="monday")
    assert scheduling.create_as(idempotency_key="monday") == (first, False, ())
    assert scheduling.create(idempotency_key="tuesday") != first


@pytest.mark.parametrize("applied", [True, False])
def test_an_answer_that_is_lost_when_it_is_made(scheduling: Scheduling, applied: bool) -> None:
    def lose(commit: Commit) -> None:
        if applied:
            scheduling.account.tables.commit(commit)
        raise Unanswered("lost")

    scheduling.world.register(Commit, lose)
    if applied:
        assert scheduling.create_as(id=UUID)[0].schedule.id == UUID
    else:
        with pytest.raises(Unavailable, match="again"):
            scheduling.create_as(id=UUID)


@pytest.mark.parametrize(
    ("fields", "error", "field"),
    [
        ({"name": " "}, InvalidRequest, "name"),
        ({"experiment": "a b"}, InvalidRequest, "experiment_name"),
        ({"description": "x" * 4001}, TooLarge, "description"),
        ({"parameters": {"where": "x" * 25_000}}, TooLarge, "parameters"),
        ({"parameters": {"rate": "fast"}}, InvalidRequest, "parameters.rate"),
        ({"pipeline_id": UUID}, UnknownThing, "pipeline_id"),
        ({"pipeline_id": None}, InvalidRequest, "pipeline_id"),
        ({"pipeline_endpoint_id": UUID}, InvalidRequest, "pipeline_id"),
        ({"pipeline_id": None, "pipeline_endpoint_id": UUID}, UnknownThing, "pipeline_endpoint_id"),
        ({"id": "mine"}, InvalidRequest, "id"),
        ({"recurrence": None}, InvalidRequest, "recurrence"),
        ({"recurrence": None, "cron": Cron(expression="99 * * * *")}, InvalidRequest, "cron.expression"),
        ({"recurrence": None, "data_change": DataChange(datastore="no")}, InvalidRequest, "data_change.datastore"),
        (
            {
                "recurrence": None,
                "data_change": DataChange(datastore="workspaceblobstore", data_path_parameter_name="rate"),
            },
            InvalidRequest,
            "data_change.data_path_parameter_name",
        ),
    ],
)
def test_what_cannot_be_made(
    scheduling: Scheduling, fields: dict[str, Any], error: type[Exception], field: str
) -> None:
    with pytest.raises(error) as refused:
        scheduling.create(**fields)
    assert refused.value.field == field  # type: ignore[attr-defined]
    assert listed(scheduling) == []


def test_a_parameter_that_the_pipeline_does_not_have_is_warned_of(scheduling: Scheduling) -> None:
    _, _, warnings = scheduling.create_as(parameters={"rat": 1})
    assert [(warning.field, "rate" in warning.fix) for warning in warnings] == [("parameters.rat", True)]


def test_they_are_listed_newest_first_and_filtered(scheduling: Scheduling) -> None:
    for name in ("first", "second", "third"):
        made = scheduling.create(name=name)
        scheduling.clock.advance(1)
    scheduling.change(made.schedule.id, to(status=ScheduleStatus.DISABLED))
    assert listed(scheduling) == ["third", "second", "first"]
    assert listed(scheduling, active_only=True) == ["second", "first"]
    assert listed(scheduling, name="first") == ["first"]
    assert listed(scheduling, pipeline_id=scheduling.pipeline) == ["third", "second", "first"]
    assert listed(scheduling, pipeline_id=UUID) == listed(scheduling, pipeline_endpoint_id=UUID) == []


def test_a_change_is_made_on_what_was_seen(scheduling: Scheduling) -> None:
    made = scheduling.create()
    id_ = made.schedule.id
    scheduling.clock.advance(5)
    changed = scheduling.change(id_, to(name="b"), version=1)
    assert (changed.schedule.version, changed.schedule.name) == (2, "b")
    assert changed.schedule.updated_at == changed.schedule.created_at + 5
    with pytest.raises(Conflict, match="changed meanwhile"):
        scheduling.change(id_, to(name="c"), version=1)
    assert scheduling.get(id_) == changed
    assert listed(scheduling) == ["b"]


def test_a_change_that_changes_nothing_writes_nothing(scheduling: Scheduling) -> None:
    made = scheduling.create()
    assert scheduling.change(made.schedule.id, to(name="n")) == made


def test_a_change_whose_answer_is_lost_is_made_once(scheduling: Scheduling) -> None:
    made = scheduling.create()
    lost: list[Commit] = []

    def lose_first(commit: Commit) -> tuple[str, ...]:
        etags = scheduling.account.tables.commit(commit)
        if not lost:
            lost.append(commit)
            raise Unanswered("lost")
        return etags

    scheduling.world.register(Commit, lose_first)
    assert scheduling.change(made.schedule.id, to(name="b"), version=1).schedule.version == 2
    assert scheduling.get(made.schedule.id).schedule.version == 2


def test_a_change_between_look_and_write_is_not_lost(scheduling: Scheduling) -> None:
    made = scheduling.create()
    other, _, _ = scheduling.process()
    seen: list[str] = []

    def rename(there: Schedule) -> Schedule:
        if not seen:
            seen.append(there.name)
            task = schedules.change(scheduling.memory, there.id, to(tags={"a": "b"}), datastores=())
            other.run(task)
        return msgspec.structs.replace(there, name="b")

    changed = scheduling.change(made.schedule.id, rename)
    assert (changed.schedule.name, changed.schedule.tags, changed.schedule.version) == ("b", {"a": "b"}, 3)


def test_disabled_it_is_not_due_and_enabled_again_it_does_not_look_back(scheduling: Scheduling) -> None:
    id_ = scheduling.create(catch_up="all").schedule.id
    assert scheduling.change(id_, to(status=ScheduleStatus.DISABLED)).progress.due is None
    assert scheduling.due_rows() == []
    scheduling.clock.advance(10.5 * 3600)
    assert scheduling.change(id_, to(status=ScheduleStatus.ACTIVE)).progress.due == START.timestamp() + 11 * 3600
    assert scheduling.fire().started == 0


def test_a_new_trigger_counts_from_now(scheduling: Scheduling) -> None:
    id_ = scheduling.create().schedule.id
    scheduling.clock.advance(90)
    changed = scheduling.change(id_, to(recurrence=Recurrence(frequency=Frequency.DAY)))
    assert changed.progress.due == START.timestamp() + 90
    changed = scheduling.change(id_, to(recurrence=None, cron=Cron(expression="0 12 * * *")))
    assert changed.progress.due == START.timestamp() + 4 * 3600
    assert len(scheduling.due_rows()) == 1


def test_a_schedule_of_time_does_not_become_one_of_data(scheduling: Scheduling) -> None:
    id_ = scheduling.create().schedule.id
    change = to(recurrence=None, data_change=DataChange(datastore="workspaceblobstore"))
    with pytest.raises(InvalidRequest, match="stays one of time") as refused:
        scheduling.change(id_, change)
    assert refused.value.field == "data_change"


def test_one_that_can_start_nothing_any_more_can_be_disabled(scheduling: Scheduling) -> None:
    from orchestrator.catalog import pipelines

    id_ = scheduling.create().schedule.id
    scheduling.world.run(pipelines.set_status(scheduling.pipeline, "Disabled"))
    with pytest.raises(Conflict) as refused:
        scheduling.create()
    assert refused.value.field == "pipeline_id"
    assert scheduling.change(id_, to(status=ScheduleStatus.DISABLED)).schedule.version == 2
    with pytest.raises(Conflict):
        scheduling.change(id_, to(status=ScheduleStatus.ACTIVE))


@pytest.mark.parametrize("wanted", [UUID, "x", "", "a/b"])
def test_what_is_not_there(scheduling: Scheduling, wanted: str) -> None:
    with pytest.raises(UnknownThing) as refused:
        scheduling.get(wanted)
    assert refused.value.field == "schedule_id"

"""One run for each change: whatever events there are, in which order, and how often."""

from __future__ import annotations

import random
from typing import Any

import pytest

from orchestrator.core.datachange import COPY_OWNER
from orchestrator.core.quota import Quotas
from orchestrator.core.schedule import ScheduleStatus
from orchestrator.engine.cancel import cancel
from orchestrator.engine.memory import EngineSettings
from orchestrator.ports import Effect, Refused, Task
from tests.unit.changes.watching import Watching


@pytest.fixture
def at() -> Watching:
    return Watching()


def test_a_new_blob_starts_a_run_that_is_told_of_it(at: Watching) -> None:
    schedule = at.schedule()
    at.upload("in/a.csv")
    (info,) = at.runs()
    assert (info.experiment, info.source, info.pipeline_id) == ("e", "schedule", at.pipeline)
    assert at.assigned(info).path == "in/a.csv"
    found = at.changes(info)
    assert (found.schedule, found.datastore, found.folder) == (schedule.id, "raw", "in")
    (blob,) = found.changes
    assert (blob.path, blob.size, blob.last_modified) == ("in/a.csv", 1, int(at.clock.now()))
    assert [message.body for message in at.account.queues.messages("millstream-steps")] != []


def test_what_was_there_before_the_schedule_is_no_change(at: Watching) -> None:
    at.write("in/old.csv")
    at.schedule()
    assert at.event("in/old.csv") == 0
    at.upload("in/new.csv")
    at.pass_time(1200)
    assert at.paths() == ["in/new.csv"]


def test_a_change_in_the_very_second_of_the_schedule_counts(at: Watching) -> None:
    for number in range(20):
        at.clock.advance(0.37)
        at.write(f"in/old{number}.csv")
        schedule = at.schedule()
        at.upload("in/new.csv")
        at.sweep()
        at.set_status(schedule, ScheduleStatus.DISABLED)
    assert at.paths() == ["in/new.csv"] * 20


def test_a_blob_that_is_written_again_starts_another_run(at: Watching) -> None:
    at.schedule()
    at.upload("in/a.csv")
    at.upload("in/a.csv")
    assert at.paths() == ["in/a.csv", "in/a.csv"]
    first, second = at.runs()
    assert at.assigned(first).changes != at.assigned(second).changes


def test_duplicated_and_out_of_order_events_start_one_run_for_each_change(at: Watching) -> None:
    at.schedule()
    chance = random.Random(7)
    told: list[str] = []
    for number in range(40):
        at.write(f"in/{number}.csv")
        told += [f"in/{number}.csv"] * chance.randrange(4)  # lost, once, or several times
    chance.shuffle(told)
    for name in told:
        at.event(name)
    assert at.paths() == sorted(set(told))
    at.pass_time(300)
    assert at.paths() == sorted(f"in/{number}.csv" for number in range(40))
    for name in told:
        at.event(name)
    at.pass_time(600)
    assert len(at.runs()) == 40


def test_events_in_two_processes_at_once_start_one_run(at: Watching) -> None:
    at.schedule()
    at.write("in/a.csv")
    under_way = {task: next(task) for task in (at.intake.notice("rawdata", "in/a.csv") for _ in range(2))}
    while under_way:
        for task, effect in list(under_way.items()):
            try:
                under_way[task] = go_on(at, task, effect)
            except StopIteration:
                del under_way[task]
    assert at.paths() == ["in/a.csv"]


def go_on(at: Watching, task: Task[int], effect: Effect[Any]) -> Effect[Any]:
    try:
        answer = at.world.perform(effect)
    except Refused as refused:
        return task.throw(refused)
    return task.send(answer)


def test_a_blob_that_is_gone_when_its_event_comes_is_no_change(at: Watching) -> None:
    at.schedule()
    assert at.event("in/never.csv") == 0
    assert at.runs() == []


def test_outputs_of_runs_are_no_changes(at: Watching) -> None:
    at.schedule(path="", recursive=True)
    at.write("runs/r/s/1-x/out/a.csv")
    at.write("kept/a.csv", metadata={COPY_OWNER: "r_s"})
    effects = at.world.count
    assert at.event("runs/r/s/1-x/out/a.csv") == 0
    assert at.world.count == effects
    assert at.event("kept/a.csv") == 0
    at.pass_time(600)
    assert at.runs() == []


def test_copies_of_outputs_count_if_they_are_asked_for(at: Watching) -> None:
    at.schedule(path="kept", include_outputs=True)
    at.write("kept/a.csv", metadata={COPY_OWNER: "r_s"})
    assert at.event("kept/a.csv") == 1
    assert at.paths() == ["kept/a.csv"]


def test_several_schedules_each_have_their_run(at: Watching) -> None:
    at.schedule()
    at.schedule(pattern="*.csv")
    at.schedule(pattern="*.txt")
    at.schedule(path="elsewhere")
    at.upload("in/a.csv")
    assert at.paths() == ["in/a.csv", "in/a.csv"]


def test_a_disabled_schedule_starts_nothing_also_not_afterwards(at: Watching) -> None:
    schedule = at.schedule()
    at.set_status(schedule, ScheduleStatus.DISABLED)
    at.clock.advance(5)
    at.upload("in/meanwhile.csv")
    at.pass_time(600)
    at.set_status(schedule, ScheduleStatus.ACTIVE, arm=False)
    assert at.event("in/meanwhile.csv") == 0
    at.arm(schedule.id)
    assert at.event("in/meanwhile.csv") == 0
    at.upload("in/after.csv")
    at.pass_time(600)
    assert at.paths() == ["in/after.csv"]


def test_a_schedule_without_a_parameter_for_the_path_just_starts(at: Watching) -> None:
    at.schedule(data_path_parameter_name="")
    at.upload("in/a.csv")
    (info,) = at.runs()
    assert at.assigned(info).path == "nothing"
    assert info.properties["millstream.changes"]


def test_many_changes_of_one_second_are_all_noticed(at: Watching) -> None:
    at.schedule()
    names = [f"in/{number:04}.csv" for number in range(700)]
    for name in names:
        at.write(name)
    at.pass_time(360)
    assert at.paths() == names


@pytest.mark.parametrize("change", [{}, {"per": "batch", "debounce_seconds": 5}], ids=["single", "batch"])
def test_a_change_that_a_quota_leaves_no_room_for_waits_until_there_is_some(
    at: Watching, change: dict[str, Any]
) -> None:
    at.memory.settings = EngineSettings(quotas=Quotas(runs=1))
    at.schedule(**change)
    at.upload("in/a.csv")
    at.pass_time(50)
    (first,) = at.runs()
    at.upload("in/b.csv")
    at.clock.advance(60)
    at.deliver()
    ((_, reason),) = at.sweep().failed
    assert "MILLSTREAM_MOST_RUNS" in reason
    assert at.runs() == [first]
    at.world.run(cancel(at.memory, first.id))
    at.pass_time(120)
    assert len(at.runs()) == 2

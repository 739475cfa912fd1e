"""Firing: exactly one run for an occurrence, whatever fires twice, late, at the same time, or dies between."""

from __future__ import annotations

import os
from collections import Counter
from datetime import datetime
from random import Random
from typing import Any

import msgspec
import pytest

from orchestrator.catalog import endpoints, firing, pipelines, schedules
from orchestrator.catalog.firing import OCCURRENCE, PUT_OFF, SCHEDULE_ID, Fired
from orchestrator.catalog.firings import Firing
from orchestrator.catalog.pipelines import Publication
from orchestrator.core import message as messages
from orchestrator.core.cron import Cron
from orchestrator.core.errors import Unavailable
from orchestrator.core.quota import Quotas
from orchestrator.core.recurrence import Frequency, Recurrence
from orchestrator.core.schedule import ScheduleStatus, moment, run_id
from orchestrator.engine.cancel import cancel
from orchestrator.engine.memory import EngineSettings
from orchestrator.engine.view import run_view
from orchestrator.ports import Get, Query
from tests.unit.catalog.faults import Fault, Killed, drive, in_turns
from tests.unit.catalog.scheduling import DEFINITION, START, Scheduling
from tests.unit.catalog.test_schedules import to

HOUR = 3600.0
OCCURRENCES = int(os.environ.get("MILLSTREAM_OCCURRENCES", "2000"))
"""More, for a longer campaign: MILLSTREAM_OCCURRENCES=10000 scripts/test tests/unit/catalog/test_firing.py"""
MINUTELY = Recurrence(frequency=Frequency.MINUTE, start_time=datetime(2027, 1, 15, 8, 0))


@pytest.fixture
def scheduling() -> Scheduling:
    return Scheduling()


def expected(schedule_id: str, *hours: int) -> list[str]:
    """The ids of the runs that these occurrences have."""
    return sorted(run_id(schedule_id, moment(START.timestamp() + hour * HOUR)) for hour in hours)


def sent(scheduling: Scheduling) -> set[str]:
    """The runs whose first step has a message."""
    return {messages.decode(message.body).run for message in scheduling.account.queues.messages("millstream-steps")}


def test_an_occurrence_becomes_a_run(scheduling: Scheduling) -> None:
    made = scheduling.create(parameters={"rate": 2}, tags={"team": "a"}, description="hourly", keep_going=True)
    id_ = made.schedule.id
    assert scheduling.fire().started == 0
    scheduling.clock.advance(HOUR)
    fired = scheduling.fire()
    assert (fired.started, fired.refused, fired.failed) == (1, (), ())
    (run,) = scheduling.runs()
    view = scheduling.world.run(run_view(scheduling.memory, run))
    assert [run] == expected(id_, 1)
    assert (view.experiment, view.pipeline_id, view.source) == ("e", scheduling.pipeline, "schedule")
    assert (view.parameters["rate"], view.tags, view.description) == (2.0, {"team": "a"}, "hourly")
    assert view.continue_on_step_failure
    assert view.properties == {SCHEDULE_ID: id_, OCCURRENCE: "2027-01-15T09:00:00+00:00"}
    (message,) = scheduling.account.queues.messages("millstream-steps")
    assert messages.decode(message.body).run == run
    progress = scheduling.get(id_).progress
    assert (progress.last_run, progress.due) == (run, START.timestamp() + 2 * HOUR)
    assert [(found.run, found.failure) for found in scheduling.firings(id_)] == [(run, None)]
    assert scheduling.fire().started == 0


def test_what_comes_next_is_told(scheduling: Scheduling) -> None:
    assert scheduling.fire().next_due is None
    scheduling.create()
    scheduling.create(recurrence=MINUTELY)
    scheduling.clock.advance(50)
    assert scheduling.fire().next_due == pytest.approx(10)


def test_finding_what_is_due_costs_the_same_however_many_there_are(scheduling: Scheduling) -> None:
    for number in range(300):
        scheduling.create(name=str(number))
    due = scheduling.create(recurrence=MINUTELY).schedule.id
    scheduling.clock.advance(60)
    effects: Counter[type] = Counter()
    scheduling.world.observer = lambda effect, began, ended: effects.update([type(effect)])
    assert scheduling.fire().started == 1
    assert scheduling.runs() == [run_id(due, moment(START.timestamp() + 60))]
    assert effects[Query] == 2
    assert effects[Get] <= 4


def test_thousands_of_occurrences_fired_twice_at_once(scheduling: Scheduling) -> None:
    """Two processes, their operations in turns at random, at every one of the occurrences: a run for each."""
    id_ = scheduling.create(recurrence=MINUTELY).schedule.id
    random = Random(1)
    processes = [scheduling.process() for _ in range(2)]
    for _ in range(OCCURRENCES):
        scheduling.clock.advance(60)
        in_turns([(world, firing.fire(submitter, most=10)) for world, _, submitter in processes], random)
    start = START.timestamp()
    assert scheduling.runs() == sorted(run_id(id_, moment(start + 60 * n)) for n in range(1, OCCURRENCES + 1))
    heads = Counter(
        messages.decode(message.body).run for message in scheduling.account.queues.messages("millstream-steps")
    )
    assert len(heads) == OCCURRENCES
    assert len(scheduling.firings(id_)) == OCCURRENCES
    progress = scheduling.get(id_).progress
    assert (progress.skipped, progress.failures) == (0, 0)
    assert len(scheduling.due_rows()) == 1


@pytest.mark.parametrize(("policy", "runs"), [("latest", [1000]), ("all", list(range(1, 1001))), ("none", [])])
def test_a_thousand_occurrences_were_missed(scheduling: Scheduling, policy: str, runs: list[int]) -> None:
    id_ = scheduling.create(catch_up=policy).schedule.id
    scheduling.clock.advance(1000 * HOUR + 600)
    passes = 0
    while scheduling.fire(most=64).next_due == 0:
        passes += 1
    assert scheduling.runs() == expected(id_, *runs)
    progress = scheduling.get(id_).progress
    assert progress.skipped == 1000 - len(runs)
    assert progress.due == START.timestamp() + 1001 * HOUR
    assert passes == (1000 // 64 if policy == "all" else 0)
    scheduling.clock.advance(HOUR - 600)
    scheduling.fire()
    assert scheduling.runs() == expected(id_, *runs, 1001)


def test_a_storm_after_a_long_night(scheduling: Scheduling) -> None:
    """Many schedules that missed much, fired by four processes at once."""
    ids = [scheduling.create(catch_up="all", recurrence=MINUTELY).schedule.id for _ in range(5)]
    scheduling.clock.advance(40 * 60)
    for seed in range(20):
        processes = [scheduling.process() for _ in range(4)]
        in_turns([(world, firing.fire(submitter, most=17)) for world, _, submitter in processes], Random(seed))
    assert scheduling.fire().started == 0
    start = START.timestamp()
    assert scheduling.runs() == sorted(run_id(id_, moment(start + 60 * n)) for id_ in ids for n in range(1, 41))


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("policy", ["latest", "all"])
def test_a_fault_at_every_operation(fault: Fault, policy: str) -> None:
    """Killed, or left without an answer, at any operation: the next firing of another process puts it right."""

    def world() -> tuple[Scheduling, str]:
        scheduling = Scheduling()
        id_ = scheduling.create(catch_up=policy).schedule.id
        scheduling.create(name="other", recurrence=Recurrence(frequency=Frequency.HOUR, start_time=MINUTELY.start_time))
        scheduling.clock.advance((1 if policy == "latest" else 3) * HOUR + 1)
        return scheduling, id_

    calm, _ = world()
    _, operations = drive(calm.world, firing.fire(calm.submitter, most=10))
    assert operations > 15
    for at in range(operations):
        scheduling, id_ = world()
        try:
            drive(scheduling.world, firing.fire(scheduling.submitter, most=10), fault, at)
        except Killed:
            assert fault.deadly
        except Unavailable:
            assert not fault.deadly
        scheduling.world, scheduling.memory, scheduling.submitter = scheduling.process()
        again = scheduling.fire()
        assert (again.failed, again.refused) == ((), ()), at
        hours = (1,) if policy == "latest" else (1, 2, 3)
        runs = [run for run in scheduling.runs() if run in expected(id_, 1, 2, 3)]
        assert runs == expected(id_, *hours), (fault, at)
        assert len(scheduling.runs()) == len(hours) + 1
        assert sent(scheduling) == set(scheduling.runs()), (fault, at)
        assert sorted(found.run for found in scheduling.firings(id_)) == runs
        assert scheduling.get(id_).progress.due == START.timestamp() + (max(hours) + 1) * HOUR
        assert len(scheduling.due_rows()) == 2
        active = scheduling.account.tables.partition("index", "active")
        assert sorted(active) == scheduling.runs(), (fault, at)


@pytest.mark.parametrize("seed", range(30))
def test_killed_again_and_again_at_random(seed: int) -> None:
    random = Random(seed)
    scheduling = Scheduling()
    ids = [scheduling.create(catch_up="all", recurrence=MINUTELY).schedule.id for _ in range(2)]
    for _ in range(40):
        scheduling.clock.advance(random.choice((5, 60, 60, 200)))
        world, _, submitter = scheduling.process()
        try:
            drive(world, firing.fire(submitter, most=5), random.choice(list(Fault)), random.randrange(25))
        except (Killed, Unavailable):
            continue
    while scheduling.fire().next_due == 0:
        pass
    minutes = int((scheduling.clock.now() - START.timestamp()) // 60)
    start = START.timestamp()
    assert scheduling.runs() == sorted(
        run_id(id_, moment(start + 60 * n)) for id_ in ids for n in range(1, minutes + 1)
    )
    assert all(len(scheduling.firings(id_)) == minutes for id_ in ids)


def test_a_change_between_two_firings_of_one_occurrence(scheduling: Scheduling) -> None:
    """The run was started, its starter died at once, and the schedule was changed: the run goes on as it was."""
    id_ = scheduling.create(parameters={"rate": 1}).schedule.id
    scheduling.clock.advance(HOUR)
    world, _, submitter = scheduling.process()
    # The commit that makes the run is the first one.
    for at in range(20):
        try:
            drive(world, firing.fire(submitter, most=10), Fault.KILLED_AFTER, at)
        except Killed:
            if scheduling.runs():
                break
    assert scheduling.account.tables.partition("index", "active") == {}
    scheduling.change(id_, to(parameters={"rate": 2}))
    assert (scheduling.fire().started, scheduling.runs()) == (1, expected(id_, 1))
    view = scheduling.world.run(run_view(scheduling.memory, expected(id_, 1)[0]))
    assert view.parameters["rate"] == 1.0
    assert len(scheduling.account.queues.messages("millstream-steps")) == 1
    assert sorted(scheduling.account.tables.partition("index", "active")) == expected(id_, 1)


def cut_short(scheduling: Scheduling) -> None:
    """A firing that dies right after the rows of its first run were written."""
    for at in range(30):
        world, _, submitter = scheduling.process()
        try:
            drive(world, firing.fire(submitter, most=10), Fault.KILLED_AFTER, at)
        except Killed:
            if scheduling.runs():
                return
    raise AssertionError("it has not started a run")


@pytest.mark.parametrize("policy", ["latest", "all", "none"])
def test_what_was_begun_is_completed_before_any_policy_is_asked(scheduling: Scheduling, policy: str) -> None:
    """Its starter died, and a long time passed: the run that is there is driven on, and the others are skipped."""
    id_ = scheduling.create(catch_up=policy).schedule.id
    scheduling.clock.advance(HOUR)
    cut_short(scheduling)
    assert scheduling.get(id_).progress.pending == (START.timestamp() + HOUR,)
    scheduling.clock.advance(10 * HOUR + 600)
    while scheduling.fire().next_due == 0:
        pass
    hours = {"latest": (1, 11), "all": tuple(range(1, 12)), "none": (1,)}[policy]
    assert scheduling.runs() == sorted(sent(scheduling)) == expected(id_, *hours)
    assert sorted(scheduling.account.tables.partition("index", "active")) == expected(id_, *hours)
    assert scheduling.get(id_).progress.skipped == 11 - len(hours)
    assert sorted(found.run for found in scheduling.firings(id_)) == expected(id_, *hours)


def test_what_was_begun_is_completed_though_the_schedule_is_disabled_or_changed(scheduling: Scheduling) -> None:
    id_ = scheduling.create().schedule.id
    scheduling.clock.advance(HOUR)
    cut_short(scheduling)
    scheduling.change(id_, to(recurrence=Recurrence(frequency=Frequency.DAY, hours=(3,))))
    disabled = scheduling.change(id_, to(status=ScheduleStatus.DISABLED))
    assert disabled.progress.due == START.timestamp() + HOUR
    assert scheduling.fire().started == 1
    assert scheduling.runs() == sorted(sent(scheduling)) == expected(id_, 1)
    progress = scheduling.get(id_).progress
    assert (progress.pending, progress.due, scheduling.due_rows()) == ((), None, [])


def test_a_pipeline_that_was_disabled_fails_its_occurrences_and_is_told(scheduling: Scheduling) -> None:
    id_ = scheduling.create().schedule.id
    scheduling.world.run(pipelines.set_status(scheduling.pipeline, "Disabled"))
    for hour in (1, 2):
        scheduling.clock.advance(HOUR)
        fired = scheduling.fire()
        assert (fired.started, [schedule for schedule, _ in fired.refused]) == (0, [id_])
        progress = scheduling.get(id_).progress
        assert progress.failures == hour
        assert progress.last_failure is not None
        assert (progress.last_failure.code, "Disabled" in progress.last_failure.message) == ("Conflict", True)
        assert scheduling.fire().refused == ()  # it is not tried again
    assert [found.failure is not None for found in scheduling.firings(id_)] == [True, True]
    scheduling.world.run(pipelines.set_status(scheduling.pipeline, "Active"))
    scheduling.clock.advance(HOUR)
    assert scheduling.fire().started == 1
    progress = scheduling.get(id_).progress
    assert (progress.failures, scheduling.runs()) == (0, expected(id_, 3))


def test_a_definition_that_is_gone_fails_its_occurrences(scheduling: Scheduling) -> None:
    id_ = scheduling.create().schedule.id
    scheduling.account.blobs.clear()
    scheduling.world, scheduling.memory, scheduling.submitter = scheduling.process()
    scheduling.clock.advance(HOUR)
    assert [schedule for schedule, _ in scheduling.fire().refused] == [id_]
    assert scheduling.fire().refused == ()


def test_storage_that_does_not_answer_is_waited_for(scheduling: Scheduling) -> None:
    id_ = scheduling.create().schedule.id
    scheduling.clock.advance(HOUR)

    def refuse(effect: Any) -> Any:
        raise Unavailable("storage is not there for us")

    world, _, submitter = scheduling.process()
    world.register(Get, refuse)
    fired = world.run(firing.fire(submitter, most=10))
    assert [schedule for schedule, _ in fired.failed] == [id_]
    assert fired.next_due is None  # nothing to be done at once
    assert scheduling.get(id_).progress.last_failure is None
    assert scheduling.fire().started == 1


def test_one_that_fails_does_not_keep_others_waiting(scheduling: Scheduling) -> None:
    other = scheduling.world.run(pipelines.publish(Publication(definition=DEFINITION, version="2")))[0].id
    scheduling.create(pipeline_id=other)
    good = scheduling.create().schedule.id
    scheduling.world.run(pipelines.set_status(other, "Disabled"))
    scheduling.clock.advance(HOUR)
    fired = scheduling.fire()
    assert (fired.started, len(fired.refused), scheduling.runs()) == (1, 1, expected(good, 1))


def test_no_more_runs_at_a_time_than_are_allowed(scheduling: Scheduling) -> None:
    for number in range(7):
        scheduling.create(name=str(number))
    scheduling.clock.advance(HOUR)
    counts = [scheduling.fire(most=3).started for _ in range(4)]
    assert counts == [3, 3, 1, 0]


def test_an_endpoint_starts_what_it_stands_for_at_the_time(scheduling: Scheduling) -> None:
    second = scheduling.world.run(pipelines.publish(Publication(definition=DEFINITION, version="2")))[0].id
    endpoint, _ = scheduling.world.run(endpoints.publish("live", "", scheduling.pipeline))
    id_ = scheduling.create(pipeline_id=None, pipeline_endpoint_id=endpoint.id).schedule.id
    started = []
    for default in (False, True):
        if default:
            scheduling.world.run(endpoints.add(endpoint.id, second, default=True))
        scheduling.clock.advance(HOUR)
        scheduling.fire()
        last = scheduling.get(id_).progress.last_run
        assert last is not None
        started.append(scheduling.world.run(run_view(scheduling.memory, last)).pipeline_id)
    assert started == [scheduling.pipeline, second]


def test_one_that_is_disabled_after_the_index_was_read_is_left_alone(scheduling: Scheduling) -> None:
    id_ = scheduling.create().schedule.id
    scheduling.clock.advance(HOUR)
    task = firing.fire_one(scheduling.submitter, id_, scheduling.clock.now(), most=9)
    scheduling.change(id_, to(status=ScheduleStatus.DISABLED))
    assert scheduling.world.run(task) == ()


def test_two_triggers_that_meet_at_a_moment_start_one_run_of_their_schedule(scheduling: Scheduling) -> None:
    """Changed from every hour to a cron of the same times, an occurrence that has run does not run again."""
    id_ = scheduling.create().schedule.id
    scheduling.clock.advance(HOUR)
    scheduling.fire()
    scheduling.change(id_, to(recurrence=None, cron=Cron(expression="0 * * * *")))
    scheduling.clock.advance(HOUR)
    scheduling.fire()
    assert scheduling.runs() == expected(id_, 1, 2)


def test_notes_never_forget_a_run(scheduling: Scheduling) -> None:
    from orchestrator.catalog import firings
    from orchestrator.core.schedule import Failure

    failed = firings.Firing(occurrence=5.0, run="r", failure=Failure(code="Conflict", message="m", at=6.0))
    ran = msgspec.structs.replace(failed, failure=None)
    for note in (failed, ran, failed):
        scheduling.world.run(firings.note("s", note))
    assert scheduling.firings("s") == (ran,)


def test_coming_is_in_order(scheduling: Scheduling) -> None:
    scheduling.create()
    soon = scheduling.create(recurrence=MINUTELY).schedule.id
    entries = scheduling.world.run(schedules.coming(1))
    assert [entry.schedule_id for entry in entries] == [soon]


def test_what_a_quota_leaves_no_room_for_is_started_when_there_is_some(scheduling: Scheduling) -> None:
    quotas = Quotas(runs_each=1)
    scheduling.memory.settings = EngineSettings(quotas=quotas)
    greedy, modest = scheduling.create(), scheduling.create()
    for stored, owner in ((greedy, "ann"), (modest, "bob")):
        task = schedules.change(
            scheduling.memory,
            stored.schedule.id,
            lambda there, owner=owner: msgspec.structs.replace(there, owner=owner, description=owner),  # type: ignore[misc]
            datastores=(),
        )
        scheduling.world.run(task)
    scheduling.clock.advance(3600)
    assert scheduling.fire().started == 2
    scheduling.clock.advance(3600)
    [anns, bobs] = [scheduling.get(stored.schedule.id).progress.last_run for stored in (greedy, modest)]
    scheduling.world.run(cancel(scheduling.memory, str(bobs)))
    fired = scheduling.fire()
    assert fired.started == 1, "one who has no room does not keep others waiting"
    [(schedule, reason)] = fired.failed
    assert schedule == greedy.schedule.id
    assert "MILLSTREAM_MOST_RUNS_EACH" in reason
    waiting = scheduling.get(greedy.schedule.id).progress
    assert waiting.last_failure is not None
    assert (waiting.last_failure.code, len(waiting.pending), waiting.last_run) == ("QuotaExceeded", 1, anns)
    assert waiting.due == scheduling.clock.now() + PUT_OFF
    noted = scheduling.firings(greedy.schedule.id)[0]
    assert noted.failure is not None
    assert noted.failure.code == "QuotaExceeded"
    assert scheduling.fire() == Fired(next_due=PUT_OFF), "until it is worth another try, it is not in the way"
    scheduling.world.run(cancel(scheduling.memory, str(anns)))
    scheduling.clock.advance(PUT_OFF + 1)
    assert scheduling.fire().started == 1
    after = scheduling.get(greedy.schedule.id).progress
    assert (after.pending, after.put_off, after.failures) == ((), 0.0, 0)
    assert scheduling.firings(greedy.schedule.id)[0] == Firing(occurrence=noted.occurrence, run=noted.run)

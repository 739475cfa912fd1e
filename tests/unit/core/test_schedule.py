"""What becomes of occurrences: on time, missed, caught up; and how the ids of runs come about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.cron import Cron
from orchestrator.core.datachange import DataChange
from orchestrator.core.recurrence import Frequency, Recurrence
from orchestrator.core.schedule import (
    ON_TIME,
    CatchUp,
    Progress,
    Schedule,
    ScheduleStatus,
    beginning,
    decide,
    decode,
    encode,
    moment,
    problems,
    progressed,
    run_id,
)

START = datetime(2026, 5, 1, tzinfo=UTC).timestamp()
HOUR = 3600.0
HOURLY = Recurrence(frequency=Frequency.HOUR, start_time=datetime(2026, 5, 1))


def schedule(catch_up: str = "latest", **fields: Any) -> Schedule:
    given_fields = {"recurrence": HOURLY, **fields}
    return Schedule(
        id="s",
        name="nightly",
        experiment="e",
        pipeline_id="p",
        catch_up=CatchUp(catch_up),
        created_at=START,
        updated_at=START,
        phase=START,
        **given_fields,
    )


def hours(moments: tuple[datetime, ...]) -> list[int]:
    return [int((found.timestamp() - START) / HOUR) for found in moments]


@pytest.mark.parametrize("policy", CatchUp)
def test_what_is_on_time_runs_under_every_policy(policy: str) -> None:
    progress = Progress(handled=START + 5 * HOUR)
    for late in (0.0, 59.0, ON_TIME.total_seconds()):
        decision = decide(schedule(policy), progress, START + 6 * HOUR + late, 10)
        assert hours(decision.run) == [6]
        assert (decision.skipped, decision.handled) == (0, START + 6 * HOUR)


def test_the_latest_alone() -> None:
    decision = decide(schedule("latest"), Progress(handled=START), START + 1000 * HOUR, 10)
    assert hours(decision.run) == [1000]
    assert (decision.skipped, decision.handled) == (999, START + 1000 * HOUR)


def test_all_of_them_so_many_at_a_time() -> None:
    progress, runs = Progress(handled=START), 0
    while (decision := decide(schedule("all"), progress, START + 1000 * HOUR, 64)).run:
        assert hours(decision.run)[0] == runs + 1
        runs += len(decision.run)
        progress = Progress(handled=decision.handled)
        assert decision.skipped == 0
    assert runs == 1000


def test_none_of_them_but_what_is_on_time() -> None:
    missed = decide(schedule("none"), Progress(handled=START), START + 1000.5 * HOUR, 10)
    assert (missed.run, missed.skipped, missed.handled) == ((), 1000, START + 1000 * HOUR)
    punctual = decide(schedule("none"), Progress(handled=START), START + 1000 * HOUR + 30, 10)
    assert (hours(punctual.run), punctual.skipped, punctual.handled) == ([1000], 999, START + 1000 * HOUR)


def test_a_firing_that_was_left_out_costs_a_minutely_schedule_nothing() -> None:
    minutely = schedule("latest", recurrence=Recurrence(frequency=Frequency.MINUTE, start_time=datetime(2026, 5, 1)))
    decision = decide(minutely, Progress(handled=START), START + 121, 10)
    assert [found.timestamp() - START for found in decision.run] == [60, 120]


def test_when_nothing_is_due_nothing_changes() -> None:
    decision = decide(schedule(), Progress(handled=START), START + HOUR - 1, 10)
    assert (decision.run, decision.skipped, decision.handled) == ((), 0, START)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(CatchUp),
    st.lists(st.floats(1, 400_000), min_size=1, max_size=20),
    st.sampled_from([HOURLY, Recurrence(frequency=Frequency.MINUTE, interval=7, start_time=datetime(2026, 5, 1))]),
    st.integers(1, 5),
)
def test_whenever_it_is_looked_at_no_occurrence_runs_twice_and_none_is_lost(
    policy: CatchUp, pauses: list[float], recurrence: Recurrence, most: int
) -> None:
    """Runs and what was skipped are together all the occurrences there were; runs are in order and each once."""
    mine = schedule(policy, recurrence=recurrence)
    progress, now, ran, skipped = Progress(handled=START), START, list[datetime](), 0
    for pause in pauses:
        now += pause
        while True:
            decision = decide(mine, progress, now, most)
            ran += decision.run
            skipped += decision.skipped
            assert len(decision.run) <= most
            if decision.handled == progress.handled:
                break
            progress = Progress(handled=decision.handled)
    step = HOUR if recurrence is HOURLY else 420
    assert ran == sorted(set(ran))
    assert len(ran) + skipped == int((now - START) // step)
    assert policy is not CatchUp.ALL or skipped == 0


def test_no_start_and_no_times_means_at_once() -> None:
    now = START + 0.7
    daily = schedule(recurrence=Recurrence(frequency=Frequency.DAY))
    progress = beginning(daily, now)
    assert progress.due == START
    decision = decide(daily, progress, now, 1)
    assert decision.run == (moment(START),)
    assert progressed(daily, Progress(handled=decision.handled)).due == START + 24 * HOUR


def test_otherwise_the_next_slot_comes_first() -> None:
    now = START + 90
    assert beginning(schedule(), now).due == START + HOUR
    assert beginning(schedule(recurrence=Recurrence(frequency=Frequency.DAY, hours=(3,))), now).due == START + 3 * HOUR
    assert beginning(schedule(recurrence=None, cron=Cron(expression="0 0 * * *")), now).due == START + 24 * HOUR


def test_disabled_or_of_data_it_is_never_due() -> None:
    assert beginning(schedule(status=ScheduleStatus.DISABLED), START).due is None
    assert beginning(schedule(recurrence=None, data_change=DataChange(datastore="d")), START).due is None


def test_a_run_is_named_by_schedule_and_occurrence() -> None:
    at = moment(START)
    assert run_id("a", at) == run_id("a", at)
    names = {run_id(name, at + timedelta(hours=hour)) for name in "ab" for hour in range(1000)}
    assert len(names) == 2000


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"recurrence": None}, "recurrence"),
        ({"cron": Cron(expression="* * * * *")}, "cron"),
        ({"recurrence": None, "cron": Cron(expression="x")}, "cron.expression"),
        ({"recurrence": None, "data_change": DataChange(datastore="a b")}, "data_change.datastore"),
        ({"recurrence": Recurrence(frequency=Frequency.DAY, interval=0)}, "recurrence.interval"),
    ],
)
def test_what_is_wrong_with_a_trigger(fields: dict[str, Any], place: str) -> None:
    assert [problem.field for problem in problems(schedule(**fields))] == [place]


def test_it_is_kept_as_json() -> None:
    kept = schedule(cron=None, parameters={"rate": 0.5, "path": {"kind": "datapath", "datastore": "d", "path": "x"}})
    assert decode(encode(kept)) == kept
    assert "cron" not in msgspec.json.decode(encode(kept))

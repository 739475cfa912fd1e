"""F9: a schedule in a world of faults: each occurrence has exactly one run, whatever happens to those who fire it."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from orchestrator.catalog import firing, firings, schedules
from orchestrator.core import schedule as rules
from orchestrator.core.schedule import CatchUp
from orchestrator.ports import Task
from tests.simulation.faults import DEADLY, Calm, Fault
from tests.simulation.graphs import Script, chain
from tests.simulation.scheduled import Failed, Plan, simulate_schedule
from tests.simulation.simulation import Report, Setting
from tests.simulation.weather import stormy

SEEDS = 60
QUIET = Setting(graphs=[chain(1)], storm=70.0)
"""A minute of a world in which nothing goes wrong, unless a script says so."""
SHORT = Plan(graph=chain(1), peace=190.0)


def test_in_peace_every_minute_has_its_run() -> None:
    report, started = simulate_schedule(1, QUIET, SHORT)
    assert started in (4, 5, 6)
    assert report.faults.total() == 0


def test_killed_before_and_after_every_operation() -> None:
    """The only host dies at one operation after the other, while clients and the schedule start runs."""
    clean, _ = simulate_schedule(7, QUIET, SHORT)
    for number in range(clean.operations // 2):
        for fault in DEADLY:
            simulate_schedule(7, replace(QUIET, faults=Calm(script={number: fault})), SHORT)


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.REQUEST_LOST, Fault.APPLIED_LATE, Fault.FREEZE_AFTER])
def test_answers_lost_at_every_operation(fault: Fault) -> None:
    clean, _ = simulate_schedule(7, QUIET, SHORT)
    for number in range(clean.operations // 2):
        simulate_schedule(7, replace(QUIET, hosts=2, faults=Calm(script={number: fault})), SHORT)


@pytest.fixture(scope="module")
def storms() -> list[tuple[Report, int]]:
    return [simulate_schedule(seed, stormy(seed)) for seed in range(SEEDS)]


def test_in_every_storm_each_occurrence_has_one_run(storms: list[tuple[Report, int]]) -> None:
    assert sum(started for _, started in storms) > 10 * SEEDS
    faults = sum((report.faults for report, _ in storms), Counter[str]())
    assert {fault.value for fault in Fault} == set(faults)


@pytest.mark.parametrize("seed", range(10))
def test_of_those_that_were_missed_the_latest_alone(seed: int) -> None:
    plan = Plan(graph=chain(2, Script(seconds=2.0)), minutes=2, catch_up=CatchUp.LATEST)
    simulate_schedule(seed, stormy(seed), plan)


def decide_and_forget(there: Any, now: float, most: int) -> Task[Any]:
    """Wrong: what was decided is written down without what is to be done about it."""
    decision = rules.decide(there.schedule, there.progress, now, most)
    if decision.handled == there.progress.handled:
        return None
    after = msgspec.structs.replace(there.progress, handled=decision.handled)
    stored = yield from schedules.write(there, there.schedule, rules.progressed(there.schedule, after))
    if stored is None:
        return None
    pending = tuple(occurrence.timestamp() for occurrence in decision.run)
    return replace(stored, progress=msgspec.structs.replace(after, pending=pending))


def decide_unseen(there: Any, now: float, most: int) -> Task[Any]:
    """Wrong: nothing is written down before the runs are started."""
    yield from ()
    decision = rules.decide(there.schedule, there.progress, now, most)
    if decision.handled == there.progress.handled:
        return None
    pending = tuple(occurrence.timestamp() for occurrence in decision.run)
    after = msgspec.structs.replace(there.progress, handled=decision.handled, pending=pending)
    return replace(there, progress=after)


def note_nothing(schedule_id: str, firing: Any) -> Task[None]:
    """Wrong: the run is started, and nobody can find it."""
    yield from ()


@pytest.mark.parametrize(
    ("place", "name", "wrong", "invariants"),
    [
        (firing, "_decide", decide_and_forget, "I14 I6"),
        (firing, "_decide", decide_unseen, "I6 I7"),
        (firings, "note", note_nothing, "I7"),
        (rules, "run_id", lambda schedule_id, occurrence: str(uuid.uuid4()), "I10"),
    ],
    ids=["decide and forget", "decide unseen", "note nothing", "another id each time"],
)
def test_a_wrong_way_to_fire_is_found(
    monkeypatch: pytest.MonkeyPatch, place: Any, name: str, wrong: Callable[..., Any], invariants: str
) -> None:
    monkeypatch.setattr(place, name, wrong)
    plans = [Plan(graph=chain(2), catch_up=catch_up) for catch_up in (CatchUp.ALL, CatchUp.LATEST)]
    with pytest.raises(Failed) as failed:
        for seed in range(SEEDS):
            for plan in plans:
                simulate_schedule(seed, stormy(seed), plan)
    assert failed.value.violation.invariant in invariants.split()

"""A process that watches is killed at every effect, or an answer is lost there: one run a change, or a batch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from orchestrator.core.errors import MillstreamError
from tests.unit.changes.watching import FAULTS, Killed, Watching

NAMES = ["in/a.csv", "in/b.csv", "in/c.csv"]


def cut(at: Watching, number: int, fault: str, act: Callable[[], object]) -> bool:
    """Do it with a fault at its effect `number`; False when it has fewer effects. The process is a new one after it."""
    at.world.at, at.world.fault = at.world.count + number, FAULTS[fault]
    with suppress(Killed, MillstreamError):
        act()
    happened = at.world.count >= at.world.at
    at.restart()
    return happened


@pytest.mark.parametrize("told_again", [True, False])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_single_change_has_one_run(fault: str, told_again: bool) -> None:
    number, happened = 0, True
    while happened:
        number += 1
        at = Watching()
        at.schedule()
        at.upload("in/before.csv")
        at.write("in/a.csv")
        happened = cut(at, number, fault, partial(at.event, "in/a.csv"))
        if told_again:
            at.event("in/a.csv")
        at.pass_time(400)
        at.event("in/a.csv")
        assert at.paths() == ["in/a.csv", "in/before.csv"], f"{fault} at effect {number}"
    assert number > 10


@pytest.mark.parametrize("fault", FAULTS)
def test_the_sweep_loses_nothing_and_doubles_nothing(fault: str) -> None:
    number, happened = 0, True
    while happened:
        number += 1
        at = Watching()
        at.schedule()
        for name in NAMES:
            at.write(name)
        at.clock.advance(300)
        happened = cut(at, number, fault, at.sweep)
        at.pass_time(400)
        assert at.paths() == NAMES, f"{fault} at effect {number}"
    assert number > 30


@pytest.mark.parametrize("fault", FAULTS)
def test_every_change_is_in_one_batch_and_every_batch_has_one_run(fault: str) -> None:
    """The cut is anywhere from the first event to the run; changes come before and after it."""
    number, happened = 0, True
    while happened:
        number += 1
        at = Watching()
        schedule = at.schedule(per="batch", debounce_seconds=20, max_wait_seconds=100)

        def act(at: Watching = at) -> None:
            at.upload(NAMES[0], NAMES[1])
            at.clock.advance(22)
            at.deliver()
            at.event(NAMES[1])

        happened = cut(at, number, fault, act)
        at.upload(NAMES[2])
        for name in NAMES[:2]:
            if at.exists(name):
                at.event(name)
        at.pass_time(500)
        changed = sorted(path for info in at.runs() for path in at.changed(info))
        written = [name for name in NAMES if at.exists(name)]
        assert changed == written, f"{fault} at effect {number}"
        rows = at.account.tables.partition("changes", schedule.id)
        assert [rk for rk in rows if rk.startswith("m|")] == [], f"{fault} at effect {number}"
    assert number > 20


@pytest.mark.parametrize("fault", FAULTS)
def test_arming_is_repeatable(fault: str) -> None:
    number, happened = 0, True
    while happened:
        number += 1
        at = Watching()
        at.write("in/old.csv")
        happened = cut(at, number, fault, at.schedule)
        at.pass_time(120)
        at.write("in/new.csv")
        at.pass_time(400)
        assert set(at.paths()) <= {"in/new.csv"}, f"{fault} at effect {number}"
        if not happened:
            assert at.paths() == ["in/new.csv"]
    assert number > 5

"""What a timer makes of its stored status."""

from __future__ import annotations

import pytest

from devhost.ncrontab import parse_schedule
from devhost.timer_status import TimerStatus, starting_status, status_after

EVERY_MINUTE = parse_schedule("0 * * * * *", where="test")
NOW = 1_767_225_600.0 + 600 + 30  # half a minute past a full one


def test_a_new_timer_waits_for_its_next_occurrence() -> None:
    status = starting_status(None, EVERY_MINUTE, NOW)
    assert status == TimerStatus(last=None, next=NOW + 30, updated=NOW)


@pytest.mark.parametrize("fired", [True, False])
def test_a_kept_status_stays_and_shows_what_was_missed(fired: bool) -> None:
    base = NOW - 330
    stored = TimerStatus(last=base if fired else None, next=base + 60, updated=base)
    assert starting_status(stored, EVERY_MINUTE, NOW) == stored
    assert stored.next < NOW


def test_a_changed_schedule_is_computed_anew_and_not_past_due() -> None:
    stored = TimerStatus(last=NOW - 330, next=NOW - 7, updated=NOW - 330)
    assert starting_status(stored, EVERY_MINUTE, NOW) == TimerStatus(last=None, next=NOW + 30, updated=NOW)


def test_a_changed_schedule_whose_next_is_still_to_come() -> None:
    stored = TimerStatus(last=NOW - 10, next=NOW + 7, updated=NOW - 10)
    assert starting_status(stored, EVERY_MINUTE, NOW) == TimerStatus(last=None, next=NOW + 30, updated=NOW - 10)


def test_an_occurrence_that_began_early_does_not_come_twice() -> None:
    status = TimerStatus(last=None, next=NOW + 30, updated=NOW)
    after = status_after(status, EVERY_MINUTE, NOW + 29.99, scheduled=True)
    assert (after.last, after.next) == (NOW + 30, NOW + 90)


def test_an_unscheduled_run_counts_from_when_it_began() -> None:
    status = TimerStatus(last=None, next=NOW + 30, updated=NOW)
    after = status_after(status, EVERY_MINUTE, NOW + 1, scheduled=False)
    assert (after.last, after.next) == (NOW + 1, NOW + 30)

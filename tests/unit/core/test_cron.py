"""Cron expressions, against another library's reading of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from croniter import croniter
from dateutil import tz
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.cron import NICKNAMES, Cron, occurrences, parse, problems
from orchestrator.core.errors import InvalidRequest
from tests.unit.core.test_recurrence import CHANGES, ZONES


def between(expression: str, zone: str, after: datetime, until: datetime) -> list[datetime]:
    return list(occurrences(Cron(expression=expression, time_zone=zone), after=after, until=until))


def walls(expression: str, start: datetime, end: datetime) -> list[datetime]:
    """What croniter says, on a clock that is never put forward or back."""
    found: list[datetime] = []
    clock = croniter(expression, start - timedelta(seconds=1))
    while (wall := clock.get_next(datetime)) <= end:
        found.append(wall)
    return found


def by_another_library(expression: str, zone: str, after: datetime, until: datetime) -> list[datetime]:
    """The times on the wall by croniter, made moments by dateutil."""
    place = tz.gettz(zone)
    assert place is not None
    wide = timedelta(days=2)
    moments = {
        tz.resolve_imaginary(wall.replace(tzinfo=place)).astimezone(UTC)
        for wall in walls(expression, after.replace(tzinfo=None) - wide, until.replace(tzinfo=None) + wide)
    }
    return sorted(moment for moment in moments if after < moment <= until)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("expression", ["30 2 * * *", "0,15,30,45 1,2 * * *", "*/7 0-4 * * *", "10 1-3/2 * * SUN"])
def test_fixed_times_on_the_days_when_the_clock_changes(zone: str, expression: str) -> None:
    for text in CHANGES[zone]:
        day = datetime.fromisoformat(text).replace(tzinfo=UTC)
        after, until = day - timedelta(days=3), day + timedelta(days=3)
        assert between(expression, zone, after, until) == by_another_library(expression, zone, after, until)


@pytest.mark.parametrize("zone", ZONES)
def test_every_so_many_minutes_is_real_time(zone: str) -> None:
    """No gap and no pile where the clock is put forward or back."""
    for text in CHANGES[zone]:
        day = datetime.fromisoformat(text).replace(tzinfo=UTC)
        found = between("*/15 * * * *", zone, day - timedelta(days=1), day + timedelta(days=2))
        assert len(found) == 3 * 24 * 4
        assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=15)}


minutes = st.sampled_from(["0", "*", "*/5", "7-9", "3,4,50", "5/20", "59"])
hours = st.sampled_from(["0", "2", "1-3", "9,17", "0-23/6", "23"])
month_days = st.sampled_from(["*", "1", "31", "15,30", "10-20/3", "29"])
months = st.sampled_from(["*", "2", "JAN,jul", "1-6", "*/5", "11"])
week_days = st.sampled_from(["*", "0", "7", "MON-FRI", "1,3", "6", "sun"])


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(minutes, hours, month_days, months, week_days),
    st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)),
    st.sampled_from(ZONES),
)
def test_expressions_against_another_library(fields: tuple[str, ...], start: datetime, zone: str) -> None:
    expression = " ".join(fields)
    try:
        parse(expression)
    except InvalidRequest as error:
        assert "never comes" in error.message
        return
    after = start.replace(tzinfo=UTC)
    until = after + timedelta(days=10)
    assert between(expression, zone, after, until) == by_another_library(expression, zone, after, until)


def test_a_rare_day_is_found() -> None:
    found = islice(occurrences(Cron(expression="0 12 29 2 *"), after=datetime(2096, 3, 1, tzinfo=UTC)), 2)
    assert [moment.date().isoformat() for moment in found] == ["2104-02-29", "2108-02-29"]


def test_two_day_fields_mean_either() -> None:
    found = islice(occurrences(Cron(expression="0 0 13 * FRI"), after=datetime(2026, 11, 26, tzinfo=UTC)), 4)
    days = [moment.date().isoformat() for moment in found]
    assert days == ["2026-11-27", "2026-12-04", "2026-12-11", "2026-12-13"]


@pytest.mark.parametrize("name", NICKNAMES)
def test_nicknames(name: str) -> None:
    assert parse(name) == parse(NICKNAMES[name])


@pytest.mark.parametrize(
    "expression",
    [
        *("", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *"),
        *("* * * * 8", "a * * * *", "*/0 * * * *", "5-1 * * * *", "1-2-3 * * * *", "1, * * * *", "-1 * * * *"),
        *("* * * FOO *", "JAN * * * *", "R * * * *", "H H * * *", "* * L * *", "@reboot", "0 0 31 2,4,6 *"),
        *("* * * * 1#2", "٣ * * * *", "* * * * fr\u0131", "* " * 300),
    ],
)
def test_what_is_no_expression(expression: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(expression)
    assert refused.value.field == "expression"
    (problem,) = problems(Cron(expression=expression), "cron")
    assert problem.field == "cron.expression"


def test_the_field_that_is_wrong_is_named() -> None:
    with pytest.raises(InvalidRequest, match='"FOO" is no month: use 1 to 12, or JAN to DEC'):
        parse("0 0 1 foo *")


def test_its_zone_is_checked_too() -> None:
    assert [problem.field for problem in problems(Cron(expression="* * * * *", time_zone="x"), "cron")] == [
        "cron.time_zone"
    ]

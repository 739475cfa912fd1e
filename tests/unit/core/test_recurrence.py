"""Recurrences, against another library's calendar and another library's time zones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import msgspec
import pytest
from dateutil import rrule, tz
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.recurrence import Frequency, Recurrence, WeekDay, occurrences, problems

ZONES = ("America/New_York", "Europe/Paris", "Australia/Lord_Howe")
CHANGES = {
    # The days in 2026 and 2027 on which the clock is put forward or back.
    "America/New_York": ("2026-03-08", "2026-11-01", "2027-03-14", "2027-11-07"),
    "Europe/Paris": ("2026-03-29", "2026-10-25", "2027-03-28", "2027-10-31"),
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04", "2027-04-04", "2027-10-03"),
}
RULES = {Frequency.DAY: rrule.DAILY, Frequency.WEEK: rrule.WEEKLY, Frequency.MONTH: rrule.MONTHLY}
PHASE = datetime(2026, 1, 1, tzinfo=UTC)


def every(frequency: str, interval: int = 1, **fields: Any) -> Recurrence:
    return Recurrence(frequency=Frequency(frequency), interval=interval, **fields)


def between(recurrence: Recurrence, after: datetime, until: datetime, phase: datetime = PHASE) -> list[datetime]:
    return list(occurrences(recurrence, after=after, until=until, phase=phase))


def first(recurrence: Recurrence, count: int, after: datetime = PHASE, phase: datetime = PHASE) -> list[str]:
    found = islice(occurrences(recurrence, after=after, phase=phase), count)
    return [moment.strftime("%Y-%m-%d %H:%M") for moment in found]


def by_another_library(recurrence: Recurrence, after: datetime, until: datetime) -> list[datetime]:
    """The same, from dateutil alone: its rules on wall-clock times, and its zones to make moments of them."""
    start = start_time = recurrence.start_time
    assert start is not None
    assert start_time is not None
    options: dict[str, Any] = {"interval": recurrence.interval, "wkst": rrule.MO}
    if recurrence.hours or recurrence.minutes:
        options |= {
            "byhour": recurrence.hours or (start.hour,),
            "byminute": recurrence.minutes or (start.minute,),
            "bysecond": 0,
        }
        start = start.replace(second=0)
    if recurrence.week_days:
        options["byweekday"] = [day.number for day in recurrence.week_days]
    if recurrence.frequency is Frequency.MONTH:
        options |= {"bymonthday": list(range(28, start.day + 1)) or [start.day], "bysetpos": -1}
        if start.day < 28:
            options |= {"bymonthday": [start.day]}
    place = tz.gettz(recurrence.time_zone)
    assert place is not None
    begins = tz.resolve_imaginary(start_time.replace(tzinfo=place)).astimezone(UTC)
    # A start that is not one of the times is none; and with times of one's own it is left out in any case.
    calendar = rrule.rrule(RULES[recurrence.frequency], dtstart=start.replace(hour=0, minute=0), **options)
    if not (recurrence.hours or recurrence.minutes):
        calendar = rrule.rrule(RULES[recurrence.frequency], dtstart=start, **options)
    moments = set()
    for wall in calendar.xafter(start - timedelta(days=2), inc=True):
        moment = tz.resolve_imaginary(wall.replace(tzinfo=place)).astimezone(UTC)
        if moment > until + timedelta(days=3):
            break
        early = moment <= begins if recurrence.has_times else moment < begins
        if after < moment <= until and not early:
            moments.add(moment)
    return sorted(moments)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("frequency", ["Day", "Week"])
def test_on_the_days_when_the_clock_is_put_forward_or_back(zone: str, frequency: str) -> None:
    """All times of these days, and of the days around them."""
    for text in CHANGES[zone]:
        day = datetime.fromisoformat(text)
        recurrence = every(
            frequency,
            start_time=day - timedelta(days=10),
            time_zone=zone,
            hours=tuple(range(24)),
            minutes=(0, 15, 29, 30, 45, 59),
            week_days=tuple(WeekDay) if frequency == "Week" else (),
        )
        after, until = (day - timedelta(days=2)).replace(tzinfo=UTC), (day + timedelta(days=3)).replace(tzinfo=UTC)
        found = between(recurrence, after, until)
        assert found == by_another_library(recurrence, after, until)
        assert len(found) > 5 * 24 * 6 - 24
        assert all(earlier < later for earlier, later in pairwise(found))


@pytest.mark.parametrize(
    ("zone", "wall", "expected"),
    [
        ("America/New_York", "2026-03-08 02:30", "2026-03-08 07:30"),  # left out: 03:30 summer time
        ("America/New_York", "2026-11-01 01:30", "2026-11-01 05:30"),  # twice: the first one
        ("Europe/Paris", "2026-03-29 02:30", "2026-03-29 01:30"),
        ("Europe/Paris", "2026-10-25 02:30", "2026-10-25 00:30"),
        ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:45"),  # put forward by half an hour
        ("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04 14:45"),
        ("Pacific/Apia", "2011-12-30 10:00", "2011-12-30 20:00"),  # a whole day left out
    ],
)
def test_a_time_that_is_left_out_or_comes_twice_is_one_occurrence(zone: str, wall: str, expected: str) -> None:
    start = datetime.fromisoformat(wall)
    recurrence = every("Day", start_time=start - timedelta(days=3), time_zone=zone)
    middle = start.replace(tzinfo=UTC)
    found = between(recurrence, middle - timedelta(hours=36), middle + timedelta(hours=36))
    day = [moment.strftime("%Y-%m-%d %H:%M") for moment in found]
    assert expected in day
    assert len(day) == len(set(day))


def test_a_day_that_the_date_line_took_leaves_the_order_intact() -> None:
    recurrence = every(
        "Day", start_time=datetime(2011, 12, 20), time_zone="Pacific/Apia", hours=tuple(range(24)), minutes=(0,)
    )
    found = between(recurrence, datetime(2011, 12, 28, tzinfo=UTC), datetime(2012, 1, 2, tzinfo=UTC))
    assert all(later - earlier == timedelta(hours=1) for earlier, later in pairwise(found))


def test_month_on_day_31_means_the_last_day_of_shorter_months_and_forgets_none() -> None:
    recurrence = every("Month", start_time=datetime(2027, 1, 31, 9, 0))
    assert first(recurrence, 14) == [
        *("2027-01-31 09:00", "2027-02-28 09:00", "2027-03-31 09:00", "2027-04-30 09:00", "2027-05-31 09:00"),
        *("2027-06-30 09:00", "2027-07-31 09:00", "2027-08-31 09:00", "2027-09-30 09:00", "2027-10-31 09:00"),
        *("2027-11-30 09:00", "2027-12-31 09:00", "2028-01-31 09:00", "2028-02-29 09:00"),
    ]


@pytest.mark.parametrize("day", [1, 28, 29, 30, 31])
@pytest.mark.parametrize("interval", [1, 2, 5, 12])
def test_months_against_another_library(day: int, interval: int) -> None:
    recurrence = every("Month", interval, start_time=datetime(2024, 1, day, 2, 30), time_zone="America/New_York")
    after, until = datetime(2024, 1, 1, tzinfo=UTC), datetime(2034, 1, 1, tzinfo=UTC)
    assert between(recurrence, after, until) == by_another_library(recurrence, after, until)


def test_every_other_week_counts_from_the_week_of_the_start() -> None:
    recurrence = every("Week", 2, start_time=datetime(2026, 1, 7, 8, 0), week_days=(WeekDay.SUNDAY, WeekDay.MONDAY))
    # January 7 is a Wednesday: its week's Monday is past, its Sunday comes; the next week is left out.
    assert first(recurrence, 4) == ["2026-01-11 08:00", "2026-01-19 08:00", "2026-01-25 08:00", "2026-02-02 08:00"]


def test_minutes_and_hours_count_elapsed_time() -> None:
    recurrence = every("Hour", 3, start_time=datetime(2026, 3, 8, 0, 0), time_zone="America/New_York")
    found = between(recurrence, datetime(2026, 3, 8, 4, tzinfo=UTC), datetime(2026, 3, 9, 4, tzinfo=UTC))
    assert [moment.hour for moment in found] == [5, 8, 11, 14, 17, 20, 23, 2]


def test_without_a_start_counting_begins_at_the_phase() -> None:
    phase = datetime(2026, 1, 1, 12, 0, 37, 500_000, tzinfo=UTC)
    found = list(islice(occurrences(every("Minute", 5), after=phase - timedelta(seconds=1), phase=phase), 2))
    assert found == [datetime(2026, 1, 1, 12, 0, 37, tzinfo=UTC), datetime(2026, 1, 1, 12, 5, 37, tzinfo=UTC)]
    assert first(every("Day"), 1, after=phase, phase=phase) == ["2026-01-02 12:00"]


def test_a_start_with_times_of_its_own_is_no_occurrence_even_if_it_is_one_of_them() -> None:
    recurrence = every("Day", start_time=datetime(2026, 5, 1, 9, 0), hours=(9,), minutes=(0,))
    assert first(recurrence, 1) == ["2026-05-02 09:00"]
    assert first(every("Day", start_time=datetime(2026, 5, 1, 9, 0)), 1) == ["2026-05-01 09:00"]


def test_a_past_start_gives_the_next_slot_at_no_cost() -> None:
    recurrence = every("Minute", 7, start_time=datetime(1970, 1, 1))
    (found,) = first(recurrence, 1, after=datetime(2199, 1, 1, tzinfo=UTC))
    moment = datetime.fromisoformat(found).replace(tzinfo=UTC)
    assert int(moment.timestamp()) % 420 == 0


def test_hours_and_minutes_are_combined() -> None:
    recurrence = every("Day", start_time=datetime(2026, 1, 1, 6, 50), hours=(18, 6), minutes=(30, 0))
    assert first(recurrence, 5) == [
        *("2026-01-01 18:00", "2026-01-01 18:30", "2026-01-02 06:00", "2026-01-02 06:30", "2026-01-02 18:00"),
    ]
    only_hours = every("Day", start_time=datetime(2026, 1, 1, 6, 50, 12), hours=(7,))
    assert first(only_hours, 1) == ["2026-01-01 07:50"]


def test_far_ahead_it_ends_rather_than_fails() -> None:
    recurrence = every("Month", 10_000, start_time=datetime(2199, 1, 31))
    assert len(list(islice(occurrences(recurrence, after=PHASE, phase=PHASE), 100))) < 20


calendars = st.builds(
    Recurrence,
    frequency=st.sampled_from([Frequency.DAY, Frequency.WEEK]),
    interval=st.integers(1, 40),
    start_time=st.datetimes(datetime(2000, 1, 1), datetime(2035, 1, 1)).map(lambda d: d.replace(microsecond=0)),
    time_zone=st.sampled_from(ZONES),
    hours=st.lists(st.integers(0, 23), max_size=3, unique=True).map(tuple),
    minutes=st.lists(st.integers(0, 59), max_size=3, unique=True).map(tuple),
)


@settings(deadline=None)
@given(
    calendars,
    st.lists(st.sampled_from(WeekDay), max_size=3, unique=True),
    st.integers(0, 400),
)
def test_days_and_weeks_against_another_library(recurrence: Recurrence, days: list[WeekDay], later: int) -> None:
    if recurrence.frequency is Frequency.WEEK:
        recurrence = msgspec.structs.replace(recurrence, week_days=tuple(days))
    assert recurrence.start_time is not None
    after = recurrence.start_time.replace(tzinfo=UTC) + timedelta(days=later)
    until = after + timedelta(days=60)
    assert between(recurrence, after, until) == by_another_library(recurrence, after, until)


anything = st.builds(
    Recurrence,
    frequency=st.sampled_from(Frequency),
    interval=st.integers(1, 500),
    start_time=st.none()
    | st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)).map(lambda d: d.replace(microsecond=0)),
    time_zone=st.sampled_from(ZONES),
)


@settings(deadline=None)
@given(anything, st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.integers(1, 2000))
def test_a_period_is_the_sum_of_its_parts(recurrence: Recurrence, start: datetime, hours: int) -> None:
    """Whatever moments occurrences are asked for by, each is found once, in order."""
    after = start.replace(tzinfo=UTC)
    middle, until = after + timedelta(hours=hours) / 2, after + timedelta(hours=hours)
    whole = list(islice(occurrences(recurrence, after=after, until=until, phase=PHASE), 500))
    parts = [
        *islice(occurrences(recurrence, after=after, until=middle, phase=PHASE), 500),
        *islice(occurrences(recurrence, after=middle, until=until, phase=PHASE), 500),
    ]
    assert whole == parts[: len(whole)]
    assert all(earlier < later for earlier, later in pairwise(whole))
    assert all(moment.microsecond == 0 and moment.tzinfo is UTC for moment in whole)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"interval": 0}, "interval"),
        ({"interval": 10_001}, "interval"),
        ({"hours": (24,)}, "hours"),
        ({"minutes": (-1,)}, "minutes"),
        ({"week_days": (WeekDay.MONDAY,)}, "week_days"),
        ({"frequency": Frequency.MONTH, "hours": (1,)}, "hours"),
        ({"frequency": Frequency.MINUTE, "minutes": (1,)}, "minutes"),
        ({"hours": (1, 2, 1)}, "hours"),
        ({"minutes": (0,) * 100_000}, "minutes"),
        ({"frequency": Frequency.WEEK, "week_days": (WeekDay.MONDAY,) * 2}, "week_days"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"start_time": datetime(1969, 1, 1)}, "start_time"),
        ({"start_time": datetime(2026, 1, 1, tzinfo=UTC)}, "start_time"),
    ],
)
def test_what_makes_no_sense_is_said_with_its_place(fields: dict[str, Any], place: str) -> None:
    wrong = Recurrence(**{"frequency": Frequency.DAY, **fields})
    assert [problem.field for problem in problems(wrong, "recurrence")] == [f"recurrence.{place}"]
    assert list(problems(Recurrence(frequency=Frequency.DAY), "recurrence")) == []


def test_a_date_as_its_json() -> None:
    text = b'{"frequency":"Week","interval":2,"start_time":"2026-05-01T09:00:00","week_days":["Friday"]}'
    recurrence = msgspec.json.decode(text, type=Recurrence)
    assert msgspec.json.encode(recurrence) == text
    with pytest.raises(msgspec.ValidationError, match="timezone"):
        msgspec.json.decode(b'{"frequency":"Day","start_time":"2026-05-01T09:00:00Z"}', type=Recurrence)
    assert date(2026, 5, 1).weekday() == WeekDay.FRIDAY.number

"""When a schedule is due: every so many minutes, hours, days, weeks or months. Pure rules over aware UTC moments.

- Minute and Hour count elapsed time from the start, whatever the clocks do.
- Day, Week and Month follow the clock on the wall of the time zone, by the rule of `orchestrator.core.time_zones` where
  it is put forward or back. Two times that come to the same moment are one occurrence.
- Month means the start's day of the month, or the last day of a month that has no such day: from January 31, February
  28 and March 31 follow.
- Weeks begin on Monday: "every two weeks" leaves out every other one, counted from the week of the start.
- With `hours`, `minutes` or `week_days` the occurrences are these times, strictly after the start (azureml-v1 does not
  fire at the start itself, even where it is one of them). Without, the start itself is the first.
- Without `start_time` the counting begins when the schedule is made, which its reader gives as `phase`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import product
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from orchestrator.core import time_zones
from orchestrator.core.errors import Problem
from orchestrator.core.time_zones import instant, wall_clock, zone
from orchestrator.core.walltime import in_order, last_of_month

MOST_INTERVAL: Final = 10_000
FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2199
A_SECOND: Final = timedelta(seconds=1)
_END_OF_TIME: Final = datetime(9000, 1, 1, tzinfo=UTC)
_MARGIN: Final = timedelta(days=2)

T = TypeVar("T")


class Frequency(StrEnum):
    MINUTE = "Minute"
    HOUR = "Hour"
    DAY = "Day"
    WEEK = "Week"
    MONTH = "Month"


class WeekDay(StrEnum):
    MONDAY = "Monday"
    TUESDAY = "Tuesday"
    WEDNESDAY = "Wednesday"
    THURSDAY = "Thursday"
    FRIDAY = "Friday"
    SATURDAY = "Saturday"
    SUNDAY = "Sunday"

    @property
    def number(self) -> int:
        """0 for Monday, as `date.weekday()`."""
        return list(WeekDay).index(self)


class Recurrence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Every `interval` minutes, hours, days, weeks or months, from `start_time` on.

    `start_time` is what the clock of `time_zone` shows, without an offset. `hours` (0 to 23) and `minutes` (0 to 59),
    of Day and Week, mean every combination of the two; where one is missing, it is the start's. `week_days` belong to
    Week; where they are missing, it is the start's day.
    """

    frequency: Frequency
    interval: int = 1
    start_time: Annotated[datetime, Meta(tz=False)] | None = None
    time_zone: str = "UTC"
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    week_days: tuple[WeekDay, ...] = ()

    @property
    def has_times(self) -> bool:
        """Whether it names times of its own, so that the start is none by itself."""
        return bool(self.hours or self.minutes or self.week_days)


def problems(recurrence: Recurrence, field: str) -> Iterator[Problem]:
    """What is wrong with it, where it lies at `field`."""
    if not 1 <= recurrence.interval <= MOST_INTERVAL:
        fix = f"Use 1 to {MOST_INTERVAL:,}."
        yield Problem("OutOfRange", f"{field}.interval", f"{recurrence.interval} is no interval.", fix)
    start = recurrence.start_time
    if start is not None and start.tzinfo is not None:
        message = "The start has an offset of its own."
        yield Problem("AwareStart", f"{field}.start_time", message, "Leave it out, and give the time_zone.")
    if start is not None and not FIRST_YEAR <= start.year <= LAST_YEAR:
        fix = f"Use the years {FIRST_YEAR} to {LAST_YEAR}."
        yield Problem("OutOfRange", f"{field}.start_time", f"{start.year} is out of range.", fix)
    yield from time_zones.problem(recurrence.time_zone, f"{field}.time_zone")
    yield from _problems_of_times(recurrence, field)


def _problems_of_times(recurrence: Recurrence, field: str) -> Iterator[Problem]:
    daily = recurrence.frequency in (Frequency.DAY, Frequency.WEEK)
    for name, values, most in (("hours", recurrence.hours, 23), ("minutes", recurrence.minutes, 59)):
        if values and not daily:
            message = f"A recurrence by {recurrence.frequency} has no {name}."
            yield Problem("NotOfFrequency", f"{field}.{name}", message, "They belong to Day and Week.")
        elif wrong := [value for value in values if not 0 <= value <= most]:
            yield Problem("OutOfRange", f"{field}.{name}", f"{wrong[0]} is none of the {name}.", f"Use 0 to {most}.")
        elif len(set(values)) < len(values):
            yield Problem("Repeated", f"{field}.{name}", f"One of the {name} is there twice.", "Name each once.")
    if recurrence.week_days and recurrence.frequency is not Frequency.WEEK:
        message = f"A recurrence by {recurrence.frequency} has no week_days."
        yield Problem("NotOfFrequency", f"{field}.week_days", message, "They belong to Week.")
    elif len(set(recurrence.week_days)) < len(recurrence.week_days):
        yield Problem("Repeated", f"{field}.week_days", "One of the week_days is there twice.", "Name each once.")


def occurrences(
    recurrence: Recurrence, *, after: datetime, until: datetime | None = None, phase: datetime
) -> Iterator[datetime]:
    """The occurrences with after < occurrence <= until, in order, each once, as aware UTC datetimes of whole seconds.

    All three moments are aware; `until` None: without end. `phase` is where counting begins without a `start_time`;
    it goes on from there in both directions. The cost does not depend on how far `after` lies from the start.
    Raises InvalidRequest for a time zone that is not known here.
    """
    place = zone(recurrence.time_zone)
    if recurrence.start_time is None:
        start, first = wall_clock(phase.replace(microsecond=0), place), None
    else:
        start = recurrence.start_time.replace(microsecond=0)
        first = instant(start, place)
    if recurrence.frequency in (Frequency.MINUTE, Frequency.HOUR):
        found = _elapsed(recurrence, first or phase.replace(microsecond=0).astimezone(UTC), after)
    else:
        times = _times(recurrence, start)
        from_day = (wall_clock(after, place) - _MARGIN).date()
        days = _DAYS[recurrence.frequency](recurrence, start.date(), from_day)
        found = in_order((day, [instant(datetime.combine(day, at), place) for at in times]) for day in days)
    return _between(found, after, min(until or _END_OF_TIME, _END_OF_TIME), first, strictly=recurrence.has_times)


def _between(
    found: Iterator[datetime], after: datetime, until: datetime, first: datetime | None, *, strictly: bool
) -> Iterator[datetime]:
    for moment in found:
        if moment > until:
            return
        early = first is not None and (moment < first or (strictly and moment == first))
        if moment > after and not early:
            yield moment


def _elapsed(recurrence: Recurrence, start: datetime, after: datetime) -> Iterator[datetime]:
    unit = timedelta(minutes=1) if recurrence.frequency is Frequency.MINUTE else timedelta(hours=1)
    step = unit * recurrence.interval
    moment = start + ((after - start) // step + 1) * step
    while moment <= _END_OF_TIME:
        yield moment
        moment += step


def _times(recurrence: Recurrence, start: datetime) -> list[time]:
    """The times of a day, in order. Where the recurrence names hours or minutes, they are at second 0."""
    second = 0 if recurrence.hours or recurrence.minutes else start.second
    pairs = product(recurrence.hours or (start.hour,), recurrence.minutes or (start.minute,))
    return sorted({time(hour, minute, second) for hour, minute in pairs})


def _daily(recurrence: Recurrence, start: date, from_day: date) -> Iterator[date]:
    step = timedelta(days=recurrence.interval)
    day = start + (from_day - start) // step * step
    while day.year < _END_OF_TIME.year:
        yield day
        day += step


def _weekly(recurrence: Recurrence, start: date, from_day: date) -> Iterator[date]:
    numbers = sorted({day.number for day in recurrence.week_days}) or [start.weekday()]
    step = timedelta(weeks=recurrence.interval)
    monday = start - timedelta(days=start.weekday())
    week = monday + (from_day - monday) // step * step
    while week.year < _END_OF_TIME.year:
        for number in numbers:
            yield week + timedelta(days=number)
        week += step


def _monthly(recurrence: Recurrence, start: date, from_day: date) -> Iterator[date]:
    base = start.year * 12 + start.month - 1
    passed = from_day.year * 12 + from_day.month - 1 - base
    count = base + passed // recurrence.interval * recurrence.interval
    while count // 12 < _END_OF_TIME.year:
        year, month = count // 12, count % 12 + 1
        yield date(year, month, min(start.day, last_of_month(year, month)))
        count += recurrence.interval


_DAYS: Final[dict[Frequency, Callable[[Recurrence, date, date], Iterator[date]]]] = {
    Frequency.DAY: _daily,
    Frequency.WEEK: _weekly,
    Frequency.MONTH: _monthly,
}

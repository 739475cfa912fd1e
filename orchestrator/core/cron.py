"""Cron expressions: five fields, minute, hour, day of month, month, day of week. Pure rules over aware UTC moments.

A field is `*`, a number, a range `a-b`, any of them with a step `/n`, or several with commas between; months and days
of the week may be named (`JAN`, `MON`), and 0 and 7 are both Sunday. Where both day fields are restricted (neither
begins with `*`), a day that fits either is meant, as with every cron; else it must fit both.

Where the clock is put forward or back: an expression whose hours begin with `*` runs by real time, in both of two equal
hours and in no hour that is left out. Any other means times on the wall, by the rule of
`orchestrator.core.time_zones`: what is left out comes later by as much, and what comes twice is meant once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from orchestrator.core import time_zones
from orchestrator.core.errors import InvalidRequest, Problem
from orchestrator.core.names import shown
from orchestrator.core.time_zones import instant, instants, wall_clock, zone
from orchestrator.core.walltime import in_order

LONGEST: Final = 256
_LAST_YEAR: Final = 9000
_MARGIN: Final = timedelta(days=2)
_MONTHS: Final = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS: Final = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_LONGEST_MONTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ITEM: Final = re.compile(r"(?:\*|(\d{1,2}|[A-Z]{3})(?:-(\d{1,2}|[A-Z]{3}))?)(?:/(\d{1,2}))?", re.ASCII)
NICKNAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class Cron(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The times that `expression` means, by the clock of `time_zone`."""

    expression: str
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    names: Sequence[str] = ()


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _DAYS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """A parsed expression. `week_days` as `date.weekday()` counts, from Monday 0; `either`: one day field is enough."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    month_days: frozenset[int]
    months: frozenset[int]
    week_days: frozenset[int]
    either: bool
    real_time: bool

    def means(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_month, by_week = day.day in self.month_days, day.weekday() in self.week_days
        return by_month or by_week if self.either else by_month and by_week


@lru_cache(maxsize=256)
def parse(expression: str) -> Times:
    """Read an expression. Raises InvalidRequest, which says which field is wrong."""
    fields = NICKNAMES.get(expression.strip().lower(), expression).upper().split()
    if len(expression) > LONGEST or not expression.isascii() or len(fields) != len(_FIELDS):
        raise InvalidRequest(
            f"{shown(expression)} is no cron expression. Give five fields: minute, hour, day of the month, month, day "
            'of the week, as in "30 2 * * MON-FRI".',
            field="expression",
        )
    sets = [_values(text, field) for text, field in zip(fields, _FIELDS, strict=True)]
    times = Times(
        minutes=tuple(sorted(sets[0])),
        hours=tuple(sorted(sets[1])),
        month_days=frozenset(sets[2]),
        months=frozenset(sets[3]),
        week_days=frozenset((number - 1) % 7 for number in sets[4]),
        either=not fields[2].startswith("*") and not fields[4].startswith("*"),
        real_time=fields[1].startswith("*"),
    )
    if not times.either and not any(_LONGEST_MONTHS[m - 1] >= min(times.month_days) for m in times.months):
        raise InvalidRequest(f"{shown(expression)} never comes: no such month has such a day.", field="expression")
    return times


def _values(text: str, field: _Field) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        bounds = _bounds(match, field) if match else None
        if match is None or bounds is None:
            named = f", or {field.names[0]} to {field.names[-1]}" if field.names else ""
            message = f"{shown(item)} is no {field.name}: use {field.least} to {field.most}{named}."
            raise InvalidRequest(message, field="expression")
        found.update(range(bounds[0], bounds[1] + 1, int(match[3] or 1)))
    return found


def _bounds(match: re.Match[str], field: _Field) -> tuple[int, int] | None:
    """The first and the last value of an item, or None if it makes no sense."""
    if match[3] is not None and int(match[3]) < 1:
        return None
    if match[1] is None:
        return field.least, field.most
    low = _number(match[1], field)
    # "5/15" goes on to the end of the field; "5" is one value.
    high = _number(match[2], field) if match[2] else field.most if match[3] else low
    return None if low is None or high is None or low > high else (low, high)


def _number(text: str, field: _Field) -> int | None:
    if text in field.names:
        return field.names.index(text) + field.least
    return int(text) if text.isdigit() and field.least <= int(text) <= field.most else None


def problems(cron: Cron, field: str) -> Iterator[Problem]:
    """What is wrong with it, where it lies at `field`."""
    try:
        parse(cron.expression)
    except InvalidRequest as error:
        yield Problem("InvalidCron", f"{field}.expression", error.message, "")
    yield from time_zones.problem(cron.time_zone, f"{field}.time_zone")


def occurrences(cron: Cron, *, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
    """The occurrences with after < occurrence <= until, in order, each once, as aware UTC datetimes.

    `until` None: without end. Raises InvalidRequest for an expression or a time zone that is none.
    """
    times, place = parse(cron.expression), zone(cron.time_zone)
    first = (wall_clock(after, place) - _MARGIN).date()
    for moment in in_order((day, _moments(times, day, place)) for day in _days(times, first)):
        if until is not None and moment > until:
            return
        if moment > after:
            yield moment


def _days(times: Times, day: date) -> Iterator[date]:
    """The days that are meant, from `day` on."""
    while day.year < _LAST_YEAR:
        if day.month not in times.months:
            day = date(day.year + day.month // 12, day.month % 12 + 1, 1)
            continue
        if times.means(day):
            yield day
        day += timedelta(days=1)


def _moments(times: Times, day: date, place: ZoneInfo) -> Iterator[datetime]:
    for hour in times.hours:
        for minute in times.minutes:
            wall = datetime.combine(day, time(hour, minute))
            if times.real_time:
                yield from instants(wall, place)
            else:
                yield instant(wall, place)

"""When a schedule runs: every so many minutes, hours, days, weeks or months."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from millstream.time_zone import TimeZone
from orchestrator.core import recurrence as rules
from orchestrator.core.names import suggestion
from orchestrator.core.recurrence import Frequency, Recurrence, WeekDay
from orchestrator.core.time_zones import zone

_START = "%Y-%m-%dT%H:%M:%S"
_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)


class ScheduleRecurrence:
    """Every `interval` times `frequency`: "Minute", "Hour", "Day", "Week" or "Month".

    start_time: what the clock of `time_zone` shows then, as a datetime without an offset or "YYYY-MM-DDThh:mm:ss";
    without it, the schedule runs as soon as it is made, then by its interval. time_zone: a TimeZone, or an IANA name;
    UTC where it is missing. hours, minutes: of Day and Week, every combination of the two; time_of_day="hh:mm" instead
    of both. week_days: of Week, as "Monday". With any of these, the runs are at these times only, after the start.

    All of it is checked at once. Raises ValueError, TypeError.
    """

    def __init__(
        self,
        frequency: str,
        interval: int,
        start_time: datetime | str | None = None,
        time_zone: TimeZone | str | None = None,
        hours: Iterable[int] | None = None,
        minutes: Iterable[int] | None = None,
        week_days: Iterable[str] | None = None,
        time_of_day: str | None = None,
    ) -> None:
        self.frequency = frequency
        self.interval = interval
        self.start_time = start_time
        self.time_zone = time_zone
        self.hours = hours if hours is None else list(hours)
        self.minutes = minutes if minutes is None else list(minutes)
        self.week_days = week_days if week_days is None else list(week_days)
        self.time_of_day = time_of_day
        self.validate()

    def validate(self) -> None:
        """Raises ValueError, TypeError; also for what was changed since it was made."""
        self.document()

    def document(self) -> Recurrence:
        """As the service takes it. Raises ValueError, TypeError."""
        hours, minutes = self._times()
        made = Recurrence(
            frequency=_member(Frequency, self.frequency, "frequency"),
            interval=_whole(self.interval, "interval"),
            start_time=_start(self.start_time),
            time_zone=_zone_name(self.time_zone),
            hours=hours,
            minutes=minutes,
            week_days=tuple(_member(WeekDay, day, "week_days") for day in self.week_days or ()),
        )
        for problem in rules.problems(made, "recurrence"):
            name = problem.field.rpartition(".")[2]
            raise ValueError(f"{name}: {problem.message} {problem.fix}")
        return made

    def next_runs(self, count: int = 10, after: datetime | None = None) -> list[datetime]:
        """The next runs of a schedule that would be made now, or at `after`: aware datetimes in its time zone.

        Nothing is asked of the service.
        """
        made = self.document()
        begins = datetime.now(UTC) if after is None else after
        if begins.tzinfo is None:
            raise ValueError("after: a datetime with its time zone is needed, as datetime.now(timezone.utc).")
        # Without a start and without times of its own it would run at once.
        earlier = begins.replace(microsecond=0) - rules.A_SECOND if made.start_time is None else begins
        found = rules.occurrences(made, after=begins if made.has_times else earlier, phase=begins)
        return [moment.astimezone(zone(made.time_zone)) for moment in islice(found, count)]

    def _times(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if self.time_of_day is None:
            hours = tuple(_whole(hour, "hours") for hour in self.hours or ())
            return hours, tuple(_whole(minute, "minutes") for minute in self.minutes or ())
        if self.hours or self.minutes:
            raise ValueError("time_of_day: give either time_of_day, or hours and minutes.")
        match = _TIME_OF_DAY.fullmatch(str(self.time_of_day))
        if match is None:
            raise ValueError(f'time_of_day: {self.time_of_day!r} is no time of the day. Use "hh:mm", as "03:30".')
        return (int(match[1]),), (int(match[2]),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScheduleRecurrence) and self.document() == other.document()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        names = ("start_time", "time_zone", "hours", "minutes", "week_days", "time_of_day")
        given = "".join(f", {name}={value!r}" for name in names if (value := getattr(self, name)) is not None)
        return f"ScheduleRecurrence(frequency={self.frequency!r}, interval={self.interval!r}{given})"


def recurrence_of(document: Recurrence) -> ScheduleRecurrence:
    """What was made of a document of the service."""
    return ScheduleRecurrence(
        frequency=document.frequency.value,
        interval=document.interval,
        start_time=document.start_time,
        time_zone=_zone(document.time_zone),
        hours=document.hours or None,
        minutes=document.minutes or None,
        week_days=[day.value for day in document.week_days] or None,
    )


def _start(given: Any) -> datetime | None:
    if given is None:
        return None
    if isinstance(given, str):
        try:
            return datetime.strptime(given, _START)
        except ValueError:
            raise ValueError(f'start_time: {given!r} is no moment. Use "YYYY-MM-DDThh:mm:ss".') from None
    if not isinstance(given, datetime):
        raise TypeError(f"start_time: a datetime or a text is needed, not {given!r}.")
    if given.tzinfo is not None:
        raise ValueError("start_time: give it without an offset, and the time zone as time_zone.")
    return given.replace(microsecond=0)


def _zone_name(given: Any) -> str:
    if given is None:
        return "UTC"
    if not isinstance(given, TimeZone | str):
        raise TypeError(f"time_zone: a TimeZone or a name is needed, not {given!r}.")
    return given.value if isinstance(given, TimeZone) else given


def _zone(name: str) -> TimeZone | str:
    try:
        return TimeZone(name)
    except ValueError:
        return name


def _whole(given: Any, name: str) -> int:
    if isinstance(given, bool) or not isinstance(given, int):
        raise TypeError(f"{name}: a whole number is needed, not {given!r}.")
    return given


def _member(kind: Any, given: Any, name: str) -> Any:
    try:
        return kind(given)
    except ValueError:
        known = [member.value for member in kind]
        raise ValueError(f"{name}: {given!r} is none of them. {suggestion(str(given), known, 'words')}") from None

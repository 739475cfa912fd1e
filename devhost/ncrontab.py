"""NCRONTAB schedules: ``{second} {minute} {hour} {day} {month} {day of week}``; five fields mean second 0.

Times are epoch seconds; the fields are read in the machine's local time zone, as the Functions host does (on Azure's
Linux plans that is UTC).
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from croniter import croniter
from croniter.croniter import CroniterError

from devhost.errors import ConfigError

_NUMBERS = re.compile(r"^(\*|[0-9]+(-[0-9]+)?)(/[0-9]+)?$")
_NAMES = re.compile(r"^(\*|([0-9]+|[A-Za-z]{3})(-([0-9]+|[A-Za-z]{3}))?)(/[0-9]+)?$")
_FIRST_NAMED = 4  # month and day of week may be given by name
_SATURDAY = 6
_MONITOR_MINIMUM = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One schedule; ``text`` has six fields."""

    text: str

    def next_after(self, moment: float) -> float:
        """The first occurrence after ``moment``."""
        start = moment
        while True:
            naive = datetime.datetime.fromtimestamp(start)
            found: datetime.datetime = croniter(self.text, naive, second_at_beginning=True, day_or=False).get_next(
                datetime.datetime
            )
            occurrence = found.timestamp()
            if occurrence > moment:
                return occurrence
            # A clock put back at the end of summer time: look on from the next hour.
            start += 3600

    def is_monitored(self, now: float) -> bool:
        """Whether occurrences are at least a minute apart: the host keeps no status of faster timers."""
        first = self.next_after(now)
        return self.next_after(first) - first >= _MONITOR_MINIMUM


def parse_schedule(text: str, *, where: str) -> Schedule:
    """Check an NCRONTAB text.

    Raises:
        ConfigError: it is not one; the text names ``where`` it was written.
    """
    fields = text.split()
    if len(fields) == 5:
        fields.insert(0, "0")
    if len(fields) != 6:
        raise ConfigError(f"{where}: schedule {text!r} must have six fields (or five, without seconds)")
    for position, field in enumerate(fields):
        part = _NAMES if position >= _FIRST_NAMED else _NUMBERS
        if not all(part.match(text) for text in field.split(",")):
            raise ConfigError(f"{where}: schedule {text!r}: cannot read {field!r}")
    if any(int(number) > _SATURDAY for number in re.findall(r"(?<!/)\b\d+", fields[5])):
        raise ConfigError(f"{where}: schedule {text!r}: days of the week are 0 (Sunday) to 6")
    six = " ".join(fields)
    try:
        croniter(six, 0.0, second_at_beginning=True, day_or=False).get_next(float)
    except (CroniterError, ValueError) as error:
        raise ConfigError(f"{where}: schedule {text!r}: {error}") from None
    return Schedule(text=six)

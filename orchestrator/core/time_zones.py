"""Time zones by name, and when a wall clock shows what it is to show.

A name is an IANA name (`Europe/Paris`) or one of Windows (`Romance Standard Time`). The rule for the two hours of the
year that are no ordinary ones, as in RFC 5545:

- A time that the clock leaves out, when it is put forward, counts by the clock before: 02:30 becomes 03:30.
- A time that the clock shows twice, when it is put back, is meant once: the first time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from orchestrator.core.errors import InvalidRequest, Problem
from orchestrator.core.names import shown, suggestion
from orchestrator.core.windows_zones import IANA

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")
_OF_THE_MACHINE: Final = ("Factory", "localtime", "posixrules", "posix/", "right/")
"""Files beside the zones: what they say differs from machine to machine, or counts leap seconds."""


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """The zone of this name. Raises InvalidRequest."""
    found = _find(IANA.get(name, name))
    if found is None:
        raise InvalidRequest(f"There is no time zone {shown(name)}. {_hint(name)}", field="time_zone")
    return found


def problem(name: str, field: str) -> Iterator[Problem]:
    """What is wrong with a name, if anything."""
    if _find(IANA.get(name, name)) is None:
        yield Problem("UnknownTimeZone", field, f"There is no time zone {shown(name)}.", _hint(name))


def _find(name: str) -> ZoneInfo | None:
    if not _NAME.fullmatch(name) or name.startswith(_OF_THE_MACHINE):
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there, no zone, or a folder of zones
        return None


def _hint(name: str) -> str:
    if name in {key.replace(" ", "") for key in IANA}:
        return suggestion(name, IANA, "time zones")
    return f"Use an IANA name such as Europe/Paris, or one of Windows. {suggestion(name, IANA, 'names of Windows')}"


def instant(wall: datetime, place: ZoneInfo) -> datetime:
    """When the clock of `place` shows `wall` (naive), in UTC, by the rule above."""
    return wall.replace(tzinfo=place, fold=0).astimezone(UTC)


def instants(wall: datetime, place: ZoneInfo) -> tuple[datetime, ...]:
    """Every moment at which the clock of `place` really shows `wall`: none, one or two, in UTC."""
    both = {wall.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return tuple(sorted(moment for moment in both if moment.astimezone(place).replace(tzinfo=None) == wall))


def wall_clock(moment: datetime, place: ZoneInfo) -> datetime:
    """What the clock of `place` shows at `moment` (aware), as a naive datetime."""
    return moment.astimezone(place).replace(tzinfo=None, fold=0)

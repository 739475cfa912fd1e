"""Days of a calendar, and the moments of many days put in order."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from heapq import heappop, heappush
from typing import Final

_FARTHEST: Final = timedelta(hours=30)
"""No moment of a later day lies further before that day's midnight, as UTC writes it: offsets are below 24 h, and where
the international date line was moved, a whole day was left out."""


def in_order(days: Iterable[tuple[date, Iterable[datetime]]]) -> Iterator[datetime]:
    """The UTC moments of days that ascend, ascending, each once.

    A clock that is put forward or back around midnight may bring the moments of two days out of order.
    """
    waiting: list[datetime] = []
    last: datetime | None = None
    for day, moments in days:
        settled = datetime.combine(day, time(), UTC) - _FARTHEST
        while waiting and waiting[0] < settled:
            moment = heappop(waiting)
            if moment != last:
                yield moment
            last = moment
        for moment in moments:
            heappush(waiting, moment)
    while waiting:
        moment = heappop(waiting)
        if moment != last:
            yield moment
        last = moment


def last_of_month(year: int, month: int) -> int:
    """28 to 31."""
    return calendar.monthrange(year, month)[1]

"""HTTP dates (RFC 9110 IMF-fixdate), without locale and without the e-mail package."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBER = {name: number for number, name in enumerate(_MONTHS, 1)}


@lru_cache(maxsize=16)
def format_http_date(epoch: int) -> str:
    """`epoch` seconds as "Sun, 06 Nov 1994 08:49:37 GMT"."""
    t = time.gmtime(epoch)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday:02d} {_MONTHS[t.tm_mon - 1]} {t.tm_year} "
        f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} GMT"
    )


@lru_cache(maxsize=1024)
def parse_http_date(text: str) -> datetime:
    """An IMF-fixdate as an aware datetime. Raises ValueError when it is none."""
    try:
        _, day, month, year, clock, zone = text.split(" ")
        hour, minute, second = clock.split(":")
        if zone != "GMT":
            raise ValueError(zone)
        number = _MONTH_NUMBER[month]
        return datetime(int(year), number, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC)
    except (ValueError, KeyError) as fault:
        raise ValueError(f"not an HTTP date: {text!r}") from fault

"""NCRONTAB schedules, in a fixed time zone."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator

import pytest

from devhost.errors import ConfigError
from devhost.ncrontab import parse_schedule


@pytest.fixture(autouse=True)
def _zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def moment(text: str) -> float:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp()


def following(schedule: str, after: str) -> str:
    found = parse_schedule(schedule, where="test").next_after(moment(after))
    return datetime.datetime.fromtimestamp(found, datetime.UTC).isoformat().removesuffix("+00:00")


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("*/5 * * * * *", "2026-01-01T00:00:00", "2026-01-01T00:00:05"),
        ("*/5 * * * * *", "2026-01-01T00:00:04.999", "2026-01-01T00:00:05"),
        ("0 */5 * * * *", "2026-01-01T00:00:00", "2026-01-01T00:05:00"),
        ("*/5 * * * *", "2026-01-01T00:00:00", "2026-01-01T00:05:00"),
        ("30 0 3 * * *", "2026-01-01T03:00:30", "2026-01-02T03:00:30"),
        ("0 30 9 * * MON-FRI", "2026-01-02T10:00:00", "2026-01-05T09:30:00"),
        ("0 0 0 1 JAN,JUL *", "2026-01-01T00:00:00", "2026-07-01T00:00:00"),
        ("0 0 0 * * 0", "2026-01-01T00:00:00", "2026-01-04T00:00:00"),
        # Both day fields must hold, unlike in Unix cron: Friday the 13th.
        ("0 0 0 13 * 5", "2026-01-01T00:00:00", "2026-02-13T00:00:00"),
        ("0 5/15 * * * *", "2026-01-01T00:06:00", "2026-01-01T00:20:00"),
        ("0 0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 10-20/5 * * * *", "2026-01-01T00:10:00", "2026-01-01T00:15:00"),
    ],
)
def test_the_next_occurrence(schedule: str, after: str, expected: str) -> None:
    assert following(schedule, after) == expected


def test_local_time_and_its_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    assert following("0 0 3 * * *", "2026-01-01T00:00:00") == "2026-01-01T02:00:00"
    assert following("0 0 3 * * *", "2026-07-01T02:00:00") == "2026-07-02T01:00:00"
    # The clock goes back at 01:00 UTC on 25 October 2026: occurrences still only move on.
    schedule = parse_schedule("0 */30 * * * *", where="test")
    at = moment("2026-10-24T23:45:00")
    seen = []
    for _ in range(8):
        at = schedule.next_after(at)
        seen.append(at)
    assert seen == sorted(set(seen))


@pytest.mark.parametrize(
    "schedule",
    ["", "* * * *", "* * * * * * *", "60 * * * * *", "* * 24 * * *", "* * * 0 * *", "* * * * 13 *", "* * * * * 7",
     "0 0 0 L * *", "@hourly", "? * * * * *", "0 0 0 * * MON#1", "a b c d e f", "0 0 0 31 2 *"],
)  # fmt: skip
def test_what_is_refused(schedule: str) -> None:
    with pytest.raises(ConfigError, match="here"):
        parse_schedule(schedule, where="here")


def test_fast_timers_are_not_monitored() -> None:
    now = moment("2026-01-01T00:00:00")
    assert not parse_schedule("*/30 * * * * *", where="x").is_monitored(now)
    assert parse_schedule("0 * * * * *", where="x").is_monitored(now)

"""Schedules as users write them: what is checked at once, and what the service is asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest

from millstream import Datastore, Schedule, ScheduleRecurrence, TimeZone, Workspace
from millstream.schedule_recurrence import recurrence_of
from millstream.schedule_wish import trigger_of

NOBODY = cast(Workspace, object())


def made(**given: Any) -> dict[str, Any]:
    """The document of a recurrence, as it is sent."""
    document = ScheduleRecurrence(**given).document()
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    return found


def trigger(
    recurrence: Any = None,
    datastore: Any = None,
    data_path_parameter_name: str | None = None,
    path_on_datastore: str | None = None,
    **also: Any,
) -> Any:
    """What becomes of arguments of `create`, as JSON."""
    made = trigger_of(recurrence, datastore, 5, data_path_parameter_name, path_on_datastore, also, needed=True)
    return msgspec.to_builtins(made)


@pytest.mark.parametrize(
    ("given", "document"),
    [
        ({"frequency": "Day", "interval": 1}, {"frequency": "Day"}),
        (
            {"frequency": "Hour", "interval": 2, "start_time": "2026-05-01T09:30:00"},
            {"frequency": "Hour", "interval": 2, "start_time": "2026-05-01T09:30:00"},
        ),
        (
            {
                "frequency": "Month",
                "interval": 1,
                "start_time": datetime(2026, 5, 31, 9, 0, 0, 123),
                "time_zone": TimeZone.PacificStandardTime,
            },
            {"frequency": "Month", "start_time": "2026-05-31T09:00:00", "time_zone": "Pacific Standard Time"},
        ),
        (
            {"frequency": "Week", "interval": 1, "week_days": ["Monday", "Friday"], "time_of_day": "6:05"},
            {"frequency": "Week", "week_days": ["Monday", "Friday"], "hours": [6], "minutes": [5]},
        ),
        (
            {"frequency": "Day", "interval": 1, "hours": range(8, 10), "minutes": [0], "time_zone": "Europe/Paris"},
            {"frequency": "Day", "hours": [8, 9], "minutes": [0], "time_zone": "Europe/Paris"},
        ),
    ],
)
def test_a_recurrence_as_it_is_sent(given: dict[str, Any], document: dict[str, Any]) -> None:
    assert made(**given) == document
    recurrence = ScheduleRecurrence(**given)
    again = recurrence_of(recurrence.document())
    assert again == recurrence
    assert again != ScheduleRecurrence("Minute", 3)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"frequency": "day", "interval": 1}, "frequency: 'day'.*Did you mean \"Day\""),
        ({"frequency": "Day", "interval": 0}, "interval"),
        ({"frequency": "Day", "interval": 1, "start_time": datetime(2026, 1, 1, tzinfo=UTC)}, "without an offset"),
        ({"frequency": "Day", "interval": 1, "start_time": "1 May"}, "YYYY-MM-DDThh:mm:ss"),
        ({"frequency": "Day", "interval": 1, "time_zone": "Pacific"}, "time_zone: There is no time zone"),
        ({"frequency": "Day", "interval": 1, "hours": [24]}, "hours: 24"),
        ({"frequency": "Hour", "interval": 1, "minutes": [5]}, "minutes: A recurrence by Hour has no minutes"),
        ({"frequency": "Day", "interval": 1, "week_days": ["Monday"]}, "They belong to Week"),
        ({"frequency": "Week", "interval": 1, "week_days": ["Mon"]}, "week_days: 'Mon'"),
        ({"frequency": "Day", "interval": 1, "time_of_day": "noon"}, "hh:mm"),
        ({"frequency": "Day", "interval": 1, "time_of_day": "12:00", "hours": [1]}, "either time_of_day"),
        ({"frequency": "Day", "interval": 1, "time_of_day": "25:00"}, "hours: 25"),
    ],
)
def test_a_recurrence_that_makes_no_sense_is_refused_when_it_is_written(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ScheduleRecurrence(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"frequency": "Day", "interval": "1"},
        {"frequency": "Day", "interval": 1, "start_time": 5},
        {"frequency": "Day", "interval": 1, "time_zone": 5},
        {"frequency": "Day", "interval": 1, "hours": [1.5]},
    ],
)
def test_a_recurrence_of_wrong_types(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        ScheduleRecurrence(**given)


def test_what_was_changed_since_is_checked_again() -> None:
    recurrence = ScheduleRecurrence("Day", 1)
    recurrence.interval = 0
    with pytest.raises(ValueError, match="interval"):
        recurrence.validate()


def test_the_next_runs_without_the_service() -> None:
    daily = ScheduleRecurrence("Day", 1, time_of_day="02:30", time_zone="Europe/Paris")
    moments = daily.next_runs(3, after=datetime(2026, 3, 28, 0, tzinfo=UTC))
    assert [str(moment) for moment in moments] == [
        "2026-03-28 02:30:00+01:00",
        "2026-03-29 03:30:00+02:00",  # the clock is put forward over 02:30
        "2026-03-30 02:30:00+02:00",
    ]
    at_once = ScheduleRecurrence("Hour", 6).next_runs(2, after=datetime(2026, 1, 1, 12, 0, 5, tzinfo=UTC))
    assert [moment.isoformat() for moment in at_once] == ["2026-01-01T12:00:05+00:00", "2026-01-01T18:00:05+00:00"]
    assert len(ScheduleRecurrence("Minute", 1).next_runs()) == 10
    with pytest.raises(ValueError, match="time zone"):
        daily.next_runs(after=datetime(2026, 1, 1))


def test_triggers_as_they_are_sent() -> None:
    store = Datastore(NOBODY, "archive")
    assert trigger(recurrence=ScheduleRecurrence("Day", 1)) == {"recurrence": {"frequency": "Day"}}
    assert trigger(cron="0 2 * * MON", time_zone=TimeZone.RomanceStandardTime) == {
        "cron": {"expression": "0 2 * * MON", "time_zone": "Romance Standard Time"}
    }
    assert trigger(datastore=store, path_on_datastore="/raw/", per="batch", recursive=True) == {
        "data_change": {"datastore": "archive", "path": "raw", "polling_interval": 5, "per": "batch", "recursive": True}
    }


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Give a recurrence, a cron expression or a datastore"),
        ({"recurrence": ScheduleRecurrence("Day", 1), "cron": "* * * * *"}, "only one of recurrence and cron"),
        ({"recurrence": ScheduleRecurrence("Day", 1), "datastore": Datastore(NOBODY, "a")}, "only one of"),
        ({"recurrence": ScheduleRecurrence("Day", 1), "path_on_datastore": "x"}, "path_on_datastore: this belongs"),
        ({"cron": "* * * * *", "data_path_parameter_name": "x"}, "data_path_parameter_name: this belongs"),
        ({"cron": "* * * * *", "debounce_seconds": 5}, "debounce_seconds: this belongs"),
        ({"cron": "99 * * * *"}, 'expression: "99" is no minute'),
        ({"cron": "* * * * *", "time_zone": "Nowhere"}, "time_zone: There is no time zone"),
        ({"recurrence": ScheduleRecurrence("Day", 1), "time_zone": "UTC"}, "a time zone of its own"),
    ],
)
def test_triggers_that_make_no_sense(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        trigger(**given)


@pytest.mark.parametrize("given", [{"recurrence": "daily"}, {"datastore": "archive"}])
def test_triggers_of_wrong_types(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        trigger(**given)


def test_nothing_is_asked_of_the_service_before_the_checks() -> None:
    with pytest.raises(ValueError, match="Give a recurrence"):
        Schedule.create(NOBODY, "n", "p", "e")
    with pytest.raises(ValueError, match="catch_up: 'some'"):
        Schedule.create(NOBODY, "n", "p", "e", ScheduleRecurrence("Day", 1), catch_up="some")
    with pytest.raises(TypeError, match='Did you mean "recurrence"'):
        Schedule.create(NOBODY, "n", "p", "e", recurence=ScheduleRecurrence("Day", 1))

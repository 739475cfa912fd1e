from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import available_timezones

import pytest

from millstream.time_zone import TimeZone
from orchestrator.core.errors import InvalidRequest
from orchestrator.core.time_zones import instants, problem, zone
from orchestrator.core.windows_zones import IANA


def test_every_zone_of_windows_is_one_of_the_world() -> None:
    for name, iana in IANA.items():
        assert zone(name).key == iana
    assert set(IANA.values()) <= available_timezones()


def test_the_zones_of_version_1_are_those_of_windows() -> None:
    """131 of them, and those that have come since; each member is called as its zone without what is no letter."""
    assert {member.value for member in TimeZone} == set(IANA)
    assert len(TimeZone) == 131 + 13
    letters = {name: "".join(c for c in name if c.isalnum()) for name in IANA}
    assert {member.name: member.value for member in TimeZone} == {letters[name]: name for name in IANA}


@pytest.mark.parametrize("name", ["Europe/Paris", "Etc/GMT+2", "America/Argentina/Buenos_Aires"])
def test_names_of_the_world(name: str) -> None:
    assert zone(name).key == name
    assert list(problem(name, "f")) == []


@pytest.mark.parametrize(
    "name", ["", "Europe", "Europe/paris/", "/etc/passwd", "../UTC", "right/UTC", "localtime", "tzdata.zi", "x\0", "é"]
)
def test_what_is_no_zone(name: str) -> None:
    with pytest.raises(InvalidRequest, match="no time zone"):
        zone(name)
    assert [found.field for found in problem(name, "f")] == ["f"]


def test_a_slip_is_helped() -> None:
    with pytest.raises(InvalidRequest, match='Did you mean "Pacific Standard Time"'):
        zone("Pacific Standart Time")
    with pytest.raises(InvalidRequest, match='Did you mean "Pacific Standard Time"'):
        zone("PacificStandardTime")


def test_the_moments_that_a_clock_shows() -> None:
    paris = zone("Europe/Paris")
    assert instants(datetime(2026, 3, 29, 2, 30), paris) == ()
    assert instants(datetime(2026, 10, 25, 2, 30), paris) == (
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    )
    assert instants(datetime(2026, 7, 1, 2, 30), paris) == (datetime(2026, 7, 1, 0, 30, tzinfo=UTC),)

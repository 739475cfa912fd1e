"""What is written on the command line, as values."""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime

import pytest

from millstream import cli_values
from millstream.errors import InvalidRequest
from orchestrator.core.definition import Parameter


@pytest.mark.parametrize(
    ("text", "ago"), [("30s", 30), ("5m", 300), ("2h", 7200), ("1.5d", 129_600), (" 1w ", 604_800)]
)
def test_a_time_before_now(text: str, ago: float) -> None:
    assert cli_values.point_in_time(text) == pytest.approx(time.time() - ago, abs=5)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31).astimezone()),
        ("2026-01-31 12:30", datetime(2026, 1, 31, 12, 30).astimezone()),
    ],
)
def test_a_date(text: str, moment: datetime) -> None:
    assert cli_values.point_in_time(text) == moment.timestamp()


@pytest.mark.parametrize("text", ["", "soon", "2x", "-2h", "31.01.2026"])
def test_no_time_at_all(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="neither a time before now"):
        cli_values.point_in_time(text)


def test_labels_have_a_value_or_none() -> None:
    assert cli_values.labels(["a", "b=1", "c=x=y", "d="]) == {"a": "", "b": "1", "c": "x=y", "d": ""}
    for wrong in ("", "=x"):
        with pytest.raises(argparse.ArgumentTypeError):
            cli_values.label(wrong)


def test_assignments_become_the_declared_types() -> None:
    declared = [Parameter(name="n", type="int", default=1), Parameter(name="s", type="string", default="")]
    assert cli_values.assignments(["n=3", "s=3", "other=3"], declared) == {"n": 3, "s": "3", "other": "3"}
    with pytest.raises(InvalidRequest) as caught:
        cli_values.assignments(["n=many"], declared)
    assert caught.value.field == "parameters.n"

"""What operators are told, and that the alerts ask for events that there are."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

from orchestrator import events
from orchestrator.adapters.memory import MemoryWorld
from orchestrator.events import Tell

ROOT = Path(__file__).parents[3]
NAMES = {value for name, value in vars(events).items() if name.isupper()}


def test_an_event_is_a_line_of_json(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="millstream.events"):
        MemoryWorld().run(iter(Tell(event="run_ended", facts={"run": "r", "status": "Failed"})))
    (record,) = caplog.records
    assert json.loads(record.getMessage()) == {"event": "run_ended", "run": "r", "status": "Failed"}


def test_alerts_ask_for_events_that_there_are() -> None:
    asked = set(re.findall(r'said\.event\) == "(\w+)"', (ROOT / "infra" / "modules" / "alerts.bicep").read_text()))
    assert asked
    assert asked <= NAMES


def test_every_event_is_documented() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert {name for name in NAMES if f"| `{name}` |" not in page} == set()

"""That the alerts ask for events that there are, and all of them are documented."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator import events

ROOT = Path(__file__).parents[3]
NAMES = {value for name, value in vars(events).items() if name.isupper()}


def test_alerts_ask_for_events_that_there_are() -> None:
    asked = set(re.findall(r'said\.event\) == "(\w+)"', (ROOT / "infra" / "modules" / "alerts.bicep").read_text()))
    assert asked
    assert asked <= NAMES


def test_every_event_is_documented() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert {name for name in NAMES if f"| `{name}` |" not in page} == set()

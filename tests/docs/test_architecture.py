"""ARCHITECTURE.md tells of the states that there are, and of the rooms that there are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from orchestrator.core.states import CLAIM_TRANSITIONS, RUN_TRANSITIONS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- generated: states -->\n", "<!-- end generated -->"


def diagram(transitions: Iterable[tuple[tuple[StrEnum | None, StrEnum], StrEnum]]) -> str:
    """The transitions as a mermaid diagram."""
    lines, left, entered = ["```mermaid", "stateDiagram-v2"], set(), []
    for (state, event), target in transitions:
        source = "[*]" if state is None else state.value.capitalize()
        lines.append(f"    {source} --> {target.value.capitalize()}: {event.value}")
        left.add(source)
        entered.append(target.value.capitalize())
    lines += [f"    {state} --> [*]" for state in dict.fromkeys(entered) if state not in left]
    return "\n".join([*lines, "```", ""])


def states() -> str:
    return "\n".join(
        [
            "A run:\n",
            diagram(RUN_TRANSITIONS.items()),
            "A claim (retrying, it waits for its delay; taken over, it is a new attempt):\n",
            diagram(CLAIM_TRANSITIONS.items()),
        ]
    )


def test_the_diagrams_are_fresh() -> None:
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    fresh = before + BEGIN + states() + END + after
    if os.environ.get("MILLSTREAM_RENEW_DOCS"):
        PAGE.write_text(fresh)
    assert PAGE.read_text() == fresh, "renew it with MILLSTREAM_RENEW_DOCS=1"


def test_the_rooms_it_names_exist() -> None:
    table = PAGE.read_text().partition("## Rooms")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    assert len(named) >= 10
    assert [name for name in named if not (ROOT / name).exists()] == []

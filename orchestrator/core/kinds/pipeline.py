"""A pipeline as a step of another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from orchestrator.core.errors import Problem
from orchestrator.core.kinds.settings import Settings

MOST_AT_ONCE = 10_000


class StepOutput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The output port `output` of the step with the id `step`."""

    step: str
    output: str


class SubPipeline(Settings, frozen=True, kw_only=True):
    """Runs its `template`. `parameters` are values for the template's parameters; `outputs` says, for each output port,
    which output of a step of the template it is.

    `keep_going`: a failure stops only what depends on it. `window`: the most steps that are sent at a time, 0: all.
    """

    parameters: dict[str, Any] = {}
    outputs: dict[str, StepOutput] = {}
    keep_going: bool = False
    window: int = 0

    def problems(self, field: str) -> Iterator[Problem]:
        if not 0 <= self.window <= MOST_AT_ONCE:
            fix = f"Use 0 to {MOST_AT_ONCE:,}."
            yield Problem("InvalidNumber", f"{field}.window", "The number is out of range.", fix)

"""A pipeline for each item of a list, or each file of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.core.errors import Problem
from orchestrator.core.kinds.pipeline import MOST_AT_ONCE, StepOutput
from orchestrator.core.kinds.settings import Settings


class MapItems(Settings, frozen=True, kw_only=True):
    """Runs its `template` once for each item. The items are `items`, a list or a text with one, or come from the input
    `over`: a file with a list (a JSON array, or a line for each item) or, with `files`, the files of a folder.

    `item` is the parameter of the template that stands for a value, or its input that stands for a file. `parameters`
    are values for the other parameters. `outputs` says which output of a step of the template the folders of an output
    hold; `results` names the output that tells what became of each item. At most `window` items are under way at a time
    (0: no limit); more than `allowed_failures` that fail are a failure of the step.
    """

    item: str
    items: list[Any] | str | None = None
    over: str | None = None
    files: bool = False
    parameters: dict[str, Any] = {}
    outputs: dict[str, StepOutput] = {}
    results: str = ""
    window: int = 0
    allowed_failures: int = 0

    def problems(self, field: str) -> Iterator[Problem]:
        if (self.items is None) == (self.over is None) or (self.files and self.over is None):
            message = "The items come from `items` or from the input `over`; files come from an input."
            yield Problem("InvalidSettings", field, message, "Give one of the two.")
        if not 0 <= self.window <= MOST_AT_ONCE:
            fix = f"Use 0 to {MOST_AT_ONCE:,}."
            yield Problem("InvalidNumber", f"{field}.window", "The number is out of range.", fix)
        if self.allowed_failures < 0:
            yield Problem("InvalidNumber", f"{field}.allowed_failures", "The number is negative.", "Use 0 or more.")

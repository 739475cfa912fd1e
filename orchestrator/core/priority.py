"""The priority of a step: which of several that could go goes first. It decides about the order of work, never about
what the work makes.
"""

from __future__ import annotations

from typing import Final

from orchestrator.core.definition import Step

LEAST: Final = -100
MOST: Final = 100
USUAL: Final = 0
"""Of a run for which none was asked."""


def of(step: Step, usual: int) -> int:
    """`usual`: the priority of its run."""
    return usual if step.priority is None else step.priority


def is_urgent(step: Step, usual: int) -> bool:
    """Whether it goes ahead of what waits for its compute."""
    return of(step, usual) > USUAL

"""Steps in an order that no data says."""

from __future__ import annotations

from typing import Any

from millstream.steps import PipelineStep


class StepSequence:
    """Each element starts when all of the one before it has succeeded. A list among them is a group in parallel.

    The order holds in the pipelines that are given the sequence; the steps themselves do not remember it.
    """

    def __init__(self, steps: Any = None) -> None:
        self.steps: list[Any] = []
        if steps is not None:
            for item in steps if isinstance(steps, (list, tuple)) else [steps]:
                self.append(item)

    def append(self, step: Any) -> None:
        """Put one more element at the end."""
        members = step if isinstance(step, (list, tuple)) else [step]
        for member in members:
            if not isinstance(member, (PipelineStep, StepSequence, list)):
                raise TypeError(f"StepSequence: an element must be a step or a list of steps, not {member!r}.")
        self.steps.append(list(step) if isinstance(step, tuple) else step)

    def __repr__(self) -> str:
        return f"StepSequence({self.steps!r})"

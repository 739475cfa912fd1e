"""What the trials of a search have come to, by the metrics that they logged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from orchestrator.core.early_termination import Goal, best
from orchestrator.core.result import Metric

STOPPED = "StoppedByPolicy"
"""The code of the error with which a trial ends that its policy has stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A trial by its step's id. `score`: its best value of the primary metric; None: it has logged none.

    `completed`: it came to its own end.
    """

    id: str
    score: float | None
    completed: bool


def values_of(metrics: Iterable[Metric], name: str) -> tuple[float, ...]:
    """The numbers that were logged under a name, in order."""
    found = (metric.value for metric in metrics if metric.name == name and metric.kind == "scalar")
    return tuple(float(value) for value in found if isinstance(value, int | float) and not isinstance(value, bool))


def score_of(metrics: Iterable[Metric], name: str, goal: Goal) -> float | None:
    values = values_of(metrics, name)
    return best(values, goal) if values else None


def ranked(outcomes: Iterable[Outcome], goal: Goal) -> list[Outcome]:
    """Those with a score, the best first; of equals the earlier one."""
    scored = [outcome for outcome in outcomes if outcome.score is not None]
    return sorted(scored, key=lambda it: goal.sign * (it.score or 0.0), reverse=True)


def logged(metrics: Iterable[Metric]) -> dict[str, list[Any]]:
    """Name -> the values in order, as the file of all metrics has them (azureml-v1)."""
    made: dict[str, list[Any]] = {}
    for metric in metrics:
        made.setdefault(metric.name, []).append(metric.value)
    return made


def reports_of(run: str) -> str:
    """Below it the trials of a run tell each other what they have reached, until the run has ended."""
    return f"trials/{run}/"

"""Which trials of a search are not worth going on with, by what they and the others have logged so far.

Each time a trial logs the primary metric counts as an interval of that trial. A policy is applied at the intervals that
are multiples of `evaluation_interval` and not before `delay_evaluation`, and compares what trials had reached by then.
Pure: the same logs give the same verdict. A trial that has logged less than the others is simply not compared yet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median
from typing import Annotated

import msgspec
from msgspec import Meta

Interval = Annotated[int, Meta(ge=1, le=1_000_000)]
Delay = Annotated[int, Meta(ge=0, le=1_000_000)]


class Goal(StrEnum):
    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"

    @property
    def sign(self) -> float:
        return 1.0 if self is Goal.MAXIMIZE else -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a trial has logged of the primary metric, in order; `ended`: there will be no more."""

    values: tuple[float, ...]
    ended: bool = False


class _Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What all have in common; `complaint` of each says why a trial that has logged `own` should end, compared with the
    others at the same interval.
    """

    evaluation_interval: Interval = 1
    delay_evaluation: Delay = 0

    def applies_at(self, interval: int) -> bool:
        return interval >= self.delay_evaluation and interval % self.evaluation_interval == 0

    def problem(self) -> str | None:
        """What is wrong with its numbers."""
        return None


class Bandit(_Policy, frozen=True, kw_only=True, tag="bandit"):
    """Ends a trial whose best is further from the best of all than the slack: a factor of it, or an amount."""

    slack_factor: float | None = None
    slack_amount: float | None = None

    def complaint(self, own: Sequence[float], others: Iterable[Trial], goal: Goal) -> str | None:
        rivals = _at(len(own), others)
        mine = best(own, goal)
        top = best([mine, *(best(values, goal) for values in rivals)], goal)
        least = self._allowed(top, goal)
        if not _worse(mine, least, goal):
            return None
        return (
            f"its best, {mine:g}, is worse than {least:g}, which is what the slack leaves of the best of all, {top:g}"
        )

    def _allowed(self, top: float, goal: Goal) -> float:
        if self.slack_amount is not None:
            return top - goal.sign * self.slack_amount
        # Away from the best, on either side of 0: the best itself is always allowed.
        grows = (top >= 0) is (goal is Goal.MINIMIZE)
        factor = 1.0 + (self.slack_factor or 0.0)
        return top * factor if grows else top / factor

    def problem(self) -> str | None:
        given = [slack for slack in (self.slack_factor, self.slack_amount) if slack is not None]
        if len(given) != 1:
            return "Give either slack_factor or slack_amount."
        return None if given[0] >= 0 and math.isfinite(given[0]) else "A slack is 0 or more."


class MedianStopping(_Policy, frozen=True, kw_only=True, tag="median_stopping"):
    """Ends a trial whose best is worse than the median of the averages of all trials up to the same interval."""

    def complaint(self, own: Sequence[float], others: Iterable[Trial], goal: Goal) -> str | None:
        averages = [fmean(values) for values in (own, *_at(len(own), others))]
        middle = median(averages)
        mine = best(own, goal)
        if not _worse(mine, middle, goal):
            return None
        return f"its best, {mine:g}, is worse than the median of {len(averages)} averages, {middle:g}"


class TruncationSelection(_Policy, frozen=True, kw_only=True, tag="truncation_selection"):
    """Ends the trials that are, at an interval, among the worst `truncation_percentage` of those that have come so far.

    `exclude_finished_jobs`: those that have ended do not count.
    """

    truncation_percentage: Annotated[int, Meta(ge=1, le=99)]
    exclude_finished_jobs: bool = False

    def complaint(self, own: Sequence[float], others: Iterable[Trial], goal: Goal) -> str | None:
        rivals = _at(len(own), (it for it in others if not (self.exclude_finished_jobs and it.ended)))
        mine = best(own, goal)
        better = sum(_worse(mine, best(values, goal), goal) for values in rivals)
        total = len(rivals) + 1
        cut = total * self.truncation_percentage // 100
        if better < total - cut:
            return None
        return f"{better} of {total} trials are better, and the worst {cut} are ended"


Policy = Bandit | MedianStopping | TruncationSelection


def verdict(
    policy: Policy, goal: Goal, own: Sequence[float], others: Sequence[Trial], *, judged: int = 0
) -> str | None:
    """Why the trial that has logged `own` is to end; None: it goes on. The first `judged` intervals were looked at."""
    for interval in range(judged + 1, len(own) + 1):
        if policy.applies_at(interval) and (why := policy.complaint(own[:interval], others, goal)):
            return f"at interval {interval}, {why}"
    return None


def best(values: Iterable[float], goal: Goal) -> float:
    """The best of some values; what is no number (NaN) is the worst there is."""
    return max((_number(value, goal) for value in values), key=lambda value: goal.sign * value)


def _at(interval: int, trials: Iterable[Trial]) -> list[tuple[float, ...]]:
    """What the trials that have come so far had logged by then."""
    return [trial.values[:interval] for trial in trials if len(trial.values) >= interval]


def _worse(value: float, other: float, goal: Goal) -> bool:
    return goal.sign * _number(value, goal) < goal.sign * other


def _number(value: float, goal: Goal) -> float:
    return -goal.sign * math.inf if math.isnan(value) else value

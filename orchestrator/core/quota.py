"""How much may be under way at a time: what is allowed, what there is, and which of both is the larger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from orchestrator.core.errors import QuotaExceeded
from orchestrator.core.names import listed, shown

MOST_OF_RUN: Final = 1_000_000
_NAMED: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """`runs`: the most unfinished runs there may be; `runs_each`: of one caller. 0: as many as they like. Runs that do
    the work of a step count as part of the run of that step.

    `run_steps`: the most steps of a run, with all that its steps become.
    """

    runs: int = 0
    runs_each: int = 0
    run_steps: int = MOST_OF_RUN

    @property
    def of_runs(self) -> bool:
        """Whether unfinished runs have to be counted at all."""
        return bool(self.runs or self.runs_each)

    def is_far(self, there: Unfinished, who: str) -> bool:
        """Whether less than half of each quota of runs is used."""
        return (not self.runs or 2 * there.total < self.runs) and (
            not self.runs_each or 2 * there.of(who) < self.runs_each
        )

    def refusal(self, there: Unfinished, who: str, names: Mapping[str, list[str]]) -> QuotaExceeded | None:
        """Why `who` may not start one more run; None: they may. `names`: the ids of the runs that are unfinished."""
        if self.runs_each and there.of(who) >= self.runs_each:
            return QuotaExceeded(
                f"{shown(who)} has {there.of(who):,} runs that are not finished, of at most {self.runs_each:,} "
                f"(MILLSTREAM_MOST_RUNS_EACH): {_some(names.get(who, []))}. Start this one when one of them has ended, "
                "or cancel one.",
                field="run",
            )
        if self.runs and there.total >= self.runs:
            every = [run for runs in names.values() for run in runs]
            return QuotaExceeded(
                f"{there.total:,} runs are not finished, of at most {self.runs:,} (MILLSTREAM_MOST_RUNS): "
                f"{_some(every)}. Start this one when one of them has ended, or cancel one.",
                field="run",
            )
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """How many runs of each caller were unfinished at `seen_at`, by the steady clock of the process that looked."""

    seen_at: float
    by: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.by.values())

    def of(self, who: str) -> int:
        return self.by.get(who, 0)

    def with_one_more(self, who: str) -> Unfinished:
        return replace(self, by={**self.by, who: self.of(who) + 1})


def share(allowed: int, steps: int, composites: int) -> int:
    """How many steps each of `composites` steps may become, where a run of `steps` steps may have `allowed` in all.

    Shares are equal and fixed beforehand: so no run of many has to be counted while it grows, and what all of them
    become together is never more than is allowed.
    """
    return max(0, allowed - steps) // composites


def _some(runs: list[str]) -> str:
    return listed(runs, _NAMED)

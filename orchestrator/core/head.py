"""The head: the whole control state of a run, as one value, and the one rule that moves it.

Completing a step twice sets a bit twice; that is why nothing here counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice

from orchestrator.core.plan import Plan, bits
from orchestrator.core.priority import USUAL
from orchestrator.core.states import RUN_TRANSITIONS, RunEvent, RunStatus, move


class Verdict(StrEnum):
    """How an execution of a step ended for good."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The final verdict on a step, by the attempt (from 1) that won it."""

    step: int
    verdict: Verdict
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """`done`, `failed` and `skipped` are disjoint sets of steps; `attempts` holds winners that are not attempt 1.

    `keep_going` is v1's continue_on_step_failure: on a failure, steps that do not depend on it still run.
    `window`: of the ready steps only so many, the first by priority and position, are sent; 0: all of them.
    `priority`: of the steps that have none of their own.
    """

    status: RunStatus = RunStatus.RUNNING
    done: int = 0
    failed: int = 0
    skipped: int = 0
    attempts: Mapping[int, int] = field(default_factory=dict)
    keep_going: bool = False
    window: int = 0
    priority: int = USUAL

    @property
    def ended(self) -> int:
        """The set of steps about which nothing more will be decided."""
        return self.done | self.failed | self.skipped

    def attempt_of(self, step: int) -> int:
        """The attempt that won `step`, which must be done or failed."""
        return self.attempts.get(step, 1)


def fold(plan: Plan, head: Head, outcomes: Iterable[Outcome]) -> tuple[Head, tuple[int, ...]]:
    """Enter outcomes into the head. Returns the new head and the steps that became ready by it, ascending.

    Outcomes of steps that have already ended change nothing. A terminal head never changes. A step becomes ready in
    exactly the fold that completes its last parent, so it is announced exactly once. In a run with a window, it is
    announced when it comes to be in it: the end of any step may move the window on.
    """
    if head.status.terminal:
        return head, ()
    sets, attempts = dict.fromkeys(Verdict, 0), dict(head.attempts)
    for outcome in outcomes:
        bit = 1 << outcome.step
        if (head.ended | sum(sets.values())) & bit:
            continue
        sets[outcome.verdict] |= bit
        if outcome.attempt != 1:
            attempts[outcome.step] = outcome.attempt
    done, failed = sets[Verdict.DONE], sets[Verdict.FAILED]
    moved = replace(head, done=head.done | done, failed=head.failed | failed, attempts=attempts)
    passed_over = plan.skipped_with(sets[Verdict.SKIPPED]) & ~moved.ended
    moved = replace(moved, skipped=moved.skipped | passed_over)
    moved = replace(moved, skipped=moved.skipped | _given_up(plan, moved, failed))
    moved = replace(moved, status=_status(plan, moved))
    if moved.window:
        sent = set(ready(plan, head))
        return moved, tuple(step for step in ready(plan, moved) if step not in sent)
    return moved, _newly_ready(plan, moved, done | passed_over)


def cancel(head: Head) -> Head:
    """The head after a cancel. Raises IllegalTransition when the run has already ended."""
    return replace(head, status=move(RUN_TRANSITIONS, head.status, RunEvent.CANCEL))


def ready(plan: Plan, head: Head) -> tuple[int, ...]:
    """Every step whose parents are done and which has not ended: what may be running or waiting now, those with the
    highest priority first.

    In a run with a window, the first of them. The first of all is always among them, so every step's turn comes.
    """
    if head.status.terminal:
        return ()
    found = (step for step in bits(plan.everything & ~head.ended) if not lacks(plan, head, step))
    ordered = plan.in_order(found, head.priority) if plan.priorities else found
    return tuple(islice(ordered, head.window or None))


def lacks(plan: Plan, head: Head, step: int) -> int:
    """The set of steps that must still end before `step` may start.

    For a step that does not mind, those that were skipped for a condition have. What a failure has taken with it never
    counts: then the step itself has ended so.
    """
    met = head.done | head.skipped if plan.tolerant >> step & 1 else head.done
    return plan.parents[step] & ~met


def follows(plan: Plan, head: Head, ended: Iterable[int]) -> tuple[int, ...]:
    """What the end of these steps may have made ready: to be sent again by whoever does not know whether it was sent.

    With a window, the last step in it may have come there by the end of any; others are left to the sweep.
    """
    open_now = ready(plan, head)
    children = {child for step in ended for child in plan.children[step]}
    if head.window and open_now:
        children.add(open_now[-1])
    return tuple(step for step in open_now if step in children)


def _given_up(plan: Plan, head: Head, failed: int) -> int:
    """What a failure takes with it: its descendants, or, unless the run keeps going, all that has not ended."""
    if not failed:
        return 0
    lost = plan.descendants(failed) if head.keep_going else plan.everything
    return lost & ~head.ended


def _status(plan: Plan, head: Head) -> RunStatus:
    if head.ended != plan.everything:
        return head.status
    event = RunEvent.ALL_ENDED_SOME_FAILED if head.failed else RunEvent.ALL_SUCCEEDED
    return move(RUN_TRANSITIONS, head.status, event)


def _newly_ready(plan: Plan, head: Head, ended: int) -> tuple[int, ...]:
    candidates = {child for step in bits(ended) for child in plan.children[step]}
    return tuple(sorted(c for c in candidates if not head.ended >> c & 1 and not lacks(plan, head, c)))

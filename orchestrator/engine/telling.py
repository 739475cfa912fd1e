"""Tell operators of each step that has ended: how long it waited and ran, and whether it was made anew.

It is told by who has committed the result, right after; a process that dies in between tells nothing. The times are
measured, and decide nothing: a wait is from the queue's clock, in whole seconds, to that of who claimed the step.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.core.claim import ClaimRow
from orchestrator.core.head import Verdict
from orchestrator.core.message import Delivery
from orchestrator.core.plan import Plan
from orchestrator.core.result import StepResult
from orchestrator.engine.lease import Lease
from orchestrator.engine.memory import Completion, Fate
from orchestrator.events import STEP_ENDED, Fact, Tell
from orchestrator.ports import Task


def waited(delivery: Delivery, now: float, delay: float = 0.0) -> float | None:
    """Seconds from when the step could have been claimed; None: not known, since its message came back.

    `delay`: seconds that its message was to be held back for.
    """
    if not delivery.sent_at or delivery.count > 1:
        return None
    return max(0.0, now - delivery.sent_at - delay)


def executed(plan: Plan, lease: Lease, claim: ClaimRow, result: StepResult) -> Task[None]:
    """The step has its final result, by an execution."""
    facts = _facts(plan, lease, claim, Verdict.DONE if result.error is None else Verdict.FAILED, reused=False)
    if result.error is not None:
        facts["error"] = result.error.code
    if lease.waited is not None:
        facts["waited_ms"] = round(lease.waited * 1000)
    if result.ended_at:
        facts["ran_ms"] = round(max(0.0, result.ended_at - result.started_at) * 1000)
    yield from Tell(event=STEP_ENDED, facts=facts)


def adopted(plan: Plan, lease: Lease, claim: ClaimRow) -> Task[None]:
    """The step has a result that was there already."""
    yield from Tell(event=STEP_ENDED, facts=_facts(plan, lease, claim, Verdict.DONE, reused=True))


def unexecuted(plan: Plan, completions: Iterable[Completion]) -> Task[None]:
    """Those of them that were committed: they took what was there, or their condition did not hold."""
    for it in completions:
        if it.fate is Fate.COMMITTED:
            verdict = it.outcome.verdict
            facts = _facts(plan, it.lease, it.claim, verdict, reused=verdict is Verdict.DONE)
            yield from Tell(event=STEP_ENDED, facts=facts)


def _facts(plan: Plan, lease: Lease, claim: ClaimRow, verdict: Verdict, *, reused: bool) -> dict[str, Fact]:
    step = plan.step(lease.position)
    return {
        "run": lease.run,
        "step": step.id,
        "kind": step.kind,
        "compute": step.compute,
        "verdict": verdict.value,
        "reused": reused,
        "attempt": claim.attempt,
        "crashes": claim.crashes,
    }

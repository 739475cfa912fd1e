"""What a run would do, beforehand: the decisions that it would come to now, and nothing done.

A step whose inputs are not made yet is undecided: if the steps above it make what they made before, it is reused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.core import decision as decisions
from orchestrator.core.decision import Action, Decision, Reason
from orchestrator.core.definition import StepSource
from orchestrator.core.plan import Plan
from orchestrator.core.result import StepResult
from orchestrator.core.run import RunInfo
from orchestrator.engine.identify import Absent
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reuse import entries
from orchestrator.engine.reuse.consult import Adoption, look_up
from orchestrator.engine.reuse.ingredients import Work, is_forced, reasons_for
from orchestrator.ports import Task


@dataclass(slots=True)
class _Outlook:
    """What is known so far: decisions by step, and what would be taken."""

    decisions: dict[int, Decision] = field(default_factory=dict)
    adoptions: dict[int, Adoption] = field(default_factory=dict)

    @property
    def results(self) -> dict[int, StepResult]:
        return {position: adoption.result for position, adoption in self.adoptions.items()}


def forecast(memory: ProcessMemory, plan: Plan, info: RunInfo) -> Task[tuple[Decision, ...]]:
    """The decision on each step, by position, of the run that `info` asks for. Raises Broken, Unavailable."""
    gone: dict[int, str] = {}
    while True:
        outlook = _Outlook()
        for position in _in_order(plan):
            yield from _decide(memory, plan, info, position, outlook, gone)
        taken = tuple(outlook.adoptions.items())
        absent = yield from Absent(made=tuple(adoption.made for _, adoption in taken))
        found = {position: what for (position, _), what in zip(taken, absent, strict=True) if what}
        if not found:
            return tuple(outlook.decisions[position] for position in range(plan.size))
        gone |= found


def _decide(
    memory: ProcessMemory, plan: Plan, info: RunInfo, position: int, outlook: _Outlook, gone: dict[int, str]
) -> Task[None]:
    step = plan.step(position)
    missing = [name for name in _producers(plan, position) if plan.index[name] not in outlook.adoptions]
    if position in gone:
        text = f"what an earlier run had made is not there any more: {gone[position]}"
        outlook.decisions[position] = decisions.ran("gone", text)
    elif missing and step.allow_reuse and not is_forced(info, step):
        reason = Reason(code="upstream", text=f"it depends on what {', '.join(sorted(missing))} will make")
        outlook.decisions[position] = Decision(action=Action.UNDECIDED, reasons=(reason,))
    elif missing:
        text = "the run asks for it" if step.allow_reuse else "it does not allow reuse"
        outlook.decisions[position] = decisions.ran("forced" if step.allow_reuse else "never", text)
    elif step.condition is not None:
        reason = Reason(code="condition", text=f"it depends on what {step.condition.value.step} will leave")
        outlook.decisions[position] = Decision(action=Action.UNDECIDED, reasons=(reason,))
    else:
        found = yield from look_up(memory, plan, info, position, outlook.results)
        outlook.decisions[position] = yield from _decision(memory, info, found)
        if isinstance(found, Adoption):
            outlook.adoptions[position] = found


def _decision(memory: ProcessMemory, info: RunInfo, found: Adoption | Work | Reason) -> Task[Decision]:
    if isinstance(found, Adoption):
        return found.decision
    if isinstance(found, Reason):
        return Decision(action=Action.RUN, reasons=(found,))
    before = yield from entries.last_time(found, info)
    reasons = yield from reasons_for(memory, before, found.ingredients)
    return Decision(action=Action.RUN, reasons=reasons, fingerprint=found.fingerprint)


def _producers(plan: Plan, position: int) -> set[str]:
    return {port.source.step for port in plan.step(position).inputs if isinstance(port.source, StepSource)}


def _in_order(plan: Plan) -> Iterator[int]:
    """Every step after those it waits for."""
    done, todo = 0, list(plan.roots)
    while todo:
        position = todo.pop()
        done |= 1 << position
        yield position
        todo += [child for child in plan.children[position] if not plan.parents[child] & ~done]

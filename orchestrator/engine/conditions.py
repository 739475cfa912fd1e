"""Decide whether a step with a condition runs, and skip it if not. What is decided rests on committed results alone."""

from __future__ import annotations

from orchestrator.core import decision as decisions
from orchestrator.core.claim import skipped_claim
from orchestrator.core.conditions import MOST_CHARACTERS, Comparable, holds, shown_value
from orchestrator.core.decision import Action, Decision, Reason
from orchestrator.core.definition import Condition, FromParameter, MetricOf, OutputText, PropertyOf
from orchestrator.core.errors import Broken
from orchestrator.core.head import Outcome, Verdict
from orchestrator.core.plan import Plan
from orchestrator.core.result import StepError
from orchestrator.core.run import RunInfo
from orchestrator.engine import telling
from orchestrator.engine.complete import complete_adopted
from orchestrator.engine.identify import ReadText
from orchestrator.engine.lease import Lease
from orchestrator.engine.memory import Completion, ProcessMemory
from orchestrator.engine.reading import fresh_head, step_result
from orchestrator.ports import NewId, Now, Task


def refused(memory: ProcessMemory, plan: Plan, info: RunInfo, position: int) -> Task[str | StepError | None]:
    """Why the step is to be skipped; why that cannot be told; None: it is to run."""
    condition = plan.step(position).condition
    if condition is None:
        return None
    try:
        value = yield from _value(memory, plan, info.id, condition)
        than = _than(condition, info)
        if value is None:
            return f"step {condition.value.step}, on which it depends, was skipped"
        if holds(value, condition.operator, than):
            return None
    except Broken as error:
        return StepError(code="ConditionUnknown", message=error.message)
    return f"{_named(condition)} is {shown_value(value)}, not {condition.operator} {shown_value(than)}"


def skip(memory: ProcessMemory, plan: Plan, run: str, position: int, why: str) -> Task[tuple[int, ...]]:
    """Commit that the step is skipped, and what is skipped with it. Returns the steps to send; safe to repeat."""
    owner = yield from NewId()
    now = yield from Now()
    decision = Decision(action=Action.SKIP, reasons=(Reason(code="condition", text=why),))
    claim = skipped_claim(owner=owner, now=now, decision=decisions.encode(decision))
    outcome = Outcome(step=position, verdict=Verdict.SKIPPED, attempt=1)
    lease = Lease(run=run, position=position, claim=claim, etag="")
    skipped = Completion(lease=lease, claim=claim, outcome=outcome, adopted=True)
    steps = yield from complete_adopted(memory, plan, run, [skipped])
    yield from telling.unexecuted(plan, [skipped])
    return steps


def _value(memory: ProcessMemory, plan: Plan, run: str, condition: Condition) -> Task[Comparable | None]:
    """None: the step that should have left it was skipped. Raises Broken where it has left none."""
    position = plan.index[condition.value.step]
    known = yield from fresh_head(memory, run)
    if known is not None and known.head.skipped >> position & 1:
        return None
    result = yield from step_result(memory, run, position)
    match condition.value:
        case MetricOf(name=name):
            found = [metric.value for metric in result.metrics if metric.name == name]
            if not found or not isinstance(found[-1], bool | int | float | str):
                raise Broken(f"Step {condition.value.step} has logged no single value under the name {name!r}.")
            value: Comparable = found[-1]
            return value
        case PropertyOf(name=name):
            if name not in result.properties:
                raise Broken(f"Step {condition.value.step} has no property {name!r}.")
            return result.properties[name]
        case OutputText(output=output, path=path):
            data = result.outputs.get(output)
            text = None if data is None else (yield from ReadText(output=data, path=path, limit=MOST_CHARACTERS))
            if text is None:
                raise Broken(
                    f"The output {output!r} of step {condition.value.step} is no text of at most {MOST_CHARACTERS:,} "
                    f"characters{f' at {path!r}' if path else ''}."
                )
            return text.strip()


def _than(condition: Condition, info: RunInfo) -> Comparable:
    if not isinstance(condition.than, FromParameter):
        return condition.than
    value = info.parameters.get(condition.than.name)
    if not isinstance(value, bool | int | float | str):
        raise Broken(f"The parameter {condition.than.name!r} of run {info.id} is {value!r}.")
    return value


def _named(condition: Condition) -> str:
    match condition.value:
        case MetricOf(step=step, name=name):
            return f"metric {name} of step {step}"
        case PropertyOf(step=step, name=name):
            return f"property {name} of step {step}"
        case OutputText(step=step, output=output):
            return f"output {output} of step {step}"

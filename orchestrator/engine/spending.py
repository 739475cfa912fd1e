"""What an execution has used, read from the meter just before its claim is written, to be written with it."""

from __future__ import annotations

from orchestrator.core import usage as usages
from orchestrator.core.nesting import Children
from orchestrator.core.result import StepResult
from orchestrator.core.usage import StepUsage, Usage
from orchestrator.engine.lease import Lease
from orchestrator.engine.memory import ProcessMemory
from orchestrator.ports import Task, Used


def spent(
    memory: ProcessMemory,
    lease: Lease,
    result: StepResult,
    children: Children | None = None,
    *,
    publishes: bool = False,
    forgets_deaths: bool = False,
) -> Task[str]:
    """What the step has used with this execution, as its claim holds it.

    `children`: those that it joins. `publishes`: its result is for others, too. `forgets_deaths`: the claim will not
    know any more that executions before this one have died.
    """
    seen = yield from Used()
    before = usages.decode(lease.claim.usage)
    own = before.own + usages.execution(seen, memory.settings.machine, result, publishes=publishes)
    if forgets_deaths:
        own += Usage(unknown=lease.claim.crashes)
    theirs = before.children if children is None else before.children + children.used
    return usages.encode(StepUsage(own=own, children=theirs))

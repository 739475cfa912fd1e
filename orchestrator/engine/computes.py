"""Which queue a step's message goes to: that of its compute.

The kinds of computes that were made are rows of the catalog. A process remembers them for a while; of those that the
service's settings have, nothing is read.
"""

from __future__ import annotations

from typing import Final

import msgspec

from orchestrator.core import priority
from orchestrator.core.compute import Compute, ComputeKind, queue_of, urgent_of
from orchestrator.core.definition import Step
from orchestrator.core.plan import Plan
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.rows import CATALOG
from orchestrator.ports import Get, Monotonic, Row, Task

PARTITION: Final = "compute"

_decoder = msgspec.json.Decoder(Compute)


def row_key(name: str) -> str:
    return f"c|{name}"


def read(row: Row) -> Compute:
    """The compute that a row of the catalog holds."""
    return _decoder.decode(str(row.props["compute"]))


def learn(memory: ProcessMemory, plan: Plan) -> Task[None]:
    """Have `memory` know the kinds of all computes that the plan names."""
    others = plan.computes - memory.settings.computes.keys()
    if not others:
        return
    now = yield from Monotonic()
    for name in sorted(others):
        known = memory.compute_kinds.get(name)
        if known is None or now - known[1] > memory.settings.compute_age:
            row = yield from Get(table=CATALOG, pk=PARTITION, rk=row_key(name))
            kind = ComputeKind.FUNCTION if row is None else read(row).kind
            memory.compute_kinds.put(name, (kind, now))


def queue_for(memory: ProcessMemory, step: Step, usual: int) -> str:
    """The queue that drives the step of a run with the priority `usual`.

    A compute that is not there any more leaves its steps to the Functions app.
    """
    settings = memory.settings
    if step.compute in settings.computes:
        kind = settings.computes[step.compute].kind
    else:
        known = memory.compute_kinds.get(step.compute)
        kind = ComputeKind.FUNCTION if known is None else known[0]
    ahead = settings.urgent and priority.is_urgent(step, usual)
    return queue_of(urgent_of(settings.queue) if ahead else settings.queue, step.compute, kind)

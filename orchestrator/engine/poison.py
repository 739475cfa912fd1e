"""A step message that the host gave up on, since its function failed again and again: fail the step, not the queue."""

from __future__ import annotations

import msgspec

from orchestrator.core.claim import ClaimRow, Standing, standing
from orchestrator.core.message import Delivery, Messages, StepMessage, encode
from orchestrator.core.states import ClaimState
from orchestrator.engine.deliver import recover
from orchestrator.engine.execute import abort, died_too_often, fail
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import load_plan, read_info, recent_head
from orchestrator.engine.rows import RUNS, claim_key, read_claim
from orchestrator.engine.take import seize, take
from orchestrator.ports import Get, Send, Task

MAX_DEQUEUE_COUNT = 5
"""host.json's extensions.queues.maxDequeueCount: the delivery after which the host gives a message up."""


MOST_POISONINGS = 3
POISON_DELAY = 60.0
"""A message that failed while nobody held its step tells of storage, not of the step: it gets so many more chances."""


def fail_poisoned(memory: ProcessMemory, message: StepMessage, delivery: Delivery) -> Task[Messages]:
    """Fail the step of a poison message through the ordinary completion.

    A claim held by another, healthy message is left alone: that one decides the step.
    """
    run, position = message.run, message.position
    plan = yield from load_plan(memory, message.definition)
    known = yield from recent_head(memory, run, plan.parents[position])
    if known is None:
        return ()
    if known.head.status.terminal or known.head.ended >> position & 1:
        return (yield from recover(memory, plan, run, position))
    row = yield from Get(table=RUNS, pk=run, rk=claim_key(position))
    verdict = Standing.FREE if row is None else _verdict(memory, read_claim(row), row.age, delivery)
    if verdict is Standing.SETTLED:
        return (yield from recover(memory, plan, run, position))
    if verdict in (Standing.HELD, Standing.PARKED):
        return ()
    if verdict in (Standing.FREE, Standing.DUE) and message.poisoned < MOST_POISONINGS:
        again = msgspec.structs.replace(message, poisoned=message.poisoned + 1)
        yield from Send(queue=message.queue, body=encode(again), delay=POISON_DELAY)
        return ()
    if row is None:
        taken = yield from take(memory, run, position, delivery)
    else:
        due = Standing.DUE if verdict is Standing.DUE else Standing.EXHAUSTED
        taken = yield from seize(memory, run, position, delivery, row, due)
    if taken.lease is None:
        return ()
    info = (yield from read_info(memory, run)) if taken.lease.claim.looks else None
    if info is not None:
        return (yield from abort(memory, plan, info, taken.lease, died_too_often()))
    return (yield from fail(memory, plan, taken.lease, died_too_often()))


def _verdict(memory: ProcessMemory, claim: ClaimRow, age: float, delivery: Delivery) -> Standing:
    """As `standing`, but a claim made by the last delivery that a host grants has died with it."""
    if claim.dequeue_count >= MAX_DEQUEUE_COUNT and claim.state is ClaimState.RUNNING:
        return Standing.EXHAUSTED
    return standing(claim, age=age, delivery=delivery, ttl=memory.settings.claim_ttl)

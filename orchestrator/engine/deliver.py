"""Handle one step message: consult what was made before, claim, perform, commit.

The caller sends what is returned, then lets go of the message.

Commit, then send: a crash between the two is mended by the message itself, which comes back (`recover`), and, should
that message be lost too, by the sweep. So no wake-up depends on a single message.
"""

from __future__ import annotations

from orchestrator.core import decision as decisions
from orchestrator.core.claim import Standing
from orchestrator.core.errors import Broken
from orchestrator.core.fingerprint import lineage_of
from orchestrator.core.head import follows, lacks
from orchestrator.core.message import Delivery, Messages, StepMessage
from orchestrator.core.plan import Plan, bits
from orchestrator.core.result import StepError
from orchestrator.core.run import RunInfo
from orchestrator.engine import children, conditions, ending
from orchestrator.engine.call_off import call_off
from orchestrator.engine.combine import combine
from orchestrator.engine.execute import abort, adopt, died_too_often, execute, fail, give_up, resume
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import fresh_head, load_plan, messages_for, read_info, recent_head
from orchestrator.engine.reuse import entries
from orchestrator.engine.reuse.consult import Adoption, ToRun, Waiting, consult, forget
from orchestrator.engine.reuse.walk import Walked, walk
from orchestrator.engine.revive import standing_still
from orchestrator.engine.rows import RUNS, claim_key, read_claim
from orchestrator.engine.take import Taken, take, take_over
from orchestrator.ports import Get, Task

_TRIES = 5


def deliver(memory: ProcessMemory, message: StepMessage, delivery: Delivery) -> Task[Messages]:
    """Run the step that `message` names, if it is to be run and nobody else does."""
    run, position = message.run, message.position
    plan = yield from load_plan(memory, message.definition)
    known = yield from recent_head(memory, run, plan.parents[position])
    if known is None:
        return ()
    came_back = delivery.count > 1
    if known.head.status.terminal or known.head.ended >> position & 1:
        if known.head.status.terminal and plan.deferrables >> position & 1:
            yield from call_off(memory, plan, message, delivery)
        return (yield from recover(memory, plan, run, position)) if came_back else ()
    if lacks(plan, known.head, position):
        return ()  # no engine sends a step before its parents are committed: whoever did, it is not to be run
    info = yield from read_info(memory, run)
    if info is None:
        return ()
    if plan.deferrables >> position & 1:
        row = yield from Get(table=RUNS, pk=run, rk=claim_key(position))
        if row is not None and read_claim(row).looks and not read_claim(row).state.final:
            taken = yield from take_over(memory, run, position, delivery, row)
            return (yield from _look(memory, plan, info, taken, message))
    held = (yield from children.parked(memory, run, position)) if plan.composites >> position & 1 else None
    if held is not None and not held.ended:
        # Whoever parked the claim may have died before the child was started, or listed.
        return (yield from children.launch(memory, plan, info, position, held.claim))
    why = yield from conditions.refused(memory, plan, info, position)
    if isinstance(why, str):
        steps = yield from conditions.skip(memory, plan, run, position, why)
        return (yield from messages_for(memory, plan, run, steps))
    choice = why or (yield from _choose(memory, plan, info, position, message))
    if isinstance(choice, Waiting):
        return ()
    if isinstance(choice, Walked):
        return (yield from messages_for(memory, plan, run, choice.steps))
    decision = decisions.encode(choice.decision) if isinstance(choice, ToRun) else ""
    child = held.claim.child if held is not None else ""
    taken = yield from take(memory, run, position, delivery, decision, child)
    if taken.lease is None:
        settled_before = taken.standing is Standing.SETTLED
        return (yield from recover(memory, plan, run, position)) if settled_before and came_back else ()
    if taken.lease.claim.looks:
        return (yield from _look(memory, plan, info, taken, message))
    if isinstance(choice, Adoption):
        return (yield from adopt(memory, plan, taken.lease, choice))
    if isinstance(choice, StepError):
        return (yield from fail(memory, plan, taken.lease, choice))
    if taken.standing is Standing.EXHAUSTED:
        failed = yield from fail(memory, plan, taken.lease, died_too_often())
        return (*failed, *(yield from give_up(choice, taken.lease)))
    return (yield from execute(memory, plan, info, taken.lease, message, choice))


def _look(memory: ProcessMemory, plan: Plan, info: RunInfo, taken: Taken, message: StepMessage) -> Task[Messages]:
    """Look at the work that a service does for the step, if its claim is ours for that."""
    if taken.lease is None:
        return ()
    if taken.standing is Standing.EXHAUSTED:
        return (yield from abort(memory, plan, info, taken.lease, died_too_often()))
    return (yield from resume(memory, plan, info, taken.lease, message))


def _choose(
    memory: ProcessMemory, plan: Plan, info: RunInfo, position: int, message: StepMessage
) -> Task[Walked | Adoption | ToRun | Waiting | StepError]:
    """What is to be done about the step. `Walked`: it is done, and more. `Adoption`: it would be, but has a claim."""
    gone = ""
    for _ in range(_TRIES):
        try:
            choice = yield from consult(memory, plan, info, position, message, gone)
        except Broken as error:
            return StepError(code="InputMissing", message=error.message)
        if not isinstance(choice, Adoption):
            return choice
        walked = yield from walk(memory, plan, info, choice)
        if not walked.gone:
            return walked if walked.first else choice
        yield from forget(memory, info, choice)
        gone = walked.gone
    raise entries.too_busy()


def recover(memory: ProcessMemory, plan: Plan, run: str, position: int) -> Task[Messages]:
    """Make up for what a process that died after it had committed this step may have left undone.

    Only the children of the step are sent again, and those who wait for what it made: what else may be lost, the sweep
    finds, with patience for what just waits in the queue.
    """
    woken = yield from _waiting_for(plan, run, position)
    ready_now = yield from combine(memory, plan, run)
    known = yield from fresh_head(memory, run)
    if known is None:
        return ()
    if known.head.status.terminal:
        yield from children.end_late(memory, plan, run, position)
        yield from ending.finish(memory, run, known.head.status)
        return woken
    still = yield from standing_still(memory, run, follows(plan, known.head, (position,)))
    follow = yield from messages_for(memory, plan, run, tuple({*ready_now, *bits(still)}))
    return (*follow, *woken)


def _waiting_for(plan: Plan, run: str, position: int) -> Task[Messages]:
    """The messages that may not have been sent to those who waited for this step."""
    step = plan.step(position)
    row = (yield from Get(table=RUNS, pk=run, rk=claim_key(position))) if step.allow_reuse else None
    if row is None or not read_claim(row).decision:
        return ()
    fingerprint = decisions.decode(read_claim(row).decision).fingerprint
    return (yield from entries.waiting_for(lineage_of(step.kind, step.name), fingerprint, run, position))

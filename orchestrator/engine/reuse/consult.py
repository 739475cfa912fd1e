"""Decide on a step that is about to run: take what was made before, wait for who is making it, or make it.

nobody has made it      say so in the table, and run
it was made             look whether it is still there, and take it
somebody is making it   leave the message with the maker; if the maker is dead, do its work
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from orchestrator.core import decision as decisions
from orchestrator.core.claim import ClaimRow
from orchestrator.core.decision import Action, Decision, Reason
from orchestrator.core.job import InputData
from orchestrator.core.message import StepMessage, encode
from orchestrator.core.plan import Plan
from orchestrator.core.result import StepResult
from orchestrator.core.run import RunInfo
from orchestrator.core.states import ClaimState
from orchestrator.engine.identify import Made
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import decode_result, fresh_head, read_info, read_result
from orchestrator.engine.reuse import entries
from orchestrator.engine.reuse.entries import Entry, Fence
from orchestrator.engine.reuse.ingredients import Gathered, Work, gather, reasons_for
from orchestrator.engine.rows import CLAIMS, RUNS, claim_key, read_claim, step_of
from orchestrator.ports import Get, Query, Send, Task

_TRIES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """A step that takes its result from elsewhere: `document` or `blob` holds it, as in a claim.

    `made` are the outputs that must be there: `walk` looks. `forget` makes sure that it is not proposed again. `saved`:
    what making it has used.
    """

    position: int
    result: StepResult
    document: str
    blob: str
    decision: Decision
    made: Made
    work: Work | None = None
    entry: Entry | None = None
    saved: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToRun:
    """The step is to be executed. `work` None: what it makes serves nobody else. `fence`: see `entries.begin`."""

    inputs: dict[str, InputData]
    decision: Decision
    work: Work | None = None
    fence: Fence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The message lies with the maker, who will have it sent again."""

    entry: Entry


def consult(
    memory: ProcessMemory, plan: Plan, info: RunInfo, position: int, message: StepMessage, gone: str = ""
) -> Task[Adoption | ToRun | Waiting]:
    """Decide. Raises Broken when the step's inputs are not what they should be, Unavailable when storage is silent.

    `gone`: what was missing of an earlier proposal.
    """
    kept = yield from kept_result(memory, plan, info, position)
    if kept is not None:
        return kept
    gathered = yield from gather(memory, plan, info, position)
    work = gathered.work
    if work is None:
        assert gathered.untold is not None
        return ToRun(inputs=gathered.inputs, decision=Decision(action=Action.RUN, reasons=(gathered.untold,)))
    if work.forced:
        decision = decisions.ran("forced", "the run asks for it", work.fingerprint)
        return ToRun(inputs=gathered.inputs, decision=decision, work=work)
    return (yield from _contend(memory, plan, info, position, message, gathered, work, gone))


def forget(memory: ProcessMemory, info: RunInfo, adoption: Adoption) -> Task[None]:
    """Drop what was proposed, since it is not there any more."""
    if adoption.entry is not None and adoption.work is not None:
        yield from entries.drop(adoption.work, adoption.entry)
        return
    kept = memory.kept.get(info.rerun_of) or {}
    memory.kept.put(info.rerun_of, {step: claim for step, claim in kept.items() if step != adoption.position})


def _contend(
    memory: ProcessMemory,
    plan: Plan,
    info: RunInfo,
    position: int,
    message: StepMessage,
    gathered: Gathered,
    work: Work,
    gone: str,
) -> Task[Adoption | ToRun | Waiting]:
    step, fence = plan.step(position).id, None
    for _ in range(_TRIES):
        entry = yield from entries.find(work)
        if entry is None:
            fence = yield from entries.begin(work, info.id, position, step)
        elif entry.made:
            return (yield from _adoption(position, entry, work))
        elif (entry.run, entry.position) == (info.id, position):
            fence = Fence(etag=entry.etag, waiting=entry.waiting)
        else:
            maker = yield from _look_at(memory, entry, work)
            if maker is Maker.ALIVE and (yield from entries.join(work, entry, message)):
                return Waiting(entry=entry)
            if maker is Maker.DEAD:
                fence = yield from entries.seize(work, entry, info.id, position, step)
        if fence is not None:
            decision = yield from _explained(memory, info, work, gone)
            return ToRun(inputs=gathered.inputs, decision=decision, work=work, fence=fence)
    raise entries.too_busy()


def look_up(
    memory: ProcessMemory,
    plan: Plan,
    info: RunInfo,
    position: int,
    adopted: Mapping[int, StepResult] = MappingProxyType({}),
) -> Task[Adoption | Work | Reason]:
    """What `consult` would find, without taking part; whether what was made is still there has yet to be seen.

    Else the work that nobody has made, or why nothing can be said of it. Its parents must be done, or `adopted`.
    """
    kept = yield from kept_result(memory, plan, info, position)
    if kept is not None:
        return kept
    gathered = yield from gather(memory, plan, info, position, adopted)
    if gathered.work is None:
        assert gathered.untold is not None
        return gathered.untold
    if gathered.work.forced:
        return Reason(code="forced", text="the run asks for it")
    entry = yield from entries.find(gathered.work)
    if entry is None or not entry.made:
        return gathered.work
    return (yield from _adoption(position, entry, gathered.work))


def kept_result(memory: ProcessMemory, plan: Plan, info: RunInfo, position: int) -> Task[Adoption | None]:
    """What the run that this one reruns had made of the step, if it had."""
    if not info.rerun_of:
        return None
    found = memory.kept.get(info.rerun_of)
    if found is None:
        rows = yield from Query(table=RUNS, pk=info.rerun_of, first=CLAIMS[0], last=CLAIMS[1])
        claims = {step_of(row.rk): read_claim(row) for row in rows}
        found = {step: claim for step, claim in claims.items() if claim.state is ClaimState.DONE}
        memory.kept.put(info.rerun_of, found)
    claim = found.get(position)
    if claim is None:
        return None
    result = yield from decode_result(claim)
    step = plan.step(position).id
    source = _source(claim, info.rerun_of, step)
    return Adoption(
        position=position,
        result=result,
        document=claim.result,
        blob=claim.result_blob,
        decision=decisions.kept(info.rerun_of, step),
        made=Made(owner=source, outputs=result.outputs),
        saved=claim.saved or claim.usage,
    )


def _source(claim: ClaimRow, run: str, step: str) -> str:
    """The step run whose blobs the claim's result names."""
    if claim.decision:
        decision = decisions.decode(claim.decision)
        if decision.from_run:
            return f"{decision.from_run}_{decision.from_step}"
    return f"{run}_{step}"


def _adoption(position: int, entry: Entry, work: Work) -> Task[Adoption]:
    result = yield from read_result(entry.result, entry.result_blob)
    return Adoption(
        position=position,
        result=result,
        document=entry.result,
        blob=entry.result_blob,
        decision=decisions.reused(entry.run, entry.step, work.fingerprint),
        made=Made(owner=entry.owner, outputs=result.outputs),
        work=work,
        entry=entry,
        saved=entry.usage,
    )


class Maker(Enum):
    """What has become of the step that says it is making something."""

    ALIVE = "it is at it, or may be"
    DONE = "it has made it, and now the table says so"
    DEAD = "nobody will make it"


def _look_at(memory: ProcessMemory, entry: Entry, work: Work) -> Task[Maker]:
    """One that is done, and died before it said so, has it said here, and those who wait sent on."""
    row = yield from Get(table=RUNS, pk=entry.run, rk=claim_key(entry.position))
    ttl = memory.settings.claim_ttl
    if row is None:
        return Maker.ALIVE if entry.age <= ttl else Maker.DEAD
    claim = read_claim(row)
    if claim.state is ClaimState.DONE:
        return (yield from _published(memory, entry, work, claim))
    if claim.state in (ClaimState.WAITING, ClaimState.DEFERRED):
        known = yield from fresh_head(memory, entry.run)
        return Maker.DEAD if known is None or known.head.status.terminal else Maker.ALIVE
    patience = {ClaimState.RUNNING: ttl, ClaimState.RETRYING: claim.delay + ttl}.get(claim.state, -1.0)
    return Maker.ALIVE if row.age <= patience else Maker.DEAD


def _published(memory: ProcessMemory, entry: Entry, work: Work, claim: ClaimRow) -> Task[Maker]:
    info = yield from read_info(memory, entry.run)
    result = yield from decode_result(claim)
    if info is None or not work.was_read(result):
        return Maker.DEAD
    seen = Fence(etag=entry.etag, waiting=entry.waiting)
    woken = yield from entries.publish(work, info, entry.position, entry.step, claim, seen)
    for message in woken:
        yield from Send(queue=message.queue, body=encode(message))
    return Maker.DONE


def _explained(memory: ProcessMemory, info: RunInfo, work: Work, gone: str) -> Task[Decision]:
    if gone:
        return decisions.ran("gone", f"what an earlier run had made is not there any more: {gone}", work.fingerprint)
    before = yield from entries.last_time(work, info)
    reasons = yield from reasons_for(memory, before, work.ingredients)
    return Decision(action=Action.RUN, reasons=reasons, fingerprint=work.fingerprint)

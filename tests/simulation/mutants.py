"""The protocol broken on purpose, one rule at a time. A simulation worth its time notices each within a few seeds.

A mutant replaces named functions of the engine and core for as long as it lasts; the graphs, hosts and faults are those
of the sound protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import msgspec

from orchestrator.core import claim as claims
from orchestrator.core import head as heads
from orchestrator.core import result as results
from orchestrator.core.claim import ClaimRow, Standing
from orchestrator.core.claim import standing as sound_standing
from orchestrator.core.head import Head, Outcome
from orchestrator.core.job import Job
from orchestrator.core.message import Delivery, encode
from orchestrator.core.nesting import child_id
from orchestrator.core.notice import Notice, NoticeState
from orchestrator.core.patience import Patience
from orchestrator.core.plan import Plan, bits
from orchestrator.core.run import RunInfo
from orchestrator.core.states import ClaimState, RunStatus
from orchestrator.core.webhook import EVENTS
from orchestrator.engine import (
    call_off,
    cancel,
    children,
    combine,
    complete,
    deliver,
    ending,
    execute,
    give_back,
    index,
    lease,
    outbox,
    poison,
    revive,
    start,
    sweep,
    take,
)
from orchestrator.engine.inputs import job_of as sound_job_of
from orchestrator.engine.lease import Lease
from orchestrator.engine.memory import Completion, Fate, ProcessMemory
from orchestrator.engine.reading import fresh_head, messages_for
from orchestrator.engine.reuse import consult
from orchestrator.engine.revive import _stuck as revive_stuck
from orchestrator.engine.rows import HEAD, RUNS, claim_key, read_claim
from orchestrator.ports import Commit, Delete, Get, Insert, Merge, Props, Row, Send, Task, Unanswered, Upsert, Write
from tests.simulation import simulation
from tests.simulation.weather import forgetful, nested, outliving, remote, sharing, stormy

Patch = tuple[ModuleType, str, Any]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`breaks`: what is wrong with it, in a line. `weather`: the worlds in which that must be noticed."""

    breaks: str
    patches: tuple[Patch, ...]
    weather: Callable[[int], simulation.Setting] = stormy

    @contextmanager
    def alive(self) -> Iterator[None]:
        sound = [(module, name, getattr(module, name)) for module, name, _ in self.patches]
        try:
            for module, name, broken in self.patches:
                setattr(module, name, broken)
            yield
        finally:
            for module, name, original in sound:
                setattr(module, name, original)


def _merge_without(fence_on: Callable[[str], bool]) -> Callable[..., Merge]:
    def merge(*, rk: str, props: Props, etag: str) -> Merge:
        return Merge(rk=rk, props=props, etag="*" if fence_on(rk) else etag)

    return merge


def _commit_of(keep: Callable[[Write], bool]) -> Callable[..., Commit]:
    """A Commit that leaves out some of its writes."""

    def commit(*, table: str, pk: str, writes: tuple[Write, ...]) -> Commit:
        kept = tuple(write for write in writes if keep(write))
        return Commit(table=table, pk=pk, writes=kept or writes)

    return commit


def _nothing(*_: object, **__: object) -> Task[tuple[()]]:
    yield from ()
    return ()


def _only_once(before: Patience, waiting: int) -> tuple[Patience, int]:
    return Patience(sent=before.sent | waiting), waiting & ~before.sent


def _nobody(*_: object) -> Task[int]:
    yield from ()
    return 0


def _upsert(*, rk: str, props: Props) -> Upsert:
    return Upsert(rk=rk, props=props)


def _standing(change: Callable[[ClaimRow, Standing], Standing]) -> Callable[..., Standing]:
    def standing(row: ClaimRow, *, age: float, delivery: Delivery, ttl: float) -> Standing:
        return change(row, sound_standing(row, age=age, delivery=delivery, ttl=ttl))

    return standing


def _free_if_running(_: ClaimRow, verdict: Standing) -> Standing:
    return Standing.FREE if verdict is Standing.HELD else verdict


def _never_free(_: ClaimRow, verdict: Standing) -> Standing:
    return verdict if verdict is Standing.SETTLED else Standing.HELD


def _free_when_settled(_: ClaimRow, verdict: Standing) -> Standing:
    return Standing.FREE if verdict is Standing.SETTLED else verdict


def _adopt_anything(completion: Completion) -> Task[None]:
    """A zombie reads its claim again, does not look whose it is, and goes on with the new etag."""
    held = completion.lease
    row = yield from Get(table=RUNS, pk=held.run, rk=claim_key(held.position))
    if row is None or read_claim(row).state.final:
        completion.fate = Fate.LOST
    else:
        held.etag = row.etag


def _own_anything(_: Lease, __: object) -> bool:
    return True


def _any_parent(plan: Plan, head: Head, done: int) -> tuple[int, ...]:
    candidates = {child for step in bits(done) for child in plan.children[step]}
    return tuple(sorted(child for child in candidates if not head.ended >> child & 1))


def _no_descendants(*_: object) -> int:
    return 0


def _believing(sound: Callable[..., Task[Any]]) -> Callable[..., Task[Any]]:
    """A task that takes every silence of a Commit for success."""

    def run(*args: Any, **kwargs: Any) -> Task[Any]:
        inner = sound(*args, **kwargs)
        try:
            effect = next(inner)
            while True:
                try:
                    answer = yield effect
                except Unanswered:
                    assert isinstance(effect, Commit)
                    effect = inner.send(tuple("believed" for _ in effect.writes))
                except Exception as error:  # noqa: BLE001 - handed on
                    effect = inner.throw(error)
                else:
                    effect = inner.send(answer)
        except StopIteration as stop:
            return stop.value

    return run


def _finish_early(sound: Callable[..., Task[Any]]) -> Callable[..., Task[Any]]:
    """Takes the run off the sweep's list before the commit that may end it."""

    def to_head(memory: ProcessMemory, plan: Plan, run: str, batch: list[Completion], known: Any) -> Task[Any]:
        head, _ = heads.fold(plan, known.head, [completion.outcome for completion in batch])
        if head.status.terminal:
            yield from index.leave(run)
        return (yield from sound(memory, plan, run, batch, known))

    return to_head


def _send_first(sound: Callable[..., Task[Any]]) -> Callable[..., Task[Any]]:
    def finish(memory: ProcessMemory, plan: Plan, held: Lease, result: Any, *more: Any, **known: Any) -> Task[Any]:
        if result.error is None:
            children = plan.children[held.position]
            for message in (yield from messages_for(memory, plan, held.run, children)):
                yield from Send(queue=message.queue, body=encode(message))
        return (yield from sound(memory, plan, held, result, *more, **known))

    return finish


def _ignore_the_end(memory: ProcessMemory, plan: Plan, run: str, batch: list[Completion]) -> Task[tuple[int, ...]]:
    steps: set[int] = set()
    while batch:
        known = yield from fresh_head(memory, run)
        assert known is not None
        steps.update((yield from complete._to_head(memory, plan, run, batch, known)))
        batch = [completion for completion in batch if completion.pending]
    return tuple(sorted(steps))


def _trust_for_ever(memory: ProcessMemory, run: str, parents: int) -> Task[Any]:
    """Believes a remembered head however old it is."""
    known = memory.head(run)
    if known is not None and not parents & ~known.head.done:
        return known
    return (yield from fresh_head(memory, run))


def _fold_over(sound: Callable[..., Any]) -> Callable[..., Any]:
    """The newest verdict wins, even over an older one."""

    def fold(plan: Plan, head: Head, outcomes: list[Outcome]) -> Any:
        listed = list(outcomes)
        forgotten = 0
        for outcome in listed:
            forgotten |= 1 << outcome.step
        older = replace(head, done=head.done & ~forgotten, failed=head.failed & ~forgotten)
        return sound(plan, older, listed[1:] if len(listed) > 1 else listed)

    return fold


def _young_enough(sound: Callable[..., Task[Any]]) -> Callable[..., Task[Any]]:
    """The sweep takes a run off its list when its head has not moved for long, instead of reviving it."""

    def look_at(memory: ProcessMemory, entry: Row) -> Task[Any]:
        row = yield from Get(table=RUNS, pk=entry.rk, rk=HEAD)
        if row is not None and row.age > 2 * memory.settings.sweep_quiet:
            yield from index.leave(entry.rk)
            return ()
        return (yield from sound(memory, entry))

    return look_at


def _is_claim(rk: str) -> bool:
    return rk.startswith("c|")


def _is_head(rk: str) -> bool:
    return rk == HEAD


def _created_anyway(memory: ProcessMemory, info: Any, plan: Plan) -> Task[start.Started]:
    """Takes a silent or refused creation for an existing run, without looking."""
    yield from ()
    return start.Started(created=False, info=info, messages=())


def _only_messages(memory: ProcessMemory, info: RunInfo, status: RunStatus) -> Task[None]:
    for hook in info.notify if memory.settings.webhook_queue else ():
        yield from outbox.send(memory, Notice(run=info.id, webhook=hook.id, event=EVENTS[status]))


def _leave_first(sound: Callable[..., Task[None]]) -> Callable[..., Task[None]]:
    def finish(memory: ProcessMemory, run: str, status: RunStatus) -> Task[None]:
        yield from index.leave(run)
        yield from sound(memory, run, status)

    return finish


def _forget_first(notice: Notice, state: NoticeState) -> Task[None]:
    key = outbox.key(notice.run, notice.webhook)
    yield from outbox.ensure(outbox.OUTBOX, Delete(rk=key))
    settled = Upsert(rk=notice.webhook, props=outbox.props(msgspec.structs.replace(notice, state=state)))
    yield from outbox.ensure(outbox.settled(notice.run), settled)


def _never_dead(*_: object) -> Task[consult.Maker]:
    yield from ()
    return consult.Maker.ALIVE


def _starts_at_once(sound: Callable[..., Task[Any]]) -> Callable[..., Task[Any]]:
    """Starts the child before the claim says that it waits."""

    def park(memory: ProcessMemory, plan: Plan, info: RunInfo, held: Lease, result: Any, expansion: Any) -> Task[Any]:
        child = child_id(held.run, held.position, held.claim.owner)
        there = claims.waiting(held.claim, child=child, result=results.encode(result).decode(), result_blob="")
        messages = yield from children.launch(memory, plan, info, held.position, there)
        return (*messages, *(yield from sound(memory, plan, info, held, result, expansion)))

    return park


def _joins_at_once(sound: Callable[..., Task[Any]]) -> Callable[..., Task[Any]]:
    """Takes a claim that waits whether or not its child has ended."""

    def parked(memory: ProcessMemory, run: str, position: int) -> Task[Any]:
        held = yield from sound(memory, run, position)
        ended = replace(held.head, status=RunStatus.COMPLETED) if held is not None and held.head else None
        return None if held is None else replace(held, head=ended)

    return parked


def _nobody_at_work(*_: object) -> Task[dict[int, bool]]:
    yield from ()
    return {}


def _stuck_but_deferred(claim: ClaimRow, age: float, ttl: float) -> bool:
    return claim.state is not ClaimState.DEFERRED and revive_stuck(claim, age, ttl)


def _due_at_once(row: ClaimRow, verdict: Standing) -> Standing:
    return Standing.DUE if row.state is ClaimState.DEFERRED else verdict


def _counted_by_attempt(*args: Any, **kwargs: Any) -> Job:
    """A job that is another one after a takeover."""
    job = sound_job_of(*args, **kwargs)
    return msgspec.structs.replace(job, retries=job.attempt)


def _ended_at_once(_: ProcessMemory, __: Plan, ___: RunInfo, lease_: Lease, ____: object) -> Task[None]:
    yield from give_back.give_back(lease_, claims.called_off(lease_.claim))


def _never(*_: object) -> Task[bool]:
    yield from ()
    return False


def _leave_nothing(*_: object) -> None:
    """What was taken for the output of a step that another execution decides is built on all the same."""


MUTANTS: Mapping[str, Mutant] = {
    "a child outlives its parent": Mutant(
        "the end of a run does not end the runs that its steps have become",
        ((ending, "_end_children", _nothing), (sweep, "_is_unwanted", _never)),
        outliving,
    ),
    "works on for nobody": Mutant(
        "a run is forgotten while a service works for one of its steps",
        ((ending, "at_work", _nobody_at_work), (sweep, "_call_off", _nothing)),
        forgetful,
    ),
    "called off in name": Mutant(
        "a step is said to be called off, and the service is not asked",
        ((call_off, "_end", _ended_at_once),),
        remote,
    ),
    "looks are not swept": Mutant(
        "a step whose next look is lost is not looked at again",
        ((revive, "_stuck", _stuck_but_deferred),),
        forgetful,
    ),
    "looks at once": Mutant(
        "a claim is looked at before that is due",
        ((take, "standing", _standing(_due_at_once)),),
        remote,
    ),
    "a takeover submits anew": Mutant(
        "who takes a step over from the dead submits another job",
        ((execute, "job_of", _counted_by_attempt), (call_off, "job_of", _counted_by_attempt)),
        remote,
    ),
    "starts before it parks": Mutant(
        "the run that a step becomes is started before its claim says so",
        ((execute, "_park", _starts_at_once(execute._park)),),
        nested,
    ),
    "joins before the end": Mutant(
        "a step is joined while the run that it became goes on",
        ((children, "parked", _joins_at_once(children.parked)),),
        nested,
    ),
    "waits for ever": Mutant(
        "a step whose child's last message is lost is not sent again",
        ((revive, "_waits_in_vain", _never),),
        nested,
    ),
    "waits for the dead": Mutant(
        "who is making what a step needs is never thought dead",
        ((consult, "_look_at", _never_dead),),
        sharing,
    ),
    "builds on what was not taken": Mutant(
        "a step is reused although the step above it is made anew",
        ((complete, "_leave_lost", _leave_nothing),),
        sharing,
    ),
    "takes over the living by reuse": Mutant(
        "an earlier result is written over a claim",
        ((complete, "Insert", _upsert),),
        sharing,
    ),
    "result without fence": Mutant(
        "a result is written whoever holds the claim",
        ((complete, "Merge", _merge_without(_is_claim)),),
    ),
    "head without fence": Mutant(
        "results go to the head without its etag",
        ((complete, "Merge", _merge_without(_is_head)),),
    ),
    "combine without fence": Mutant(
        "the inbox is entered in the head without its etag",
        ((combine, "Merge", _merge_without(_is_head)),),
    ),
    "takeover without fence": Mutant(
        "a claim is taken over without its etag",
        ((take, "Merge", _merge_without(_is_claim)),),
    ),
    "claim without asking": Mutant(
        "a claim is written over the one that is there",
        ((take, "Insert", _upsert),),
    ),
    "takes over the living": Mutant(
        "any message frees a claim that is held",
        ((take, "standing", _standing(_free_if_running)), (poison, "standing", _standing(_free_if_running))),
    ),
    "never takes over": Mutant(
        "a claim is for ever",
        ((take, "standing", _standing(_never_free)),),
    ),
    "runs the settled again": Mutant(
        "a duplicate of a finished step claims it",
        ((take, "standing", _standing(_free_when_settled)),),
    ),
    "zombie adopts": Mutant(
        "a completion whose claim was taken over goes on with the new etag",
        ((complete, "_recheck", _adopt_anything),),
    ),
    "zombie beats": Mutant(
        "a heartbeat after a takeover adopts the claim",
        ((lease, "owns", _own_anything),),
    ),
    "no inbox row": Mutant(
        "a result goes to its claim, and nothing tells the head",
        ((complete, "Commit", _commit_of(lambda write: not isinstance(write, Insert))),),
    ),
    "inbox emptied without head": Mutant(
        "inbox rows are deleted, and not entered in the head",
        ((combine, "Commit", _commit_of(lambda write: isinstance(write, Delete))),),
    ),
    "head without claim": Mutant(
        "the head says done before the result is committed",
        ((complete, "Commit", _commit_of(lambda write: not _is_claim(write.rk))),),
    ),
    "send before commit": Mutant(
        "children are sent before the result is committed",
        ((execute, "_finish", _send_first(execute._finish)),),
    ),
    "no second wind": Mutant(
        "neither a message that comes back nor the sweep resends what was lost",
        tuple((module, "standing_still", _nobody) for module in (deliver, start, sweep)),
    ),
    "no combining on recovery": Mutant(
        "an inbox row whose writer died stays",
        ((deliver, "combine", _nothing), (sweep, "combine", _nothing)),
    ),
    "sweep sends once": Mutant(
        "what the sweep has sent again and is lost again stays lost",
        ((index, "look", _only_once),),
    ),
    "sweep gives up": Mutant(
        "the sweep drops a run that stands still",
        ((sweep, "_look_at", _young_enough(sweep._look_at)),),
    ),
    "forgets descendants": Mutant(
        "a failure skips nothing",
        ((heads, "_given_up", _no_descendants),),
    ),
    "any parent will do": Mutant(
        "a step is ready when one of its parents is done",
        ((heads, "_newly_ready", _any_parent),),
    ),
    "silence is success, combining": Mutant(
        "an unanswered head swap counts as applied",
        tuple((module, "combine", _believing(combine.combine)) for module in (complete, deliver, sweep)),
    ),
    "silence is success, cancelling": Mutant(
        "an unanswered cancel counts as applied",
        ((simulation, "cancel", _believing(cancel.cancel)),),
    ),
    "silence is success, starting": Mutant(
        "an unanswered creation counts as an existing run",
        ((start, "_again", _created_anyway),),
    ),
    "completes what has ended": Mutant(
        "a result is written to a run that is over",
        ((complete, "_commit", _ignore_the_end),),
    ),
    "off the list too early": Mutant(
        "a run leaves the sweep's list before its head is terminal",
        ((complete, "_to_head", _finish_early(complete._to_head)),),
    ),
    "old heads are trusted": Mutant(
        "a remembered head is believed for ever",
        ((deliver, "recent_head", _trust_for_ever),),
    ),
    "a notice is a message": Mutant(
        "who is to be told of a run's end is not kept",
        ((outbox, "announce", _only_messages),),
    ),
    "notices are not swept": Mutant(
        "a webhook whose message is lost is never told",
        ((outbox, "sweep", _nobody),),
    ),
    "off the list before the notices": Mutant(
        "a run is off the sweep's list before its notices are kept",
        ((ending, "finish", _leave_first(ending.finish)),),
    ),
    "out of the outbox first": Mutant(
        "a notice is taken out of the outbox before what became of it is kept",
        ((outbox, "settle", _forget_first),),
    ),
    "verdicts are replaced": Mutant(
        "a batch of verdicts loses one",
        ((complete, "fold", _fold_over(heads.fold)), (combine, "fold", _fold_over(heads.fold))),
    ),
}

"""Start a run, exactly once for its id.

The order is head, index, roots, acknowledgement: a start that dies before its acknowledgement may be repeated, and a
run that is in the index is driven by the sweep even if its roots were never sent.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from orchestrator.core import run as runs
from orchestrator.core.errors import Conflict, Unavailable
from orchestrator.core.head import Head, ready
from orchestrator.core.message import StepMessage
from orchestrator.core.plan import Plan, bits
from orchestrator.core.run import RunInfo
from orchestrator.engine import ending, index
from orchestrator.engine.computes import learn
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import definition_blob, fresh_head, messages_for
from orchestrator.engine.revive import standing_still
from orchestrator.engine.rows import HEAD, INFO, RUNS, VERSION, head_props
from orchestrator.ports import Commit, Get, Insert, Monotonic, Refused, Task, Unanswered, WriteBlob


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """`created` is False when the run was there already. The caller sends `messages`, then acknowledges."""

    created: bool
    info: RunInfo
    messages: tuple[StepMessage, ...]


def start(memory: ProcessMemory, info: RunInfo, plan: Plan, document: bytes | None = None) -> Task[Started]:
    """Create the run `info.id`. `document`, the definition's bytes, is stored first where that is not done yet.

    Raises Conflict when the id belongs to a run that was asked for differently, Unavailable when it is not known
    whether the run was created: repeat the call with the same id.
    """
    if document is not None:
        yield from WriteBlob(name=definition_blob(plan.address), data=document)
    memory.plans.put(plan.address, plan)
    yield from learn(memory, plan)
    head = Head(keep_going=info.keep_going, window=info.window, priority=info.priority)
    rows = (
        Insert(rk=INFO, props={"v": VERSION, "info": runs.encode(info)}),
        Insert(rk=HEAD, props=head_props(head)),
    )
    try:
        etags = yield from Commit(table=RUNS, pk=info.id, writes=rows)
    except (Refused, Unanswered):
        return (yield from _again(memory, info, plan))
    memory.infos.put(info.id, info)
    now = yield from Monotonic()
    memory.remember(info.id, head, etags[1], now)
    yield from index.enter(info)
    messages = yield from messages_for(memory, plan, info.id, ready(plan, head))
    return Started(created=True, info=info, messages=messages)


def _again(memory: ProcessMemory, info: RunInfo, plan: Plan) -> Task[Started]:
    """The run may be there already, from an earlier call or from the write whose answer was lost."""
    row = yield from Get(table=RUNS, pk=info.id, rk=INFO)
    if row is None:
        raise Unavailable(f"Run {info.id} may not have been created: storage gave no answer. Send the request again.")
    there = runs.decode(str(row.props["info"]))
    _same_request(there, info)
    memory.infos.put(info.id, there)
    known = yield from fresh_head(memory, info.id)
    if known is None:
        return Started(created=False, info=there, messages=())
    if known.head.status.terminal:
        # Whoever ended it may have died before the list of runs said so, or before it was listed at all.
        yield from ending.finish(memory, info.id, known.head.status)
        return Started(created=False, info=there, messages=())
    yield from index.enter(there)
    open_now = set(ready(plan, known.head))
    still = yield from standing_still(memory, info.id, tuple(root for root in plan.roots if root in open_now))
    messages = yield from messages_for(memory, plan, info.id, tuple(bits(still)))
    return Started(created=False, info=there, messages=messages)


def _same_request(there: RunInfo, asked: RunInfo) -> None:
    """Tags and properties may have been changed since, the time always differs, and whoever asks again has the run
    that is there; the rest must agree.
    """
    neutral = {"submitted_at": 0.0, "started_by": "", "steps_allowed": 0, "tags": {}, "properties": {}}
    if msgspec.structs.replace(there, **neutral) != msgspec.structs.replace(asked, **neutral):
        raise Conflict(
            f"Run {asked.id} exists already and was started with another pipeline, experiment or parameters. "
            "Use another run id or Idempotency-Key.",
            field="run_id",
        )

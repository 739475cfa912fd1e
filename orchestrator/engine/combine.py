"""Enter the inbox of a run in its head. Whoever does it does it for everybody (flat combining).

Inbox rows are verdicts already committed beside their claims; here they become bits of the head, in one transaction
that also deletes them. A lost race costs a query, never a verdict.
"""

from __future__ import annotations

from orchestrator.core.errors import Unavailable
from orchestrator.core.head import fold, follows
from orchestrator.core.plan import Plan
from orchestrator.engine import ending
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import note_head
from orchestrator.engine.rows import HEAD, HEAD_AND_INBOX, RUNS, head_props, read_inbox
from orchestrator.ports import Commit, Delete, Merge, Monotonic, Pause, Query, Refused, Row, Task, Unanswered, Write

_MOST_ROWS = 99
_TRIES = 40


def combine(memory: ProcessMemory, plan: Plan, run: str, mine: frozenset[int] | None = None) -> Task[tuple[int, ...]]:
    """Empty the inbox into the head. Returns the steps that the caller must send.

    With `mine`, the steps whose verdicts the caller has just put there: it may leave as soon as none of them is left,
    for then another has entered them and sends what follows. Raises Unavailable if the race is lost too often.
    """
    ready_now: tuple[int, ...] = ()
    in_doubt = False
    for attempt in range(_TRIES):
        if attempt or mine is not None:
            yield from Pause(at_most=memory.settings.combine_pause)
        rows = yield from Query(table=RUNS, pk=run, first=HEAD_AND_INBOX[0], last=HEAD_AND_INBOX[1])
        if not rows or rows[0].rk != HEAD:
            return ()
        known = yield from note_head(memory, run, rows[0])
        inbox = rows[1 : 1 + _MOST_ROWS]
        if known.head.status.terminal:
            if (yield from _discard(run, inbox)) and len(rows) <= 1 + _MOST_ROWS:
                return ()
            continue
        ours_left = mine is None or any(read_inbox(row).step in mine for row in inbox)
        if not inbox or not ours_left:
            # After a lost answer it may have been our write that emptied the inbox: then nobody else sends.
            doubtful = follows(plan, known.head, mine or ()) if in_doubt else ()
            return tuple(sorted({*ready_now, *doubtful}))
        head, newly = fold(plan, known.head, [read_inbox(row) for row in inbox])
        writes: list[Write] = [Merge(rk=HEAD, props=head_props(head), etag=known.etag)]
        writes += [Delete(rk=row.rk, etag=row.etag) for row in inbox]
        try:
            etags = yield from Commit(table=RUNS, pk=run, writes=tuple(writes))
        except Refused:
            continue
        except Unanswered:
            in_doubt = True
            mine = frozenset(read_inbox(row).step for row in inbox) | (mine or frozenset())
            continue
        now = yield from Monotonic()
        memory.remember(run, head, etags[0], now)
        ready_now += newly
        if head.status.terminal:
            yield from ending.finish(memory, run, head.status)
            return ()
        if len(rows) <= 1 + _MOST_ROWS:
            return ready_now
    raise Unavailable(f"Run {run} is written by too many at once. The message will come back.")


def _discard(run: str, inbox: tuple[Row, ...]) -> Task[bool]:
    """A run that has ended takes no more verdicts. False: look again.

    A refusal says that somebody else discards them too, but he may have seen fewer.
    """
    if not inbox:
        return True
    try:
        yield from Commit(table=RUNS, pk=run, writes=tuple(Delete(rk=row.rk, etag=row.etag) for row in inbox))
    except (Refused, Unanswered):
        return False
    return True

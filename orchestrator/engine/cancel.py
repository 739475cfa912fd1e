"""Cancel a run: one conditional write of its head. What runs notices within seconds; nothing new starts."""

from __future__ import annotations

from orchestrator.core.errors import Unavailable, UnknownThing
from orchestrator.core.head import cancel as canceled
from orchestrator.core.states import RunStatus
from orchestrator.engine import index
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import fresh_head
from orchestrator.engine.rows import HEAD, RUNS, head_props
from orchestrator.ports import Commit, Merge, Monotonic, Pause, Refused, Task, Unanswered

_TRIES = 40


def cancel(memory: ProcessMemory, run: str) -> Task[RunStatus]:
    """Cancel the run and return its status: Canceled, or the status it had ended with before.

    Raises UnknownThing when there is no such run, Unavailable when its head moves too fast to be caught.
    """
    for attempt in range(_TRIES):
        if attempt:
            yield from Pause(at_most=memory.settings.combine_pause)
        known = yield from fresh_head(memory, run)
        if known is None:
            raise UnknownThing(f"There is no run {run}.", field="run_id")
        if known.head.status.terminal:
            yield from index.finish(memory, run, known.head.status)
            return known.head.status
        head = canceled(known.head)
        try:
            (etag,) = yield from Commit(
                table=RUNS, pk=run, writes=(Merge(rk=HEAD, props=head_props(head), etag=known.etag),)
            )
        except (Refused, Unanswered):
            continue
        now = yield from Monotonic()
        memory.remember(run, head, etag, now)
        yield from index.finish(memory, run, head.status)
        return head.status
    raise Unavailable(f"Run {run} moves too fast to be cancelled just now. Try again.")


def is_over(memory: ProcessMemory, run: str) -> Task[bool]:
    """Whether a step of this run that is being executed should stop. One read, unless memory knows the end."""
    known = memory.head(run)
    if known is None or not known.head.status.terminal:
        known = yield from fresh_head(memory, run)
    return known is None or known.head.status.terminal

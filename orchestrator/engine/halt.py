"""Write Canceled in the head of a run, and nothing else."""

from __future__ import annotations

from orchestrator.core.errors import Unavailable
from orchestrator.core.head import cancel as canceled
from orchestrator.core.states import RunStatus
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import fresh_head
from orchestrator.engine.rows import HEAD, RUNS, head_props
from orchestrator.ports import Commit, Merge, Monotonic, Pause, Refused, Task, Unanswered

_TRIES = 40


def halt(memory: ProcessMemory, run: str) -> Task[RunStatus | None]:
    """End the run, and return its status: Canceled, or the status it had ended with before. None: there is no such run.

    Raises Unavailable when its head moves too fast to be caught.
    """
    for attempt in range(_TRIES):
        if attempt:
            yield from Pause(at_most=memory.settings.combine_pause)
        known = yield from fresh_head(memory, run)
        if known is None:
            return None
        if known.head.status.terminal:
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
        return head.status
    raise Unavailable(f"Run {run} moves too fast to be cancelled just now. Try again.")

"""Writes that may be repeated, so that silence is no reason to give up."""

from __future__ import annotations

from orchestrator.core.errors import Unavailable
from orchestrator.ports import Commit, Refused, Task, Unanswered, Write

TRIES = 3


def ensure(table: str, pk: str, write: Write) -> Task[bool]:
    """A write of which refused means that it is done already, and silence that it is tried again.

    False: it was refused. Raises Unavailable.
    """
    for _ in range(TRIES):
        try:
            yield from Commit(table=table, pk=pk, writes=(write,))
        except Refused:
            return False
        except Unanswered:
            continue
        return True
    raise Unavailable("Table storage did not answer. Try again.")

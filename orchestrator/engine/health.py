"""Whether storage answers, and how far the service lags behind what is asked of it.

Asked often, by monitors and by anybody: what one process has found is good for a few seconds.
"""

from __future__ import annotations

from typing import Final

from orchestrator.core.errors import MillstreamError
from orchestrator.engine.index import INDEX
from orchestrator.engine.memory import Lag, ProcessMemory
from orchestrator.engine.rows import VERSION
from orchestrator.executions import CountMessages
from orchestrator.ports import Acquire, Commit, Get, Monotonic, Release, Task, Upsert

KEPT_FOR: Final = 3.0
"""Seconds."""
_SERVICE: Final = "service"
_SWEPT: Final = "swept"


def note_swept() -> Task[None]:
    """The sweep has come to its end. Raises Unavailable, Unanswered."""
    yield from Commit(table=INDEX, pk=_SERVICE, writes=(Upsert(rk=_SWEPT, props={"v": VERSION}),))


def look(memory: ProcessMemory) -> Task[Lag | None]:
    """None: storage does not answer. At most `KEPT_FOR` seconds old."""
    known = yield from _known(memory)
    if known is not None:
        return known[0]
    yield from Acquire(key="health")
    known = yield from _known(memory)
    if known is None:
        lag = yield from _ask(memory.settings.queue)
        known = (lag, (yield from Monotonic()))
        memory.lag.put(_SERVICE, known)
    yield from Release(key="health")
    return known[0]


def _known(memory: ProcessMemory) -> Task[tuple[Lag | None, float] | None]:
    now = yield from Monotonic()
    known = memory.lag.get(_SERVICE)
    return known if known is not None and now - known[1] <= KEPT_FOR else None


def _ask(queue: str) -> Task[Lag | None]:
    try:
        swept = yield from Get(table=INDEX, pk=_SERVICE, rk=_SWEPT)
        waiting = yield from CountMessages(queue=queue)
    except MillstreamError:
        return None
    return Lag(steps=round(waiting.oldest, 1), sweep=None if swept is None else swept.age)

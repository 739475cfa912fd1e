"""The log of a step, while it runs and after, whole or from an offset."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.claim import ClaimRow
from orchestrator.core.names import RUN_ID
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import decode_result, load_plan, read_info, recent_head
from orchestrator.engine.rows import RUNS, claim_key, read_claim
from orchestrator.engine.stepview import position_of
from orchestrator.engine.view import unknown_run
from orchestrator.files import SYSTEM, FileSize, Part, ReadPart
from orchestrator.ports import Get, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """`data` begins at byte `start` of the log of attempt `attempt` (0: none yet); ask on at `next`.

    `complete`: the step has ended, and nothing follows `data`.
    """

    data: bytes
    start: int
    next: int
    complete: bool
    attempt: int


def read_log(memory: ProcessMemory, run: str, step: str, *, offset: int, limit: int) -> Task[LogPart]:
    """At most `limit` bytes of the log from `offset`; a negative offset counts from the end.

    An offset beyond the end (a retry begins a new log) is answered from the end. Raises UnknownThing.
    """
    info = (yield from read_info(memory, run)) if RUN_ID.allows(run) else None
    if info is None:
        raise unknown_run(run)
    plan = yield from load_plan(memory, info.definition)
    position = position_of(plan, step)
    # The run's end first, then the claim, then the log: what was printed before an end that is seen is seen as well.
    known = yield from recent_head(memory, run, 0)
    over = known is not None and known.head.status.terminal
    row = yield from Get(table=RUNS, pk=run, rk=claim_key(position))
    if row is None:
        return LogPart(data=b"", start=0, next=0, complete=over, attempt=0)
    claim = read_claim(row)
    name = yield from _log_name(run, step, claim)
    part = (yield from _read(name, offset, limit)) if name else None
    over = over or claim.state.final
    if part is None:
        return LogPart(data=b"", start=0, next=0, complete=over, attempt=claim.attempt)
    start, data, size = part
    if not (over and start + len(data) >= size):
        data = whole_characters(data)
    end = start + len(data)
    return LogPart(data=data, start=start, next=end, complete=over and end >= size, attempt=claim.attempt)


def whole_characters(data: bytes) -> bytes:
    """`data` without a UTF-8 character that is cut off at its end; what follows will bring it whole."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0b1100_0000 != 0b1000_0000:
            length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return data[:-back] if length > back and back < len(data) else data
    return data


def _log_name(run: str, step: str, claim: ClaimRow) -> Task[str | None]:
    """Where the log of the claim's attempt lies; None when it has ended without one."""
    if claim.looks or claim.state.final:
        return (yield from decode_result(claim)).log
    return f"runs/{run}/{step}/{claim.attempt}-{claim.owner}/log.txt"


def _read(name: str, offset: int, limit: int) -> Task[tuple[int, bytes, int] | None]:
    """(start, bytes, size of the whole), or None when nothing has been written yet."""
    start = offset
    if offset < 0:
        size = yield from FileSize(container=SYSTEM, name=name)
        start = max(0, (size or 0) + offset)
    part: Part | None = yield from ReadPart(container=SYSTEM, name=name, start=start, limit=limit)
    return None if part is None else (min(start, part.size), part.data, part.size)

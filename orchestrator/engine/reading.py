"""Reading a run: its plan, info, head and results, from memory where that is safe, else from storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from orchestrator.core import dataset as datasets
from orchestrator.core import definition as definitions
from orchestrator.core import result as results
from orchestrator.core import run as runs
from orchestrator.core.claim import ClaimRow
from orchestrator.core.dataset import DatasetDocument
from orchestrator.core.errors import Broken, MillstreamError
from orchestrator.core.message import Messages, StepMessage
from orchestrator.core.plan import Plan
from orchestrator.core.priority import USUAL
from orchestrator.core.result import StepResult
from orchestrator.core.run import RunInfo
from orchestrator.engine.computes import learn, queue_for
from orchestrator.engine.memory import Known, ProcessMemory
from orchestrator.engine.rows import HEAD, INFO, RUNS, claim_key, read_claim, read_head, step_of
from orchestrator.ports import Acquire, Get, Monotonic, Query, ReadBlob, Release, Row, Task

T = TypeVar("T")

_CLOSE = 10


def definition_blob(address: str) -> str:
    return f"definitions/{address}.json"


def load_plan(memory: ProcessMemory, address: str) -> Task[Plan]:
    """The plan at a content address. Raises Broken when the document is gone or is not what its address says."""

    def fetch() -> Task[Plan]:
        document = yield from ReadBlob(name=definition_blob(address))
        if document is None or definitions.address(document) != address:
            raise Broken(f"The definition {address} is missing from storage or damaged.")
        plan = Plan(address=address, definition=definitions.decode(document))
        memory.plans.put(address, plan)
        return plan

    plan = yield from _once(f"plan/{address}", lambda: memory.plans.get(address), fetch)
    yield from learn(memory, plan)
    return plan


def dataset_blob(id_: str) -> str:
    return f"datasets/{id_}.json"


def load_dataset(memory: ProcessMemory, id_: str) -> Task[DatasetDocument | None]:
    """The saved dataset with this id, or None. Raises Broken when the document is not what its id says."""

    def fetch() -> Task[DatasetDocument | None]:
        found = yield from ReadBlob(name=dataset_blob(id_))
        if found is None:
            return None
        document = datasets.decode(found)
        if datasets.address(document) != id_:
            raise Broken(f"The dataset {id_} is damaged.")
        memory.datasets.put(id_, document)
        return document

    return (yield from _once(f"dataset/{id_}", lambda: memory.datasets.get(id_), fetch))


def load_manifest(memory: ProcessMemory, snapshot: str) -> Task[dict[str, str]]:
    """The files of a source folder, path -> sum. Raises Broken when the list is gone."""

    def fetch() -> Task[dict[str, str]]:
        document = yield from ReadBlob(name=f"snapshots/{snapshot}.json")
        if document is None:
            raise Broken(f"The list of files of the source folder {snapshot} is missing from storage.")
        files = {entry.path: entry.sha256 for entry in _manifest(document)}
        memory.manifests.put(snapshot, files)
        return files

    return (yield from _once(f"manifest/{snapshot}", lambda: memory.manifests.get(snapshot), fetch))


class _ManifestEntry(msgspec.Struct, frozen=True):
    path: str
    sha256: str


_manifest = msgspec.json.Decoder(tuple[_ManifestEntry, ...]).decode


def read_info(memory: ProcessMemory, run: str) -> Task[RunInfo | None]:
    """What the run was asked to do. Remembered: tags apart, it never changes."""

    def fetch() -> Task[RunInfo | None]:
        row = yield from Get(table=RUNS, pk=run, rk=INFO)
        if row is None:
            return None
        info = runs.decode(str(row.props["info"]))
        memory.infos.put(run, info)
        return info

    return (yield from _once(f"info/{run}", lambda: memory.infos.get(run), fetch))


def _once(key: str, remembered: Callable[[], T | None], fetch: Callable[[], Task[T]]) -> Task[T]:
    """What memory holds, or else what one task fetches while the others of this process wait for it."""
    found = remembered()
    if found is not None:
        return found
    yield from Acquire(key=key)
    try:
        found = remembered()
        if found is None:
            found = yield from fetch()
    except MillstreamError:
        # The sweep goes on to the next run in the same task, and may come here again.
        yield from Release(key=key)
        raise
    yield from Release(key=key)
    return found


def fresh_head(memory: ProcessMemory, run: str) -> Task[Known | None]:
    """The head as it is in storage now."""
    row = yield from Get(table=RUNS, pk=run, rk=HEAD)
    if row is None:
        return None
    return (yield from note_head(memory, run, row))


def note_head(memory: ProcessMemory, run: str, row: Row) -> Task[Known]:
    """Remember a head that was just read."""
    now = yield from Monotonic()
    known = Known(read_head(row), row.etag, now)
    memory.remember(run, known.head, known.etag, now)
    return known


def recent_head(memory: ProcessMemory, run: str, parents: int) -> Task[Known | None]:
    """A head not older than `head_age` that knows that `parents` have ended.

    The message that brought us here was sent after the parents were committed, so a head without them is stale.
    """
    now = yield from Monotonic()
    return (
        yield from _once(f"head/{run}", lambda: _believable(memory, run, parents, now), lambda: fresh_head(memory, run))
    )


def _believable(memory: ProcessMemory, run: str, parents: int, now: float) -> Known | None:
    known = memory.head(run)
    if known is None:
        return None
    young = now - known.seen_at <= memory.settings.head_age
    return known if known.head.status.terminal or (young and not parents & ~known.head.ended) else None


def step_result(memory: ProcessMemory, run: str, position: int) -> Task[StepResult]:
    """The committed result of a step that is done. Raises Broken if there is none."""
    found = memory.results.get((run, position))
    if found is None:
        row = yield from Get(table=RUNS, pk=run, rk=claim_key(position))
        if row is None or not read_claim(row).state.final:
            raise Broken(f"Step {position} of run {run} is marked done but has no result.")
        found = yield from decode_result(read_claim(row))
        memory.results.put((run, position), found)
    return found


def load_results(memory: ProcessMemory, run: str, positions: set[int]) -> Task[None]:
    """Bring the results of these finished steps into memory: one query, where several lie close together."""
    missing = sorted(position for position in positions if memory.results.get((run, position)) is None)
    if len(missing) < 2 or missing[-1] - missing[0] > _CLOSE * len(missing):
        return
    first, last = claim_key(missing[0]), claim_key(missing[-1] + 1)
    rows = yield from Query(table=RUNS, pk=run, first=first, last=last)
    for row in rows:
        if step_of(row.rk) in missing and read_claim(row).state.final:
            result = yield from decode_result(read_claim(row))
            memory.results.put((run, step_of(row.rk)), result)


def decode_result(claim: ClaimRow) -> Task[StepResult]:
    """The result a claim holds, in the row or in a blob of its own."""
    return (yield from read_result(claim.result, claim.result_blob))


def read_result(inline: str, blob: str) -> Task[StepResult]:
    """A result from its JSON, or, if `blob` is given, from the blob of that name. Raises Broken when that is gone."""
    document: bytes | None = inline.encode()
    if blob:
        document = yield from ReadBlob(name=blob)
        if document is None:
            raise Broken(f"The result {blob} is missing from storage.")
    return results.decode(document or b"{}")


def messages_for(memory: ProcessMemory, plan: Plan, run: str, steps: tuple[int, ...]) -> Task[Messages]:
    """The messages that drive these steps, in the order in which they are to be sent."""
    if not steps:
        return ()
    info = yield from read_info(memory, run)
    usual = USUAL if info is None else info.priority
    return tuple(
        StepMessage(run=run, definition=plan.address, position=step, queue=queue_for(memory, plan.step(step), usual))
        for step in plan.in_order(steps, usual)
    )

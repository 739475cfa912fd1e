"""The files that the steps of a run have committed, page by page, with URLs to read them.

What a step has committed never changes, so a place in it is a position of a step and the number of a file. A step that
ends while somebody turns the pages may be before or behind the place that was reached.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import msgspec

from orchestrator.core.claim import ClaimRow
from orchestrator.core.errors import Conflict, InvalidRequest
from orchestrator.core.plan import Plan
from orchestrator.core.result import File, OutputData, StepResult
from orchestrator.core.states import ClaimState
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import decode_result
from orchestrator.engine.stepview import position_of
from orchestrator.engine.view import look
from orchestrator.files import SYSTEM, SignDownload
from orchestrator.ports import Task

What = Literal["all", "outputs", "artifacts"]

_CONTINUATION: Final = re.compile(r"(\d{1,6})\.(\d{1,9})", re.ASCII)


class SignedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A committed file and a URL, good for minutes, to read it. `path` is "" for an output that is itself a file."""

    path: str
    size: int
    sha256: str
    url: str


class OutputView(msgspec.Struct, frozen=True, kw_only=True):
    """What lies under an output port: blobs below `prefix` of the datastore, or, if `is_file`, the blob `prefix`.

    `files`: those of this page; `total_files` and `total_size` (bytes) are of all pages. `destination`: where else in
    the datastore copies of them were put. `dataset`: the id of the dataset that the output is, if it is a link and has
    no files.
    """

    datastore: str
    prefix: str
    is_file: bool
    files: tuple[SignedFile, ...]
    total_files: int
    total_size: int
    destination: str | None = None
    dataset: str | None = None


class StepOutputs(msgspec.Struct, frozen=True, kw_only=True):
    """The outputs of a step by port, and what its script left in ./outputs or uploaded, as far as this page has it."""

    outputs: dict[str, OutputView]
    artifacts: tuple[SignedFile, ...]
    total_artifacts: int


class OutputsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Step id -> what it committed. `continuation` asks for what follows; None: that was all."""

    steps: dict[str, StepOutputs]
    continuation: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """`datastores`: name -> address of its container; `seconds`: how long a URL is good for; `relay`: the service's own
    URL, for datastores whose credential cannot sign.
    """

    datastores: Mapping[str, str]
    seconds: float
    relay: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """`step`: this one alone; `output`: of this port alone, and no artifacts. `limit`: the most files, and the most
    steps, on a page.
    """

    step: str | None = None
    output: str | None = None
    what: What = "all"
    limit: int = 1000
    continuation: str | None = None


class _Place(NamedTuple):
    """Where a page begins or ends: file number `file` of the step at `position`."""

    position: int
    file: int


class _Heap(NamedTuple):
    """Files that lie together: under the output port `port`, or, if that is None, the artifacts."""

    port: str | None
    container: str
    prefix: str
    files: tuple[File, ...]


def outputs_page(memory: ProcessMemory, run: str, signing: Signing, wish: Wish) -> Task[OutputsPage]:
    """What the steps that have ended committed. A failed step has no outputs, but may have artifacts.

    Raises UnknownThing, InvalidRequest.
    """
    seen = yield from look(memory, run, claims=True)
    wanted = None if wish.step is None else position_of(seen.plan, wish.step)
    place = _begin(seen.plan, wish.continuation)
    ended = [
        (position, claim)
        for position, (claim, _) in sorted(seen.claims.items())
        if position >= place.position
        and wanted in (None, position)
        and claim.state in (ClaimState.DONE, ClaimState.FAILED)
    ]
    steps: dict[str, StepOutputs] = {}
    left = wish.limit
    for position, claim in ended:
        first = place.file if position == place.position else 0
        if not left or len(steps) == wish.limit:
            return OutputsPage(steps=steps, continuation=f"{position}.{first}")
        result = yield from _result(memory, run, position, claim)
        heaps = _heaps(result, signing, wish)
        there = sum(len(heap.files) for heap in heaps)
        page = yield from _signed(heaps, first, first + left, signing)
        steps[seen.plan.step(position).id] = _view(result, page, wish)
        taken = min(left, max(there - first, 0))
        left -= taken
        if first + taken < there:
            return OutputsPage(steps=steps, continuation=f"{position}.{first + taken}")
    return OutputsPage(steps=steps, continuation=None)


def _result(memory: ProcessMemory, run: str, position: int, claim: ClaimRow) -> Task[StepResult]:
    """How a step ended, remembered from one page to the next."""
    found = memory.results.get((run, position))
    if found is None:
        found = yield from decode_result(claim)
        memory.results.put((run, position), found)
    return found


def sign_files(
    container: str, prefix: str, files: Iterable[File], seconds: float, relay: str = ""
) -> Task[tuple[SignedFile, ...]]:
    """Files below `prefix` with URLs to read them."""
    signed: list[SignedFile] = []
    for file in files:
        name = file.name_below(prefix)
        url = yield from SignDownload(container=container, name=name, seconds=seconds, relay=relay)
        signed.append(SignedFile(path=file.path, size=file.size, sha256=file.sha256, url=url))
    return tuple(signed)


def _begin(plan: Plan, continuation: str | None) -> _Place:
    if continuation is None:
        return _Place(0, 0)
    found = _CONTINUATION.fullmatch(continuation)
    if found is None or int(found[1]) >= plan.size:
        raise InvalidRequest(
            "This continuation was not made by the service. Start the list again without it.", field="continuation"
        )
    return _Place(int(found[1]), int(found[2]))


def _heaps(result: StepResult, signing: Signing, wish: Wish) -> list[_Heap]:
    """All files of a step that are wished for, in the order of the pages."""
    heaps = []
    if wish.what != "artifacts":
        for port, data in result.outputs.items():
            # A datastore may have been taken out of the settings since: then its data cannot be reached.
            container = signing.datastores.get(data.datastore)
            if container is not None and wish.output in (None, port):
                heaps.append(_Heap(port, container, data.prefix, data.files))
    if wish.what != "outputs" and wish.output is None:
        heaps.append(_Heap(None, SYSTEM, result.artifact_prefix, result.artifacts))
    return heaps


def _signed(
    heaps: list[_Heap], first: int, last: int, signing: Signing
) -> Task[dict[str | None, tuple[SignedFile, ...]]]:
    """Port (None: artifacts) -> its files among those with the numbers first <= n < last."""
    page: dict[str | None, tuple[SignedFile, ...]] = {}
    for heap in heaps:
        files = heap.files[max(first, 0) : max(last, 0)]
        try:
            page[heap.port] = yield from sign_files(heap.container, heap.prefix, files, signing.seconds, signing.relay)
        except Conflict:
            # The datastore's credential cannot sign: its files are out of reach, the other ones are not.
            page[heap.port] = ()
        first -= len(heap.files)
        last -= len(heap.files)
    return page


def _view(result: StepResult, page: Mapping[str | None, tuple[SignedFile, ...]], wish: Wish) -> StepOutputs:
    ports = {} if wish.what == "artifacts" else result.outputs
    return StepOutputs(
        outputs={
            port: _output(data, page.get(port, ())) for port, data in ports.items() if wish.output in (None, port)
        },
        artifacts=page.get(None, ()),
        total_artifacts=len(result.artifacts),
    )


def _output(data: OutputData, files: tuple[SignedFile, ...]) -> OutputView:
    return OutputView(
        datastore=data.datastore,
        prefix=data.prefix,
        is_file=data.is_file,
        files=files,
        total_files=len(data.files),
        total_size=sum(file.size for file in data.files),
        destination=data.destination or None,
        dataset=data.dataset or None,
    )

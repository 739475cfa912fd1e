"""What the steps of a run have produced so far: metrics, and files with URLs to read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from orchestrator.core.result import LIVE_METRICS, File, Metric, OutputData, StepResult, decode_metrics
from orchestrator.core.states import ClaimState
from orchestrator.engine import script_metrics
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import decode_result
from orchestrator.engine.stepview import position_of
from orchestrator.engine.view import look
from orchestrator.files import SYSTEM, ReadPart, SignDownload
from orchestrator.ports import Task

MOST_LIVE_METRICS = 8 * 1024 * 1024
"""Bytes that are read of what a running script has logged."""


class SignedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A committed file and a URL, good for minutes, to read it. `path` is "" for an output that is itself a file."""

    path: str
    size: int
    sha256: str
    url: str


class OutputView(msgspec.Struct, frozen=True, kw_only=True):
    """What lies under an output port: blobs below `prefix` of the datastore, or, if `is_file`, the blob `prefix`.

    `destination`: where else in the datastore copies of them were put. `dataset`: the id of the dataset that the output
    is, if it is a link and has no files.
    """

    datastore: str
    prefix: str
    is_file: bool
    files: tuple[SignedFile, ...]
    destination: str | None = None
    dataset: str | None = None


class StepOutputs(msgspec.Struct, frozen=True, kw_only=True):
    """The outputs of a step by port, and what its script left in ./outputs or uploaded."""

    outputs: dict[str, OutputView]
    artifacts: tuple[SignedFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """`datastores`: name -> container; `seconds`: how long a URL is good for."""

    datastores: Mapping[str, str]
    seconds: float


def metrics_view(memory: ProcessMemory, run: str) -> Task[dict[str, tuple[Metric, ...]]]:
    """Step id -> the metrics it logged, or, while it runs, has logged until a moment ago. Raises UnknownThing.

    Those that its script gave to its worker come before those that it gave to the service.
    """
    seen = yield from look(memory, run, claims=True)
    given = yield from script_metrics.read(run)
    found: dict[str, tuple[Metric, ...]] = {}
    for position, (claim, _) in sorted(seen.claims.items()):
        step = seen.plan.step(position).id
        if claim.state in (ClaimState.DONE, ClaimState.FAILED):
            metrics = (yield from decode_result(claim)).metrics
        elif claim.state is ClaimState.RUNNING:
            metrics = yield from _live_metrics(f"runs/{run}/{step}/{claim.attempt}-{claim.owner}")
        else:
            continue
        metrics = (*metrics, *given.get((position, claim.owner), ()))
        if metrics:
            found[step] = metrics
    return found


def _live_metrics(prefix: str) -> Task[tuple[Metric, ...]]:
    part = yield from ReadPart(container=SYSTEM, name=f"{prefix}/{LIVE_METRICS}", start=0, limit=MOST_LIVE_METRICS)
    if part is None:
        return ()
    return tuple(decode_metrics(part.data[: part.data.rfind(b"\n") + 1]))


def outputs_view(
    memory: ProcessMemory, run: str, signing: Signing, *, step: str | None = None
) -> Task[dict[str, StepOutputs]]:
    """Step id -> what it committed, for steps that have ended, or for `step` alone. Raises UnknownThing.

    A failed step has no outputs, but may have artifacts.
    """
    results = yield from _results(memory, run, step)
    views: dict[str, StepOutputs] = {}
    for name, result in results:
        outputs: dict[str, OutputView] = {}
        for port, data in result.outputs.items():
            outputs[port] = yield from _output(data, signing)
        artifacts = yield from sign_files(SYSTEM, result.artifact_prefix, result.artifacts, signing.seconds)
        views[name] = StepOutputs(outputs=outputs, artifacts=artifacts)
    return views


def result_of(memory: ProcessMemory, run: str, step: str) -> Task[StepResult | None]:
    """How a step ended; None: it has not. Raises UnknownThing."""
    results = yield from _results(memory, run, step)
    return results[0][1] if results else None


def sign_files(container: str, prefix: str, files: Iterable[File], seconds: float) -> Task[tuple[SignedFile, ...]]:
    """Files below `prefix` with URLs to read them."""
    signed: list[SignedFile] = []
    for file in files:
        name = f"{prefix}/{file.path}" if file.path else prefix
        url = yield from SignDownload(container=container, name=name, seconds=seconds)
        signed.append(SignedFile(path=file.path, size=file.size, sha256=file.sha256, url=url))
    return tuple(signed)


def _output(data: OutputData, signing: Signing) -> Task[OutputView]:
    # A datastore may have been taken out of the settings since: then its data is not reachable, but still listed.
    container = signing.datastores.get(data.datastore)
    files: tuple[SignedFile, ...] = ()
    if container is not None:
        files = yield from sign_files(container, data.prefix, data.files, signing.seconds)
    return OutputView(
        datastore=data.datastore,
        prefix=data.prefix,
        is_file=data.is_file,
        files=files,
        destination=data.destination or None,
        dataset=data.dataset or None,
    )


def _results(memory: ProcessMemory, run: str, step: str | None) -> Task[list[tuple[str, StepResult]]]:
    """(step id, result) of every step that has ended, by position; or of one step, if it has."""
    seen = yield from look(memory, run, claims=True)
    wanted = None if step is None else position_of(seen.plan, step)
    results: list[tuple[str, StepResult]] = []
    for position, (claim, _) in sorted(seen.claims.items()):
        if wanted in (None, position) and claim.state in (ClaimState.DONE, ClaimState.FAILED):
            result = yield from decode_result(claim)
            results.append((seen.plan.step(position).id, result))
    return results

"""How the steps of a run have ended, and the metrics they have logged so far."""

from __future__ import annotations

from orchestrator.core.result import LIVE_METRICS, Metric, StepResult, decode_metrics
from orchestrator.core.states import ClaimState
from orchestrator.engine import script_metrics
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import decode_result
from orchestrator.engine.stepview import position_of
from orchestrator.engine.view import look
from orchestrator.files import SYSTEM, ReadPart
from orchestrator.ports import Task

MOST_LIVE_METRICS = 8 * 1024 * 1024
"""Bytes that are read of what a running script has logged."""


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


def result_of(memory: ProcessMemory, run: str, step: str) -> Task[StepResult | None]:
    """How a step ended; None: it has not. Raises UnknownThing."""
    results = yield from _results(memory, run, step)
    return results[0][1] if results else None


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

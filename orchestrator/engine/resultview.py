"""How the steps of a run have ended, and the metrics they have logged so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.claim import ClaimRow
from orchestrator.core.result import LIVE_METRICS, Metric, StepResult, decode_metrics
from orchestrator.core.states import ClaimState
from orchestrator.engine import script_metrics
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import decode_result
from orchestrator.engine.script_metrics import OUTSIDE, WHOLE_RUN, Logged
from orchestrator.engine.stepview import position_of
from orchestrator.engine.view import look
from orchestrator.files import SYSTEM, ReadPart
from orchestrator.ports import Task

MOST_LIVE_METRICS = 8 * 1024 * 1024
"""Bytes that are read of what a running script has logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsView:
    """`steps`: step id -> what it logged; `run`: what was logged on the run as a whole, from outside."""

    steps: dict[str, tuple[Metric, ...]]
    run: tuple[Metric, ...]


def metrics_view(memory: ProcessMemory, run: str) -> Task[MetricsView]:
    """What was logged, and, by steps that run, until a moment ago. Raises UnknownThing.

    What a script gave to its worker comes before what it gave to the service, and before what came from outside.
    """
    seen = yield from look(memory, run, claims=True)
    given = yield from script_metrics.read(run)
    steps: dict[str, tuple[Metric, ...]] = {}
    for position in range(seen.plan.size):
        step = seen.plan.step(position).id
        metrics: tuple[Metric, ...] = ()
        if position in seen.claims:
            claim, _ = seen.claims[position]
            logged = yield from _logged(run, step, claim)
            metrics = (*logged, *given.get((position, claim.owner), ()))
        metrics = (*metrics, *given.get((position, OUTSIDE), ()))
        if metrics:
            steps[step] = metrics
    return MetricsView(steps=steps, run=tuple(given.get((WHOLE_RUN, OUTSIDE), ())))


def _logged(run: str, step: str, claim: ClaimRow) -> Task[tuple[Metric, ...]]:
    """What the script gave to its worker."""
    if claim.state in (ClaimState.DONE, ClaimState.FAILED):
        return (yield from decode_result(claim)).metrics
    if claim.state is ClaimState.RUNNING:
        return (yield from _live_metrics(f"runs/{run}/{step}/{claim.attempt}-{claim.owner}"))
    return ()


def log_from_outside(memory: ProcessMemory, run: str, step: str, values: Sequence[Logged]) -> Task[None]:
    """Log on a step, or, with "" for it, on the run as a whole. Safe to repeat. Raises UnknownThing, Unavailable."""
    seen = yield from look(memory, run)
    position = position_of(seen.plan, step) if step else WHOLE_RUN
    yield from script_metrics.keep(run, position, OUTSIDE, f"runs/{run}/outside", values)


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

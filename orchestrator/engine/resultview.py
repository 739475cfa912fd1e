"""How the steps of a run have ended, and the metrics they have logged so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core import decision as decisions
from orchestrator.core.claim import ClaimRow
from orchestrator.core.result import LIVE_METRICS, Metric, StepResult, decode_metrics
from orchestrator.core.states import ClaimState
from orchestrator.engine import script_metrics
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import decode_result, load_plan, read_info
from orchestrator.engine.rows import RUNS, claim_key, read_claim
from orchestrator.engine.script_metrics import OUTSIDE, WHOLE_RUN, Logged
from orchestrator.engine.stepview import position_of
from orchestrator.engine.view import look
from orchestrator.files import SYSTEM, ReadPart
from orchestrator.ports import Get, Task

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
    given = {run: (yield from script_metrics.read(run))}
    steps: dict[str, tuple[Metric, ...]] = {}
    for position in range(seen.plan.size):
        step = seen.plan.step(position).id
        metrics: tuple[Metric, ...] = ()
        if position in seen.claims:
            claim, _ = seen.claims[position]
            metrics = yield from _logged(run, step, claim)
            maker = (yield from _maker(memory, claim)) or (run, position, claim.owner)
            if maker[0] not in given:
                given[maker[0]] = yield from script_metrics.read(maker[0])
            metrics = (*metrics, *given[maker[0]].get(maker[1:], ()))
        metrics = (*metrics, *given[run].get((position, OUTSIDE), ()))
        if metrics:
            steps[step] = metrics
    return MetricsView(steps=steps, run=tuple(given[run].get((WHOLE_RUN, OUTSIDE), ())))


def _maker(memory: ProcessMemory, claim: ClaimRow) -> Task[tuple[str, int, str] | None]:
    """(run, position, owner) of the execution whose result the claim has taken; None: the claim's own."""
    decision = decisions.decode(claim.decision) if claim.decision else None
    info = (yield from read_info(memory, decision.from_run)) if decision and decision.from_run else None
    if decision is None or info is None:
        return None
    position = position_of((yield from load_plan(memory, info.definition)), decision.from_step)
    row = yield from Get(table=RUNS, pk=info.id, rk=claim_key(position))
    return None if row is None else (info.id, position, read_claim(row).owner)


def _logged(run: str, step: str, claim: ClaimRow) -> Task[tuple[Metric, ...]]:
    """What the script gave to its worker."""
    if claim.looks or claim.state in (ClaimState.DONE, ClaimState.FAILED):
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

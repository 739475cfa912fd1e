"""What a webhook is told: the run, and how its steps ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from orchestrator.core.states import StepStatus
from orchestrator.core.webhook import Event
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.stepview import StepView, steps_view
from orchestrator.engine.view import RunView, run_view
from orchestrator.ports import Task

MOST_STEPS: Final = 100
_LONGEST_MESSAGE = 1000


class StepEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How a step ended. Times in epoch seconds; `error` is a sentence for people."""

    id: str
    name: str
    status: StepStatus
    attempt: int
    started_at: float | None
    ended_at: float | None
    error: str | None


class RunEnd(msgspec.Struct, frozen=True, kw_only=True):
    """`steps`: the first hundred, those that failed before the others."""

    run: RunView
    steps: tuple[StepEnd, ...]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a call. `timestamp`, as ISO 8601, is when the run ended."""

    type: Event
    timestamp: str
    data: RunEnd


def body_of(memory: ProcessMemory, run: str, event: Event) -> Task[bytes]:
    """The JSON document. Raises UnknownThing."""
    view = yield from run_view(memory, run)
    steps = yield from steps_view(memory, run)
    ended_at = datetime.fromtimestamp(view.ended_at or view.submitted_at, UTC)
    told = Told(type=event, timestamp=ended_at.isoformat(), data=RunEnd(run=view, steps=_shown(steps)))
    return msgspec.json.encode(told)


def _shown(steps: Sequence[StepView]) -> tuple[StepEnd, ...]:
    failed_first = sorted(steps, key=lambda step: (step.status is not StepStatus.FAILED, step.position))
    return tuple(
        StepEnd(
            id=step.id,
            name=step.name,
            status=step.status,
            attempt=step.attempt,
            started_at=step.started_at,
            ended_at=step.ended_at,
            error=step.error.message[:_LONGEST_MESSAGE] if step.error else None,
        )
        for step in failed_first[:MOST_STEPS]
    )

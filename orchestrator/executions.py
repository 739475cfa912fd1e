"""Executions of process and container computes, as effects: what waits for them, which run, starting and stopping one.

Rules every world keeps: starting and listing agree, so that what has been started is listed until it has ended. What
cannot be started, listed or stopped now raises Unavailable; a queue that is not there is an empty one.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.compute import Compute
from orchestrator.ports import Effect


@dataclass(frozen=True, slots=True)
class Backlog:
    """`total` messages, those that executions work on and those that are delayed among them; `visible`: how many can be
    received now, counted up to 32; `oldest`: seconds since the oldest of these was sent."""

    total: int
    visible: int
    oldest: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CountMessages(Effect[Backlog]):
    """How many messages there are, about."""

    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListExecutions(Effect[tuple[str, ...]]):
    """The names of the executions of a compute that have not ended."""

    compute: Compute


@dataclass(frozen=True, slots=True, kw_only=True)
class StartExecution(Effect[str]):
    """Start one more; its name. It takes messages of these queues, of the first ones first."""

    compute: Compute
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopExecution(Effect[None]):
    """Ask an execution to end. One that has ended, or is not known, is left alone."""

    compute: Compute
    name: str

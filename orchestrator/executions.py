"""Executions of process and container computes, as effects: what waits for them, which run, starting and stopping one.

Rules every world keeps: starting and listing agree, so that what has been started is listed until it has ended. What
cannot be started, listed or stopped now raises Unavailable; a queue that is not there is an empty one.
"""

from __future__ import annotations

import msgspec

from orchestrator.core.compute import Compute
from orchestrator.ports import Effect


class Backlog(msgspec.Struct, frozen=True):
    """`total` messages, those that executions work on and those that are delayed among them; `visible`: how many can be
    received now, counted up to 32; `oldest`: seconds since the oldest of these was sent."""

    total: int
    visible: int
    oldest: float = 0.0


class CountMessages(Effect[Backlog], msgspec.Struct, frozen=True, kw_only=True):
    """How many messages there are, about."""

    queue: str


class ListExecutions(Effect[tuple[str, ...]], msgspec.Struct, frozen=True, kw_only=True):
    """The names of the executions of a compute that have not ended."""

    compute: Compute


class StartExecution(Effect[str], msgspec.Struct, frozen=True, kw_only=True):
    """Start one more; its name. It takes messages of these queues, of the first ones first."""

    compute: Compute
    queues: tuple[str, ...]


class StopExecution(Effect[None], msgspec.Struct, frozen=True, kw_only=True):
    """Ask an execution to end. One that has ended, or is not known, is left alone."""

    compute: Compute
    name: str

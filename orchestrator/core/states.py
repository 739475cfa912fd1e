"""The life of a run and of a claim, as data.

A status changes in no other way than by `move`: look up (state, event), get the next state or an error.
The diagram in ARCHITECTURE.md is generated from these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from orchestrator.core.errors import IllegalTransition


class RunStatus(StrEnum):
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def terminal(self) -> bool:
        return self is not RunStatus.RUNNING


class RunEvent(StrEnum):
    START = "start"
    ALL_SUCCEEDED = "all succeeded"
    ALL_ENDED_SOME_FAILED = "all ended, some failed"
    CANCEL = "cancel"


class ClaimState(StrEnum):
    """What the row of a step says about its execution."""

    RUNNING = "running"
    WAITING = "waiting"
    DEFERRED = "deferred"
    RETRYING = "retrying"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    CALLED_OFF = "called off"

    @property
    def final(self) -> bool:
        return self in (ClaimState.DONE, ClaimState.FAILED, ClaimState.SKIPPED, ClaimState.CALLED_OFF)

    @property
    def under_way(self) -> bool:
        """Somebody executes the step, or a child run or a service does its work."""
        return self in (ClaimState.RUNNING, ClaimState.WAITING, ClaimState.DEFERRED)


class ClaimEvent(StrEnum):
    CLAIM = "claim"
    ADOPT = "adopt"
    SKIP = "skip"
    TAKE_OVER = "take over"
    EXPAND = "expand"
    JOIN = "join"
    DEFER = "defer"
    LOOK = "look"
    CALL_OFF = "call off"
    RETRY = "retry"
    RELEASE = "release"
    SUCCEED = "succeed"
    FAIL = "fail"


class StepStatus(StrEnum):
    """What a person is shown of a step; derived from the head and the claim, never stored."""

    NOT_STARTED = "NotStarted"
    QUEUED = "Queued"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    CANCELED = "Canceled"

    @property
    def terminal(self) -> bool:
        return self not in (StepStatus.NOT_STARTED, StepStatus.QUEUED, StepStatus.RUNNING)


RUN_TRANSITIONS: Mapping[tuple[RunStatus | None, RunEvent], RunStatus] = {
    (None, RunEvent.START): RunStatus.RUNNING,
    (RunStatus.RUNNING, RunEvent.ALL_SUCCEEDED): RunStatus.COMPLETED,
    (RunStatus.RUNNING, RunEvent.ALL_ENDED_SOME_FAILED): RunStatus.FAILED,
    (RunStatus.RUNNING, RunEvent.CANCEL): RunStatus.CANCELED,
}

CLAIM_TRANSITIONS: Mapping[tuple[ClaimState | None, ClaimEvent], ClaimState] = {
    (None, ClaimEvent.CLAIM): ClaimState.RUNNING,
    (None, ClaimEvent.ADOPT): ClaimState.DONE,
    (None, ClaimEvent.SKIP): ClaimState.SKIPPED,
    (ClaimState.RETRYING, ClaimEvent.CLAIM): ClaimState.RUNNING,
    (ClaimState.RUNNING, ClaimEvent.TAKE_OVER): ClaimState.RUNNING,
    (ClaimState.RUNNING, ClaimEvent.EXPAND): ClaimState.WAITING,
    (ClaimState.WAITING, ClaimEvent.JOIN): ClaimState.RUNNING,
    (ClaimState.RUNNING, ClaimEvent.DEFER): ClaimState.DEFERRED,
    (ClaimState.DEFERRED, ClaimEvent.LOOK): ClaimState.RUNNING,
    (ClaimState.RUNNING, ClaimEvent.CALL_OFF): ClaimState.CALLED_OFF,
    (ClaimState.RUNNING, ClaimEvent.RETRY): ClaimState.RETRYING,
    (ClaimState.RUNNING, ClaimEvent.RELEASE): ClaimState.RETRYING,
    (ClaimState.RUNNING, ClaimEvent.SUCCEED): ClaimState.DONE,
    (ClaimState.RUNNING, ClaimEvent.FAIL): ClaimState.FAILED,
}

S = TypeVar("S")
E = TypeVar("E")


def move(table: Mapping[tuple[S | None, E], S], state: S | None, event: E) -> S:
    """The state that follows `state` on `event`. Raises IllegalTransition, and changes nothing, if none does."""
    try:
        return table[(state, event)]
    except KeyError:
        raise IllegalTransition(type(event).__name__, state, event) from None

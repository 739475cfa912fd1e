"""Steps that become runs of their own: which run that is, and what its author is told of it in the end."""

from __future__ import annotations

import uuid
from typing import Any, Final

import msgspec

from orchestrator.core.result import StepResult
from orchestrator.core.states import RunStatus, StepStatus
from orchestrator.core.usage import Usage

SOURCE: Final = "step"
"""The `RunInfo.source` of a run that a step became."""
_NAMESPACE: Final = uuid.UUID("0d4c7d0e-7c5f-4a0e-9a44-3f1c8a2f6b51")


def child_id(run: str, position: int, owner: str) -> str:
    """The id of the run that one execution of a step becomes: the same whoever starts it, however often."""
    return str(uuid.uuid5(_NAMESPACE, f"{run}|{position}|{owner}"))


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the child run, and what it left: nothing, if it did not run."""

    id: str
    name: str
    position: int
    status: StepStatus
    result: StepResult


class Children(msgspec.Struct, frozen=True, kw_only=True):
    """The child run when it has ended. `steps` are in the order of its definition.

    `timed_out`: it was canceled since it took longer than it may. `join` is the expansion's. `expanded` is what the
    expanding execution left besides: its log, and what it has read. `used` is what the run and its steps have.
    """

    run: str
    status: RunStatus
    timed_out: bool
    steps: tuple[Child, ...]
    join: dict[str, Any]
    expanded: StepResult
    used: Usage = Usage()

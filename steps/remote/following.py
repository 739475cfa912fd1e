"""One look at a job in its workspace: how it is known from one look to the next, and for how long there is one more."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import msgspec

from orchestrator.core.resolving import resolve_timeout
from steps import looking
from steps.context import StepContext
from steps.deferred import NotYet
from steps.failures import TimedOut

LOOK_PATIENCE: Final = 20.0
"""Seconds for which a service that does not answer is asked again within a look; then the step is left to the next."""
MOST_KEPT_LINES: Final = 20
MOST_KEPT_CHARACTERS: Final = 400


class Handle(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job that was submitted. `job`: its id there. `said`: what was last told of its state. `tail`: the last lines
    of its log that were shown, each cut to what is needed to know it again.
    """

    job: int | str
    said: str = ""
    tail: tuple[str, ...] = ()


def handle_of(context: StepContext) -> Handle | None:
    """The job of this step that was submitted before; None: there is none."""
    known = context.deferred.deferral.handle if context.deferred is not None else {}
    return msgspec.convert(known, Handle) if known else None


def not_yet(context: StepContext, handle: Handle, who: str) -> NotYet:
    """Look again, unless the step has had its time. Raises TimedOut."""
    limit = resolve_timeout(context.job.step, context.job.parameters)
    known = msgspec.to_builtins(handle)
    if limit is None:
        return NotYet(handle=known)
    left = limit - looking.elapsed(context.job, time.monotonic() - context.begun)
    if left <= 0:
        raise TimedOut(f"The {who} run {handle.job} took longer than it may, {limit:g} s, and was cancelled.")
    return NotYet(handle=known, within=left)


def tell(context: StepContext, handle: Handle, who: str, state: str) -> Handle:
    """Say in the log what the state is, if it is another than before."""
    if state == handle.said:
        return handle
    context.log.note(f"{who}: {state}")
    return msgspec.structs.replace(handle, said=state)


def show(context: StepContext, handle: Handle, lines: Sequence[str]) -> Handle:
    """Put into the log those of the last lines of the job's log that were not shown before."""
    for line in fresh(handle.tail, lines):
        context.log.write(f"{line}\n".encode("utf-8", "replace"))
    return msgspec.structs.replace(handle, tail=_kept(lines)) if lines else handle


def fresh(tail: Sequence[str], lines: Sequence[str]) -> tuple[str, ...]:
    """What of `lines` comes after `tail`: the longest end of it with which they begin is not new."""
    known = [line[:MOST_KEPT_CHARACTERS] for line in lines]
    for begin in range(len(tail)):
        same = list(tail[begin:])
        for at in range(len(known) - len(same), -1, -1):
            if known[at : at + len(same)] == same:
                return tuple(lines[at + len(same) :])
    return tuple(lines)


def _kept(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(line[:MOST_KEPT_CHARACTERS] for line in lines[-MOST_KEPT_LINES:])

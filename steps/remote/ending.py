"""Ending a job in its workspace when nobody waits for it any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from steps.context import StepContext
from steps.failures import ServiceFailed, StepFailure, Stopped
from steps.remote.http import Refused
from steps.stop import StopReason


@contextmanager
def ending(context: StepContext, cancel: Callable[[], object]) -> Iterator[None]:
    """Cancel the job if the block fails, or the run is cancelled.

    Not when the lease is lost: then another worker looks after the same job.
    """
    try:
        yield
    except Stopped:
        if context.stop.reason is StopReason.RUN_CANCELLED:
            _cancel(context, cancel)
        raise
    except (StepFailure, Refused):
        _cancel(context, cancel)
        raise


def _cancel(context: StepContext, cancel: Callable[[], object]) -> None:
    try:
        cancel()
    except (ServiceFailed, Refused) as error:
        context.log.note(f"The job could not be cancelled; its own time limit ends it: {error}")

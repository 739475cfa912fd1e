"""Ending a job in its workspace when nobody wants it any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from steps.context import StepContext
from steps.failures import ServiceFailed, StepFailure
from steps.remote.http import Refused


@contextmanager
def ending(context: StepContext, cancel: Callable[[], object]) -> Iterator[None]:
    """Cancel the job if the block fails for good.

    Not when the service did not answer, or the execution is broken off: then somebody else looks after the job.
    """
    try:
        yield
    except ServiceFailed:
        raise
    except (StepFailure, Refused):
        _cancel(context, cancel)
        raise


def _cancel(context: StepContext, cancel: Callable[[], object]) -> None:
    try:
        cancel()
    except (ServiceFailed, Refused) as error:
        context.log.note(f"The job could not be cancelled; its own time limit ends it: {error}")

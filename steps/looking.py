"""What becomes of a look that found nobody: a service, or storage, that does not answer now may answer later."""

from __future__ import annotations

from typing import Final

from orchestrator.core.job import Job
from orchestrator.core.kinds import KINDS
from orchestrator.core.result import Deferral
from steps.deferred import NotYet
from steps.failures import ServiceFailed, StepFailure, StorageFailed

PATIENCE: Final = 900.0
"""Seconds for which a service that does not answer is looked at again."""


_SILENCE: Final = (ServiceFailed, StorageFailed)


def at_work(job: Job) -> bool:
    """Whether a service does the step's work already, so that sources and inputs are not needed any more."""
    return job.deferred is not None and bool(job.deferred.deferral.handle)


def elapsed(job: Job, seconds: float) -> float:
    """Seconds since the service began; `seconds` since this execution did."""
    return seconds + (job.deferred.elapsed if job.deferred is not None else 0.0)


def deferral(said: NotYet) -> Deferral:
    """How the claim keeps what a kind has said."""
    return Deferral(handle=dict(said.handle), after=said.after, within=said.within)


def once_more(job: Job, failure: StepFailure, seconds: float) -> Deferral | None:
    """The next look after one that failed so; None: the failure stands. `seconds` since this execution began."""
    if not (isinstance(failure, _SILENCE) and (at_work(job) or job.called_off)) and not _may_be_submitted(job, failure):
        return None
    before = job.deferred.deferral if job.deferred is not None else Deferral(handle={})
    now = elapsed(job, seconds)
    since = now if before.silent_since is None else before.silent_since
    return None if now - since > PATIENCE else Deferral(handle=before.handle, silent_since=since)


def gives_up(job: Job, failure: StepFailure) -> bool:
    """Whether such a failure ends the step while a service may still do its work."""
    return isinstance(failure, _SILENCE) and at_work(job) and not job.called_off


def _may_be_submitted(job: Job, failure: StepFailure) -> bool:
    """Whether a service was asked to do the work, and nobody knows whether it does."""
    return isinstance(failure, ServiceFailed) and KINDS[job.step.kind].deferrable

"""The errors that users of Millstream meet, as one tree. Those above the line are shared with the service.

MillstreamError                  .code, .message, .field, and .status when the service answered so
├── UserError                    the caller can mend it
│   ├── InvalidRequest
│   │   └── InvalidDefinition    .problems: all of them
│   ├── Unauthorized, UnknownThing, Conflict, TooLarge
├── Unavailable                  the service is not there, or did not answer in time
│   └── TooManyRequests          it is asked too fast, or a quota is met (the code QuotaExceeded): later
├── ServiceFault                 the service has failed, or its answer made no sense
----------------------------------------------------------------------------------------------------
├── ConfigurationError           no workspace, no token: says which file or variable to write (a UserError)
├── TransferError                a file did not arrive as it was sent
├── RunFailed                    .run_id, .status, .failures: the steps that failed, with the end of their logs
│   └── RunCanceled
└── WaitTimeout (TimeoutError)   the run goes on; only the waiting has ended
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.errors import (
    Conflict,
    InvalidDefinition,
    InvalidRequest,
    MillstreamError,
    Problem,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnknownThing,
    UserError,
)

__all__ = [
    "ConfigurationError",
    "Conflict",
    "InvalidDefinition",
    "InvalidRequest",
    "MillstreamError",
    "Problem",
    "RunCanceled",
    "RunFailed",
    "ServiceFault",
    "StepFailure",
    "TooLarge",
    "TooManyRequests",
    "TransferError",
    "Unauthorized",
    "Unavailable",
    "UnknownThing",
    "UserError",
    "WaitTimeout",
]


class TooManyRequests(Unavailable):
    status = 429
    code = "TooManyRequests"


class ServiceFault(MillstreamError):
    status = 500
    code = "InternalError"


class ConfigurationError(UserError):
    code = "NotConfigured"


class TransferError(MillstreamError):
    code = "TransferFailed"


@dataclass(frozen=True, slots=True)
class StepFailure:
    """A step that failed: its name, the reason's code and words, and the end of its log."""

    step: str
    code: str
    message: str
    log_tail: str


class RunFailed(MillstreamError):
    """A run that was waited for has failed. `failures` are the steps that failed by themselves, first one first."""

    code = "RunFailed"

    def __init__(self, run_id: str, status: str, failures: Sequence[StepFailure]) -> None:
        self.run_id = run_id
        self.run_status = status
        self.failures = tuple(failures)
        lines = [f"The run {run_id} is {status}."]
        for failure in self.failures[:5]:
            lines.append(f"Step {failure.step!r}: {failure.message} ({failure.code})")
            lines.extend(f"    {line}" for line in failure.log_tail.splitlines()[-20:])
        if len(self.failures) > 5:
            lines.append(f"... and {len(self.failures) - 5} more steps.")
        super().__init__("\n".join(lines))


class RunCanceled(RunFailed):
    code = "RunCanceled"


class WaitTimeout(MillstreamError, TimeoutError):
    code = "WaitTimeout"

"""The errors Millstream raises on purpose, as one tree.

MillstreamError
├── UserError             the caller can mend it; becomes a 4xx answer
│   ├── InvalidRequest        400  a field is missing, unknown, or of the wrong type
│   │   └── InvalidDefinition 400  a pipeline definition, with every problem found
│   ├── Unauthorized          401  no token, or a wrong one
│   ├── UnknownThing          404  no pipeline, run, step, log or file by that name
│   ├── Conflict              409  the name is taken, or the state forbids it
│   ├── TooLarge              413  a body, a snapshot or a document over its limit
│   └── TooManyRequests       429  requests come faster than is allowed: later
│       └── QuotaExceeded     429  as much is under way as may be: when some of it has ended
├── Unavailable           503  storage did not answer in time: try again
│   └── NewerVersion          503  a newer service has written it: it is left to the newer one
└── Broken                500  a rule of our own was violated: a bug, never the user's fault
    └── IllegalTransition
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class MillstreamError(Exception):
    """Root. `code` is stable and machine-readable; `message` says what to do; `field` names the culprit."""

    status = 500
    code = "InternalError"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class UserError(MillstreamError):
    status = 400
    code = "BadRequest"


class InvalidRequest(UserError):
    code = "InvalidRequest"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a pipeline: where, what, and how to mend it.

    `severity` is "error" or "warning"; only errors stop a submission.
    """

    code: str
    field: str
    message: str
    fix: str
    severity: str = "error"

    def __str__(self) -> str:
        return f"{self.field}: {self.message} {self.fix}".strip()


class InvalidDefinition(InvalidRequest):
    """A pipeline that cannot run. `problems` holds all of them, not only the first."""

    code = "InvalidDefinition"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        super().__init__(f"The pipeline has {count} {noun}:\n{lines}", field=self.problems[0].field)


class Unauthorized(UserError):
    status = 401
    code = "Unauthorized"


class UnknownThing(UserError):
    status = 404
    code = "NotFound"


class Conflict(UserError):
    status = 409
    code = "Conflict"


class TooLarge(UserError):
    status = 413
    code = "TooLarge"


class TooManyRequests(UserError):
    """`retry_after`: seconds after which it is worth asking again."""

    status = 429
    code = "TooManyRequests"

    def __init__(self, message: str, *, field: str | None = None, retry_after: float = 1.0) -> None:
        super().__init__(message, field=field)
        self.retry_after = retry_after


class QuotaExceeded(TooManyRequests):
    code = "QuotaExceeded"

    def __init__(self, message: str, *, field: str | None = None, retry_after: float = 60.0) -> None:
        super().__init__(message, field=field, retry_after=retry_after)


class Unavailable(MillstreamError):
    status = 503
    code = "Unavailable"


class NewerVersion(Unavailable):
    code = "NewerVersion"


class Broken(MillstreamError):
    pass


class IllegalTransition(Broken):
    code = "IllegalTransition"

    def __init__(self, machine: str, state: object, event: object) -> None:
        super().__init__(f"{machine}: the event {event} is not allowed in the state {state}")
        self.machine = machine
        self.state = state
        self.event = event

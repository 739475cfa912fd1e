"""v1's names for errors. Most are other names for ours, so that `except` clauses of v1's drivers catch what happens.

Those that are classes of their own without a raiser name what cannot happen here.
"""

from __future__ import annotations

from millstream.errors import (
    ConfigurationError,
    MillstreamError,
    RunFailed,
    TooLarge,
    Unauthorized,
    UnknownThing,
    UserError,
)
from millstream.run_context import RunContextError

ActivityFailedException = RunFailed
AuthenticationException = Unauthorized
AzureMLException = MillstreamError
ModelNotFoundException = UnknownThing
ModelPathNotFoundException = RunContextError
ProjectSystemException = ConfigurationError
RunEnvironmentException = RunContextError
ServiceException = MillstreamError
SnapshotException = TooLarge
UserErrorException = UserError
WebserviceException = UnknownThing
"""v1 raises this one for a model that is not there."""
WorkspaceException = ConfigurationError


class ComputeTargetException(UserError):
    """A compute is not there, or cannot be made so."""

    code = "ComputeTarget"


class RunConfigurationException(UserError):
    """A run configuration that makes no sense."""

    code = "RunConfiguration"


class ExperimentExecutionException(MillstreamError):
    """v1: the wait for a run was interrupted. Here that is a KeyboardInterrupt."""


class TrainingException(MillstreamError):
    """v1: an estimator was given what does not fit. Here that is a ValueError or TypeError."""

"""Why an attempt of a step fails. Each class is one code of docs/errors.md.

StepFailure
├── InvalidStep        the step cannot be executed as it is defined
├── SnapshotMissing    its source folder is not in storage
├── SnapshotDamaged    its source folder is not what its address promises
├── ScriptMissing      its source folder has no such script
├── InputMissing       an upstream output is no longer there
├── InputDamaged       an upstream output is not what was committed
├── InputUnusable      an input cannot be laid out as files
├── DiskFull           no room on the node for sources, inputs, or what the script writes
├── NodeFailed         the node's disk or processes failed otherwise
├── EnvironmentImpossible  the packages that the step asks for do not exist, or not together
├── EnvironmentFailed  they could not be installed this time
├── StartFailed        the process could not be started
├── ScriptFailed       it ended with an exit code other than 0
├── ScriptKilled       a signal ended it
├── TimedOut           it ran longer than it may
├── ChildFailed        the run that it became did not end well
├── JobRefused         a workspace would not do what it was asked for the step
├── JobFailed          the step's job in a workspace failed there
├── ServiceFailed      a workspace did not answer, after several tries
├── InitFailed         the entry script could not be loaded, or its init() raised
├── TooManyFailed      more files, rows or mini-batches failed than may
├── StoppedByPolicy    the policy of its search ended it early
├── OutputNotWritten   it ended well without writing an output
├── OutputUnusable     an output cannot be stored under its name
└── StorageFailed      storage did not take or give something

Stopped is not a failure: the attempt is no longer wanted, and nothing of it is published.
"""

from __future__ import annotations

import errno

from orchestrator.core.errors import MillstreamError
from orchestrator.core.trials import STOPPED


class StepFailure(MillstreamError):
    """Root. `retryable` False: the next attempt would end the same way. `exit_code` of the script, if it had one."""

    status = 500
    code = "StepFailed"
    retryable = True
    exit_code: int | None = None


class InvalidStep(StepFailure):
    code = "InvalidStep"
    retryable = False


class SnapshotMissing(StepFailure):
    code = "SnapshotMissing"
    retryable = False


class SnapshotDamaged(StepFailure):
    code = "SnapshotDamaged"
    retryable = False


class ScriptMissing(StepFailure):
    code = "ScriptMissing"
    retryable = False


class InputMissing(StepFailure):
    code = "InputMissing"


class InputDamaged(StepFailure):
    code = "InputDamaged"


class InputUnusable(StepFailure):
    code = "InputUnusable"
    retryable = False


class DiskFull(StepFailure):
    code = "DiskFull"


class NodeFailed(StepFailure):
    code = "NodeFailed"


class EnvironmentImpossible(StepFailure):
    code = "EnvironmentImpossible"
    retryable = False


class EnvironmentFailed(StepFailure):
    code = "EnvironmentFailed"


class StartFailed(StepFailure):
    code = "StartFailed"


class ScriptFailed(StepFailure):
    code = "ScriptFailed"


class ScriptKilled(StepFailure):
    code = "ScriptKilled"


class TimedOut(StepFailure):
    code = "TimedOut"


class ChildFailed(StepFailure):
    code = "ChildFailed"
    retryable = False


class StoppedByPolicy(StepFailure):
    code = STOPPED
    retryable = False


class JobRefused(StepFailure):
    code = "JobRefused"
    retryable = False


class JobFailed(StepFailure):
    code = "JobFailed"


class ServiceFailed(StepFailure):
    code = "ServiceFailed"


class InitFailed(StepFailure):
    code = "InitFailed"
    retryable = False


class TooManyFailed(StepFailure):
    code = "TooManyFailed"
    retryable = False


class OutputNotWritten(StepFailure):
    code = "OutputNotWritten"
    retryable = False


class OutputUnusable(StepFailure):
    code = "OutputUnusable"
    retryable = False


class StorageFailed(StepFailure):
    code = "StorageFailed"


class Stopped(MillstreamError):
    """The attempt's lease is lost or its run cancelled: stop, publish nothing."""

    code = "Stopped"


def node_failure(error: OSError, what: str) -> StepFailure:
    """The failure behind an error of the node's own file system; `what` says what was tried."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"{what}: the disk of this node is full.")
    return NodeFailed(f"{what}: {error}")

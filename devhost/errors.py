"""The errors of the local host.

HostError
├── ConfigError          a file, setting or binding the user wrote is wrong; the text says where and how to mend it
├── AppError             function_app.py could not be imported or indexed; ``trace`` is the user's traceback
├── PortTaken            the address cannot be listened on
└── InvocationError      one invocation failed
    ├── FunctionRaised   the user's function raised; ``trace`` is its traceback
    ├── FunctionTimedOut it ran longer than functionTimeout
    ├── WorkerCrashed    the worker process ended while it ran
    ├── OutputRefused    an output binding could not be written
    └── InputMissing     an input binding could not be read
"""

from __future__ import annotations


class HostError(Exception):
    """Root of every error the local host raises on purpose."""


class ConfigError(HostError):
    """Something the user wrote (file, setting, binding) is wrong."""


class AppError(HostError):
    """The function app could not be imported or indexed.

    ``trace`` holds the worker's traceback text, empty when there is none to show.
    """

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


class PortTaken(HostError):
    """The HTTP address cannot be bound."""


class InvocationError(HostError):
    """One invocation failed. ``trace`` holds the traceback text when the user's code raised."""

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


class FunctionRaised(InvocationError):
    """The user's function, or the conversion of what it returned, raised."""


class FunctionTimedOut(InvocationError):
    """The function ran longer than functionTimeout."""


class WorkerCrashed(InvocationError):
    """The worker process ended while the function ran in it."""


class OutputRefused(InvocationError):
    """What the function returned could not be written by an output binding."""


class InputMissing(InvocationError):
    """An input binding could not be read."""

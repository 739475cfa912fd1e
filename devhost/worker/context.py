"""What a function finds around it: the ``context`` argument and ``Out`` parameters."""

from __future__ import annotations

import contextvars
import threading
from dataclasses import dataclass
from typing import Any

from azure.functions import _abc as azf

from devhost.wire import Retry

CURRENT_INVOCATION: contextvars.ContextVar[str] = contextvars.ContextVar("invocation_id", default="")
THREAD_STORAGE = threading.local()


class Out(azf.Out[Any]):
    """An output parameter: the function sets it, the worker sends it."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        """Set the value that the output binding will write."""
        self._value = val

    def get(self) -> Any:
        """The value set so far, or None."""
        return self._value


class TraceContext(azf.TraceContext):
    """No distributed trace is carried locally: every field is empty."""

    trace_state: str = ""
    trace_parent: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """Always empty."""
        return {}


@dataclass(kw_only=True, eq=False)
class RetryFailure(azf.RpcException):
    """The failure that caused this retry."""

    message: str = ""
    source: str = ""
    stack_trace: str = ""


_NO_TRACE = TraceContext()
_NO_FAILURE = RetryFailure()


@dataclass(kw_only=True, eq=False)
class RetryContext(azf.RetryContext):
    """Where this invocation stands in the function's retry policy."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: RetryFailure = _NO_FAILURE


_NO_RETRY = RetryContext()


@dataclass(kw_only=True, eq=False)
class Context(azf.Context):
    """The invocation context that a function receives in its ``context`` parameter."""

    invocation_id: str = ""
    function_name: str = ""
    function_directory: str = ""
    thread_local_storage: Any = THREAD_STORAGE
    trace_context: TraceContext = _NO_TRACE
    retry_context: RetryContext = _NO_RETRY


def retry_context(retry: Retry | None) -> RetryContext:
    """The retry context of an invocation; all zero for a first try."""
    if retry is None:
        return _NO_RETRY
    failure = RetryFailure(message=retry.error)
    return RetryContext(retry_count=retry.count, max_retry_count=retry.limit, exception=failure)

"""Sends the user's log records to the host, each with the invocation it belongs to."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from devhost import wire
from devhost.worker.context import CURRENT_INVOCATION, THREAD_STORAGE


class HostHandler(logging.Handler):
    """A logging handler that hands records to ``send``."""

    def __init__(self, send: Callable[[wire.Log], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; a record that cannot be formatted is reported as ``logging`` reports it."""
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - logging's own contract for bad records
            self.handleError(record)
            return
        invocation = CURRENT_INVOCATION.get() or getattr(THREAD_STORAGE, "invocation_id", None) or ""
        self._send(wire.Log(invocation=invocation, level=record.levelno, logger=record.name, text=text))


def install(send: Callable[[wire.Log], None]) -> None:
    """Route the root logger to the host, at INFO, or DEBUG under PYTHON_ENABLE_DEBUG_LOGGING."""
    root = logging.getLogger()
    root.addHandler(HostHandler(send))
    debug = os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING", "").lower() in ("1", "true")
    root.setLevel(logging.DEBUG if debug else logging.INFO)

"""What the host prints: what it found, one line per finished invocation, and the user's log lines."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Sequence
from typing import TextIO

from devhost.index import BlobTrigger, FunctionSpec, HttpTrigger, QueueTrigger


class Console:
    """Thread-safe lines on one stream. ``quiet`` keeps only warnings and errors."""

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._quiet = quiet
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """A line of the host itself."""
        if not self._quiet:
            self._print(text)

    def warn(self, text: str) -> None:
        """Something went wrong outside of an invocation, and the host goes on."""
        self._print(f"{_now()}  warning  {text}")

    def functions(self, specs: Sequence[FunctionSpec], prefix: str) -> None:
        """The table of what was found."""
        width = max((len(spec.name) for spec in specs), default=0)
        for spec in specs:
            state = "  (disabled)" if spec.disabled else ""
            self.say(f"  {spec.kind:<6} {spec.name:<{width}}  {describe(spec, prefix)}{state}")
            if spec.retry_ignored:
                self.warn(f"function {spec.name}: its retry policy is ignored, as on Azure: only timers have one")

    def finished(self, spec: FunctionSpec, invocation: str, seconds: float, error: str, trace: str) -> None:
        """One line for an invocation that ended, and the traceback when the user's code raised."""
        line = f"{_now()}  {'failed' if error else 'ok':<7}  {spec.kind:<5} {spec.name}  {invocation[:8]}"
        line += f"  {seconds * 1000:.1f} ms"
        if error:
            self._print(f"{line}  {error}{_indented(trace)}")
        else:
            self.say(line)

    def log(self, level: int, logger: str, text: str, invocation: str) -> None:
        """A log record of the user's code."""
        if self._quiet and level < logging.WARNING:
            return
        name = logging.getLevelName(level).lower()
        where = f"  {invocation[:8]}" if invocation else ""
        self._print(f"{_now()}  {name:<7}  {logger}{where}  {text}")

    def _print(self, text: str) -> None:
        with self._lock:
            try:
                self._stream.write(f"{text}\n")
                self._stream.flush()
            except BrokenPipeError:
                # Whoever read our output has gone; the functions go on.
                self._quiet = True


def describe(spec: FunctionSpec, prefix: str) -> str:
    """What fires a function, in a few words."""
    trigger = spec.trigger
    if isinstance(trigger, HttpTrigger):
        methods = ",".join(sorted(trigger.methods)) or "any"
        route = "/".join(part for part in (prefix, trigger.route) if part)
        return f"{methods} /{route}  [{trigger.auth_level}]"
    if isinstance(trigger, QueueTrigger):
        return trigger.queue
    if isinstance(trigger, BlobTrigger):
        return f"{trigger.path}{'  (EventGrid)' if trigger.event_grid else ''}"
    return trigger.schedule


def _indented(trace: str) -> str:
    return "".join(f"\n    {line}" for line in trace.rstrip().splitlines())


def _now() -> str:
    now = time.time()
    return time.strftime("%H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1000):03d}"

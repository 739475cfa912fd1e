"""Executions as processes of this machine: what stands in for containers where there are none, and pools of workers."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.core.compute import Compute, ComputeKind
from orchestrator.core.errors import Unavailable
from worker.equipment import EXECUTION_CPU, EXECUTION_MEMORY, EXECUTION_NAME

ROOT: Final = Path(__file__).resolve().parent.parent
FAILURE_PAUSE: Final = 5.0
"""Seconds without a new execution of a compute after one that failed: one that cannot even start must not spin."""
POOL_IDLE_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    log: Path


class ProcessExecutions:
    """Starts worker processes and keeps an eye on them. They end with this process. For one thread.

    `environment`: theirs, with the settings of the service. `folder`: for their logs. `say`: told of failures.
    """

    name = "worker processes"

    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path,
        say: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._environment = {**environment, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
        # Whoever starts many processes compiles the code once.
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._folder = folder
        self._say = say
        self._monotonic = monotonic
        self._running: dict[str, dict[str, _Running]] = {}
        self._failed_at: dict[str, float] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def listed(self, compute: Compute) -> tuple[str, ...]:
        """The names of those that have not ended."""
        running = self._running.setdefault(compute.name, {})
        for name in [name for name, it in running.items() if it.process.poll() is not None]:
            self._bury(compute.name, name, running.pop(name))
        return tuple(running)

    def start(self, compute: Compute, queues: Sequence[str]) -> str:
        """Raises Unavailable."""
        failed_at = self._failed_at.get(compute.name)
        if failed_at is not None and self._monotonic() - failed_at < FAILURE_PAUSE:
            raise Unavailable(f"An execution of {compute.name} has just failed; the next one waits a moment.")
        name = f"{compute.name[:40].replace('.', '-')}-{secrets.token_hex(4)}"
        log = self._folder / f"{name}.log"
        try:
            process = self._launch(compute, queues, name, log)
        except OSError as error:
            raise Unavailable(f"An execution of {compute.name} could not be started: {error.strerror}.") from error
        self._running.setdefault(compute.name, {})[name] = _Running(process, log)
        return name

    def _launch(self, compute: Compute, queues: Sequence[str], name: str, log: Path) -> subprocess.Popen[bytes]:
        line = [sys.executable, "-m", "worker", *arguments(compute, queues), "--with-parent", str(os.getpid())]
        return run(line, {**self._environment, **told(compute, name)}, log)

    def stop(self, compute: Compute, name: str) -> None:
        """Ask it to end."""
        running = self._running.get(compute.name, {}).get(name)
        if running is not None:
            running.process.send_signal(signal.SIGTERM)

    def close(self, seconds: float = 30.0) -> None:
        """End all of them: each has `seconds` to give its message back."""
        everyone = [it for running in self._running.values() for it in running.values()]
        for it in everyone:
            with contextlib.suppress(ProcessLookupError):
                it.process.send_signal(signal.SIGTERM)
        deadline = self._monotonic() + seconds
        for it in everyone:
            try:
                it.process.wait(max(0.1, deadline - self._monotonic()))
            except subprocess.TimeoutExpired:
                it.process.kill()
                it.process.wait()

    def _bury(self, compute: str, name: str, ended: _Running) -> None:
        code = ended.process.returncode
        if code != 0:
            self._failed_at[compute] = self._monotonic()
            words = ended.log.read_text(errors="replace").strip()[-2000:] if ended.log.exists() else ""
            self._say(f"execution {name} ended with {code}" + (f":\n{words}" if words else ""))
        ended.log.unlink(missing_ok=True)


def run(line: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process that writes to `log`. Raises OSError."""
    with log.open("wb") as output:
        return subprocess.Popen(
            line, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )


def told(compute: Compute, name: str) -> dict[str, str]:
    """What an execution is told of itself: its name, and, as a container, the size that it is billed by."""
    own = {EXECUTION_NAME: name}
    if compute.kind == ComputeKind.CONTAINER:
        sizes = compute.sizes
        own |= {EXECUTION_CPU: f"{sizes.cpu:g}", EXECUTION_MEMORY: f"{sizes.memory_gib:g}"}
    return own


def arguments(compute: Compute, queues: Sequence[str]) -> list[str]:
    """What the worker of an execution is told."""
    mode = ["--once"] if compute.kind == ComputeKind.CONTAINER else ["--idle", str(POOL_IDLE_SECONDS)]
    names = [word for queue in queues for word in ("--queue", queue)]
    return [*names, *mode, "--timeout", str(compute.sizes.timeout_seconds)]

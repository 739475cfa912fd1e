"""Executions as containers of this machine, by the command line of podman or docker."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from orchestrator.core.compute import Compute
from orchestrator.core.errors import Unavailable
from worker.processes import ProcessExecutions, arguments, run, told

PROGRAMS: Final = ("podman", "docker")
STOP_SECONDS: Final = 20
"""What a container has to give its message back, before it is killed."""
_LOOK_SECONDS: Final = 60.0
_PASSED: Final = ("MILLSTREAM_", "AzureWebJobsStorage", "AZURE_", "IDENTITY_")
_OWN: Final = ("MILLSTREAM_CACHE_DIR", "MILLSTREAM_ENVIRONMENTS_DIR")


def find_command(asked: Sequence[str]) -> tuple[str, ...]:
    """The command line that runs containers: the one that is asked for, or what there is; () if there is none."""
    if asked:
        return tuple(asked) if shutil.which(asked[0]) else ()
    return next(((name,) for name in PROGRAMS if shutil.which(name)), ())


class ContainerExecutions(ProcessExecutions):
    """Starts containers of an image, each in the foreground of a process of its own. For one thread.

    `command`: podman or docker, with options that are of no subcommand. `options`: of `run`. `image`: of computes that
    name none. `mark`: a label by which what a driver before this one has left is known.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path,
        say: Callable[[str], None],
        *,
        command: Sequence[str],
        options: Sequence[str],
        image: str,
        mark: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(environment, folder, say, monotonic)
        self.name = f"containers ({Path(command[0]).name})"
        self._command = tuple(command)
        self._options = tuple(options)
        self._image = image
        self._label = f"millstream.driver={mark}"
        self._names = sorted(name for name in environment if name.startswith(_PASSED) and name not in _OWN)

    def clear(self) -> None:
        """End what a driver that died has left behind. Raises Unavailable."""
        found = self._ask("ps", "--quiet", "--filter", f"label={self._label}").split()
        if found:
            self._ask("stop", "--time", str(STOP_SECONDS), *found)

    def stop(self, compute: Compute, name: str) -> None:
        """Ask it to end. Raises Unavailable."""
        if name in self._running.get(compute.name, {}):
            self._ask("stop", "--time", str(STOP_SECONDS), name)

    def _launch(self, compute: Compute, queues: Sequence[str], name: str, log: Path) -> subprocess.Popen[bytes]:
        sizes, own = compute.sizes, told(compute, name)
        line = [
            *self._command,
            *("run", "--rm", "--name", name, "--label", self._label),
            *("--cpus", f"{sizes.cpu:g}", "--memory", f"{round(sizes.memory_gib * 1024)}m"),
            *("--read-only", "--tmpfs", "/tmp:rw,exec,mode=1777"),  # noqa: S108 - the container's own
            *("--cap-drop", "all", "--security-opt", "no-new-privileges"),
            # Named, not written out: the values are secrets, and command lines are for everybody to read.
            *(word for variable in sorted({*self._names, *own}) for word in ("--env", variable)),
            *self._options,
            sizes.image or self._image,
            *arguments(compute, queues),
        ]
        return run(line, {**self._environment, **own}, log)

    def _ask(self, *words: str) -> str:
        try:
            asked = subprocess.run(
                [*self._command, *words],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_LOOK_SECONDS,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode(errors="replace").strip()[-500:]
            raise Unavailable(f"{self._command[0]} {words[0]} failed: {reason}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"{self._command[0]} {words[0]} failed: {error}") from error
        return asked.stdout.decode(errors="replace")

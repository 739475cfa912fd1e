"""A local driver for tests: the process that starts executions beside the host, seen only from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.devhost.harness import ROOT


class RunningDriver:
    """`settings` are those of the service whose computes it drives; `folder` takes its log."""

    def __init__(self, settings: Mapping[str, str], folder: Path) -> None:
        self.log_path = folder / "driver.log"
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "worker.driver", "--with-parent", str(os.getpid())],
                cwd=ROOT,
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def executions(self, compute: str) -> list[int]:
        """The process ids of the worker processes that a compute has now."""
        own = ["--queue", f"millstream-steps-on-{compute}"]
        return [pid for pid in children_of(self.process.pid) if _command(pid)[5:7] == own]

    def close(self) -> None:
        """SIGTERM: its executions give back what they hold."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(40)


@contextmanager
def running_driver(settings: Mapping[str, str], folder: Path) -> Iterator[RunningDriver]:
    driver = RunningDriver(settings, folder)
    try:
        yield driver
    finally:
        driver.close()


def children_of(parent: int) -> list[int]:
    """Those that have not been waited for."""
    try:
        return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    except OSError:
        return []


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []

"""Starting one worker process and reading how it ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from devhost.channel import Channel

# Imported from the host's own tree, then taken off sys.path: an app must not see the host's neighbours.
_BOOTSTRAP = """
import sys
root, fd, app, host = sys.argv[1:5]
sys.path.insert(0, root)
from devhost.worker.main import main
sys.path[:] = [entry for entry in sys.path[1:] if entry]
del sys.argv[1:]
main(int(fd), app, int(host))
"""


class WorkerProcess:
    """One running worker. It must be started by a thread that outlives it: the kernel kills it with that thread."""

    def __init__(self, app_dir: Path, environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        root = str(Path(__file__).resolve().parent.parent)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BOOTSTRAP, root, str(theirs.fileno()), str(app_dir), str(os.getpid())],
                cwd=app_dir,
                env=dict(environment),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            theirs.close()
        self.channel = Channel(ours)
        self.pid = self._process.pid

    def kill(self) -> None:
        """End the process at once, as the Azure host does: no notice to user code."""
        if self._process.poll() is None:
            self._process.kill()

    def sweep(self) -> None:
        """Kill what the worker left behind in its process group."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return

    def wait(self, seconds: float = 10.0) -> str:
        """Wait for the end and say how it ended, such as ``exit code 1`` or ``SIGKILL``."""
        try:
            code = self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            # It closed the channel and lives on: nobody could reach it any more.
            self._process.kill()
            code = self._process.wait()
        self.channel.close()
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

"""Azure Functions Core Tools in the place of the local host, where `func` is installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from devhost.errors import ConfigError
from scripts.place import answers

_START_SECONDS = 120.0
_STOP_SECONDS = 60.0


class FuncHost:
    """`func start` on the app at `root`. Reads its settings from the environment, so no file is written there."""

    def __init__(self, root: Path, settings: Mapping[str, str], port: int) -> None:
        """Raises ConfigError when `func` is not on PATH."""
        self._program = shutil.which("func")
        if self._program is None:
            raise ConfigError("--func: Azure Functions Core Tools (func) are not on PATH")
        self._root = root
        self._environment = {
            **os.environ,
            **settings,
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "languageWorkers__python__defaultExecutablePath": sys.executable,
        }
        self._port = port or _free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Returns when the app answers. Raises ConfigError when it ends or stays silent for two minutes."""
        self._process = subprocess.Popen(
            [str(self._program), "start", "--port", str(self._port)],
            cwd=self._root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_heed_ctrl_c,
        )
        deadline = time.monotonic() + _START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if answers(self.url):
                return
            time.sleep(0.2)
        self.stop()
        raise ConfigError("func start did not get the app to answer: see its lines above")

    def stop(self) -> bool:
        """Ask it to end, as Ctrl-C would. Returns whether it did so in time."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            return False
        return True


def _heed_ctrl_c() -> None:
    """In the child: `stop` ends it by SIGINT, which whatever a shell has started in the background ignores."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

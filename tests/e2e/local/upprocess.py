"""One scripts/up process with a folder of its own, seen from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from millstream import TokenAuthentication, Workspace
from tests.e2e.local.waiting import wait_for

ROOT = Path(__file__).resolve().parents[3]


class Up:
    """Started at once; `url` waits until it serves."""

    def __init__(self, state: Path, *arguments: str, **environment: str) -> None:
        self.state = state
        self.log = state.with_suffix(".log")
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command(state, *arguments), cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log
            )

    @property
    def url(self) -> str:
        announced = self.state / "service.json"
        wait_for(lambda: announced.exists() or self.process.poll() is not None, told=self.log.read_text)
        assert self.process.poll() is None, self.log.read_text()
        url: str = json.loads(announced.read_text())["url"]
        return url

    @property
    def workspace(self) -> Workspace:
        token = (self.state / "token").read_text().strip()
        return Workspace(url=self.url, auth=TokenAuthentication(token))

    def children(self) -> list[int]:
        """The ids of all processes below it."""
        return [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def command(state: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "scripts.up", "--state", str(state), *arguments]

"""Drives a real local host: a process of its own, seen only from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

APPS = Path(__file__).resolve().parent / "apps"
ROOT = APPS.parents[3]
_START_SECONDS = 30.0
T = TypeVar("T")


class Answer(NamedTuple):
    """An HTTP answer. ``cookies`` are the Set-Cookie values; header names are lower case."""

    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class RunningHost:
    """``python -m devhost`` on an app. ``folder`` holds what it writes: ready file, keys, log, the app's events."""

    def __init__(self, app: Path, folder: Path, settings: Mapping[str, str], *arguments: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.log_path = folder / "host.log"
        self.events_path = folder / "events.jsonl"
        self.events_path.touch()
        self._ready = folder / "ready.json"
        self._ready.unlink(missing_ok=True)
        environment = {**os.environ, "EVENTS": str(self.events_path), **settings}
        command = [sys.executable, "-m", "devhost", str(app), "--port", "0", "--ready-file", str(self._ready)]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--state-dir", str(folder / "state"), *arguments],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_ready(self) -> RunningHost:
        """Wait until it takes requests; fails with its log when it ends instead."""

        def ready() -> bool:
            assert self.process.poll() is None, f"the host ended with {self.process.returncode}:\n{self.log()}"
            return self._ready.exists()

        eventually(ready, _START_SECONDS, self.log)
        return self

    @property
    def ready(self) -> dict[str, Any]:
        """The ready file as it is now."""
        document: dict[str, Any] = json.loads(self._ready.read_text())
        return document

    def log(self) -> str:
        """All it printed so far."""
        return self.log_path.read_text(errors="replace")

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        """What the app recorded so far, of one kind or all."""
        lines = self.events_path.read_text().splitlines()
        found = [json.loads(line) for line in lines]
        return [event for event in found if not kind or event["kind"] == kind]

    def wait_events(self, kind: str, count: int, seconds: float = 15.0) -> list[dict[str, Any]]:
        """Wait for at least ``count`` events of a kind."""
        eventually(lambda: len(self.events(kind)) >= count, seconds, self.log)
        return self.events(kind)

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, timeout: float = 30.0
    ) -> Answer:
        """One HTTP request on a connection of its own."""
        where = urlsplit(self.ready["url"])
        connection = HTTPConnection(where.hostname or "", where.port or 0, timeout=timeout)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            answer = connection.getresponse()
            content = answer.read()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.headers.get_all("set-cookie") or [], content)
        finally:
            connection.close()

    def admin(self, method: str, path: str, body: bytes = b"") -> Answer:
        """A request with the master key."""
        return self.request(method, path, body, {"x-functions-key": self.ready["master_key"]})

    def terminate(self, seconds: float = 20.0) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(10)

    def close(self) -> None:
        """End it, whatever state it is in."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


def eventually(condition: Callable[[], T], seconds: float, explain: Callable[[], str] = lambda: "") -> T:
    """Poll until the condition holds; fails with ``explain()`` after ``seconds``."""
    began = time.monotonic()
    while True:
        found = condition()
        if found:
            return found
        waited = time.monotonic() - began
        if waited > seconds:
            raise AssertionError(f"not within {seconds:g} s: {explain()}")
        time.sleep(pause(waited))


def pause(waited: float) -> float:
    """Seconds until it is asked again of what has been waited for this long: a tenth of that more, so that asking does
    not take the machine from what is waited for.
    """
    return min(0.5, max(0.02, waited / 10))


def process_lives(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"

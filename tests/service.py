"""The whole service for tests: the real function app in the real local host on a real Azurite, spoken to by HTTP."""

from __future__ import annotations

import hashlib
import io
import json
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.azurite import Azurite
from tests.e2e.devhost.harness import ROOT, RunningHost, pause

TOKEN = "a-token-for-tests"
RUN_TOKEN_KEY = "a-key-for-tests-of-32-characters-or-more"

QUICK = {
    "MILLSTREAM_CLAIM_TTL_SECONDS": "3",
    "MILLSTREAM_SWEEP_QUIET_SECONDS": "2",
    "MILLSTREAM_HEARTBEAT_SECONDS": "1",
    "MILLSTREAM_CANCEL_CHECK_SECONDS": "0.5",
    "DEVHOST_QUEUE_LEASE_SECONDS": "4",
    "DEVHOST_RENEW_SECONDS": "2",
}
"""Short leases and ages, so that a recovery that takes minutes in production takes seconds here."""


class Reply(NamedTuple):
    """An HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """A running function app, this repository's or another. `settings` are added to its environment; `folder` takes its
    state and log."""

    def __init__(
        self, azurite: Azurite, folder: Path, settings: Mapping[str, str] | None = None, app: Path | None = None
    ) -> None:
        self.folder = folder
        self._app = app or ROOT
        self.settings = {
            "AzureWebJobsStorage": azurite.connection,
            "MILLSTREAM_TOKEN": TOKEN,
            "MILLSTREAM_RUN_TOKEN_KEY": RUN_TOKEN_KEY,
            "MILLSTREAM_CACHE_DIR": str(folder / "cache"),
            "PYTHON_THREADPOOL_THREAD_COUNT": "32",
            **(settings or {}),
        }
        self.host = self._start()

    def _start(self) -> RunningHost:
        return RunningHost(self._app, self.folder, self.settings, "--quiet").wait_ready()

    @property
    def url(self) -> str:
        return str(self.host.ready["url"])

    def kill(self) -> None:
        """SIGKILL the host: its worker and the steps' scripts must go with it."""
        self.host.kill()

    def restart(self) -> None:
        (self.folder / "ready.json").unlink(missing_ok=True)
        self.host = self._start()

    def close(self) -> None:
        self.host.close()

    def call(
        self,
        method: str,
        path: str,
        document: Any = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = TOKEN,
    ) -> Reply:
        """One request to /api/<path>. A status of 400 and more is returned, not raised."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        data = body if body is not None else None if document is None else json.dumps(document).encode()
        return fetch(f"{self.url}/api/{path}", method, data, sent)

    def ask(self, method: str, path: str, document: Any = None) -> Any:
        """A request that must succeed; the answer as JSON."""
        reply = self.call(method, path, document)
        assert reply.status < 300, f"{method} {path}: {reply.status} {reply.body.decode(errors='replace')}"
        return reply.json()

    def upload(self, files: Mapping[str, str]) -> str:
        """Register a source folder; its snapshot id."""
        contents = {name: text.encode() for name, text in sorted(files.items())}
        manifest = [
            {"path": name, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in contents.items()
        ]
        made = self.ask("POST", "snapshots", {"files": manifest})
        if made["upload"] is not None:
            target = made["upload"]
            reply = fetch(target["url"], target["method"], _zipped(contents), target["headers"])
            assert reply.status == 201, reply
            self.ask("POST", f"snapshots/{made['id']}/complete")
        return str(made["id"])

    def submit(self, steps: Sequence[Mapping[str, Any]], **more: Any) -> str:
        """Start a run of these steps; its id. `parameters` of the definition and `values` for them may be given."""
        definition = {"name": "test", "steps": list(steps), "parameters": more.pop("parameters", [])}
        body = {"experiment_name": "test", "definition": definition, "parameters": more.pop("values", {}), **more}
        return str(self.ask("POST", "runs", body)["id"])

    def wait(self, run: str, seconds: float = 60.0) -> dict[str, Any]:
        """Follow a run to its end."""
        began = time.monotonic()
        while True:
            found: dict[str, Any] = self.ask("GET", f"runs/{run}")
            if found["status"] != "Running":
                return found
            waited = time.monotonic() - began
            if waited > seconds:
                raise AssertionError(f"not within {seconds:g} s: {found}\n{self.steps(run)}\n{self.host.log()[-4000:]}")
            time.sleep(pause(waited))

    def steps(self, run: str) -> dict[str, dict[str, Any]]:
        """The steps of a run by id."""
        return {step["id"]: step for step in self.ask("GET", f"runs/{run}/steps")["steps"]}

    def log(self, run: str, step: str) -> str:
        return self.call("GET", f"runs/{run}/steps/{step}/log").body.decode()


def fetch(url: str, method: str, data: bytes | None, headers: Mapping[str, str]) -> Reply:
    """One HTTP request; any status is an answer."""
    request = urllib.request.Request(url, data=data, method=method, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            named = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(answer.status, named, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            named = {name.lower(): value for name, value in error.headers.items()}
            return Reply(error.code, named, error.read())


def script_step(name: str, snapshot: str, script: str = "step.py", **more: Any) -> dict[str, Any]:
    """A step that runs a script; `more` are further fields of the step."""
    made = {"id": name, "name": name, "kind": "python_script", "snapshot": snapshot, "settings": {"script": script}}
    return {**made, **more}


def arguments(*items: str | tuple[str, str]) -> list[dict[str, str]]:
    """Tagged arguments: text is a literal, a pair is (kind, name)."""
    return [
        {"kind": "literal", "value": item} if isinstance(item, str) else {"kind": item[0], "name": item[1]}
        for item in items
    ]


def from_step(port: str, step: str, output: str) -> dict[str, Any]:
    """An input port fed by another step's output."""
    return {"name": port, "source": {"kind": "step", "step": step, "output": output}}


@contextmanager
def running_service(
    azurite: Azurite, folder: Path, settings: Mapping[str, str] | None = None, *, app: Path | None = None
) -> Iterator[Service]:
    service = Service(azurite, folder, settings, app)
    try:
        yield service
    finally:
        service.close()


def _zipped(contents: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return packed.getvalue()

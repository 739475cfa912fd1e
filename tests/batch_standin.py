"""A stand-in for an account of Azure Batch, of which nothing runs here: pools, jobs and tasks, over HTTP.

It answers as the "Batch Service REST API Reference" (2025-06-01) says, as far as this project goes, and no further.
What it is like is not proved by the real service. A test says what the program of a task does; the task goes one state
further each time it is looked at.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.json_standin import Call, JsonStandIn, Refusal

VERSION = "2025-06-01"
LINUX = {"virtualMachineConfiguration": {"nodeAgentSKUId": "batch.node.ubuntu 22.04"}}
WINDOWS = {"virtualMachineConfiguration": {"nodeAgentSKUId": "batch.node.windows amd64"}}
UBUNTU = {"publisher": "canonical", "offer": "0001-com-ubuntu-server-jammy", "sku": "22_04-lts", "version": "latest"}
IMAGES = [
    {"nodeAgentSKUId": "batch.node.ubuntu 22.04", "imageReference": UBUNTU, "osType": "linux"},
    {
        "nodeAgentSKUId": "batch.node.windows amd64",
        "imageReference": {"publisher": "microsoftwindowsserver", "offer": "windowsserver", "sku": "2022-datacenter"},
        "osType": "windows",
    },
]
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TASK = re.compile(r"/jobs/([^/]+)/tasks/([^/]+)(?:/(terminate)|/files/(stdout\.txt|stderr\.txt))?")
_BODIES = {
    "pools": {"id", "vmSize", "targetDedicatedNodes", "virtualMachineConfiguration"},
    "jobs": {"id", "displayName", "poolInfo"},
    "tasks": {
        *("id", "commandLine", "resourceFiles", "outputFiles", "environmentSettings", "userIdentity", "constraints"),
    },
}


def refused(status: int, code: str, message: str) -> Refusal:
    return Refusal(status, {"code": code, "message": {"lang": "en-US", "value": f"{message}\nRequestId:0"}})


@dataclass(frozen=True)
class Ending:
    """How a program ends. `exit_code` None: it did not run, because of `failure`."""

    exit_code: int | None = 0
    stdout: str = ""
    stderr: str = ""
    failure: str = ""


@dataclass
class Task:
    body: dict[str, Any]
    state: str = "active"
    ending: Ending = field(default_factory=Ending)

    def view(self) -> dict[str, Any]:
        told: dict[str, Any] = {"retryCount": 0, "requeueCount": 0}
        if self.state == "completed":
            bad = bool(self.ending.exit_code or self.ending.failure)
            told["result"] = "failure" if bad else "success"
            if self.ending.exit_code is not None:
                told["exitCode"] = self.ending.exit_code
            if bad:
                code, message = "FailureExitCode", "The task exited with an exit code representing a failure"
                if self.ending.failure:
                    code, message = "ResourceContainerAccessDenied", self.ending.failure
                told["failureInfo"] = {"category": "usererror", "code": code, "message": message}
        return {"id": self.body["id"], "state": self.state, "executionInfo": told}


class Machine:
    """A node that does all of a task in earnest, on this machine: files come and go by the URLs that it was given."""

    def __call__(self, task: Task) -> Ending:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            for file in task.body["resourceFiles"]:
                self._bring(folder / file["filePath"], file["httpUrl"], int(file["fileMode"], 8))
            command = shlex.split(task.body["commandLine"])
            variables = {item["name"]: item["value"] for item in task.body["environmentSettings"]}
            ended = subprocess.run(command, cwd=folder, env=os.environ | variables, capture_output=True, text=True)
            for output in task.body["outputFiles"]:
                root, there = output["filePattern"].removesuffix("/**/*"), output["destination"]["container"]
                for path in sorted((folder / root).rglob("*")):
                    if path.is_file():
                        inside = path.relative_to(folder / root).as_posix()
                        self._take(path, there["containerUrl"], f"{there['path']}/{inside}")
        return Ending(exit_code=ended.returncode, stdout=ended.stdout, stderr=ended.stderr)

    def _bring(self, path: Path, url: str, mode: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=30) as answer:
            path.write_bytes(answer.read())
        path.chmod(mode)

    def _take(self, path: Path, container: str, name: str) -> None:
        base, _, query = container.partition("?")
        headers = {"x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-12-02"}
        url = f"{base}/{quote(name)}?{query}"
        with urllib.request.urlopen(urllib.request.Request(url, path.read_bytes(), headers, method="PUT"), timeout=30):
            pass


@dataclass
class Batch(JsonStandIn):
    """`work`: what the program of a task does, when it runs."""

    work: Callable[[Task], Ending] = lambda task: Ending()
    pools: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)

    def unauthorized(self) -> Refusal:
        return refused(401, "AuthenticationFailed", "Server failed to authenticate the request.")

    def answer(self, call: Call) -> Any:
        assert call.query.get("api-version") == VERSION
        if (found := _TASK.fullmatch(call.path)) is not None:
            return self._task(call, *found.groups())
        match call.verb, call.path.strip("/").split("/"):
            case "GET", ["supportedimages"]:
                return {"value": IMAGES}
            case "POST", ["pools"]:
                self._add(self.pools, "Pool", call.body, _BODIES["pools"])
            case "POST", ["jobs"]:
                assert _NAME.fullmatch(call.body["id"])
                if call.body["poolInfo"]["poolId"] not in self.pools:
                    raise refused(404, "PoolNotFound", "The specified pool does not exist.")
                self._add(self.jobs, "Job", call.body, _BODIES["jobs"])
            case "POST", ["jobs", job, "tasks"]:
                self._there(self.jobs, "Job", job)
                if job in self.tasks:
                    raise refused(409, "TaskExists", "The specified task already exists.")
                assert call.body.keys() <= _BODIES["tasks"]
                self.tasks[job] = Task(call.body)
            case "GET", ["pools", pool]:
                return self._there(self.pools, "Pool", pool)
            case "DELETE", ["pools", pool]:
                self._there(self.pools, "Pool", pool)
                del self.pools[pool]
            case "DELETE", ["jobs", job]:
                self._there(self.jobs, "Job", job)
                del self.jobs[job]
                self.tasks.pop(job, None)
            case _:
                raise refused(404, "ResourceNotFound", f"There is no {call.verb} {call.path}.")
        return None

    def _task(self, call: Call, job: str, name: str, terminate: str | None, file: str | None) -> Any:
        task = self._there(self.tasks, "Task", job)
        if name != task.body["id"]:
            raise refused(404, "TaskNotFound", "The specified task does not exist.")
        if terminate:
            assert call.verb == "POST"
            task.state, task.ending = "completed", Ending(exit_code=None, failure="Ended by the user's request.")
            return None
        if file:
            return (task.ending.stdout if file == "stdout.txt" else task.ending.stderr).encode()
        if task.state == "running":
            task.state, task.ending = "completed", self.work(task)
        elif task.state == "active":
            task.state = "running"
        return task.view()

    def _add(self, kept: dict[str, dict[str, Any]], kind: str, body: dict[str, Any], allowed: set[str]) -> None:
        assert body.keys() <= allowed
        if body["id"] in kept:
            raise refused(409, f"{kind}Exists", f"The specified {kind.lower()} already exists.")
        kept[body["id"]] = body

    def _there(self, kept: dict[str, Any], kind: str, name: str) -> Any:
        if name not in kept:
            raise refused(404, f"{kind}NotFound", f"The specified {kind.lower()} does not exist.")
        return kept[name]

"""What Azure Batch is asked, and what it says. Contract: "Batch Service REST API Reference", 2025-06-01."""

from __future__ import annotations

import hashlib
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.core.job import Job
from orchestrator.core.kinds.azure_batch import BatchTask
from steps.failures import JobRefused

QUERY: Final = {"api-version": "2025-06-01"}
HEADERS: Final = {"Content-Type": "application/json; odata=minimalmetadata"}
TASK: Final = "step"
"""The id of the one task of a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFile:
    """A file that is brought to the node, below the task's working folder."""

    url: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOutput:
    """A folder of the node whose files go to the container (`url`, with its signature), below the prefix."""

    folder: str
    url: str
    prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Of a task. `exit_code` None: its program has not run. `failure`: why not, in the service's words."""

    phase: str
    exit_code: int | None
    failure: str

    @property
    def ended(self) -> bool:
        return self.phase == "completed"

    def problem(self, wanted: BatchTask) -> str:
        """Why the ended task has not done its work; "": it has."""
        code = self.exit_code
        if code is not None and (code < 0 or (code > 0 and wanted.fails_above_zero)):
            return f"its program ended with exit code {code}"
        if self.failure and not code:
            return self.failure
        return "" if code is not None else "its program did not run"


def job_id(job: Job) -> str:
    """The same for every worker that looks after this try of the step."""
    return f"millstream-{hashlib.sha256(f'{job.run}|{job.step.id}|{job.retries}'.encode()).hexdigest()[:40]}"


def job(work: Job, wanted: BatchTask) -> dict[str, Any]:
    name = f"{work.run} {work.step.name}"[:1024]
    return {"id": job_id(work), "displayName": name, "poolInfo": {"poolId": wanted.pool}}


def task(
    wanted: BatchTask,
    *,
    command: str,
    files: Sequence[NodeFile],
    outputs: Sequence[NodeOutput],
    variables: Mapping[str, str],
    seconds: float | None,
) -> dict[str, Any]:
    """seconds: for how long the task may run."""
    level = "admin" if wanted.as_admin else "nonadmin"
    condition = "tasksuccess" if wanted.fails_above_zero else "taskcompletion"
    body: dict[str, Any] = {
        "id": TASK,
        "commandLine": command,
        "resourceFiles": [{"httpUrl": file.url, "filePath": file.path, "fileMode": "0755"} for file in files],
        "outputFiles": [
            {
                "filePattern": f"{output.folder}/**/*",
                "destination": {"container": {"containerUrl": output.url, "path": output.prefix}},
                "uploadOptions": {"uploadCondition": condition},
            }
            for output in outputs
        ],
        "environmentSettings": [{"name": name, "value": value} for name, value in variables.items()],
        "userIdentity": {"autoUser": {"scope": "task", "elevationLevel": level}},
        "constraints": {"maxTaskRetryCount": 0},
    }
    if seconds is not None:
        body["constraints"]["maxWallClockTime"] = f"PT{max(1, int(seconds))}S"
    return body


def command_line(arguments: Sequence[str], *, windows: bool) -> str:
    """One text, from which the node's own rules make the same arguments again. No shell reads it."""
    return subprocess.list2cmdline(arguments) if windows else shlex.join(arguments)


def pool(wanted: BatchTask, image: Mapping[str, Any]) -> dict[str, Any]:
    """image: an entry of the account's supported images."""
    return {
        "id": wanted.pool,
        "vmSize": wanted.vm_size,
        "targetDedicatedNodes": wanted.nodes,
        "virtualMachineConfiguration": {
            "imageReference": image["imageReference"],
            "nodeAgentSKUId": image["nodeAgentSKUId"],
        },
    }


def image_of(wanted: BatchTask, supported: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The supported image that is asked for. Raises JobRefused."""
    _, publisher, offer, sku, *version = wanted.image.split(":")
    asked = (publisher.lower(), offer.lower(), sku.lower())
    for entry in supported:
        there = entry["imageReference"]
        if tuple(str(there.get(part, "")).lower() for part in ("publisher", "offer", "sku")) == asked:
            return {**entry, "imageReference": {**there, "version": version[0] if version else "latest"}}
    raise JobRefused(
        f"Azure Batch has no image {wanted.image} now. Give vm_image_urn one of those that it lists "
        "(az batch pool supported-images list)."
    )


def is_windows(found: Mapping[str, Any]) -> bool:
    """Of a pool."""
    agent = found.get("virtualMachineConfiguration", {}).get("nodeAgentSKUId", "")
    return str(agent).startswith("batch.node.windows")


def state_of(found: Mapping[str, Any]) -> State:
    told = found.get("executionInfo") or {}
    failure = told.get("failureInfo") or {}
    words = ": ".join(str(failure[part]) for part in ("code", "message") if failure.get(part))
    code = told.get("exitCode")
    return State(phase=str(found.get("state")), exit_code=None if code is None else int(code), failure=words)

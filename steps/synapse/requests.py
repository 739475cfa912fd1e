"""What is said to the batches of a Spark pool, and what the answers mean: pure functions.

Contract: "Azure Synapse REST API reference", Spark Batch, 2019-11-01-preview: Livy's batches behind Synapse's own door.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from orchestrator.core.job import Job
from orchestrator.core.kinds.synapse_spark import SparkBatch

VERSION: Final = "2019-11-01-preview"
ENDED: Final = ("success", "dead", "error", "killed")
DETAILED: Final = "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A batch as the workspace sees it. `page`: of Spark's own interface, once there is one. `log`: its last lines."""

    state: str
    result: str
    message: str
    page: str
    log: tuple[str, ...]

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def succeeded(self) -> bool:
        return self.state == "success" and self.result in ("", "Succeeded", "Uncertain")

    def __str__(self) -> str:
        text = " ".join(filter(None, (self.state, self.result)))
        return f"{text}: {self.message}" if self.message else text


def batches(pool: str) -> str:
    """The path of the pool's batches."""
    return f"/livyApi/versions/{VERSION}/sparkPools/{quote(pool, safe='')}/batches"


def name_of(job: Job, wanted: SparkBatch) -> str:
    """The batch's name, by which it is known again: the same for every worker that looks after this try of the step."""
    mark = hashlib.sha256(f"millstream\0{job.run}\0{job.step.id}\0{job.retries}".encode()).hexdigest()[:16]
    return f"{wanted.app_name or job.step.name}-{mark}"


def submission(
    job: Job, wanted: SparkBatch, *, urls: Mapping[str, str], arguments: tuple[str, ...], conf: Mapping[str, str]
) -> dict[str, Any]:
    """The body of a new batch. urls: of the files of the source folder. conf: beside the author's own."""

    def placed(paths: Iterable[str]) -> list[str]:
        return [urls.get(path, path) for path in paths]

    body: dict[str, Any] = {
        "name": name_of(job, wanted),
        "file": urls[wanted.file],
        "args": list(arguments),
        "pyFiles": placed(wanted.py_files),
        "jars": placed(wanted.jars),
        "files": placed(wanted.files),
        "conf": {**conf, **wanted.conf},
        "driverMemory": wanted.driver_memory,
        "driverCores": wanted.driver_cores,
        "executorMemory": wanted.executor_memory,
        "executorCores": wanted.executor_cores,
        "numExecutors": wanted.num_executors,
    }
    return {name: value for name, value in body.items() if value not in ([], {})}


def state_of(answer: Mapping[str, Any]) -> State:
    """What a look at a batch says."""
    errors = [str(error.get("message", "")) for error in answer.get("errorInfo") or ()]
    page = (answer.get("appInfo") or {}).get("sparkUiUrl") or ""
    return State(
        state=str(answer.get("state", "")),
        result=str(answer.get("result") or ""),
        message=" ".join(filter(None, errors)),
        page=str(page),
        log=tuple(str(line) for line in answer.get("log") or ()),
    )

"""A stand-in for the Spark pools of a Synapse workspace, of which nothing runs here: batches in memory, over HTTP.

It answers as the "Azure Synapse REST API reference" says of Spark Batch (list, create, get, cancel): as far as this
project goes, and no further. What it is like is not proved by the real service. A batch goes one state further each
time it is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.json_standin import Call, JsonStandIn, Refusal

_PATH = re.compile(r"/livyApi/versions/2019-11-01-preview/sparkPools/([^/]+)/batches(?:/(\d+))?")
_STATES = ("not_started", "starting", "running")
_BODY = {
    *("name", "file", "className", "args", "pyFiles", "jars", "files", "archives", "conf", "tags"),
    *("driverMemory", "driverCores", "executorMemory", "executorCores", "numExecutors"),
}


@dataclass(frozen=True)
class Ending:
    """How the work of a batch ends: success, dead or killed."""

    state: str = "success"
    result: str = "Succeeded"
    error: str = ""
    log: tuple[str, ...] = ()


@dataclass
class Batch:
    number: int
    body: dict[str, Any]
    state: str = "not_started"
    ending: Ending | None = None
    lines: tuple[str, ...] = ()

    def parameter(self, name: str) -> str:
        """The argument after this one."""
        arguments = self.body["args"]
        return str(arguments[arguments.index(name) + 1])


def refused(status: int, code: str, message: str) -> Refusal:
    return Refusal(status, {"code": code, "message": message})


@dataclass
class Synapse(JsonStandIn):
    """`work`: what a batch does, once it runs. `held`: batches go on running. pools: their names."""

    work: Callable[[Batch], Ending] = lambda batch: Ending()
    held: bool = False
    pools: tuple[str, ...] = ("small",)
    batches: list[Batch] = field(default_factory=list)

    def unauthorized(self) -> Refusal:
        return refused(401, "AuthenticationFailed", "Token Authentication failed")

    def answer(self, call: Call) -> Any:
        match = _PATH.fullmatch(call.path)
        if match is None:
            raise refused(404, "NotFound", f"{call.path} is not found.")
        if match[1] not in self.pools:
            raise refused(404, "SparkComputeNotFound", f"The Spark pool {match[1]} is not found.")
        if match[2] is None:
            return self._create(call.body) if call.verb == "POST" else self._list(call.query)
        batch = next((one for one in self.batches if one.number == int(match[2])), None)
        if batch is None:
            raise refused(404, "SparkJobNotFound", f"The Spark job {match[2]} is not found.")
        if call.verb == "DELETE":
            batch.ending = batch.ending or Ending("killed", "Cancelled")
            return {}
        self._move(batch)
        return self._shown(batch)

    def _create(self, body: dict[str, Any]) -> Any:
        if strangers := body.keys() - _BODY:
            raise refused(400, "BadRequest", f"Unknown fields: {strangers}")
        for name in ("name", "file", "driverMemory", "driverCores", "executorMemory", "executorCores", "numExecutors"):
            if name not in body:
                raise refused(400, "BadRequest", f"The field {name} is missing.")
        if body["numExecutors"] > 200:
            raise refused(400, "VcoreQuotaExceeded", "The request needs more vcores than the workspace may have.")
        self.batches.append(Batch(number=len(self.batches) + 7, body=body))
        return self._shown(self.batches[-1])

    def _list(self, query: dict[str, str]) -> Any:
        start, size = int(query.get("from", 0)), int(query.get("size", 20))
        page = [self._shown(batch) for batch in self.batches[start : start + size]]
        return {"from": start, "total": len(self.batches), "sessions": page}

    def _move(self, batch: Batch) -> None:
        if batch.ending is not None:
            batch.state = batch.ending.state
        elif batch.state != "running":
            batch.state = _STATES[_STATES.index(batch.state) + 1]
        elif not self.held:
            batch.ending = self.work(batch)

    def _shown(self, batch: Batch) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "id": batch.number,
            "name": batch.body["name"],
            "state": batch.state,
            "log": list(batch.lines),
        }
        shown |= {"result": "Uncertain", "appInfo": None, "errorInfo": [], "jobType": "SparkBatch"}
        if batch.state == "running":
            shown["appInfo"] = {"sparkUiUrl": f"{self.url}/sparkui/{batch.number}"}
        if batch.ending is not None and batch.state == batch.ending.state:
            shown |= {"result": batch.ending.result, "log": list(batch.ending.log)}
            shown["errorInfo"] = [{"message": batch.ending.error, "errorCode": "E"}] if batch.ending.error else []
        return shown

"""A stand-in for a Databricks workspace, for which nothing runs here: jobs in memory, over real HTTP.

It answers as the "Databricks REST API reference" says of the Jobs API 2.1 (runs/submit, get, cancel, get-output), the
DBFS API 2.0 and clusters/get: as far as this project goes, and no further. What it is like is not proved by the real
service. A run goes one state further each time it is looked at.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.json_standin import Call, JsonStandIn, Refusal

TASKS = ("spark_python_task", "notebook_task", "spark_jar_task")
_SUBMIT = {"run_name", "idempotency_token", "tasks", "timeout_seconds"}
_TASK = {"task_key", "existing_cluster_id", "new_cluster", "libraries", *TASKS}
_CLUSTER = {
    *("spark_version", "node_type_id", "instance_pool_id", "num_workers", "autoscale", "spark_conf", "spark_env_vars"),
    *("init_scripts", "cluster_log_conf"),
}


@dataclass(frozen=True)
class Ending:
    """How the work of a run ends."""

    result: str = "SUCCESS"
    message: str = ""
    logs: str = ""
    error: str = ""


@dataclass
class JobRun:
    number: int
    body: dict[str, Any]
    state: str = "PENDING"
    ending: Ending | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def task(self) -> dict[str, Any]:
        return self.body["tasks"][0]  # type: ignore[no-any-return]

    @property
    def parameters(self) -> dict[str, str]:
        """What the work was told, by the names before it."""
        if "notebook_task" in self.task:
            return dict(self.task["notebook_task"]["base_parameters"])
        given = next(self.task[name] for name in TASKS if name in self.task)["parameters"]
        return {name: value for name, value in pairwise(given) if name.startswith("-")}


def refused(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Refusal:
    return Refusal(status, {"error_code": code, "message": message}, headers)


def invalid(message: str) -> Refusal:
    return refused(400, "INVALID_PARAMETER_VALUE", message)


@dataclass
class Databricks(JsonStandIn):
    """`work`: what a run does, once it is RUNNING. `held`: runs stay RUNNING. clusters: id -> state."""

    work: Callable[[JobRun], Ending] = lambda run: Ending()
    held: bool = False
    runs: list[JobRun] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    clusters: dict[str, str] = field(default_factory=dict)
    _open: dict[int, tuple[str, bytearray]] = field(default_factory=dict)

    def unauthorized(self) -> Refusal:
        return refused(403, "PERMISSION_DENIED", "Invalid access token.")

    def answer(self, call: Call) -> Any:
        routes: dict[tuple[str, str], Callable[[Any], Any]] = {
            ("POST", "/api/2.1/jobs/runs/submit"): self._submit,
            ("GET", "/api/2.1/jobs/runs/get"): self._get,
            ("POST", "/api/2.1/jobs/runs/cancel"): self._cancel,
            ("GET", "/api/2.1/jobs/runs/get-output"): self._output,
            ("GET", "/api/2.0/clusters/get"): self._cluster,
            ("GET", "/api/2.0/dbfs/get-status"): self._status,
            ("POST", "/api/2.0/dbfs/put"): self._put,
            ("POST", "/api/2.0/dbfs/create"): self._create,
            ("POST", "/api/2.0/dbfs/add-block"): self._add,
            ("POST", "/api/2.0/dbfs/close"): self._close,
        }
        route = routes.get((call.verb, call.path))
        if route is None:
            raise refused(404, "ENDPOINT_NOT_FOUND", f"No API found for '{call.verb} {call.path}'")
        return route(call.body if call.verb == "POST" else call.query)

    def _submit(self, body: dict[str, Any]) -> Any:
        token = body.get("idempotency_token", "")
        if len(token) > 64:
            raise invalid("idempotency_token must not be longer than 64 characters.")
        for run in self.runs:
            if token and run.body.get("idempotency_token") == token:
                return {"run_id": run.number}
        self._check(body)
        self.runs.append(JobRun(number=len(self.runs) * 10 + 455, body=body))
        return {"run_id": self.runs[-1].number}

    def _check(self, body: dict[str, Any]) -> None:
        (task,) = body["tasks"]
        cluster = task.get("new_cluster", {})
        for known, given in ((_SUBMIT, body), (_TASK, task), (_CLUSTER, cluster)):
            if strangers := given.keys() - known:
                raise invalid(f"Unknown fields: {strangers}")
        if sum(name in task for name in TASKS) != 1:
            raise invalid("One and only one type of task must be given.")
        if ("new_cluster" in task) == ("existing_cluster_id" in task):
            raise invalid("One of new_cluster and existing_cluster_id must be given.")
        if "new_cluster" in task and ("num_workers" in cluster) == ("autoscale" in cluster):
            raise invalid("Missing required field: new_cluster.size")
        if "existing_cluster_id" in task and task["existing_cluster_id"] not in self.clusters:
            raise invalid(f"Cluster {task['existing_cluster_id']} does not exist")
        for name in TASKS:
            if any(not isinstance(item, str) for item in task.get(name, {}).get("parameters", ())):
                raise invalid("Parameters must be strings.")

    def _run(self, number: Any) -> JobRun:
        found = next((run for run in self.runs if run.number == int(number)), None)
        if found is None:
            raise invalid(f"Run {number} does not exist.")
        return found

    def _get(self, query: Any) -> Any:
        run = self._run(query["run_id"])
        self._move(run)
        state = {"life_cycle_state": run.state, "state_message": "In run" if run.ending is None else run.ending.message}
        if run.ending is not None and run.state == "TERMINATED":
            state["result_state"] = run.ending.result
        task = {"run_id": run.number + 1, "task_key": run.task["task_key"], "state": state}
        page = f"{self.url}/?o=7#job/1/run/{run.number}"
        return {"run_id": run.number, "run_page_url": page, "state": state, "tasks": [task]}

    def _move(self, run: JobRun) -> None:
        limit = run.body.get("timeout_seconds")
        if run.ending is None and limit and time.monotonic() - run.began > limit:
            run.ending = Ending("TIMEDOUT", "Run exceeded its time limit.")
        if run.ending is not None:
            run.state = "TERMINATING" if run.state in ("PENDING", "RUNNING") else "TERMINATED"
        elif run.state == "PENDING":
            run.state = "RUNNING"
        elif not self.held:
            run.ending = self._worked(run)

    def _worked(self, run: JobRun) -> Ending:
        file = run.task.get("spark_python_task", {}).get("python_file", "")
        if file.startswith("dbfs:") and file.removeprefix("dbfs:") not in self.files:
            return Ending("FAILED", f"Library installation failed: {file} does not exist")
        return self.work(run)

    def _cancel(self, body: Any) -> Any:
        run = self._run(body["run_id"])
        run.ending = run.ending or Ending("CANCELED", "Run cancelled.")
        return {}

    def _output(self, query: Any) -> Any:
        number = int(query["run_id"])
        if any(run.number == number for run in self.runs):
            raise invalid("Retrieving the output of runs with multiple tasks is not supported.")
        run = self._run(number - 1)
        assert run.ending is not None
        if "notebook_task" in run.task:
            return {"notebook_output": {"result": run.ending.logs, "truncated": False}, "error": run.ending.error}
        return {"logs": run.ending.logs, "logs_truncated": False, "error": run.ending.error, "metadata": {}}

    def _cluster(self, query: Any) -> Any:
        if query["cluster_id"] not in self.clusters:
            raise invalid(f"Cluster {query['cluster_id']} does not exist")
        return {"cluster_id": query["cluster_id"], "state": self.clusters[query["cluster_id"]]}

    def _status(self, query: Any) -> Any:
        path = query["path"]
        if path not in self.files:
            raise refused(404, "RESOURCE_DOES_NOT_EXIST", f"No file or directory exists on path {path}.")
        return {"path": path, "is_dir": False, "file_size": len(self.files[path])}

    def _put(self, body: Any) -> Any:
        if len(body["contents"]) > 1024 * 1024:
            raise refused(400, "MAX_BLOCK_SIZE_EXCEEDED", "The data exceeds the maximum block size.")
        if body["path"] in self.files and not body.get("overwrite"):
            raise refused(400, "RESOURCE_ALREADY_EXISTS", "A file or directory already exists.")
        self.files[body["path"]] = base64.b64decode(body["contents"])
        return {}

    def _create(self, body: Any) -> Any:
        handle = len(self.calls)
        self._open[handle] = (body["path"], bytearray())
        return {"handle": handle}

    def _add(self, body: Any) -> Any:
        if len(body["data"]) > 1024 * 1024:
            raise refused(400, "MAX_BLOCK_SIZE_EXCEEDED", "The data exceeds the maximum block size.")
        self._open[body["handle"]][1].extend(base64.b64decode(body["data"]))
        return {}

    def _close(self, body: Any) -> Any:
        path, data = self._open.pop(body["handle"])
        self.files[path] = bytes(data)
        return {}

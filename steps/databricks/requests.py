"""What is said to the Jobs API 2.1, and what its answers mean: pure functions.

Contract: "Databricks REST API reference", Jobs (runs/submit, runs/get, runs/get-output), Libraries, DBFS.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from orchestrator.core.job import Job
from orchestrator.core.kinds.databricks import DatabricksJob, NewCluster

TASK: Final = "step"
ENDED: Final = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
SUCCESS: Final = "SUCCESS"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A run of a job as the workspace sees it. `task`: the id by which its output is asked for."""

    life_cycle: str
    result: str
    message: str
    page: str
    task: int

    @property
    def ended(self) -> bool:
        return self.life_cycle in ENDED

    @property
    def succeeded(self) -> bool:
        return self.life_cycle == "TERMINATED" and self.result == SUCCESS

    def __str__(self) -> str:
        text = " ".join(filter(None, (self.life_cycle, self.result)))
        return f"{text}: {self.message}" if self.message else text


def idempotency_token(job: Job) -> str:
    """The same for every worker that looks after this try of the step; at most 64 characters."""
    return hashlib.sha256(f"millstream\0{job.run}\0{job.step.id}\0{job.retries}".encode()).hexdigest()


def submission(
    job: Job,
    wanted: DatabricksJob,
    *,
    arguments: tuple[str, ...],
    widgets: Mapping[str, str],
    file: str,
    conf: Mapping[str, str],
    timeout: float | None,
) -> dict[str, Any]:
    """The body of runs/submit. file: where the script lies. conf: Spark's settings of a new cluster, beside its own.

    arguments: of a script or class. widgets: of a notebook, beside its own parameters.
    """
    task: dict[str, Any] = {"task_key": TASK, **_work(wanted, arguments, widgets, file), **_cluster(wanted, conf)}
    if wanted.libraries:
        task["libraries"] = [msgspec.to_builtins(library) for library in wanted.libraries]
    body: dict[str, Any] = {
        "run_name": wanted.run_name or f"{job.experiment}: {job.step.name}",
        "idempotency_token": idempotency_token(job),
        "tasks": [task],
    }
    if timeout is not None:
        body["timeout_seconds"] = max(1, round(timeout))
    return body


def _work(
    wanted: DatabricksJob, arguments: tuple[str, ...], widgets: Mapping[str, str], file: str
) -> dict[str, dict[str, Any]]:
    if wanted.notebook:
        parameters = {**widgets, **{name: _text(value) for name, value in wanted.notebook_params.items()}}
        return {"notebook_task": {"notebook_path": wanted.notebook, "base_parameters": parameters}}
    if wanted.main_class:
        return {"spark_jar_task": {"main_class_name": wanted.main_class, "parameters": list(arguments)}}
    return {"spark_python_task": {"python_file": file, "parameters": list(arguments)}}


def _text(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cluster(wanted: DatabricksJob, conf: Mapping[str, str]) -> dict[str, Any]:
    if wanted.existing_cluster_id:
        return {"existing_cluster_id": wanted.existing_cluster_id}
    return {"new_cluster": _new(wanted.new_cluster or NewCluster(num_workers=1), conf)}


def _new(cluster: NewCluster, conf: Mapping[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {"spark_version": cluster.spark_version}
    if cluster.instance_pool_id:
        made["instance_pool_id"] = cluster.instance_pool_id
    else:
        made["node_type_id"] = cluster.node_type
    if cluster.num_workers is None:
        made["autoscale"] = {"min_workers": cluster.min_workers, "max_workers": cluster.max_workers}
    else:
        made["num_workers"] = cluster.num_workers
    if settings := {**conf, **cluster.spark_conf}:
        made["spark_conf"] = settings
    if cluster.spark_env_variables:
        made["spark_env_vars"] = dict(cluster.spark_env_variables)
    if cluster.init_scripts:
        made["init_scripts"] = [{"dbfs": {"destination": path}} for path in cluster.init_scripts]
    if cluster.cluster_log_dbfs_path:
        made["cluster_log_conf"] = {"dbfs": {"destination": cluster.cluster_log_dbfs_path}}
    return made


def state_of(answer: Mapping[str, Any]) -> State:
    """What runs/get says."""
    state = answer.get("state") or {}
    tasks = answer.get("tasks") or [{}]
    return State(
        life_cycle=str(state.get("life_cycle_state", "")),
        result=str(state.get("result_state", "")),
        message=str(state.get("state_message", "")),
        page=str(answer.get("run_page_url", "")),
        task=int(tasks[0].get("run_id") or answer.get("run_id") or 0),
    )


def output_of(answer: Mapping[str, Any]) -> str:
    """What runs/get-output has to show: what was printed or returned, and how it failed."""
    notebook = answer.get("notebook_output") or {}
    parts = [answer.get("logs"), notebook.get("result"), answer.get("error_trace"), answer.get("error")]
    return "\n".join(str(part).rstrip("\n") for part in parts if part)

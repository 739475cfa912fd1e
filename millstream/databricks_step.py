"""v1's DatabricksStep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from millstream.arguments import refuse_unknown
from millstream.databricks import LIBRARIES, settings_of
from millstream.parameter import PipelineParameter
from millstream.steps import PipelineStep, missing_file, script_path
from orchestrator.core.errors import Problem
from orchestrator.core.names import shown
from orchestrator.core.retry import RetryPolicy

_WORK: Final = ("notebook_path", "python_script_path", "python_script_name", "main_class_name")
_OF_NEW_CLUSTER: Final = (
    *("spark_version", "node_type", "instance_pool_id", "num_workers", "min_workers", "max_workers"),
    *("spark_env_variables", "spark_conf", "init_scripts", "cluster_log_dbfs_path"),
)


class DatabricksStep(PipelineStep):
    """Runs a notebook, a Python script or a class of a JAR on Databricks; docs/spark.md says how.

    Exactly one of `notebook_path`, `python_script_path` (on DBFS), `python_script_name` (of `source_directory`) and
    `main_class_name` is given, and either `existing_cluster_id` or what a new cluster is like. `compute_target` is an
    attached workspace (DatabricksCompute); with any other, or none, a `python_script_name` runs on the Spark of the
    service's own node. Beside v1's arguments: `retry` and `source_files`, as of PythonScriptStep. `hash_paths` and
    `runconfig` mean nothing.
    """

    kind = "databricks"

    def __init__(
        self,
        name: str,
        inputs: Any = None,
        outputs: Any = None,
        existing_cluster_id: str | None = None,
        spark_version: str | None = None,
        node_type: str | None = None,
        instance_pool_id: str | None = None,
        num_workers: int | None = None,
        min_workers: int | None = None,
        max_workers: int | None = None,
        spark_env_variables: Mapping[str, Any] | None = None,
        spark_conf: Mapping[str, Any] | None = None,
        init_scripts: Iterable[str] | None = None,
        cluster_log_dbfs_path: str | None = None,
        notebook_path: str | None = None,
        notebook_params: Mapping[str, Any] | None = None,
        python_script_path: str | None = None,
        python_script_params: Any = None,
        main_class_name: str | None = None,
        jar_params: Any = None,
        python_script_name: str | None = None,
        source_directory: str | Path | None = None,
        hash_paths: Any = None,
        run_name: str | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        runconfig: Any = None,
        maven_libraries: Any = None,
        pypi_libraries: Any = None,
        egg_libraries: Any = None,
        jar_libraries: Any = None,
        rcran_libraries: Any = None,
        compute_target: Any = None,
        allow_reuse: bool = True,
        version: str | None = None,
        permit_cluster_restart: bool | None = None,
        *,
        retry: RetryPolicy | int | None = None,
        priority: int | None = None,
        source_files: Iterable[str] = (),
        **unknown: Any,
    ) -> None:
        given = locals()
        del hash_paths, runconfig
        refuse_unknown(DatabricksStep.__init__, unknown)
        what = f"DatabricksStep {shown(name)}"
        cluster = {key: given[key] for key in _OF_NEW_CLUSTER if given[key] is not None}
        _check_work(what, {key: given[key] for key in _WORK if given[key] is not None}, given)
        _check_cluster(what, cluster, existing_cluster_id, permit_cluster_restart)
        self.python_script_name = python_script_name and script_path(python_script_name, "python_script_name")
        super().__init__(
            name,
            inputs=inputs,
            outputs=outputs,
            arguments=_named(python_script_params) if jar_params is None else jar_params,
            compute_target=compute_target,
            source_directory=source_directory,
            allow_reuse=allow_reuse,
            version=version,
            retry=retry,
            timeout_seconds=timeout_seconds,
            priority=priority,
            source_files=source_files,
        )
        self._settings: dict[str, Any] = self.wiring.setting(
            _settings(what, given, cluster, self.python_script_name), what
        )

    @property
    def settings(self) -> dict[str, Any]:
        return self._settings

    @property
    def needs_snapshot(self) -> bool:
        """Only a script of its own comes from a folder."""
        return bool(self.python_script_name)

    def source_problem(self, folder: Path) -> Problem | None:
        if not self.python_script_name:
            return None
        fix = "Give the step a source_directory in which it is."
        return missing_file(self, folder / self.python_script_name, "script", fix)


def _settings(what: str, given: Mapping[str, Any], cluster: Mapping[str, Any], script: str | None) -> dict[str, Any]:
    """v1's arguments under the definition's names."""
    return _without_nothing(
        script=script,
        dbfs_script=given["python_script_path"],
        notebook=given["notebook_path"],
        main_class=given["main_class_name"],
        notebook_params=dict(given["notebook_params"] or {}),
        existing_cluster_id=given["existing_cluster_id"],
        permit_cluster_restart=given["permit_cluster_restart"],
        new_cluster=_cluster(cluster) if cluster else None,
        libraries=settings_of(what, {name: given[name] for name in LIBRARIES}),
        run_name=given["run_name"],
    )


def _check_work(what: str, work: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raises ValueError unless there is one thing to run, with parameters of its kind."""
    if len(work) != 1:
        raise ValueError(f"{what}: give exactly one of {', '.join(_WORK)}; given: {', '.join(work) or 'none'}.")
    (kind,) = work
    allowed = {
        "notebook_path": "notebook_params",
        "python_script_path": "python_script_params",
        "python_script_name": "python_script_params",
        "main_class_name": "jar_params",
    }
    for name in sorted({*allowed.values()} - {allowed[kind]}):
        if given[name]:
            raise ValueError(f"{what}: {name} are not for {kind}, which takes {allowed[kind]}.")
    if kind == "main_class_name" and not (given["jar_libraries"] or given["maven_libraries"]):
        raise ValueError(f"{what}: main_class_name needs the JAR that it is in, among jar_libraries.")


def _check_cluster(what: str, cluster: Mapping[str, Any], existing: str | None, restart: bool | None) -> None:
    """Raises ValueError unless the cluster is either an existing one or a new one whose size is clear."""
    if existing and cluster:
        raise ValueError(f"{what}: existing_cluster_id excludes {', '.join(cluster)}, which are of a new cluster.")
    if restart is not None and not existing:
        raise ValueError(f"{what}: permit_cluster_restart is for an existing_cluster_id only.")
    ranged = [name for name in ("min_workers", "max_workers") if name in cluster]
    if "num_workers" in cluster and ranged:
        raise ValueError(f"{what}: num_workers excludes {' and '.join(ranged)}.")
    if len(ranged) == 1:
        raise ValueError(f"{what}: give both of min_workers and max_workers.")


def _cluster(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a new cluster is like, as in the definition; one worker, if no number is given."""
    made = dict(given)
    for name in ("spark_env_variables", "spark_conf"):
        if name in made:
            made[name] = {key: _text(value) for key, value in made[name].items()}
    if "init_scripts" in made:
        made["init_scripts"] = list(made["init_scripts"])
    if not {"num_workers", "min_workers"} & made.keys():
        made["num_workers"] = 1
    return made


def _text(value: Any) -> Any:
    """A number or flag as Spark writes it; texts and parameters as they are."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _named(params: Any) -> Any:
    """v1 hands a PipelineParameter over under its name, as two arguments."""
    if not isinstance(params, list | tuple):
        return params
    return [
        part
        for item in params
        for part in ((f"--{item.name}", item) if isinstance(item, PipelineParameter) and not item.is_data else (item,))
    ]


def _without_nothing(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, {}, [], "")}

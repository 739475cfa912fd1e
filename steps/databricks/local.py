"""A script that was written for Databricks, on the node's own Spark."""

from __future__ import annotations

import re

from orchestrator.core.kinds.databricks import DatabricksJob, Library
from steps.context import StepContext
from steps.databricks import contract
from steps.failures import InvalidStep
from steps.spark import local
from steps.spark.local import SparkScript

_ELSEWHERE = {
    "notebook": "a notebook is kept in a Databricks workspace",
    "dbfs_script": "python_script_path is a path of a workspace's DBFS",
    "main_class": "JARs run on a cluster",
}


def run(context: StepContext, wanted: DatabricksJob) -> None:
    """Raises StepFailure, Stopped."""
    for name, reason in _ELSEWHERE.items():
        if getattr(wanted, name):
            raise InvalidStep(
                f"{reason[0].upper()}{reason[1:]}, and the compute {context.job.step.compute!r} is none: attach a "
                "workspace with DatabricksCompute, or give the step python_script_name."
            )
    cluster = wanted.new_cluster
    script = SparkScript(
        script=wanted.script,
        arguments=contract.arguments(context, context.outputs, {contract.SCRIPT_DIRECTORY: str(context.folders.code)}),
        conf={**_jars(wanted.libraries), **(cluster.spark_conf if cluster else {})},
        variables=cluster.spark_env_variables if cluster else {},
        packages=tuple(_package(library.pypi.package) for library in wanted.libraries if library.pypi),
    )
    context.log.note("The compute is no Databricks workspace: this runs on the local Spark of the node.")
    local.run(context, script)


def _jars(libraries: tuple[Library, ...]) -> dict[str, str]:
    """Maven packages, which Spark brings by itself. Raises InvalidStep for what only a cluster installs."""
    for library in libraries:
        if library.kind not in ("pypi", "maven"):
            raise InvalidStep(f"The local Spark takes PyPI and Maven libraries, and none of the kind {library.kind}.")
    found = [library.maven for library in libraries if library.maven]
    lists = {
        "spark.jars.packages": [item.coordinates for item in found],
        "spark.jars.repositories": [item.repo for item in found if item.repo],
        "spark.jars.excludes": [name for item in found for name in item.exclusions],
    }
    return {name: ",".join(items) for name, items in lists.items() if items}


def _package(requirement: str) -> str:
    """The name in a requirement such as "numpy[extra]>=2"."""
    return re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0]

"""Work for a Databricks workspace, or for the Spark of the node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from orchestrator.core.errors import Problem
from orchestrator.core.kinds.settings import Settings
from orchestrator.core.names import SCRIPT

SPARK_VERSION: Final = "10.4.x-scala2.12"
NODE_TYPE: Final = "Standard_D3_v2"
WORK: Final = ("script", "dbfs_script", "notebook", "main_class")
"""The settings of which exactly one says what runs."""
LIBRARIES: Final = ("pypi", "maven", "cran", "jar", "egg")
MOST_WORKERS: Final = 100_000


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Package(_Part, frozen=True, kw_only=True):
    """A package of an index such as PyPI; `repo` is another index than the usual one."""

    package: str
    repo: str = ""


class Coordinates(_Part, frozen=True, kw_only=True):
    """Maven coordinates, as in "group:artifact:version". `exclusions`: "group:artifact" of what is left out."""

    coordinates: str
    repo: str = ""
    exclusions: tuple[str, ...] = ()


class Library(_Part, frozen=True, kw_only=True):
    """What is installed before the work begins: exactly one of its fields. `jar` and `egg` are paths or URLs."""

    pypi: Package | None = None
    maven: Coordinates | None = None
    cran: Package | None = None
    jar: str = ""
    egg: str = ""

    @property
    def kind(self) -> str:
        """Which of its fields is given; "" unless it is exactly one."""
        given = [name for name in LIBRARIES if getattr(self, name)]
        return given[0] if len(given) == 1 else ""


class NewCluster(_Part, frozen=True, kw_only=True):
    """A cluster for this work alone. Workers: a fixed number, or from `min_workers` to `max_workers`.

    `instance_pool_id`: its machines come from that pool, and `node_type` means nothing. `cluster_log_dbfs_path` and
    `init_scripts` are paths of DBFS.
    """

    spark_version: str = SPARK_VERSION
    node_type: str = NODE_TYPE
    instance_pool_id: str = ""
    num_workers: int | None = None
    min_workers: int | None = None
    max_workers: int | None = None
    spark_env_variables: dict[str, str] = {}
    spark_conf: dict[str, str] = {}
    init_scripts: tuple[str, ...] = ()
    cluster_log_dbfs_path: str = ""


class DatabricksJob(Settings, frozen=True, kw_only=True):
    """Runs a script of the source folder, a Python file of DBFS, a notebook, or a class of a JAR.

    The step's arguments are those of the script or class; a notebook has `notebook_params` instead. On a compute that
    is an attached Databricks workspace it runs there; on any other, a script of the source folder runs on the node,
    with the Spark that is installed beside the worker. `permit_cluster_restart`, if False, refuses to start an existing
    cluster that does not run.
    """

    script: str = ""
    dbfs_script: str = ""
    notebook: str = ""
    main_class: str = ""
    notebook_params: dict[str, str | int | float | bool] = {}
    existing_cluster_id: str = ""
    permit_cluster_restart: bool | None = None
    new_cluster: NewCluster | None = None
    libraries: tuple[Library, ...] = ()
    run_name: str = ""

    def problems(self, field: str) -> Iterator[Problem]:
        yield from self._work(field)
        yield from self._cluster(field)
        for index, library in enumerate(self.libraries):
            if not library.kind:
                fix = f"Give exactly one of {', '.join(LIBRARIES)}."
                yield Problem("InvalidSettings", f"{field}.libraries[{index}]", "It is no single library.", fix)
        if self.main_class and not any(library.kind in ("jar", "maven") for library in self.libraries):
            fix = "Add the JAR, or the Maven package, that it is in."
            yield Problem("InvalidSettings", f"{field}.libraries", "There is no library with the main class.", fix)

    def _work(self, field: str) -> Iterator[Problem]:
        given = [name for name in WORK if getattr(self, name)]
        if len(given) != 1:
            said = f"It has {' and '.join(given)}." if given else "There is nothing to run."
            yield Problem("InvalidSettings", field, said, f"Give exactly one of {', '.join(WORK)}.")
        if self.script and (problem := SCRIPT.problem(self.script, f"{field}.script")):
            yield problem
        if self.notebook_params and not self.notebook:
            fix = "Give a script its values as arguments."
            yield Problem("InvalidSettings", f"{field}.notebook_params", "Only a notebook has these.", fix)

    def _cluster(self, field: str) -> Iterator[Problem]:
        if self.existing_cluster_id and self.new_cluster is not None:
            fix = "Leave one of them out."
            yield Problem("InvalidSettings", f"{field}.new_cluster", "There is an existing cluster, too.", fix)
        if self.permit_cluster_restart is not None and not self.existing_cluster_id:
            where, fix = f"{field}.permit_cluster_restart", "Leave it out, or give existing_cluster_id."
            yield Problem("InvalidSettings", where, "A new cluster is never restarted.", fix)
        if self.new_cluster is not None:
            yield from _sizes(self.new_cluster, f"{field}.new_cluster")


def _sizes(cluster: NewCluster, field: str) -> Iterator[Problem]:
    fixed, low, high = cluster.num_workers, cluster.min_workers, cluster.max_workers
    if (fixed is not None) == (low is not None or high is not None) or (low is None) != (high is None):
        fix = "Give num_workers, or min_workers and max_workers."
        yield Problem("InvalidSettings", field, "The number of workers is not clear.", fix)
    for name in ("num_workers", "min_workers", "max_workers"):
        number = getattr(cluster, name)
        if number is not None and not 0 <= number <= MOST_WORKERS:
            yield Problem("InvalidNumber", f"{field}.{name}", f"{name} is {number}.", f"Use 0 to {MOST_WORKERS:,}.")
    if low is not None and high is not None and low > high:
        yield Problem("InvalidNumber", f"{field}.min_workers", f"{low} is more than max_workers, {high}.", "Swap them.")

"""What a step worker has to know of its surroundings. Nothing in this room reads the process's own environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from steps.datastores import Datastores
from steps.remote.attached import Attachments
from steps.service_access import ServiceAccess

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceIdentity:
    """The names a v1 script finds in AZUREML_ARM_* and AZUREML_WORKSPACE_ID."""

    name: str = "millstream"
    subscription_id: str = "00000000-0000-0000-0000-000000000000"
    resource_group: str = "millstream"


@dataclass(frozen=True, slots=True, kw_only=True)
class VenvSettings:
    """folder: where environments are kept; None: in the worker's cache_dir. most_bytes: with what they are made from.
    timeout: seconds for one. sources: packages may be built from their sources, which runs their code. configuration:
    the variables with which uv and pip find their indexes; they may hold secrets, and go to nobody else. uv: the
    program that makes them; None: the one beside the worker, or one that is brought when it is needed.
    """

    folder: Path | None = None
    most_bytes: int = 20_000_000_000
    timeout: float = 900.0
    sources: bool = False
    uv: str | None = None
    configuration: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Times in seconds, sizes in bytes.

    cache_dir: node-local folder for snapshots and working folders; created. container: the system container.
    datastores: address of each one's container. environment: what every script's environment starts from; it is handed
    to user code, so it must hold no secret (`steps.environment.inherited` filters one). python: the interpreter of
    scripts. spark_python: the one that has pyspark; None: `python`. attachments: workspaces that do the work of steps;
    None: there are none. python_path: further folders of installed packages for scripts, such as those the worker
    itself got by other means than its interpreter. runtime_path: a folder with `millstream` for scripts; None: made in
    cache_dir. fork_server: start scripts in forks of a warm process instead of fresh interpreters.
    function_timeout_seconds: when the host would kill this whole process; None: never. access: how scripts reach the
    service; None: not at all. grace_seconds: between SIGTERM and SIGKILL. data_cache_bytes: what is kept of data that
    steps read and wrote. threads_per_step: cap for numeric libraries in a script; None: theirs. web_bytes: the most
    that one file of the web may have, as the input of a step. venvs: where and how the environments of steps are made.
    """

    cache_dir: Path
    container: str = "millstream"
    datastores: Datastores = field(default_factory=lambda: {"workspaceblobstore": "workspaceblobstore"})
    workspace: WorkspaceIdentity = WorkspaceIdentity()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    access: ServiceAccess | None = None
    attachments: Attachments | None = None
    python: str = sys.executable
    spark_python: str | None = None
    python_path: tuple[str, ...] = ()
    runtime_path: Path | None = None
    fork_server: bool = True
    heartbeat_seconds: float = 30.0
    cancel_check_seconds: float = 3.0
    function_timeout_seconds: float | None = 1800.0
    grace_seconds: float = 5.0
    threads_per_step: int | None = None
    transfer_threads: int = 8
    log_bytes: int = 10 * MEBIBYTE
    spool_bytes: int = 32 * MEBIBYTE
    snapshot_bytes: int = 300 * MEBIBYTE
    snapshot_files: int = 2000
    snapshot_cache_bytes: int = 2048 * MEBIBYTE
    data_cache_bytes: int = 10_000_000_000
    web_bytes: int = 50_000 * MEBIBYTE
    keep_work_dirs: bool = False
    venvs: VenvSettings = VenvSettings()

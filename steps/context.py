"""What a kind of step is given to work with."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from orchestrator.core.job import Deferred, Job
from orchestrator.core.resolving import resolve_timeout
from steps import environment, execution
from steps.brought import Brought
from steps.dataset_access import StoreAccess
from steps.failures import DiskFull, ScriptFailed, ScriptKilled, TimedOut
from steps.fork_server import Command, ForkServer
from steps.live_metrics import LiveMetrics
from steps.log import StepLog
from steps.outputs import Found
from steps.remote.elsewhere import Elsewhere
from steps.settings import WorkerSettings
from steps.stop import Stop
from steps.store import Store
from steps.transfer import Pool
from steps.venvs import Venv
from steps.workdir import Folders

FULL_BYTES = 1024 * 1024
"""With less free than this after a script has failed, the disk is taken for the reason."""
RESERVE_SECONDS = 30.0
"""Before the host kills this process, to end the script and to store what it left."""


@dataclass(slots=True, kw_only=True)
class StepContext:
    """One attempt, prepared: sources and inputs are in place, `inputs` and `outputs` say where. A kind that leaves data
    in storage finds neither, and sets `inputs` and `found` when it has done its work.

    `elsewhere`: the workspace that does the work, to which `inputs` say where the data lies; None: it is done here.
    `server` starts processes, Python ones by the worker's own interpreter. `venv`: the environment that the step has
    asked for; None: it runs in the worker's own. `deferred`: what an execution before has left of work that a service
    does. A kind returns when the step has done its work, or NotYet, and raises StepFailure when it has not. `exit_code`
    and `bare_seconds` are of the last process run.
    """

    job: Job
    folders: Folders
    settings: WorkerSettings
    server: ForkServer
    common_environment: Mapping[str, str]
    log: StepLog
    live_metrics: LiveMetrics
    stop: Stop
    store: Store
    pool: Pool
    inputs: Mapping[str, Brought]
    outputs: Mapping[str, Path]
    found: list[Found] = field(default_factory=list)
    venv: Venv | None = None
    elsewhere: Elsewhere | None = None
    deferred: Deferred | None = None
    begun: float = field(default_factory=time.monotonic)
    exit_code: int | None = None
    bare_seconds: float = 0.0

    def access(self) -> StoreAccess:
        """The way to files of datastores and datasets that are no inputs of the step. `forget()` what it kept."""
        return StoreAccess(
            store=self.store,
            pool=self.pool,
            datastores=self.settings.datastores,
            scratch=self.folders.root / "datasets",
            stop=self.stop,
            web_bytes=self.settings.web_bytes,
        )

    def arguments(self) -> tuple[str, ...]:
        """The step's arguments, resolved. Raises InvalidStep."""
        return environment.arguments(self.job, self.inputs, self.outputs)

    @property
    def python(self) -> str:
        """The interpreter of the step's scripts."""
        return self.settings.python if self.venv is None else self.venv.python

    def process_environment(self, own: Mapping[str, str] | None = None) -> dict[str, str]:
        """All variables of a process of the step; `own` instead of `variables()`. Raises InvalidStep."""
        own = self.variables() if own is None else own
        return environment.combined(environment.inside(self.venv, self.common_environment), own)

    def run_python(self, script: str, arguments: tuple[str, ...]) -> None:
        """Run a script of the snapshot. Raises StepFailure, Stopped."""
        # Only the worker's own interpreter has a process waiting that can become the script.
        self._run((self.python, script, *arguments), script=script if self.venv is None else None, variables={})

    def run_command(self, command: tuple[str, ...], variables: Mapping[str, str] | None = None) -> None:
        """Run a command in the working folder, with `variables` beside its own. Raises StepFailure, Stopped."""
        self._run(command, script=None, variables=variables or {})

    def variables(self) -> dict[str, str]:
        """The step's own environment variables. Raises InvalidStep."""
        return environment.of_step(self.job, self.settings.workspace, self.folders, self.inputs, self.outputs)

    def _run(self, command: tuple[str, ...], *, script: str | None, variables: Mapping[str, str]) -> None:
        own = self.variables() | dict(variables)
        self.folders.info.write_bytes(environment.step_info(self.job, self.inputs, self.outputs))
        timeout = self.time_left()
        if self.settings.access is not None:
            own |= self.settings.access.variables(self.job, timeout)
        order = Command(
            command=command,
            folder=self.folders.code,
            environment=self.process_environment(own),
            timeout=timeout,
            grace=self.settings.grace_seconds,
            script=script,
            fresh=not self.settings.fork_server,
        )
        end = execution.run(self.server, order, self.log, self.live_metrics, self.stop)
        self.bare_seconds = end.seconds
        try:
            execution.judge(end, timeout)
        except (ScriptFailed, ScriptKilled) as failure:
            raise failure if shutil.disk_usage(self.folders.root).free >= FULL_BYTES else _full(failure) from None
        self.exit_code = 0

    def report_property(self, key: str, value: str) -> None:
        """As a script reports one."""
        with self.folders.spool.open("ab") as spool:
            spool.write(msgspec.json.encode({"op": "property", "key": key, "value": value}) + b"\n")

    def time_left(self) -> float | None:
        """Seconds that the step's work may take: the step's own limit, and what is left of the host's."""
        own, host = resolve_timeout(self.job.step, self.job.parameters), self.settings.function_timeout_seconds
        if host is None:
            return own
        left = self.begun + host - RESERVE_SECONDS - time.monotonic()
        if left <= 0:
            raise TimedOut(f"The inputs took so long that of the host's {host:g} s nothing is left for the script.")
        return left if own is None else min(own, left)


def _full(failure: ScriptFailed | ScriptKilled) -> DiskFull:
    full = DiskFull(
        f"{failure.message} The disk of this node is full: what the script wrote, in its outputs or elsewhere, has no "
        "room there. Nothing of it is kept as an output."
    )
    full.exit_code = failure.exit_code
    return full

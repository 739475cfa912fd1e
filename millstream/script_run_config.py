"""v1's ScriptRunConfig: one script to run, without a pipeline around it. Experiment.submit makes one."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream.distribution import MpiConfiguration
from millstream.errors import InvalidRequest
from millstream.run_configuration import LOCAL, DockerConfiguration, RunConfiguration

if TYPE_CHECKING:
    from millstream.environment import Environment
    from millstream.steps import PipelineStep

V1_DURATION = 2592000
"""Seconds that a script may run in v1 where nothing else is said: thirty days, which is no limit at all."""


class ScriptRunConfig:
    """A script, its arguments, and what it runs with. `run_config` is a copy of the one given.

    With a `command` it is a command, as of CommandStep, instead of a script. An MpiConfiguration as
    `distributed_job_config` counts; others, `resume_from` and `docker_runtime_config` are accepted and left aside.
    """

    def __init__(
        self,
        source_directory: str | os.PathLike[str] | None = None,
        script: str | None = None,
        arguments: Sequence[Any] | None = None,
        run_config: RunConfiguration | None = None,
        _telemetry_values: Any = None,
        compute_target: Any = None,
        environment: Environment | None = None,
        distributed_job_config: Any = None,
        resume_from: Any = None,
        max_run_duration_seconds: float | None = V1_DURATION,
        command: str | Sequence[str] | None = None,
        docker_runtime_config: DockerConfiguration | None = None,
    ) -> None:
        del _telemetry_values, resume_from
        self.command = command or (run_config.command if run_config else None)
        if self.command and script:
            raise InvalidRequest("Give script= or command=, not both.", field="command")
        self.source_directory = Path(source_directory or ".")
        self.script = script or (run_config.script if run_config else None)
        if self.script is None and not self.command:
            raise InvalidRequest("Give script=, relative to source_directory.", field="script")
        self.arguments = list(arguments if arguments is not None else run_config.arguments if run_config else [])
        self.run_config = copy.deepcopy(run_config) if run_config else RunConfiguration()
        self.run_config.script = self.script
        if isinstance(distributed_job_config, MpiConfiguration):
            self.run_config.communicator, self.run_config.mpi = "OpenMpi", distributed_job_config
        if max_run_duration_seconds != V1_DURATION:
            self.run_config.max_run_duration_seconds = max_run_duration_seconds
        if compute_target is not None:
            self.run_config.target = compute_target if isinstance(compute_target, str) else compute_target.name
        if environment is not None:
            self.run_config.environment = environment
        if docker_runtime_config is not None:
            self.run_config.docker = docker_runtime_config

    @property
    def compute_target(self) -> Any:
        """Where it runs; "local" stands for the functions app."""
        return self.run_config.target or LOCAL

    def as_step(self) -> PipelineStep:
        """The step that does the same. It always runs, as in version 1: only pipelines reuse."""
        from millstream.command_step import CommandStep
        from millstream.steps import PythonScriptStep

        if self.command:
            return CommandStep(runconfig=self, allow_reuse=False)

        return PythonScriptStep(
            script_name=str(self.script),
            allow_reuse=False,
            arguments=self.arguments,
            runconfig=self.run_config,
            source_directory=self.source_directory,
        )

    def __repr__(self) -> str:
        return f"ScriptRunConfig({f'command={self.command!r}' if self.command else f'script={self.script!r}'})"

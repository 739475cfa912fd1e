"""v1's RunConfiguration: where and with what a script runs, as far as that matters here.

What works: target, the environment with its packages and variables, script, arguments, max_run_duration_seconds and
priority, of which more goes first. The rest is accepted and left aside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from millstream.conda_dependencies import CondaDependencies
from millstream.distribution import MpiConfiguration, PyTorchConfiguration, TensorflowConfiguration
from millstream.environment import Environment

if TYPE_CHECKING:
    from millstream.compute import ComputeTarget

LOCAL = "local"
FRAMEWORKS = ("Python", "PySpark", "CNTK", "TensorFlow", "PyTorch", "R")


@dataclass(slots=True)
class DockerConfiguration:
    """Whether, and how, to run in a container."""

    use_docker: bool = False
    shared_volumes: bool = True
    arguments: list[str] = field(default_factory=list)
    shm_size: str | None = None


class RunConfiguration:
    """`target` is the name of a compute; "local", as v1 has it by default, stands for the functions app.

    An unknown attribute raises AttributeError, as in v1.
    """

    __slots__ = (
        *("arguments", "auto_prepare_environment", "command", "communicator", "credential_passthrough", "data"),
        *("data_references", "docker", "environment", "framework", "max_run_duration_seconds", "mpi", "node_count"),
        *("output_data", "priority", "pytorch", "script", "source_directory_data_store", "target", "tensorflow"),
    )

    def __init__(
        self,
        script: str | None = None,
        arguments: Sequence[Any] | None = None,
        framework: str | None = None,
        communicator: str | None = None,
        conda_dependencies: CondaDependencies | None = None,
        _history_enabled: bool | None = None,
        _path: str | None = None,
        _name: str | None = None,
        command: str | Sequence[str] | None = None,
    ) -> None:
        del _history_enabled, _path, _name
        if framework is not None and framework not in FRAMEWORKS:
            raise ValueError(f"There is no framework {framework!r}. Use one of {', '.join(FRAMEWORKS)}.")
        self.script = script
        self.arguments = list(arguments or [])
        self.command = command
        self.framework = framework or "Python"
        self.communicator = communicator or "None"
        self.target: str | ComputeTarget = LOCAL
        self.environment = Environment("project")
        if conda_dependencies is not None:
            self.environment.python.conda_dependencies = conda_dependencies
        self.auto_prepare_environment = True
        self.node_count = 1
        self.max_run_duration_seconds: float | None = None
        self.priority: int | None = None
        self.docker = DockerConfiguration()
        self.mpi = MpiConfiguration()
        self.pytorch = PyTorchConfiguration()
        self.tensorflow = TensorflowConfiguration()
        self.data_references: dict[str, Any] = {}
        self.data: dict[str, Any] = {}
        self.output_data: dict[str, Any] = {}
        self.source_directory_data_store: str | None = None
        self.credential_passthrough = False

    @property
    def environment_variables(self) -> dict[str, str]:
        """Those of the environment."""
        return self.environment.environment_variables

    @environment_variables.setter
    def environment_variables(self, variables: dict[str, str]) -> None:
        self.environment.environment_variables = variables

    def __repr__(self) -> str:
        return f"RunConfiguration(target={self.target!r}, environment={self.environment!r})"

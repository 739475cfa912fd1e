"""v1's estimators, deprecated there already: a script, its arguments and the packages it asks for, in one object."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream.arguments import refuse_unknown
from millstream.conda_dependencies import CondaDependencies
from millstream.distribution import MpiConfiguration
from millstream.environment import Environment
from millstream.run_configuration import RunConfiguration

if TYPE_CHECKING:
    from millstream.steps import PythonScriptStep

LEFT_ASIDE = (
    *("vm_size", "vm_priority"),
    *("use_gpu", "use_docker", "shm_size", "resume_from", "framework_version", "image_registry_details"),
    *("worker_count", "parameter_server_count", "source_directory_data_store"),
)
"""Arguments that are accepted and mean nothing here: machines, containers, parameter servers."""
MPI_BACKEND = "mpi"


class Estimator:
    """`script_params` becomes arguments: each name, and its value unless that is "" or None.

    With MPI as `distributed_training` (or `distributed_backend`) the script runs in `node_count` *
    `process_count_per_node` processes; otherwise these mean nothing. A `framework_version` does not either: v1's are
    older than the Python here. With `user_managed`, the packages are taken to be on the node.
    """

    packages: tuple[str, ...] = ()

    def __init__(
        self,
        source_directory: str | os.PathLike[str],
        *,
        compute_target: Any = None,
        entry_script: str | None = None,
        script_params: Mapping[str, Any] | None = None,
        custom_docker_image: str | None = None,
        conda_packages: Sequence[str] | None = None,
        pip_packages: Sequence[str] | None = None,
        conda_dependencies_file: str | None = None,
        pip_requirements_file: str | None = None,
        environment_variables: Mapping[str, str] | None = None,
        environment_definition: Environment | None = None,
        inputs: Sequence[Any] | None = None,
        node_count: int = 1,
        process_count_per_node: int = 1,
        distributed_backend: str | None = None,
        distributed_training: Any = None,
        user_managed: bool = False,
        max_run_duration_seconds: float | None = None,
        **others: Any,
    ) -> None:
        refuse_unknown(Estimator.__init__, {k: v for k, v in others.items() if k not in LEFT_ASIDE}, LEFT_ASIDE)
        if entry_script is None:
            raise ValueError("An estimator needs an entry_script.")
        self.source_directory = Path(source_directory)
        self.entry_script = entry_script
        self.script_params = dict(script_params or {})
        self.inputs = list(inputs or [])
        self.run_config = RunConfiguration(script=entry_script)
        if isinstance(distributed_training, MpiConfiguration) or distributed_backend == MPI_BACKEND:
            per_node = max(process_count_per_node, getattr(distributed_training, "process_count_per_node", 1))
            self.run_config.communicator, self.run_config.node_count = "OpenMpi", node_count
            self.run_config.mpi = MpiConfiguration(process_count_per_node=per_node)
        if compute_target is not None:
            self.run_config.target = compute_target
        if environment_definition is not None:
            self.run_config.environment = environment_definition
        else:
            folder = self.source_directory
            self._ask(folder, conda_packages, pip_packages, conda_dependencies_file, pip_requirements_file)
        self.run_config.max_run_duration_seconds = max_run_duration_seconds
        environment = self.run_config.environment
        if user_managed:
            environment.python.user_managed_dependencies = True
        environment.docker.base_image = custom_docker_image or environment.docker.base_image
        environment.environment_variables = {**environment.environment_variables, **(environment_variables or {})}

    def _ask(
        self,
        folder: Path,
        conda: Sequence[str] | None,
        pip: Sequence[str] | None,
        conda_file: str | None,
        pip_file: str | None,
    ) -> None:
        """Enter the packages, if any are asked for."""
        if not (conda or pip or conda_file or pip_file or self.packages):
            return
        asked = CondaDependencies(folder / conda_file) if conda_file else CondaDependencies()
        for package in chain(self.packages, pip or ()):
            asked.add_pip_package(package)
        for package in conda or ():
            asked.add_conda_package(package)
        if pip_file:
            asked.set_pip_requirements([*asked.pip_packages, *(folder / pip_file).read_text().splitlines()])
        self.run_config.environment.python.conda_dependencies = asked

    @property
    def conda_dependencies(self) -> CondaDependencies | None:
        """The packages that were asked for."""
        return self.run_config.environment.python.conda_dependencies

    @property
    def arguments(self) -> list[Any]:
        """The arguments that `script_params` stands for."""
        pairs = ((name, value) for name, value in self.script_params.items())
        return [item for name, value in pairs for item in ([name] if value in ("", None) else [name, value])]

    def as_step(self) -> PythonScriptStep:
        """The step that does the same. It always runs, as in version 1: only pipelines reuse."""
        from millstream.steps import PythonScriptStep

        return PythonScriptStep(
            script_name=self.entry_script,
            allow_reuse=False,
            arguments=self.arguments,
            inputs=self.inputs,
            runconfig=self.run_config,
            source_directory=self.source_directory,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.entry_script!r})"


class SKLearn(Estimator):
    """Asks for scikit-learn."""

    packages = ("scikit-learn", "joblib")


class PyTorch(Estimator):
    """Asks for PyTorch."""

    packages = ("torch",)


class TensorFlow(Estimator):
    """Asks for TensorFlow."""

    packages = ("tensorflow",)


class Chainer(Estimator):
    """Asks for Chainer, which has no wheel: workers must be allowed to build packages (docs/environments.md)."""

    packages = ("chainer",)

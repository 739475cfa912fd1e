"""v1's Environment: the packages, the image and the variables that a step asks for (docs/environments.md)."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream import curated
from millstream import environment_documents as documents
from millstream.conda_dependencies import SDK, CondaDependencies
from millstream.console import say
from millstream.errors import InvalidRequest
from millstream.r_section import RSection

if TYPE_CHECKING:
    from millstream.environment_views import EnvironmentView
    from millstream.workspace import Workspace
    from orchestrator.core.environments.document import EnvironmentDocument

LATEST = "latest"


@dataclass(slots=True)
class ContainerRegistry:
    """Where an image comes from. User names and passwords stay on this machine."""

    address: str | None = None
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class DockerSection:
    """The image that was asked for."""

    enabled: bool = False
    base_image: str | None = None
    base_dockerfile: str | None = None
    base_image_registry: ContainerRegistry = field(default_factory=ContainerRegistry)
    platform: Any = None
    shm_size: str | None = None
    shared_volumes: bool = True
    gpu_support: bool = False
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class PythonSection:
    """The Python packages that were asked for. With `user_managed_dependencies` they are taken to be there already."""

    user_managed_dependencies: bool = False
    interpreter_path: str = "python"
    conda_dependencies_file: str | None = None
    conda_dependencies: CondaDependencies | None = field(default_factory=CondaDependencies)
    base_conda_environment: str | None = None


class Environment:
    """Packages, an image and environment variables under a name. An unknown attribute raises AttributeError."""

    __slots__ = (
        *("_known", "docker", "environment_variables", "inferencing_stack_version", "name", "python", "r", "version"),
    )

    def __init__(self, name: str, **kwargs: Any) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f"An environment needs a name, not {name!r}.")
        self.name = name
        self.version: str | None = None
        self.python = PythonSection()
        self.docker = DockerSection()
        self.r: RSection | None = None
        self.environment_variables: dict[str, str] = {}
        self.inferencing_stack_version: str | None = None
        self._known: tuple[str, EnvironmentDocument] | None = None  # what the service says that a version holds
        for attribute, value in kwargs.items():
            setattr(self, attribute, value)

    @staticmethod
    def get(workspace: Workspace, name: str, version: str | None = None, label: str | None = None) -> Environment:
        """A version of an environment that was registered, by default the last one; `label` may be "latest".

        The names of v1's curated environments, AzureML-..., stand for the packages that they are about, whatever the
        version. Raises UnknownThing, which says what to use instead.
        """
        if label is not None and label.lower() != LATEST:
            raise InvalidRequest(f"There is no label {label!r}: give a version, or {LATEST!r}.", field="label")
        if curated.is_curated(name):
            return _stand_in(name)
        return _of_view(workspace.api.environment(name, None if version is None else str(version)))

    @staticmethod
    def list(workspace: Workspace) -> dict[str, Environment]:
        """The last version of each that was registered, by name."""
        return {view.name: _of_view(view) for view in workspace.api.environments()}

    @staticmethod
    def from_existing_conda_environment(name: str, conda_environment_name: str) -> Environment:
        """With the packages of a conda environment of this machine. Raises ConfigurationError if it has no conda."""
        made = Environment(name)
        made.python.conda_dependencies = documents.exported(conda_environment_name)
        return made

    @staticmethod
    def from_conda_specification(name: str, file_path: str | os.PathLike[str]) -> Environment:
        """With the packages of a conda environment file."""
        made = Environment(name)
        made.python.conda_dependencies = CondaDependencies(Path(file_path))
        return made

    @staticmethod
    def from_pip_requirements(
        name: str, file_path: str | os.PathLike[str], pip_version: str | None = None
    ) -> Environment:
        """With the packages of a requirements file."""
        made = Environment(name)
        packages = CondaDependencies()
        packages.add_conda_package(f"pip={pip_version}" if pip_version else "pip")
        packages.set_pip_requirements(Path(file_path).read_text(encoding="utf-8").splitlines())
        made.python.conda_dependencies = packages
        return made

    @staticmethod
    def from_docker_image(
        name: str,
        image: str,
        container_registry: ContainerRegistry | None = None,
        conda_specification: str | os.PathLike[str] | None = None,
        pip_requirements: str | os.PathLike[str] | None = None,
    ) -> Environment:
        """With an image, and packages on top of it."""
        made = _with_packages(name, conda_specification, pip_requirements)
        made.docker.base_image = image
        if container_registry is not None:
            made.docker.base_image_registry = container_registry
        return made

    @staticmethod
    def from_dockerfile(
        name: str,
        dockerfile: str | os.PathLike[str],
        conda_specification: str | os.PathLike[str] | None = None,
        pip_requirements: str | os.PathLike[str] | None = None,
    ) -> Environment:
        """With an image that is made from a Dockerfile, given as a path or as its text."""
        made = _with_packages(name, conda_specification, pip_requirements)
        text = str(dockerfile)
        made.docker.base_dockerfile = Path(text).read_text(encoding="utf-8") if _is_file(text) else text
        return made

    def register(self, workspace: Workspace) -> Environment:
        """Keep it under its name. The same as the last version is that version; anything else is the next one.

        With a `version` of its own it becomes that one, and raises Conflict if that holds something else. Packages,
        image and environment variables are kept; passwords of registries are not.
        """
        document = documents.document_of(self)
        changed = self._known is not None and self._known[0] == self.version and self._known[1] != document
        version = "" if changed or self.version is None else str(self.version)
        view = workspace.api.register_environment({"name": self.name, "document": document, "version": version})
        state = "Registered" if view.created else "This is there already:"
        say(f"{state} version {view.version} of the environment {view.name}")
        return _of_view(view)

    @staticmethod
    def recorded(wishes: Mapping[str, Any]) -> Environment:
        """What a step has recorded of its environment, by `wishes`; of a step without a record, that of the service."""
        made = Environment(str(wishes.get("name") or "service"))
        made.version = wishes.get("version")
        made.docker.base_image = wishes.get("image") or made.docker.base_image
        made.docker.base_dockerfile = wishes.get("dockerfile")
        if r := wishes.get("r"):
            made.r = RSection(cran_packages=list(r.get("names", ())))
        if conda := wishes.get("conda"):
            made.python.conda_dependencies = CondaDependencies(_underlying_structure=conda)
        return made

    def clone(self, new_name: str) -> Environment:
        """A copy of another name."""
        made = copy.deepcopy(self)
        made.name, made.version, made._known = new_name, None, None
        return made

    def wishes(self) -> dict[str, Any]:
        """What of this is more than the service's environment: the record of a step. {}: nothing."""
        packages = self.python.conda_dependencies
        if self.python.conda_dependencies_file and not (packages and packages.has_packages):
            packages = CondaDependencies(self.python.conda_dependencies_file)
        if self.python.user_managed_dependencies or not (packages and packages.has_packages):
            packages = None
        asked: dict[str, Any] = {
            "conda": packages.as_dict() if packages is not None else None,
            "image": self.docker.base_image,
            "dockerfile": self.docker.base_dockerfile,
            "r": {"names": names} if self.r is not None and (names := self.r.names()) else None,
        }
        found = {key: value for key, value in asked.items() if value}
        return {"name": self.name, **({"version": self.version} if self.version else {}), **found} if found else {}

    def __repr__(self) -> str:
        return f"Environment({self.name!r})"


def _of_view(view: EnvironmentView) -> Environment:
    made = Environment(view.name)
    documents.fill(made, view.holds)
    made.version, made._known = view.version, (view.version, view.holds)
    return made


def _stand_in(name: str) -> Environment:
    """What stands for a curated environment. Raises UnknownThing."""
    packages = curated.packages_of(name)
    made = Environment(name)
    made.python.conda_dependencies = CondaDependencies.create(pip_packages=[SDK, *packages])
    what = ", ".join(packages) or "the worker's own environment"
    say(f"Environment {name}: stands for {what}, in versions that fit the worker's Python.")
    return made


def _with_packages(name: str, conda: str | os.PathLike[str] | None, pip: str | os.PathLike[str] | None) -> Environment:
    if conda is not None:
        return Environment.from_conda_specification(name, conda)
    return Environment(name) if pip is None else Environment.from_pip_requirements(name, pip)


def _is_file(text: str) -> bool:
    return "\n" not in text and Path(text).is_file()

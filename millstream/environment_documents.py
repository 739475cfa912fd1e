"""From an Environment to what the service keeps of it under its name, and back."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import msgspec

from millstream.conda_dependencies import CondaDependencies
from millstream.errors import ConfigurationError, InvalidRequest
from millstream.r_section import RSection
from orchestrator.core.environments.document import EnvironmentDocument
from orchestrator.core.environments.spec import CondaFile, RPackages
from orchestrator.core.names import shown

if TYPE_CHECKING:
    from millstream.environment import Environment


def document_of(environment: Environment) -> EnvironmentDocument:
    """The packages, the image and the environment variables. Raises InvalidRequest for a file that cannot be read."""
    python, docker = environment.python, environment.docker
    packages = python.conda_dependencies
    if python.conda_dependencies_file and not (packages and packages.has_packages):
        packages = CondaDependencies(python.conda_dependencies_file)
    return EnvironmentDocument(
        conda=None if packages is None else msgspec.convert(packages.as_dict(), CondaFile),
        image=docker.base_image or None,
        dockerfile=docker.base_dockerfile or None,
        r=RPackages(names=() if environment.r is None else tuple(environment.r.names())),
        variables={str(name): str(value) for name, value in environment.environment_variables.items()},
        user_managed=python.user_managed_dependencies,
    )


def fill(environment: Environment, document: EnvironmentDocument) -> None:
    """Let the environment be what the document says."""
    conda = document.conda
    environment.python.conda_dependencies = (
        None if conda is None else CondaDependencies(_underlying_structure=msgspec.structs.asdict(conda))
    )
    environment.python.user_managed_dependencies = document.user_managed
    environment.docker.base_image = document.image
    environment.docker.base_dockerfile = document.dockerfile
    environment.r = RSection(cran_packages=list(document.r.names)) if document.r.names else None
    environment.environment_variables = dict(document.variables)


def exported(name: str) -> CondaDependencies:
    """The packages of a conda environment of this machine. Raises ConfigurationError, InvalidRequest."""
    command = ["conda", "env", "export", "--name", name, "--no-builds", "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ConfigurationError(
            "There is no conda on this machine: write the packages to a file, and use from_conda_specification."
        ) from None
    if done.returncode:
        raise InvalidRequest(
            f"conda does not export the environment {shown(name)}: {done.stderr.strip()}", field="name"
        )
    return CondaDependencies(_underlying_structure=msgspec.json.decode(done.stdout))

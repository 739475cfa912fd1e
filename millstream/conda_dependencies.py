"""v1's CondaDependencies: packages that a step asks for, as a conda environment file has them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from millstream.errors import ConfigurationError, InvalidRequest

DEFAULT_PYTHON = "3.10"
CHANNELS = ("anaconda", "conda-forge")
SDK = "azureml-defaults"
FILE_NAME = "conda_dependencies.yml"


class CondaDependencies:
    """Conda packages, pip packages and channels, as in a conda environment file, which it can be made from."""

    def __init__(
        self,
        conda_dependencies_file_path: str | Path | None = None,
        _underlying_structure: dict[str, Any] | None = None,
    ) -> None:
        structure = _underlying_structure
        if conda_dependencies_file_path is not None:
            structure = _loaded(Path(conda_dependencies_file_path))
        given = structure or {"name": "project_environment", "dependencies": [f"python={DEFAULT_PYTHON}"]}
        self.name = str(given.get("name", "project_environment"))
        self._channels = [str(channel) for channel in given.get("channels", [] if structure else CHANNELS)]
        listed = given.get("dependencies") or []
        self._conda = [str(item) for item in listed if not isinstance(item, dict)]
        self._pip = [str(line) for item in listed if isinstance(item, dict) for line in item.get("pip") or []]

    @staticmethod
    def create(
        pip_indexurl: str | None = None,
        pip_packages: Iterable[str] | None = None,
        conda_packages: Iterable[str] | None = None,
        python_version: str = DEFAULT_PYTHON,
        pin_sdk_version: bool = True,
    ) -> CondaDependencies:
        """From lists of packages. As in v1, azureml-defaults is one of them where no `pip_packages` are given."""
        del pin_sdk_version
        made = CondaDependencies()
        made.set_python_version(python_version)
        if pip_indexurl:
            made.set_pip_index_url(pip_indexurl)
        for package in conda_packages or ():
            made.add_conda_package(package)
        for package in (SDK,) if pip_packages is None else pip_packages:
            made.add_pip_package(package)
        return made

    @property
    def has_packages(self) -> bool:
        """Whether more is asked for than a version of Python."""
        return bool(self._pip) or any(_name(item) not in ("python", "pip") for item in self._conda)

    @property
    def conda_packages(self) -> list[str]:
        return list(self._conda)

    @property
    def pip_packages(self) -> list[str]:
        return [line for line in self._pip if not line.startswith("-")]

    @property
    def pip_options(self) -> list[str]:
        return [line for line in self._pip if line.startswith("-")]

    @property
    def conda_channels(self) -> list[str]:
        return list(self._channels)

    @property
    def python_version(self) -> str | None:
        found = next((item for item in self._conda if _name(item) == "python"), None)
        return found.partition("=")[2].lstrip("=") or None if found else None

    def add_conda_package(self, conda_package: str) -> None:
        """Add a package, in place of another version of it."""
        self.remove_conda_package(conda_package)
        self._conda.append(conda_package)

    def remove_conda_package(self, conda_package: str) -> None:
        self._conda = [item for item in self._conda if _name(item) != _name(conda_package)]

    def add_pip_package(self, pip_package: str) -> None:
        """Add a package, in place of another version of it."""
        self.remove_pip_package(pip_package)
        self._pip.append(pip_package)

    def remove_pip_package(self, pip_package: str) -> None:
        self._pip = [line for line in self._pip if _name(line) != _name(pip_package)]

    def set_pip_requirements(self, pip_requirements: Iterable[str]) -> None:
        """Put these lines in place of all pip packages and options."""
        self._pip = [line.strip() for line in pip_requirements if line.strip() and not line.lstrip().startswith("#")]

    def add_channel(self, channel: str) -> None:
        if channel not in self._channels:
            self._channels.append(channel)

    def remove_channel(self, channel: str) -> None:
        self._channels = [name for name in self._channels if name != channel]

    def set_pip_option(self, pip_option: str) -> None:
        if pip_option not in self._pip:
            self._pip.insert(0, pip_option)

    def set_pip_index_url(self, index_url: str) -> None:
        self._pip = [line for line in self._pip if not line.startswith("--index-url")]
        self.set_pip_option(f"--index-url {index_url}")

    def set_python_version(self, version: str) -> None:
        self._conda = [f"python={version}", *(item for item in self._conda if _name(item) != "python")]

    def as_dict(self) -> dict[str, Any]:
        """The document of a conda environment file."""
        pip = [{"pip": list(self._pip)}] if self._pip else []
        return {"name": self.name, "channels": list(self._channels), "dependencies": [*self._conda, *pip]}

    def serialize_to_string(self) -> str:
        """The conda environment file, as YAML."""
        lines = [f"name: {_quoted(self.name)}"]
        for title, items in (("channels", self._channels), ("dependencies", self._conda)):
            lines += [f"{title}:", *(f"- {_quoted(item)}" for item in items)] if items else [f"{title}: []"]
        if self._pip:
            lines = [line.replace("dependencies: []", "dependencies:") for line in lines]
            lines += ["- pip:", *(f"  - {_quoted(line)}" for line in self._pip)]
        return "\n".join(lines) + "\n"

    def save_to_file(self, base_directory: str | Path, conda_file_path: str | Path | None = None) -> str:
        """Write the file. Returns its path relative to `base_directory`."""
        path = Path(conda_file_path or FILE_NAME)
        target = Path(base_directory) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.serialize_to_string(), encoding="utf-8")
        return str(path)

    save = save_to_file

    def __repr__(self) -> str:
        return f"CondaDependencies({', '.join([*self.conda_packages, *self.pip_packages])})"


def _loaded(path: Path) -> dict[str, Any]:
    """A conda environment file. Raises InvalidRequest, and ConfigurationError where YAML cannot be read."""
    try:
        yaml: Any = import_module("yaml")
    except ModuleNotFoundError:
        raise ConfigurationError("Conda files are YAML: install the package pyyaml to read them.") from None
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InvalidRequest(f"{path} cannot be read as a conda environment file: {error}") from error
    if not isinstance(document, dict):
        raise InvalidRequest(f"{path} is not a conda environment file: it holds no mapping.")
    return document


def _name(package: str) -> str:
    """The name in a requirement, as pip and conda compare names."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!~;\[@]", package.strip(), maxsplit=1)[0]).lower()


def _quoted(text: str) -> str:
    """A YAML scalar."""
    plain = re.fullmatch(r"[A-Za-z][\w.=+<>!~/\[\]-]*", text) and text.lower() not in (
        "yes",
        "no",
        "true",
        "false",
        "null",
    )
    return text if plain else "'" + text.replace("'", "''") + "'"

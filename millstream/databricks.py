"""v1's libraries of a DatabricksStep: what is installed on its cluster before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class PyPiLibrary:
    """A package of PyPI, or of the index at `repo`, as in "simplejson==3.8.0"."""

    package: str | None = None
    repo: str | None = None

    def setting(self) -> dict[str, Any]:
        """As in the definition. Raises ValueError."""
        return {"pypi": _given(package=_needed(self.package, "PyPiLibrary", "package"), repo=self.repo)}


@dataclass(slots=True)
class RCranLibrary:
    """A package of CRAN, or of the mirror at `repo`."""

    package: str | None = None
    repo: str | None = None

    def setting(self) -> dict[str, Any]:
        """As in the definition. Raises ValueError."""
        return {"cran": _given(package=_needed(self.package, "RCranLibrary", "package"), repo=self.repo)}


@dataclass(slots=True)
class MavenLibrary:
    """A Maven package, as in "org.jsoup:jsoup:1.7.2". `exclusions`: "group:artifact" of what is left out."""

    coordinates: str | None = None
    repo: str | None = None
    exclusions: list[str] | None = field(default=None)

    def setting(self) -> dict[str, Any]:
        """As in the definition. Raises ValueError."""
        coordinates = _needed(self.coordinates, "MavenLibrary", "coordinates")
        return {"maven": _given(coordinates=coordinates, repo=self.repo, exclusions=list(self.exclusions or ()))}


@dataclass(slots=True)
class JarLibrary:
    """A JAR at a path or URL that the cluster reaches, as in "dbfs:/mnt/libraries/library.jar"."""

    library: str | None = None

    def setting(self) -> dict[str, Any]:
        """As in the definition. Raises ValueError."""
        return {"jar": _needed(self.library, "JarLibrary", "library")}


@dataclass(slots=True)
class EggLibrary:
    """An egg at a path or URL that the cluster reaches."""

    library: str | None = None

    def setting(self) -> dict[str, Any]:
        """As in the definition. Raises ValueError."""
        return {"egg": _needed(self.library, "EggLibrary", "library")}


def settings_of(what: str, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Libraries as in the definition, from v1's arguments by kind. Raises TypeError, ValueError."""
    found = []
    for name, libraries in given.items():
        wanted = LIBRARIES[name]
        for library in [libraries] if isinstance(libraries, wanted) else libraries or ():
            if not isinstance(library, wanted):
                raise TypeError(f"{what}: {name} takes {wanted.__name__}, not {library!r}.")
            found.append(library.setting())
    return found


LIBRARIES: dict[str, type[Any]] = {
    "maven_libraries": MavenLibrary,
    "pypi_libraries": PyPiLibrary,
    "egg_libraries": EggLibrary,
    "jar_libraries": JarLibrary,
    "rcran_libraries": RCranLibrary,
}


def _needed(value: str | None, kind: str, name: str) -> str:
    if not value:
        raise ValueError(f"{kind} needs {name}.")
    return value


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}

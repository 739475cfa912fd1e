"""v1's RSection: packages of R that a step asks for. Workers look for them and install none (docs/environments.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class RCranPackage:
    """A package of CRAN. Its version and repository are not looked at."""

    name: str | None = None
    version: str | None = None
    repository: str | None = None


@dataclass(slots=True)
class RGitHubPackage:
    """A package of GitHub, by its repository, as in "tidyverse/dplyr". The token stays on this machine."""

    repository: str | None = None
    auth_token: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class RSection:
    """The packages of R that an environment asks for. The R is the node's."""

    r_version: str | None = None
    user_managed: bool = False
    rscript_path: str | None = None
    snapshot_date: str | None = None
    cran_packages: list[Any] | None = None
    github_packages: list[Any] | None = None
    custom_url_packages: list[str] | None = None
    bioconductor_packages: list[str] | None = None

    def names(self) -> list[str]:
        """What the packages are called once they are installed. Of `user_managed` ones nothing is asked."""
        if self.user_managed:
            return []
        given = [self.cran_packages, self.github_packages, self.custom_url_packages, self.bioconductor_packages]
        return sorted({_name(package) for packages in given for package in packages or ()} - {""})


def _name(package: Any) -> str:
    match package:
        case RCranPackage():
            return package.name or ""
        case RGitHubPackage():
            return _last(package.repository or "")
        case str():
            return _last(package)
        case _:
            raise TypeError(f"{package!r} is no package of R: give its name, an RCranPackage or an RGitHubPackage.")


def _last(path: str) -> str:
    """`https://cran.test/src/dplyr_1.0.tar.gz` and `tidyverse/dplyr@v1` are packages called dplyr."""
    return path.rstrip("/").rpartition("/")[2].partition("@")[0].partition("_")[0].removesuffix(".git")


def section(cran: Iterable[Any] | None, github: Iterable[Any] | None, urls: Iterable[str] | None) -> RSection:
    """From the arguments of an RScriptStep."""
    return RSection(
        cran_packages=list(cran or ()), github_packages=list(github or ()), custom_url_packages=list(urls or ())
    )

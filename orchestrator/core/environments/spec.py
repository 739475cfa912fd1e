"""The environment that a step asks for, as its definition has it: `Step.settings["environment"]`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from orchestrator.core.environments.packages import MOST, packages_of
from orchestrator.core.errors import Problem
from orchestrator.core.names import shown


class CondaFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A conda environment file. A dependency is a package of conda, or {"pip": lines of a requirements file}."""

    name: str = ""
    channels: tuple[str, ...] = ()
    dependencies: tuple[str | dict[str, tuple[str, ...]], ...] = ()

    @property
    def conda_packages(self) -> tuple[str, ...]:
        return tuple(item for item in self.dependencies if isinstance(item, str))

    @property
    def pip_lines(self) -> tuple[str, ...]:
        """Requirements and options, as in a requirements file."""
        sections = [item for item in self.dependencies if not isinstance(item, str)]
        return tuple(line for section in sections for line in section.get("pip", ()))


class RPackages(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Packages of R by name. They are looked for on the node, and not installed."""

    names: tuple[str, ...] = ()


class EnvironmentSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a step asks to find installed. With packages of Python, they and nothing else, in an environment that is
    made when it is first needed (docs/environments.md); without, the worker's own. `image` and `dockerfile` are what a
    container is made from. Equal contents mean equal environments, whatever their names.
    """

    name: str = ""
    version: str | None = None
    conda: CondaFile = CondaFile()
    image: str | None = None
    dockerfile: str | None = None
    r: RPackages = RPackages()

    def problems(self, field: str) -> Iterator[Problem]:
        """What is wrong with it; it lies at `field`."""
        lines = (*self.conda.conda_packages, *self.conda.pip_lines)
        if len(lines) > MOST:
            yield Problem(
                "InvalidSettings", f"{field}.conda", f"It asks for {len(lines):,} packages.", f"At most {MOST:,}."
            )
            return
        for name in self.r.names:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9.]*", name, re.ASCII):
                fix = "Use letters, digits and dots."
                yield Problem("InvalidName", f"{field}.r.names", f"{shown(name)} is no package of R.", fix)
        for item in self.conda.dependencies:
            if not isinstance(item, str) and item.keys() - {"pip"}:
                what = f"{shown(next(iter(item.keys() - {'pip'})))} is no section of a conda file."
                yield Problem("InvalidSettings", f"{field}.conda.dependencies", what, 'Only "pip" is known.')
        for text, advice in packages_of(self.conda.conda_packages, self.conda.pip_lines, python="3").faults:
            yield Problem("InvalidSettings", f"{field}.conda.dependencies", f"{shown(text)} is not understood.", advice)

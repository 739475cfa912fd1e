"""From what a step asks for to what is installed: requirements in one spelling, options, and notes for people."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from orchestrator.core.environments import conda
from orchestrator.core.environments.requirement import name_of, normalised, option, redacted

MOST: Final = 1000
RULES: Final = 1
"""Counts up when environments are made differently, so that those made before are not taken any more."""
FOR_DATASETS: Final = ("pandas", "pyarrow")
"""What reading a dataset takes, beside the service's own client."""
FOR_NOTEBOOKS: Final = ("ipykernel", "nbclient")
"""What running a notebook takes."""
_WITH_DATASETS: Final = ("azureml-defaults", "azureml-sdk", "azureml-dataset-runtime", "azureml-dataprep")


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """What an environment is made of. `options` are arguments of uv. `faults`: a line, and what to write in its place.
    `own`: nothing but the SDK is asked for, so that the worker's own environment will do.
    """

    requirements: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    faults: tuple[tuple[str, str], ...] = ()

    @property
    def own(self) -> bool:
        return not self.requirements

    def key(self, interpreter: Sequence[str], runtime: Sequence[str] = ()) -> str:
        """sha256 in hex over all that decides what is installed. `interpreter`: version, implementation, platform;
        `runtime`: the requirements that are added for the service's own client.
        """
        made_of = [RULES, self.requirements, self.options, list(interpreter), list(runtime)]
        return hashlib.sha256(msgspec.json.encode(made_of)).hexdigest()


def packages_of(
    conda_packages: Iterable[str], pip_lines: Iterable[str], *, python: str, also: Iterable[str] = ()
) -> Packages:
    """`python` is the version that the environment will have. `also`: the names of packages that an environment of its
    own must have, whether they are asked for or not.
    """
    requirements: set[str] = set()
    options: list[str] = []
    notes: list[str] = []
    faults: list[tuple[str, str]] = []
    for spec in conda_packages:
        try:
            found = conda.mapped([spec], python)
        except ValueError as error:
            faults.append((redacted(spec), str(error)))
        else:
            requirements.update(found.requirements)
            notes += found.notes
    for line in _joined(pip_lines):
        try:
            if line.startswith("-"):
                kept = option(line)
                options += kept
                notes += [] if kept else [f"pip option {redacted(line)} is left out"]
            else:
                requirements.add(normalised(line))
        except ValueError as error:
            faults.append((redacted(line), str(error)))
    asked = [one for one in requirements if not _is_sdk(one)]
    instead = {one: _with_sdk(one) for one in requirements if _is_sdk(one)}
    if asked:
        wanted = {name for names in instead.values() for name in names} | set(also)
        asked += sorted(wanted - set(map(name_of, asked)))
    notes += [_sdk_note(one, names if asked else ()) for one, names in sorted(instead.items())]
    return Packages(requirements=tuple(sorted(asked)), options=tuple(options), notes=tuple(notes), faults=tuple(faults))


def _is_sdk(requirement: str) -> bool:
    """The SDK's own packages need not be there: scripts find `azureml` in any environment."""
    return name_of(requirement).startswith("azureml-")


def _with_sdk(requirement: str) -> tuple[str, ...]:
    """What came with a package of the SDK, and scripts take to be there."""
    return FOR_DATASETS if name_of(requirement) in _WITH_DATASETS else ()


def _sdk_note(requirement: str, names: Sequence[str]) -> str:
    what = f"is taken as {' and '.join(names)}" if names else "is left out"
    return f"{requirement} {what}: what azureml is here is there already"


def _joined(lines: Iterable[str]) -> list[str]:
    """Logical lines: without comments, blank ones and continuations."""
    text = re.sub(r"\\\s*\n", " ", "\n".join(lines))
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]

"""The kinds of step a definition may hold. A new kind is one settings struct and one line in KINDS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from orchestrator.core.errors import Problem
from orchestrator.core.names import SCRIPT


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What `Step.settings` holds for one kind. Raise nothing: yield what is wrong beyond the shape."""

    def problems(self, field: str) -> Iterator[Problem]:
        """What is wrong with these settings, which lie at `field`."""
        del field
        yield from ()


class PythonScript(Settings, frozen=True, kw_only=True):
    """Runs `python <script> <arguments>` in the unpacked source folder. `script` is relative to that folder.

    `environment` records what its author asked to find installed; it is kept, and decides nothing yet.
    """

    script: str
    environment: dict[str, Any] = {}

    def problems(self, field: str) -> Iterator[Problem]:
        if problem := SCRIPT.problem(self.script, f"{field}.script"):
            yield problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`needs_snapshot`: the step runs from a source folder, which must have been uploaded."""

    settings: type[Settings]
    needs_snapshot: bool


KINDS: Mapping[str, Kind] = {
    "python_script": Kind(settings=PythonScript, needs_snapshot=True),
}


def settings_of(kind: str, settings: Mapping[str, Any]) -> Settings:
    """The settings of a step as its kind's own value. Raises KeyError (kind), msgspec.ValidationError (shape)."""
    return msgspec.convert(dict(settings), KINDS[kind].settings)

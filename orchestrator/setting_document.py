"""docs/settings.md, made from the settings themselves."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from orchestrator.setting_limits import LimitSettings
from orchestrator.settings import Settings

_HEAD = """\
# Settings

Application settings of the Functions app, or `Values` of local.settings.json. A value that does not parse, and a name
that looks like a slip of the pen, stop the start.

| setting | default | meaning |
|---|---|---|"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A setting for people: `default` is None when it must be given."""

    variable: str
    meaning: str
    default: str | None


def described() -> Iterator[Described]:
    """All settings, in the order of Settings."""
    last = {spec.name for spec in dataclasses.fields(LimitSettings)}
    for spec in sorted(dataclasses.fields(Settings), key=lambda spec: spec.name in last):
        yield Described(variable=spec.metadata["variable"], meaning=spec.metadata["meaning"], default=_shown(spec))


def _shown(spec: dataclasses.Field[Any]) -> str | None:
    if spec.name == "cache_dir":
        return "millstream in the folder for temporary files"
    if spec.default_factory is not dataclasses.MISSING:
        return json.dumps(spec.default_factory(), default=attrgetter("kind"))  # a compute by its kind
    if spec.default is dataclasses.MISSING:
        return None
    if spec.name == "prices":
        return f"public list prices of {spec.default.as_of}"
    if isinstance(spec.default, bool):
        return str(spec.default).lower()
    if isinstance(spec.default, tuple) and spec.default and isinstance(spec.default[0], float):
        return ",".join(f"{item:g}" for item in spec.default)
    if isinstance(spec.default, tuple):
        return " ".join(str(item) for item in spec.default) or "none"
    return f"{spec.default:g}" if isinstance(spec.default, float) else str(spec.default or "none")


def reference() -> str:
    """docs/settings.md."""
    rows = [
        f"| `{setting.variable}` | {'**required**' if setting.default is None else f'`{setting.default}`'} "
        f"| {setting.meaning} |"
        for setting in described()
    ]
    return "\n".join([_HEAD, *rows, ""])

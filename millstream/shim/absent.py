"""What v1 has and Millstream has not: errors that say so, and what to do instead. Imported when one is needed."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import NoReturn

from millstream.shim.advice import MODULES, NAMES, OTHER_PACKAGES
from millstream.shim.table import TABLE

DOCUMENT = "docs/v1-compatibility.md"


class MissingImport(ImportError):
    """A name that v1 has and Millstream has not."""


class MissingModule(ModuleNotFoundError):
    """A module that v1 has and Millstream has not."""


class MissingName(AttributeError):
    """As MissingImport, for `module.name`."""


@cache
def v1_names() -> dict[str, frozenset[str]]:
    """Module of v1 -> the names that it is for."""
    modules: dict[str, str] = json.loads(Path(__file__).with_name("v1-names.json").read_bytes())
    return {name: frozenset(names.split()) for name, names in modules.items()}


def refuse_import(name: str) -> None:
    """Raises for a module, or a name of one, that v1 has. Does nothing for what v1 does not have either."""
    module, _, last = name.rpartition(".")
    if last in v1_names().get(module, ()):
        raise MissingImport(explanation(module, last), name=name)
    if name in v1_names() or name.startswith(tuple(OTHER_PACKAGES)):
        raise MissingModule(explanation(name, ""), name=name)


def refuse_attribute(module: str, name: str) -> NoReturn:
    """Raises MissingName for a name that v1 has, and the ordinary AttributeError for any other."""
    if name in v1_names().get(module, ()):
        raise MissingName(explanation(module, name), name=name)
    raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name)


def explanation(module: str, name: str) -> str:
    """What is not there, what to do instead, and where to read on."""
    what = f"{module}.{name}" if name else f"the module {module}"
    return f"Millstream does not have {what}. {alternative(module, name)} What there is: {DOCUMENT}."


def alternative(module: str, name: str) -> str:
    """What to do instead of using a name (or, with "", a module) that is not there."""
    if name in NAMES:
        return NAMES[name]
    places = [place for place in TABLE if name in TABLE[place]]
    if places:
        return f"Import it from {places[0]}."
    longest = max((prefix for prefix in (*MODULES, *OTHER_PACKAGES) if module.startswith(prefix)), key=len, default="")
    return MODULES.get(longest) or OTHER_PACKAGES.get(longest) or "Nothing here takes its place."

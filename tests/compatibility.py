"""docs/v1-compatibility.md: each class and member of v1, and what has become of it here, found by looking at ours.

The facts of v1 are tests/data/v1-signatures.json; what they cannot tell is in millstream/shim/members.py.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from millstream.pipeline_run import PipelineRun
from millstream.script_run import ScriptRun
from millstream.shim.absent import alternative
from millstream.shim.finder import resolve
from millstream.shim.members import ABSENT, IGNORED, WITHOUT
from millstream.shim.table import TABLE

SIGNATURES = Path(__file__).parent / "data" / "v1-signatures.json"
State = Literal["works", "accepted, ignored", "not there"]
STATES: tuple[State, ...] = ("works", "accepted, ignored", "not there")
RENEW = "MILLSTREAM_RENEW_DOCS=1 pytest tests/unit/millstream/test_compatibility.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a class of v1. `lacking`: parameters of v1's that are not taken."""

    name: str
    kind: str
    state: State
    note: str
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """A class of v1. `ours` None: it is not there, and `note` says what to do instead."""

    name: str
    module: str
    ours: type | None
    note: str
    members: tuple[Member, ...]

    def count(self, state: State) -> int:
        return sum(member.state == state for member in self.members)


@cache
def classes() -> tuple[Class, ...]:
    """All of them, in the order of the signatures."""
    return tuple(_class(**given) for given in json.loads(SIGNATURES.read_text(encoding="utf-8")))


def home_of(name: str, module: str) -> type | None:
    """The class of ours that a class of v1 stands for."""
    if name == "Run":
        return ScriptRun  # what Run.get_context() returns; runs seen from outside are classes of their own
    homes = [TABLE.get(module, {}).get(name), *(names[name] for names in TABLE.values() if name in names)]
    home = next((home for home in homes if home), None)
    try:
        found: type | None = resolve(home) if home else None
    except (ImportError, AttributeError):
        return None
    return found


def _class(**given: Any) -> Class:
    name, module = given["class"], given["module"]
    ours = home_of(name, module)
    note = "" if ours else alternative(module, name)
    members = tuple(
        Member(name=member, kind=facts["kind"], state="not there", note=note)
        if ours is None
        else _member(ours, member, facts["kind"], facts.get("parameters", []))
        for member, facts in given["members"].items()
    )
    return Class(name=name, module=module, ours=ours, note=note, members=members)


def _member(ours: type, name: str, kind: str, parameters: list[str]) -> Member:
    if ours is ScriptRun and not has(ours, name) and has(PipelineRun, name):
        outside = _member(PipelineRun, name, kind, parameters)
        return replace(outside, note="; ".join(filter(None, ("of runs seen from outside", outside.note))))
    if reason := look_up(ABSENT, ours, name):
        return Member(name=name, kind=kind, state="not there", note=reason)
    if not has(ours, name):
        return Member(name=name, kind=kind, state="not there", note="")
    lacking = tuple(parameter for parameter in parameters if not takes(ours, name, parameter))
    if reason := look_up(IGNORED, ours, name):
        return Member(name=name, kind=kind, state="accepted, ignored", note=reason, lacking=lacking)
    reasons = look_up(WITHOUT, ours, name) or {}
    grouped: dict[str, list[str]] = {}
    for parameter in lacking:
        grouped.setdefault(reasons.get(parameter, ""), []).append(parameter)
    note = "; ".join(f"without {', '.join(names)}: {reason}" for reason, names in grouped.items())
    return Member(name=name, kind=kind, state="works", note=note, lacking=lacking)


def look_up(table: dict[str, dict[str, Any]], ours: type, name: str) -> Any:
    """What a table has for a member of a class, or of one that it derives from."""
    return next((table[c.__name__][name] for c in ours.__mro__ if name in table.get(c.__name__, {})), None)


def has(ours: type, name: str) -> bool:
    """Whether objects of the class have the member: from the class, or given to them when they are made."""
    return hasattr(ours, name) or name in _assigned(ours)


def place_of(ours: type, name: str) -> type:
    """The class of ours that has the member: for v1's Run, what a script has, or else what is seen from outside."""
    return PipelineRun if ours is ScriptRun and not has(ours, name) else ours


def takes(ours: type, name: str, parameter: str) -> bool:
    """Whether a method takes a parameter of v1's, by its name or, where it looks at none of them, by any."""
    function = ours.__init__ if name == "__init__" else getattr(ours, name, None)  # type: ignore[misc]
    if not callable(function):
        return False
    known = inspect.signature(function).parameters
    return parameter in known or any(p.kind is p.VAR_KEYWORD and p.name.startswith("_") for p in known.values())


@cache
def _assigned(ours: type) -> frozenset[str]:
    """The attributes that the methods of a class of ours set."""
    ours_only = [kind for kind in ours.__mro__ if kind.__module__ != "builtins"]
    declared = {name for kind in ours_only for name in inspect.get_annotations(kind)}
    return frozenset(declared.union(*map(_targets, ours_only)))


def _targets(kind: type) -> Iterator[str]:
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(kind)))):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name):
            yield node.attr


def page() -> str:
    """The document."""
    found = classes()
    everything = [member for known in found for member in known.members]
    there = [member for known in found if known.ours for member in known.members]
    lines = [
        "# What of the Azure ML SDK v1 is here",
        "",
        "Each class that users of v1's pipelines touch, with each of its members. Made from v1's names and signatures",
        "and from the classes of this project, never by hand:",
        "",
        f"    {RENEW}",
        "",
        "Names are imported from `millstream`, or from `azureml...` as v1 has them:",
        "",
        "    millstream run driver.py --its arguments        # a driver, unmodified; or python -m millstream run ...",
        "    import millstream.shim; millstream.shim.activate()        # the first line of a notebook",
        "",
        "Scripts of steps need neither. The service is that of `MILLSTREAM_ENDPOINT`, or of `endpoint` in the",
        "project's config.json, or the local one of `scripts/up`. Where a real azureml-core is installed, it comes",
        "first; `millstream run --force` hides it. A name of v1 that is not there raises an ImportError, a member",
        "that is not there an AttributeError, which say what to do instead.",
        "",
        "| | members | works | accepted, ignored | not there |",
        "|---|---:|---:|---:|---:|",
        _percentages("all classes", everything),
        _percentages("classes that are there", there),
        "",
        "| class | works | ignored | not there |",
        "|---|---:|---:|---:|",
        *(_overview(known) for known in found),
    ]
    for known in found:
        lines += ["", *_section(known)]
    return "\n".join(lines) + "\n"


def _percentages(title: str, members: list[Member]) -> str:
    counted = Counter(member.state for member in members)
    cells = [f"{counted[state]} ({100 * counted[state] / len(members):.0f} %)" for state in STATES]
    return f"| {title} | {len(members)} | {' | '.join(cells)} |"


def _overview(known: Class) -> str:
    name = f"[{known.name}](#{known.name.lower()})"
    return f"| {name} | {' | '.join(str(known.count(state)) for state in STATES)} |"


def _section(known: Class) -> Iterator[str]:
    yield f"## {known.name}"
    yield ""
    if known.ours is None:
        yield f"`{known.module}`, {len(known.members)} members: not there. {known.note}"
        return
    yield f"`{known.module}`; here `{known.ours.__module__}.{known.ours.__qualname__}`."
    yield ""
    yield "| member | | |"
    yield "|---|---|---|"
    for member in known.members:
        shown = known.name if member.name == "__init__" else member.name
        call = "" if member.kind == "property" else "()"
        yield f"| `{shown}{call}` | {member.state} | {member.note} |"

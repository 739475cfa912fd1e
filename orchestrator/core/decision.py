"""Why a step ran, or did not: the decision that is shown on the run, in the API and on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec

from orchestrator.core.fingerprint import Ingredients, InputPart
from orchestrator.core.parameters import text_of

MOST_REASONS = 20
_MOST_FILES = 5
_MOST_CHARACTERS = 200


class Action(StrEnum):
    """What is done about a step."""

    RUN = "run"
    REUSE = "reuse"
    KEEP = "keep"  # a run that goes on where an earlier one failed keeps what that one has finished
    SKIP = "skip"  # its condition does not hold
    UNDECIDED = "undecided"  # in a forecast: it depends on what a step before it makes


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One reason. `code` says what it is about: "file", "parameter", "input", "argument", "variable", "setting",
    "environment", "output", "version", "first", "forced", "never", "unknown", "gone", "upstream", "reused", "kept",
    "condition".
    """

    code: str
    text: str


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`from_run` and `from_step`: whose outputs were taken. `fingerprint` is "" where none could be made."""

    action: Action
    reasons: tuple[Reason, ...]
    fingerprint: str = ""
    from_run: str = ""
    from_step: str = ""


def encode(decision: Decision) -> str:
    return msgspec.json.encode(decision).decode()


decode = msgspec.json.Decoder(Decision).decode


def reused(run: str, step: str, fingerprint: str) -> Decision:
    reason = Reason(code="reused", text=f"nothing has changed since run {run} made it")
    return Decision(action=Action.REUSE, reasons=(reason,), fingerprint=fingerprint, from_run=run, from_step=step)


def kept(run: str, step: str) -> Decision:
    reason = Reason(code="kept", text=f"run {run} had finished it")
    return Decision(action=Action.KEEP, reasons=(reason,), from_run=run, from_step=step)


def ran(code: str, text: str, fingerprint: str = "") -> Decision:
    return Decision(action=Action.RUN, reasons=(Reason(code=code, text=text),), fingerprint=fingerprint)


def compared(
    before: Ingredients | None, now: Ingredients, files: tuple[Mapping[str, str], Mapping[str, str]] | None
) -> tuple[Reason, ...]:
    """Why work that was done `before` must be done again; `files`: the source files (path -> sum) of then and now."""
    if before is None:
        return (Reason(code="first", text="it has not run before in this experiment"),)
    found = list(_differences(before, now, files))
    if not found:
        return (Reason(code="gone", text="what an earlier run had made is not there any more"),)
    if len(found) > MOST_REASONS:
        more = Reason(code=found[MOST_REASONS - 1].code, text=f"and {len(found) - MOST_REASONS + 1} more changes")
        found[MOST_REASONS - 1 :] = [more]
    return tuple(found)


def _differences(
    before: Ingredients, now: Ingredients, files: tuple[Mapping[str, str], Mapping[str, str]] | None
) -> Iterator[Reason]:
    if before.rules != now.rules:
        yield Reason(code="setting", text="the service compares steps by newer rules")
    if before.version != now.version:
        yield Reason(code="version", text=f"version {_shown(before.version)} -> {_shown(now.version)}")
    if before.code != now.code:
        yield from _changed_files(files)
    yield from _changed_parameters(before, now)
    for name in _changed(before.inputs, now.inputs):
        yield _input(name, before.inputs.get(name), now.inputs.get(name))
    if before.arguments != now.arguments:
        yield Reason(code="argument", text="its arguments changed")
    for name in _changed(before.variables, now.variables):
        yield Reason(code="variable", text=f"environment variable {name} changed")
    if before.settings != now.settings:
        yield Reason(code="setting", text="its settings changed")
    if before.environment != now.environment:
        yield _environment(before.packages, now.packages)
    for name in _changed(before.outputs, now.outputs):
        yield Reason(code="output", text=f"output {name} is asked for differently")


def _changed(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _changed_parameters(before: Ingredients, now: Ingredients) -> Iterator[Reason]:
    for name in _changed(before.parameters, now.parameters):
        old, new = (
            _shown(text_of(side[name])) if name in side else "none" for side in (before.parameters, now.parameters)
        )
        yield Reason(code="parameter", text=f"parameter {name} {old} -> {new}")


def _environment(before: tuple[str, ...], now: tuple[str, ...]) -> Reason:
    """By the packages it asks for, if these are others."""
    gone, come = (", ".join(sorted(set(one) - set(other))) for one, other in ((before, now), (now, before)))
    change = f": {_shown(gone or 'nothing')} -> {_shown(come or 'nothing')}" if gone or come else ""
    return Reason(code="environment", text=f"the environment that it runs in changed{change}")


def _changed_files(files: tuple[Mapping[str, str], Mapping[str, str]] | None) -> Iterator[Reason]:
    found = [] if files is None else list(_named("file ", *files))
    yield from (Reason(code="file", text=text) for text in found or ["its source files changed"])


def _named(what: str, before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """Which names came, went or changed, the first few by name."""
    names = _changed(before, now)
    for name in names[:_MOST_FILES]:
        how = "added" if name not in before else "removed" if name not in now else "changed"
        yield f"{what}{name[:_MOST_CHARACTERS]} {how}"
    if len(names) > _MOST_FILES:
        yield f"and {len(names) - _MOST_FILES} more {what}changes".replace("  ", " ")


def _input(name: str, before: InputPart | None, now: InputPart | None) -> Reason:
    if before is None or now is None:
        return Reason(code="input", text=f"input {name} {'added' if before is None else 'removed'}")
    if before.digest == now.digest:
        return Reason(code="input", text=f"input {name} is taken differently")
    what = now.source if now.source.startswith("output ") else f"input {name} ({now.source})"
    names = [{file.removeprefix(f"{now.source}/"): it for file, it in side.names.items()} for side in (before, now)]
    found = list(_named("", *names)) if all(names) and "" not in names[1] else []
    return Reason(code="input", text=f"{what}: {', '.join(found)}" if found else f"{what} changed")


def _shown(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "..."

"""What may be called what: one rule for each kind of name, used by the service at its edge and by the client.

A rule is asked in one of two ways: `RULE.check(value, field)` raises, `RULE.problem(value, field)` returns a Problem.
Names become table keys, blob names, file names and environment variables, which is where the limits come from.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from orchestrator.core.errors import InvalidRequest, Problem

LONGEST_PATH = 1024
MOST_COMPARED = 300


@dataclass(frozen=True, slots=True)
class Rule:
    """`what` is the noun for people; `complaint` says what a value must be like, or None when it is in order."""

    what: str
    complaint: Callable[[str], str | None]
    code: str = "InvalidName"

    def allows(self, value: str) -> bool:
        return self.complaint(value) is None

    def problem(self, value: str, field: str) -> Problem | None:
        fix = self.complaint(value)
        return None if fix is None else Problem(self.code, field, f"{shown(value)} is not a valid {self.what}.", fix)

    def check(self, value: str, field: str) -> str:
        """The value itself. Raises InvalidRequest naming `field`."""
        fix = self.complaint(value)
        if fix is not None:
            raise InvalidRequest(f"{shown(value)} is not a valid {self.what}. {fix}", field=field)
        return value


def shown(value: str) -> str:
    """A value as it may stand in a message: quoted, printable, not longer than a line."""
    text = value if len(value) <= 80 else f"{value[:77]}..."
    return '"' + "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text) + '"'


def listed(values: Iterable[str], most: int = 8) -> str:
    """`"a", "b", "c"`, cut after `most`."""
    every = list(values)
    rest = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(shown(value) for value in every[:most]) + rest


def suggestion(word: str, known: Iterable[str], noun: str) -> str:
    """The sentence that helps somebody who wrote `word` where one of `known` was expected."""
    candidates = sorted(known)
    if not candidates:
        return f"There are no {noun}."
    folded = {candidate.casefold(): candidate for candidate in _worth_comparing(word, candidates)}
    near = difflib.get_close_matches(word.casefold(), folded, n=1)
    return f"Did you mean {shown(folded[near[0]])}?" if near else f"The {noun} are: {listed(candidates)}."


def _worth_comparing(word: str, candidates: list[str]) -> list[str]:
    """Comparing is slow: among very many names, or for a very long word, only look at the likely ones."""
    if len(word) > 256:
        return []
    likely = candidates if len(candidates) <= MOST_COMPARED else [c for c in candidates if c[:3] == word[:3]]
    return [c for c in likely if len(c) <= 256][:MOST_COMPARED]


def _matching(what: str, pattern: str, advice: str) -> Rule:
    accepts = re.compile(pattern, re.ASCII).fullmatch
    return Rule(what, lambda value: None if accepts(value) else advice)


def _line(what: str, longest: int) -> Rule:
    advice = f"Use 1 to {longest} characters, not all blank, on one line."
    return Rule(what, lambda value: None if value.strip() and len(value) <= longest and _plain(value) else advice)


def _plain(value: str) -> bool:
    """Without control characters and unpaired surrogates."""
    return _encodable(value) and not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in value)


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


RUN_ID = _matching(
    "run id", r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", "Use 1 to 128 letters, digits, - and _, the first a letter or digit."
)
STEP_ID = _matching(
    "step id", r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", "Use 1 to 100 letters, digits, - and _, the first a letter or digit."
)
PORT = _matching("port name", r"\w{1,128}", "Use 1 to 128 letters, digits and underscores.")
PARAMETER = _matching(
    "parameter name",
    r"\w[\w .-]{0,127}",
    "Use 1 to 128 letters, digits, _, -, . and spaces, the first a letter, digit or _.",
)
EXPERIMENT = _matching(
    "experiment name",
    r"[A-Za-z0-9][\w-]{0,254}",
    "Use 1 to 255 letters, digits, - and _, the first a letter or digit.",
)
COMPUTE = _matching(
    "compute name",
    r"[A-Za-z0-9][\w.-]{0,63}",
    "Use 1 to 64 letters, digits, -, _ and ., the first a letter or digit.",
)
WEBHOOK = _matching(
    "webhook name",
    r"[A-Za-z0-9][\w.-]{0,63}",
    "Use 1 to 64 letters, digits, -, _ and ., the first a letter or digit.",
)
DATASTORE = _matching("datastore name", r"[A-Za-z0-9][\w-]{0,127}", "Use 1 to 128 letters, digits, - and _.")
MODEL = _matching(
    "model name",
    r"[A-Za-z0-9][\w.-]{0,254}",
    "Use 1 to 255 letters, digits, -, _ and ., the first a letter or digit.",
)
DATASET = _matching(
    "dataset name",
    r"[A-Za-z0-9_](?:[\w .-]{0,253}[\w.-])?",
    "Use 1 to 255 letters, digits, -, _, . and spaces, no space at the end.",
)
DATASET_ID = _matching("dataset id", r"[0-9a-f]{64}", "Save the dataset and use the id that the service gives.")
VARIABLE = _matching(
    "environment variable",
    r"(?!MILLSTREAM_)[A-Za-z_]\w{0,254}",
    "Use letters, digits and underscores, no digit first; names that begin with MILLSTREAM_ are the service's own.",
)
CHANGES = _matching("list of changes", r"[0-9a-f]{64}|", "Leave it out: schedules give it.")
SNAPSHOT = _matching("snapshot id", r"[0-9a-f]{64}", "Upload the source folder and use the id that the service gives.")
MODULE_VERSION = _matching(
    "module version", r"[A-Za-z0-9][\w.+-]{0,63}", "Use 1 to 64 letters, digits, -, _, + and ., as 1 or 0.2.1."
)
ENVIRONMENT = _matching(
    "environment name",
    r"[A-Za-z0-9_](?:[\w .-]{0,253}[\w.-])?",
    "Use 1 to 255 letters, digits, -, _, . and spaces, no space at the end.",
)
ENVIRONMENT_VERSION = _matching(
    "environment version", r"[A-Za-z0-9][\w.+-]{0,63}", "Use 1 to 64 letters, digits, -, _, + and ., as 1 or 0.2.1."
)
STEP_NAME = _line("step name", 255)
PIPELINE_NAME = _line("pipeline name", 255)
PIPELINE_OUTPUT = _line("name of an output", 255)
ENDPOINT = _line("pipeline endpoint name", 255)
MODULE = _line("module name", 255)
SCHEDULE_NAME = _line("schedule name", 255)


def _path_complaint(value: str) -> str | None:
    if not value:
        return "Give a path."
    if len(value) > LONGEST_PATH:
        return f"Use at most {LONGEST_PATH} characters."
    if not _plain(value):
        return "Leave out control characters and unpaired surrogates."
    if "\\" in value:
        return "Separate folders with /, not with a backslash."
    if value.startswith("/") or re.match(r"[A-Za-z]:", value):
        return "Use a relative path, with no / or drive at its beginning."
    if any(part in ("", ".", "..") for part in value.split("/")):
        return 'Leave out "..", "." and empty parts.'
    return None


PATH = Rule("relative path", _path_complaint, "InvalidPath")
"""A file or folder below a datastore, an output or the working folder."""

DATA_PATH = Rule("path in a datastore", lambda value: _path_complaint(value) if value else None, "InvalidPath")
"""As PATH, or empty for the whole datastore."""

SCRIPT = Rule("script path", _path_complaint, "InvalidPath")
"""A script, relative to its source folder."""


def _text_complaint(value: str) -> str | None:
    return None if _encodable(value) and "\0" not in value else "Leave out NUL characters and unpaired surrogates."


TEXT = Rule("text", _text_complaint, "InvalidText")
"""What can be an argument or an environment variable's value."""


def variable_of(parameter: str) -> str:
    """The environment variable in which a script finds a pipeline parameter (azureml-v1: AML_PARAMETER_<name>)."""
    return "AML_PARAMETER_" + re.sub(r"\W", "_", parameter, flags=re.ASCII)

"""Patterns of paths: `*` and `?` within a part, `**` for any number of parts."""

from __future__ import annotations

import re
from functools import lru_cache


def is_pattern(path: str) -> bool:
    return "*" in path or "?" in path


def literal(path: str) -> str:
    """The folder that every match of a pattern lies below: the parts before the first with a wildcard."""
    parts = path.split("/")
    first = next(index for index, part in enumerate(parts) if is_pattern(part))
    return "/".join(parts[:first])


def prefix(path: str) -> str:
    """The text with which every match begins."""
    return re.split(r"[*?]", path, maxsplit=1)[0]


def fits(pattern: str, path: str) -> bool:
    """Whether the whole path is a match."""
    return _compiled(pattern).fullmatch(path) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    *folders, last = pattern.split("/")
    text = "".join("(?:[^/]+/)*" if part == "**" else _part(part) + "/" for part in folders)
    return re.compile(text + (".+" if last == "**" else _part(last)), re.DOTALL)


def _part(part: str) -> str:
    # Neighbouring stars mean no more than one, and would make the search slow.
    one = re.sub(r"\*+", "*", part)
    return "".join({"*": "[^/]*", "?": "[^/]"}.get(c, re.escape(c)) for c in one)

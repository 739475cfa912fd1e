"""Columns made of the paths of files: `{city}` is a text, `{day:yyyy/MM/dd}` a moment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from orchestrator.datasets.errors import Unreadable

PartitionValue = str | datetime

_TOKENS = {"yyyy": ("year", 4), "MM": ("month", 2), "dd": ("day", 2), "HH": ("hour", 2), "mm": ("minute", 2)}
_TOKENS["ss"] = ("second", 2)
_DATE = re.compile("yyyy|MM|dd|HH|mm|ss")


@dataclass(frozen=True, slots=True)
class _Format:
    pattern: re.Pattern[str]
    dates: Mapping[str, tuple[str, ...]]
    names: tuple[str, ...]


def columns_of(text: str) -> tuple[str, ...]:
    """The names of the columns that a partition format makes, in its order."""
    return _compiled(text).names


def values(text: str, path: str) -> dict[str, PartitionValue]:
    """The columns of one file. The format describes the end of its path. Raises Unreadable if it does not fit."""
    form = _compiled(text)
    found = form.pattern.fullmatch(f"/{path}")
    try:
        if found is None:
            raise ValueError
        return {name: _value(form, found, index, name) for index, name in enumerate(form.names)}
    except ValueError:
        message = f"The path {path!r} does not fit the partition format {text!r}."
        raise Unreadable(message, field="partition_format") from None


def _value(form: _Format, found: re.Match[str], index: int, name: str) -> PartitionValue:
    fields = form.dates.get(name)
    if fields is None:
        return found[f"c{index}"]
    given = {field: int(found[f"c{index}_{place}"]) for place, field in enumerate(fields)}
    return datetime.min.replace(**given)  # type: ignore[arg-type]


@lru_cache(maxsize=64)
def _compiled(text: str) -> _Format:
    pieces = re.split(r"\{([^}]*)\}", text)
    pattern = "" if text.startswith("/") else "/"
    names: list[str] = []
    dates: dict[str, tuple[str, ...]] = {}
    for index, piece in enumerate(pieces):
        if index % 2 == 0:
            pattern += "[^/]*".join(re.escape(part) for part in piece.split("*"))
            continue
        name, _, form = piece.partition(":")
        if form:
            dates[name] = tuple(_TOKENS[token][0] for token in _DATE.findall(form))
            pattern += _date_pattern(form, len(names))
        else:
            pattern += f"(?P<c{len(names)}>[^/]+)"
        names.append(name)
    return _Format(re.compile(f".*?{pattern}", re.DOTALL), dates, tuple(names))


def _date_pattern(form: str, column: int) -> str:
    text, at, place = "", 0, 0
    for token in _DATE.finditer(form):
        digits = _TOKENS[token[0]][1]
        text += re.escape(form[at : token.start()]) + f"(?P<c{column}_{place}>[0-9]{{{digits}}})"
        at, place = token.end(), place + 1
    return text + re.escape(form[at:])

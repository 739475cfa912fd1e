"""Paths in a datastore that pipeline parameters may be part of: f"in/{day}/x.csv", or a parameter alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from millstream.tokens import parts_of
from orchestrator.core.definition import FromParameter, Literal, Text
from orchestrator.core.names import DATA_PATH

if TYPE_CHECKING:
    from millstream.parameter import PipelineParameter

PathPart = Any
"""A text, or a PipelineParameter that stands for no data."""


def tidy(path: str | None) -> str:
    """A path of a datastore as it is kept: `/` between its parts, none at its ends, no "."."""
    return "/".join(part for part in (path or "").replace("\\", "/").strip("/").split("/") if part != ".")


def path_parts(given: Any, where: str) -> tuple[PathPart, ...]:
    """The parts of a path. Raises TypeError for handles in it that are no such parameters, InvalidRequest."""
    from millstream.parameter import PipelineParameter

    if isinstance(given, PipelineParameter):
        given = f"{given}"
    parts = tuple(parts_of(tidy(given), where))
    for part in parts:
        if not isinstance(part, str) and not (isinstance(part, PipelineParameter) and not part.is_data):
            raise TypeError(f"{where}: {part!r} cannot be part of a path. Use texts and PipelineParameters.")
    if all(isinstance(part, str) for part in parts):
        DATA_PATH.check("".join(parts), where)
    return parts


def path_text(parts: Sequence[PathPart]) -> str:
    """The path for people, and for whoever needs a text."""
    return "".join(part if isinstance(part, str) else f"{part}" for part in parts)


def parameters_in(parts: Sequence[PathPart]) -> list[PipelineParameter]:
    return [part for part in parts if not isinstance(part, str)]


def plain_path(parts: Sequence[PathPart], where: str) -> str:
    """The path. Raises ValueError if a parameter is part of it."""
    if found := parameters_in(parts):
        raise ValueError(f"{where}: {found[0]!r} is part of the path, which must be known here. Use texts only.")
    return path_text(parts)


def path_of(parts: Sequence[PathPart]) -> str | Text:
    """The path as the definition has it."""
    if not parameters_in(parts):
        return path_text(parts)
    return Text(parts=tuple(_part(part) for part in parts))


def _part(part: PathPart) -> Literal | FromParameter:
    return Literal(value=part) if isinstance(part, str) else FromParameter(name=part.name)

"""Why a script is not run."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """Line and column of a script, from 1."""

    line: int
    column: int


class Refused(Exception):
    """The script is wrong, or outside the subset. `place` is that of the script as it was given."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(f"line {place.line}, column {place.column}: {message}")
        self.message = message
        self.place = place

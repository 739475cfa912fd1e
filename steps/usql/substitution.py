"""`@@name@@` in a script, replaced by the value of a parameter or the path of a port, as text."""

from __future__ import annotations

import re
from collections.abc import Mapping

from steps.usql.refusal import Place, Refused

_NAME = re.compile(r"@@(\w+)@@")


class Substituted:
    """A script with values in it, and where each of its characters was before."""

    def __init__(self, script: str, values: Mapping[str, str]) -> None:
        """Raises Refused for a name without a value, and for a value that would break a line."""
        self._script = script
        self._moved: list[tuple[int, int, int]] = []
        parts: list[str] = []
        at = length = 0
        for found in _NAME.finditer(script):
            value = values.get(found[1])
            if value is None:
                known = ", ".join(sorted(values)) or "none"
                raise Refused(f"There is no value for @@{found[1]}@@; there are: {known}.", self._place(found.start()))
            if "\n" in value or "\r" in value:
                raise Refused(f"The value of @@{found[1]}@@ has a line break.", self._place(found.start()))
            parts += [script[at : found.start()], value]
            length += found.start() - at
            self._moved.append((length, length + len(value), found.start()))
            length += len(value)
            at = found.end()
            self._moved.append((length, -1, at))
        self.text = "".join([*parts, script[at:]])

    def _place(self, offset: int) -> Place:
        line = self._script.count("\n", 0, offset) + 1
        return Place(line, offset - (self._script.rfind("\n", 0, offset) + 1) + 1)

    def restored(self, refused: Refused) -> Refused:
        """The same refusal, with its place in the script as it was given."""
        lines = self.text.split("\n")
        offset = sum(len(line) + 1 for line in lines[: refused.place.line - 1]) + refused.place.column - 1
        for start, end, origin in reversed(self._moved):
            if start <= offset:
                inside = end >= 0 and offset < end
                return Refused(refused.message, self._place(origin if inside else origin + offset - start))
        return refused

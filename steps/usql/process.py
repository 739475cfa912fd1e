"""What a step of kind "adla" does in its process."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from steps.paths import files_of
from steps.usql.run import ScriptFailed, run, translate


def main(request: dict[str, Any]) -> None:
    """Ends the process with a word to its log when it cannot be done."""
    inputs, outputs = request["inputs"].values(), request["outputs"].values()

    def read(name: str) -> list[Path]:
        path = _inside(name, [*inputs, *outputs], "read", "an input")
        if not path.exists():
            sys.exit(f"There is no file {name!r} to EXTRACT from.")
        return files_of(path)

    def write(name: str) -> Path:
        return _inside(name, outputs, "written", "an output")

    try:
        program = translate(request["script"], request["values"])
        run(program, read=read, write=write, scratch=Path(request["folders"]["scratch"]))
    except ScriptFailed as error:
        sys.exit(f"The U-SQL script failed: {error}")


def _inside(name: str, places: Iterable[str], done: str, what: str) -> Path:
    path = Path(name).resolve()
    if not any(path.is_relative_to(Path(place).resolve()) for place in places):
        sys.exit(f"{name!r} cannot be {done}: a path is {what} of the step, as @@name@@, or below it.")
    return path

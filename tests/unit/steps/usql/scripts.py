"""Running a script on files of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from steps.usql.run import run, translate


def execute(script: str, folder: Path, values: Mapping[str, str] | None = None) -> None:
    """Run a script whose paths are names in `folder`."""
    program = translate(script, values)
    run(program, read=lambda name: [folder / name], write=lambda name: folder / name, scratch=folder)


def rows(script: str, folder: Path) -> list[str]:
    """The lines of `out`, which is @out of the script."""
    execute(f'{script}\nOUTPUT @out TO "out" USING Outputters.Csv();', folder)
    return (folder / "out").read_bytes().decode().split("\r\n")[:-1]

"""Files that are given to storage by signed URLs, where no worker sees them: by the script of an attempt, or from
outside.

Those of an attempt lie apart from what is committed, below the attempt's prefix. The worker takes those that the script
has told it of, and stores them with the artifacts of the step: no URL that a script was given leads to what is
committed. Those from outside stay where they are: they belong to no execution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from orchestrator.core.errors import TooLarge
from orchestrator.core.names import PATH
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.stepview import Execution, position_of
from orchestrator.engine.view import look
from orchestrator.files import (
    SYSTEM,
    FileItem,
    FilePage,
    FileSize,
    ListFiles,
    Part,
    ReadPart,
    SignDownload,
    Signed,
    SignUpload,
)
from orchestrator.ports import Task

FOLDER: Final = "given"
OF_RUN: Final = "-"
"""In place of a step's id, which begins with a letter or digit."""
MOST: Final = 1000


def by_script(on: Execution) -> str:
    """Where the files that the script of an execution gives lie."""
    return f"{on.prefix}/{FOLDER}/"


def from_outside(memory: ProcessMemory, run: str, step: str) -> Task[str]:
    """Where those lie that are given from outside, to a step, or, with "" for it, to the run. Raises UnknownThing."""
    seen = yield from look(memory, run)
    if step:
        position_of(seen.plan, step)
    return f"runs/{run}/outside/{FOLDER}/{step or OF_RUN}/"


def offer(
    place: str, paths: Sequence[str], *, seconds: float, readable: bool = False
) -> Task[dict[str, Signed | None]]:
    """Path -> where its bytes go; None: there is such a file. Raises InvalidRequest, TooLarge."""
    if len(paths) > MOST:
        raise TooLarge(f"Name at most {MOST:,} files at a time.", field="paths")
    for index, path in enumerate(paths):
        PATH.check(path, f"paths[{index}].path")
    offered: dict[str, Signed | None] = {}
    for path in paths:
        name = place + path
        there = yield from FileSize(container=SYSTEM, name=name)
        offered[path] = None
        if there is None:
            offered[path] = yield from SignUpload(container=SYSTEM, name=name, seconds=seconds, readable=readable)
    return offered


def listed(place: str, start: str = "") -> Task[tuple[FileItem, ...]]:
    """What was given so far, whose paths begin with `start`, by path."""
    found = list[FileItem]()
    marker: str | None = None
    while True:
        page: FilePage = yield from ListFiles(container=SYSTEM, prefix=place + start, marker=marker)
        found += (_below(place, item) for item in page.items)
        marker = page.marker
        if marker is None:
            return tuple(found)


def url(place: str, path: str, *, seconds: float) -> Task[str]:
    """To read a file that was given."""
    return (yield from SignDownload(container=SYSTEM, name=place + path, seconds=seconds))


def part(place: str, path: str, *, limit: int, start: int = 0) -> Task[Part | None]:
    """Some bytes of a file that was given; None: there is none of that name."""
    if not PATH.allows(path):
        return None
    return (yield from ReadPart(container=SYSTEM, name=place + path, start=start, limit=limit))


def _below(place: str, item: FileItem) -> FileItem:
    return FileItem(
        name=item.name.removeprefix(place), size=item.size, etag=item.etag, last_modified=item.last_modified
    )

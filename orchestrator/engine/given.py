"""Files that the script of an attempt gives to storage itself, by signed URLs, where no worker sees them lie.

They lie apart from what is committed, below the attempt's prefix. The worker takes those that the script has told it
of, and stores them with the artifacts of the step: no URL that a script was given leads to what is committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from orchestrator.core.errors import TooLarge
from orchestrator.core.names import PATH
from orchestrator.engine.stepview import Execution
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
MOST: Final = 1000


def offer(on: Execution, paths: Sequence[str], *, seconds: float) -> Task[dict[str, Signed | None]]:
    """Path -> where its bytes go; None: there is such a file. Raises InvalidRequest, TooLarge."""
    if len(paths) > MOST:
        raise TooLarge(f"Name at most {MOST:,} files at a time.", field="paths")
    for index, path in enumerate(paths):
        PATH.check(path, f"paths[{index}].path")
    offered: dict[str, Signed | None] = {}
    for path in paths:
        name = _name(on, path)
        there = yield from FileSize(container=SYSTEM, name=name)
        offered[path] = None
        if there is None:
            offered[path] = yield from SignUpload(container=SYSTEM, name=name, seconds=seconds, readable=True)
    return offered


def listed(on: Execution, start: str = "") -> Task[tuple[FileItem, ...]]:
    """What was given so far, whose paths begin with `start`, by path."""
    first, found = _name(on, ""), list[FileItem]()
    marker: str | None = None
    while True:
        page: FilePage = yield from ListFiles(container=SYSTEM, prefix=first + start, marker=marker)
        found += (_below(first, item) for item in page.items)
        marker = page.marker
        if marker is None:
            return tuple(found)


def url(on: Execution, path: str, *, seconds: float) -> Task[str]:
    """To read a file that was given."""
    return (yield from SignDownload(container=SYSTEM, name=_name(on, path), seconds=seconds))


def part(on: Execution, path: str, *, limit: int) -> Task[Part | None]:
    """The beginning of a file that was given; None: there is none of that name."""
    if not PATH.allows(path):
        return None
    return (yield from ReadPart(container=SYSTEM, name=_name(on, path), start=0, limit=limit))


def _name(on: Execution, path: str) -> str:
    return f"{on.prefix}/{FOLDER}/{path}"


def _below(first: str, item: FileItem) -> FileItem:
    return FileItem(
        name=item.name.removeprefix(first), size=item.size, etag=item.etag, last_modified=item.last_modified
    )

"""Names that come from storage or from users, checked before they reach the file system."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.core.errors import InvalidRequest

MAX_NAME = 1024
MAX_SEGMENT_BYTES = 255
_REFUSED = re.compile(r"[\x00-\x1f\x7f-\x9f\\]")
_DRIVE = re.compile(r"[A-Za-z]:")


class UnsafeName(InvalidRequest):
    """A name that must not become a path."""

    code = "UnsafeName"


def check(name: str) -> str:
    """The name, if it is a relative path with `/` that stays where it is put. Raises UnsafeName saying why not."""
    if reason := _fault(name):
        raise UnsafeName(f"{name[:200]!r} {reason}.")
    return name


def below(root: Path, name: str) -> Path:
    """The path of the checked name below `root`. Raises UnsafeName."""
    return root / check(name)


def _fault(name: str) -> str | None:
    if not name:
        return "is empty"
    if len(name) > MAX_NAME:
        return f"is longer than {MAX_NAME} characters"
    if _REFUSED.search(name):
        return "holds a backslash or a control character"
    if name.startswith("/") or _DRIVE.match(name):
        return "is an absolute path"
    segments = name.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        return "has an empty, '.' or '..' part"
    try:
        longest = max(len(segment.encode()) for segment in segments)
    except UnicodeEncodeError:
        return "is not valid Unicode"
    return f"has a part longer than {MAX_SEGMENT_BYTES} bytes" if longest > MAX_SEGMENT_BYTES else None


def files_of(path: Path) -> list[Path]:
    """The file, or the files of the folder, in the order of their names."""
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]

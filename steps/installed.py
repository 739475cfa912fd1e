"""What scripts find installed, as one name: equal names mean equal interpreters and packages."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterable


def environment_name(folders: Iterable[str]) -> str:
    """sha256 in hex over the interpreter, the machine, and the packages (name and version) in `folders`.

    Told from the names of their metadata folders, which costs a listing each and reads nothing.
    """
    found = sorted({name.lower() for folder in folders for name in _metadata(folder)})
    system = [sys.implementation.name, sys.version, platform.machine(), platform.system()]
    return hashlib.sha256("\n".join([*system, *found]).encode()).hexdigest()


def _metadata(folder: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder or ".") if name.endswith((".dist-info", ".egg-info"))]  # noqa: PTH208
    except OSError:
        return []

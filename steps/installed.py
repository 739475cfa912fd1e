"""What scripts find installed, as one name: equal names mean equal interpreters and packages."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache

_CLIENT = ("msgspec", "pathspec", "tzdata")


def environment_name(folders: Iterable[str]) -> str:
    """sha256 in hex over the interpreter, the machine, and the packages (name and version) in `folders`.

    Told from the names of their metadata folders, which costs a listing each and reads nothing.
    """
    found = sorted({name.lower() for folder in folders for name in _metadata(folder)})
    return hashlib.sha256("\n".join([*interpreter(), *found]).encode()).hexdigest()


def interpreter() -> list[str]:
    """What of an interpreter and its machine decides which packages fit."""
    return [sys.implementation.name, sys.version, platform.machine(), platform.system()]


@cache
def client_requirements() -> tuple[str, ...]:
    """What the service's own client needs beside a script, as requirements with the versions that are there."""
    from importlib import metadata  # not for workers whose steps ask for nothing

    found = []
    for name in _CLIENT:
        with suppress(metadata.PackageNotFoundError):
            found.append(f"{name}=={metadata.version(name)}")
    return tuple(found)


def packages_in(folder: str) -> tuple[str, ...]:
    """The packages of an environment's folder for packages, as `name==version`."""
    parts = (name.removesuffix(".dist-info").partition("-") for name in sorted(_metadata(folder)))
    return tuple(f"{name}=={version}" for name, _, version in parts)


def _metadata(folder: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder or ".") if name.endswith((".dist-info", ".egg-info"))]  # noqa: PTH208
    except OSError:
        return []

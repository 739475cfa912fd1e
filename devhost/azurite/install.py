"""Installs the locked Azurite into a cache folder, once, however many processes ask for it at the same time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from devhost.azurite.errors import AzuriteError
from devhost.azurite.node import Node, find_node

PACKAGE = Path(__file__).parent
CACHE = PACKAGE.parent.parent / ".cache"
_SOURCES = ("package.json", "package-lock.json", "left-out/package.json", "left-out/index.js")
_NPM_OPTIONS = (
    "--ignore-scripts",
    "--omit-lockfile-registry-resolved",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
)


def ensure_installed(cache: Path = CACHE, say: Callable[[str], None] = lambda _: None) -> Path:
    """The path of azurite.js below `cache`, installed first when it is missing or another version than the lock file's.

    Raises:
        AzuriteError: no Node, or npm failed (its last lines are in the text).
    """
    target = cache / "azurite"
    if not _is_complete(target):
        cache.mkdir(parents=True, exist_ok=True)
        with _exclusive(cache / "azurite.lock"):
            if not _is_complete(target):
                say("installing Azurite (once) ...")
                _install(find_node(), target)
    return target / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"


def write_lock() -> None:
    """Write package-lock.json again from package.json, without the names of the registry it was made with."""
    _npm(find_node(), ["install", "--package-lock-only"], PACKAGE, CACHE / "npm")


def _install(node: Node, target: Path) -> None:
    fresh = target.with_name("azurite.new")
    _remove(fresh)
    for name in _SOURCES:
        (fresh / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PACKAGE / name, fresh / name)
    _npm(node, ["ci"], fresh, target.parent / "npm")
    (fresh / "complete").write_text(_digest())
    _remove(target)
    fresh.rename(target)


def _npm(node: Node, command: list[str], folder: Path, cache: Path) -> None:
    environment = {**os.environ, "PATH": os.pathsep.join([str(node.executable.parent), os.environ.get("PATH", "")])}
    answer = subprocess.run(
        [*node.npm, *command, *_NPM_OPTIONS, "--cache", str(cache)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        tail = "\n".join(answer.stdout.strip().splitlines()[-15:])
        raise AzuriteError(f"npm {command[0]} failed with exit code {answer.returncode}:\n{tail}")


def _is_complete(target: Path) -> bool:
    stamp = target / "complete"
    return stamp.is_file() and stamp.read_text() == _digest()


def _digest() -> str:
    return hashlib.sha256(b"\0".join((PACKAGE / name).read_bytes() for name in _SOURCES)).hexdigest()


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

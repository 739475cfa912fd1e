"""The folders of an attempt, on the node's own disk, and the removal of those a dead worker left."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_LOCK = "lock"
_PREFIX = "worker-"


@dataclass(frozen=True, slots=True)
class Folders:
    """`root` holds everything of one attempt, and is its HOME."""

    root: Path

    @property
    def code(self) -> Path:
        """The script's working folder: its private copy of the snapshot."""
        return self.root / "code"

    @property
    def inputs(self) -> Path:
        return self.root / "inputs"

    @property
    def outputs(self) -> Path:
        return self.root / "outputs"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    @property
    def spool(self) -> Path:
        """What the script's run context reports, one JSON object a line."""
        return self.root / "spool.jsonl"

    @property
    def changes(self) -> Path:
        """The list of the changed blobs that have started the run, if any have."""
        return self.root / "changes.json"

    @property
    def info(self) -> Path:
        """What the script's run context is told."""
        return self.root / "step.json"


class WorkFolder:
    """This process's part of `parent`. Held by a file lock, which ends with the process however it ends; what is not
    held belongs to nobody and is removed, unless it was to be kept.
    """

    def __init__(self, parent: Path, *, keep: bool) -> None:
        self._keep = keep
        parent.mkdir(parents=True, exist_ok=True)
        with _sole(parent / _LOCK):
            remove_abandoned(parent)
            self.root = Path(tempfile.mkdtemp(prefix="kept-" if keep else _PREFIX, dir=parent))
            self._lock = os.open(self.root / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Removing folders takes as long as a short script, and nobody has to wait for it.
        self._remover = ThreadPoolExecutor(1, thread_name_prefix="millstream-cleanup")

    def make(self, name: str) -> Folders:
        """The folders of an attempt; `name` for people."""
        folders = Folders(Path(tempfile.mkdtemp(prefix=f"{name[:80]}-", dir=self.root)))
        for folder in (folders.code, folders.temporary):
            folder.mkdir()
        return folders

    def remove(self, folders: Folders) -> None:
        """Remove the folders of an attempt, a little later."""
        if not self._keep:
            self._remover.submit(remove_tree, folders.root)

    def close(self) -> None:
        self._remover.shutdown()
        os.close(self._lock)
        if not self._keep:
            remove_tree(self.root)


@contextmanager
def _sole(path: Path) -> Iterator[None]:
    """No other process is in such a block meanwhile."""
    lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def remove_abandoned(parent: Path) -> None:
    """Remove what dead workers left below `parent`."""
    for folder in parent.glob(_PREFIX + "*"):
        lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(folder)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)


def remove_tree(root: Path) -> None:
    """Remove a folder and what a script put there, whatever permissions it gave its folders."""
    shutil.rmtree(root, ignore_errors=True)
    if root.exists():
        for folder, _, _ in os.walk(root):
            os.chmod(folder, 0o700)  # noqa: PTH101
        shutil.rmtree(root, ignore_errors=True)

"""The environments of steps on this node: each is made once, found by what it is made of, and used by many.

    <folder>/<key>          an environment, complete: it gets this name when all of it is there
    <folder>/<key>.lock     held shared by whoever uses it, alone by whoever makes or removes it
    <folder>/draft-<key>-*  one that is being made, or was when its maker died
    <folder>/uv             what uv keeps of what it has downloaded

The locks are the system's and end with the process that holds them, however it ends. So an environment whose maker is
killed is made by the next one, and none is removed under a step that runs in it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from steps.workdir import remove_tree

log = logging.getLogger("millstream.steps")

UV_CACHE = "uv"
_DRAFT = "draft-"
_LOOK_SECONDS = 0.1
"""Between two looks whether somebody else has made it."""


@dataclass(frozen=True, slots=True)
class Venv:
    """An environment at its place. `made_in`: seconds, None when it was there already."""

    folder: Path
    made_in: float | None = None

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def packages(self) -> Path:
        """The folder of its packages."""
        return next((self.folder / "lib").glob("python3*")) / "site-packages"

    @property
    def programs(self) -> Path:
        return self.folder / "bin"


class Venvs:
    """Thread-safe, and safe with other processes that use the same folder. `most_bytes`: see `trim`."""

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        self.folder = folder
        self._most_bytes = most_bytes

    @contextmanager
    def using(
        self, key: str, make: Callable[[Path], None], waiting: Callable[[], None], *, program: str = "python"
    ) -> Iterator[Venv]:
        """The environment of this key, which stays for as long as the block runs. It is whole if it has the program.

        make(folder): build it in a folder that does not exist yet; what it raises is raised. waiting(): called again
        and again while somebody else makes it; may raise to give up.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self.folder / key
        with _opened(self.folder / f"{key}.lock") as lock:
            began = time.monotonic()
            made = False
            while not (_locked(lock, fcntl.LOCK_SH) and _is_there(place, program)):
                if not _locked(lock, fcntl.LOCK_EX):
                    waiting()
                    time.sleep(_LOOK_SECONDS)
                elif not _is_there(place, program):
                    self._make(key, place, make)
                    made = True
            os.utime(lock)
            if made:
                self.trim()
            yield Venv(place, time.monotonic() - began if made else None)

    def _make(self, key: str, place: Path, make: Callable[[Path], None]) -> None:
        """The lock is held alone."""
        self._clear(key)
        draft = self.folder / f"{_DRAFT}{key}-{os.getpid()}"
        try:
            with _opened(self.folder / f"{UV_CACHE}.lock") as cache:
                fcntl.flock(cache, fcntl.LOCK_SH)
                make(draft)
            draft.rename(place)
        finally:
            remove_tree(draft)

    def _clear(self, key: str, *, place_too: bool = True) -> None:
        """Remove what is there of an environment, or only what dead makers left of it. The lock is held alone."""
        place = self.folder / key
        if place_too and place.exists():
            # By another name at once: one that is half removed must not be taken for a whole one.
            place.rename(self.folder / f"{_DRAFT}{key}-{os.getpid()}")
        for left in self.folder.glob(f"{_DRAFT}{key}-*"):
            remove_tree(left)

    def trim(self) -> None:
        """Keep to `most_bytes`, and to half of the disk: first goes what only uv's cache holds, then what has not been
        used for longest. What is in use stays, even if that is too much.
        """
        most = min(self._most_bytes, shutil.disk_usage(self.folder).total // 2)
        if size_of(self.folder) <= most:
            return
        with _opened(self.folder / f"{UV_CACHE}.lock") as lock:
            if _locked(lock, fcntl.LOCK_EX):
                remove_tree(self.folder / UV_CACHE)
        for draft in self.folder.glob(f"{_DRAFT}*"):
            self._remove(self.folder / f"{draft.name.removeprefix(_DRAFT).rpartition('-')[0]}.lock", drafts_only=True)
        locks = ((path.stat().st_mtime, path) for path in self.folder.glob("*.lock") if path.stem != UV_CACHE)
        for _, path in sorted(locks):
            if size_of(self.folder) <= most:
                return
            self._remove(path)

    def _remove(self, path: Path, *, drafts_only: bool = False) -> None:
        with _opened(path) as lock:
            if not _locked(lock, fcntl.LOCK_EX):
                return
            if not drafts_only:
                log.info("environment_removed key=%s", path.stem)
            self._clear(path.stem, place_too=not drafts_only)


def _is_there(place: Path, program: str) -> bool:
    """Whether it is complete, and the interpreter that it was made from is still there."""
    return (place / "bin" / program).exists()


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The file's lock, not held yet; let go of at the end."""
    lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        yield lock
    finally:
        os.close(lock)


def _locked(lock: int, how: int) -> bool:
    """Take the lock, or exchange one way of holding it for the other, if that can be had at once."""
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        # One that was held another way is lost by now on Linux, and elsewhere would keep others waiting.
        fcntl.flock(lock, fcntl.LOCK_UN)
        return False
    return True


def size_of(folder: Path) -> int:
    """Bytes on the disk. A file with several names counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                found = os.lstat(os.path.join(parent, name))  # noqa: PTH118 - tens of thousands of them
            except OSError:
                continue
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_blocks * 512
    return total

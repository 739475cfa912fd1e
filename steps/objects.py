"""File contents that this node has already, by their sha256, so that nothing is brought twice.

A script may write into its inputs, and on most nodes it runs as the worker's own user, root or not: a hard link, even
a read-only one, would let it change what others get. So a file is handed out as a copy, and the copy is hashed while it
is made, which also finds what a script or a power failure did to the cache. Taking in costs nothing: an output that is
stored, and an input that its script left alone, is moved here instead of being removed with its attempt's folder.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import shutil
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from orchestrator.core.result import File

log = logging.getLogger("millstream.steps")

_CHUNK = 1024 * 1024
_SHARE_OF_DISK = 4
_BLOCK = 4096
_OFTEN = 16
_LOW = 0.9


class _Known(NamedTuple):
    """A file in use by an attempt, and how it was when it was brought."""

    sha256: str
    identity: tuple[int, int, int, int]


class Objects:
    """The cache in `folder`, shared with other processes. Thread-safe. Least recently used goes first.

    limit: bytes, but never more than a quarter of the disk space that is free or the cache's own. It may be exceeded by
    a sixteenth.
    """

    def __init__(self, folder: Path, *, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._lock = threading.Lock()
        self._lent: dict[Path, _Known] = {}
        self._places: dict[str, Path] = {}
        self._unseen: int | None = None
        self._trimmer = ThreadPoolExecutor(1, thread_name_prefix="millstream-cache")
        folder.mkdir(parents=True, exist_ok=True)

    def copy_to(self, target: Path, file: File, check: Callable[[], object]) -> bool:
        """Make `target`, which must not exist, with the content of `file`. False: it is not here, and nothing is made.

        Also taken is what another attempt of this process has just brought. check: called often, may raise to break
        off. Raises OSError about the target.
        """
        place = self._place(file.sha256)
        with self._lock:
            sources = (place, self._places.get(file.sha256))
        for source in sources:
            if source is None:
                continue
            if _copied(source, target, file, check):
                with suppress(FileNotFoundError):
                    os.utime(place)
                return True
            if source == place:
                with suppress(OSError):
                    place.unlink()
        return False

    def lend(self, path: Path, file: File) -> None:
        """`path`, just brought, has this content, and will be offered to `take_back`. Raises OSError."""
        known = _Known(file.sha256, _identity(os.lstat(path)))
        with self._lock:
            self._lent[path] = known
            self._places.setdefault(file.sha256, path)

    def take_back(self, root: Path) -> None:
        """Take in all that was lent below `root` and is as it was. None of it is lent any more."""
        with self._lock:
            back = {path: known for path, known in self._lent.items() if path.is_relative_to(root)}
            for path, known in back.items():
                del self._lent[path]
                if self._places.get(known.sha256) == path:
                    del self._places[known.sha256]
        for path, known in back.items():
            self._take(path, known.sha256, known.identity)

    def take(self, path: Path, file: File) -> None:
        """Take in a file that was just hashed and is not needed in its place any more."""
        self._take(path, file.sha256, None, file.size)

    def _take(
        self, path: Path, sha256: str, identity: tuple[int, int, int, int] | None, size: int | None = None
    ) -> None:
        try:
            found = os.lstat(path)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or size not in (None, found.st_size):
                return
            if identity is not None and _identity(found) != identity:
                return
            place = self._place(sha256)
            if place.exists():
                os.utime(place)
                return
            place.parent.mkdir(exist_ok=True)
            path.chmod(0o600)
            os.utime(path)
            path.rename(place)
        except FileNotFoundError:
            return  # its script has removed it
        except OSError as error:
            # A step does not fail for want of a copy that may never be asked for.
            log.warning("cache_take_failed path=%s: %s", path, error)
            return
        self._count(_cost(found.st_size))

    def _count(self, size: int) -> None:
        with self._lock:
            if self._unseen is not None:
                self._unseen += size
                if self._unseen < self._limit // _OFTEN:
                    return
            self._unseen = 0
        self._trimmer.submit(self.trim)

    def trim(self) -> None:
        """Remove the longest unused contents over the limit, unless another process is at it."""
        with suppress(BlockingIOError):
            self._remove(share=1)

    def make_room(self) -> bool:
        """For a disk that is full: remove everything. Whether there was something."""
        try:
            return self._remove(share=0)
        except BlockingIOError:
            return False

    def _remove(self, *, share: int) -> bool:
        lock = os.open(self._folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = [item for folder in os.scandir(self._folder) if folder.is_dir() for item in _listed(folder.path)]
            total = sum(size for _, size, _ in found)
            limit = self._allowed(total) * share
            aim = limit * _LOW if total > limit else total
            removed = False
            for _, size, path in sorted(found):
                if total <= aim:
                    break
                with suppress(FileNotFoundError):
                    os.unlink(path)  # noqa: PTH108 - hot path
                total -= size
                removed = True
            return removed
        finally:
            os.close(lock)

    def _allowed(self, used: int) -> int:
        return min(self._limit, (shutil.disk_usage(self._folder).free + used) // _SHARE_OF_DISK)

    def _place(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def close(self) -> None:
        self._trimmer.shutdown()


def _identity(found: os.stat_result) -> tuple[int, int, int, int]:
    """What changes with every write; the last, the time of change, cannot be set by a script."""
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _cost(size: int) -> int:
    return (size // _BLOCK + 1) * _BLOCK


def _listed(folder: str) -> list[tuple[float, int, str]]:
    """(last use, cost, path) of the contents in a folder of the cache."""
    found = []
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):
            status = entry.stat(follow_symlinks=False)
            found.append((status.st_mtime, _cost(status.st_size), entry.path))
    return found


def _copied(source: Path, target: Path, file: File, check: Callable[[], object]) -> bool:
    """Copy and verify. False, and no target, when the source is gone or is not what it should be."""
    try:
        # A script may have put anything there, so that nothing is followed or waited for.
        reader = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP, errno.EACCES, errno.ENOTDIR, errno.ENXIO):
            raise
        return False
    try:
        if os.fstat(reader).st_size != file.size:
            return False
        with target.open("xb") as writer:
            try:
                sha256 = _pass_on(reader, writer, check)
                writer.flush()
            except BaseException:
                target.unlink()
                raise
    finally:
        os.close(reader)
    if sha256 != file.sha256:
        target.unlink()
        return False
    return True


def _pass_on(reader: int, writer: BinaryIO, check: Callable[[], object]) -> str:
    digest = hashlib.sha256()
    while data := os.read(reader, _CHUNK):
        check()
        digest.update(data)
        writer.write(data)
    return digest.hexdigest()

"""Source folders: fetched once per node, verified, copied for each attempt.

A snapshot's id is the sha256 of its manifest, so what was unpacked proves itself. In the cache a folder is complete or
not there. Scripts run as the worker's own user and could change the cache; they are given copies, and no more can be
promised without a user of their own.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from orchestrator.core.result import File
from steps.failures import SnapshotDamaged, SnapshotMissing, StorageFailed, node_failure
from steps.paths import UnsafeName, below
from steps.store import BlobMissing, Store, StoreFailed
from steps.workdir import remove_tree

_ID = re.compile(r"[0-9a-f]{64}")
_DRAFT = "draft-"
_CHUNK = 1024 * 1024
_COPY_TRIES = 3
_EXECUTABLE = 0o111
_ABANDONED_SECONDS = 3600
_UNPACKABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # an unknown way of packing
    RuntimeError,  # encrypted
    UnsafeName,
    FileExistsError,  # a name twice, or a file and a folder of one name
    NotADirectoryError,
)


class _Entry(msgspec.Struct, frozen=True):
    path: str
    sha256: str
    size: int


def address(files: list[File]) -> str:
    """The id of a snapshot with these files."""
    entries = [_Entry(file.path, file.sha256, file.size) for file in sorted(files, key=lambda file: file.path)]
    return hashlib.sha256(msgspec.json.encode(entries)).hexdigest()


class Snapshots:
    """The cache of this node, in `folder`, shared with other processes. Thread-safe."""

    def __init__(
        self, store: Store, container: str, folder: Path, *, cache_bytes: int, most_bytes: int, most_files: int
    ) -> None:
        self._store = store
        self._container = container
        self._folder = folder
        self._cache_bytes = cache_bytes
        self._most_bytes = most_bytes
        self._most_files = most_files
        self._locks: dict[str, threading.Lock] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for draft in folder.glob(_DRAFT + "*"):
            with _vanishing():
                if time.time() - draft.stat().st_mtime > _ABANDONED_SECONDS:
                    remove_tree(draft)

    def copy_to(self, snapshot: str, target: Path) -> None:
        """Lay a private copy of the snapshot into the existing folder `target`.

        Raises SnapshotMissing, SnapshotDamaged, DiskFull, NodeFailed, StorageFailed.
        """
        if not _ID.fullmatch(snapshot):
            raise SnapshotMissing(f"{snapshot!r} is not the id of a source folder.")
        for _ in range(_COPY_TRIES):
            cached = self._ensure(snapshot)
            try:
                _copy(cached, target)
                return
            except FileNotFoundError:
                # Another process has just evicted it.
                for entry in target.iterdir():
                    remove_tree(entry) if entry.is_dir() else entry.unlink()
            except OSError as error:
                raise node_failure(error, "The source folder could not be copied") from error
        raise StorageFailed("The source folder is evicted from the cache as often as it is fetched: enlarge the cache.")

    def _ensure(self, snapshot: str) -> Path:
        cached = self._folder / snapshot
        with self._locks.setdefault(snapshot, threading.Lock()):
            if not _touch(cached):
                with _sole(self._folder / f"{snapshot[:2]}.lock"):
                    if not _touch(cached):
                        self._fetch(snapshot, cached)
                self._evict(keep=snapshot)
        return cached

    def _fetch(self, snapshot: str, cached: Path) -> None:
        name = f"snapshots/{snapshot}.zip"
        draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self._folder))
        try:
            archive = draft / "archive.zip"
            with archive.open("wb") as sink:
                self._store.download(self._container, name, sink)
            files = draft / "files"
            files.mkdir()
            if address(self._unpack(archive, files)) != snapshot:
                raise SnapshotDamaged(f"The blob {name} does not hold the files that its id stands for.")
            files.rename(cached)
        except BlobMissing as error:
            raise SnapshotMissing(f"There is no source folder {snapshot}: the blob {name} is missing.") from error
        except StoreFailed as error:
            raise StorageFailed(f"The source folder could not be read: {error}") from error
        except _UNPACKABLE as error:
            raise SnapshotDamaged(f"The blob {name} cannot be unpacked: {error}") from error
        except OSError as error:
            raise node_failure(error, "The source folder could not be unpacked") from error
        finally:
            remove_tree(draft)

    def _unpack(self, archive: Path, target: Path) -> list[File]:
        files: list[File] = []
        total = 0
        with zipfile.ZipFile(archive) as source:
            members = [member for member in source.infolist() if not member.is_dir()]
            if len(members) > self._most_files:
                raise SnapshotDamaged(f"The source folder has more than {self._most_files} files.")
            for member in members:
                path = below(target, member.filename)
                path.parent.mkdir(parents=True, exist_ok=True)
                digest, size = hashlib.sha256(), 0
                with source.open(member) as packed, path.open("xb") as sink:
                    while data := packed.read(_CHUNK):
                        size += len(data)
                        if total + size > self._most_bytes:
                            raise SnapshotDamaged(f"The source folder has more than {self._most_bytes} bytes.")
                        digest.update(data)
                        sink.write(data)
                total += size
                if member.external_attr >> 16 & _EXECUTABLE:
                    path.chmod(0o755)
                files.append(File(path=member.filename, size=size, sha256=digest.hexdigest()))
        return files

    def _evict(self, *, keep: str) -> None:
        """Remove the longest unused snapshots over the cache's size."""
        entries = []
        for folder in self._folder.iterdir():
            if _ID.fullmatch(folder.name):
                with _vanishing():
                    entries.append((folder.stat().st_mtime, folder, _size(folder)))
        total = sum(size for _, _, size in entries)
        for _, folder, size in sorted(entries):
            if total <= self._cache_bytes:
                return
            if folder.name != keep:
                trash = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self._folder))
                with _vanishing():
                    folder.rename(trash / "files")
                remove_tree(trash)
                total -= size


@contextmanager
def _sole(path: Path) -> Iterator[None]:
    """No other process is in such a block for this path meanwhile. The lock ends with the process."""
    lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def _vanishing() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        return


def _touch(folder: Path) -> bool:
    """Whether the folder is there; if so it counts as used now."""
    try:
        os.utime(folder)
    except FileNotFoundError:
        return False
    return True


def _size(folder: Path) -> int:
    return sum(entry.stat().st_size for entry in folder.rglob("*") if entry.is_file())


def _copy(source: Path, target: Path) -> None:
    for entry in os.scandir(source):
        to = os.path.join(target, entry.name)  # noqa: PTH118 - hot path
        if entry.is_dir(follow_symlinks=False):
            os.mkdir(to)  # noqa: PTH102
            _copy(Path(entry.path), Path(to))
        else:
            shutil.copyfile(entry.path, to)
            if entry.stat().st_mode & _EXECUTABLE:
                os.chmod(to, 0o755)  # noqa: PTH101, S103

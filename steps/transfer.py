"""Files to and from blobs: many at once, in bounded memory, hashed on the way."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from orchestrator import logs
from orchestrator.core.result import File
from steps.failures import DiskFull, InputDamaged, InputMissing, InputUnusable, StorageFailed, node_failure
from steps.objects import Objects
from steps.progress import Progress
from steps.stop import Stop
from steps.store import BlobMissing, Listed, Store, StoreFailed

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """A blob that is to become a file. With `expected`, it must have that size and, if that is known, hash."""

    container: str
    name: str
    target: Path
    expected: File | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A file that is to become a blob; `path` is its name in the manifest."""

    container: str
    name: str
    source: Path
    path: str


class Pool:
    """Threads for transfers, shared by all attempts of a worker, and the contents that need not be transferred."""

    def __init__(self, threads: int, objects: Objects | None = None) -> None:
        self.objects = objects
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="millstream-transfer")
        # An attempt with thousands of files must not queue them all before another attempt's one.
        self._window = threads * 2

    def map(self, do: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Results in the order of the items. The first error is raised, after what has begun has ended."""
        results: list[R] = []
        todo = list(items)
        if len(todo) <= 1:
            return [do(item) for item in todo]
        slots = threading.Semaphore(self._window)
        failed = threading.Event()

        def run(item: T) -> R:
            try:
                return do(item)
            except BaseException:
                failed.set()
                raise
            finally:
                slots.release()

        futures = []
        for item in todo:
            slots.acquire()
            if failed.is_set():
                slots.release()
                break
            futures.append(self._executor.submit(logs.carried(run), item))
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]
        results.extend(future.result() for future in futures)
        return results

    def close(self) -> None:
        self._executor.shutdown(cancel_futures=True)


class _Hashing:
    """Passes bytes through to or from a file, hashes them, and breaks off when a stop is requested. Rewinding starts
    over.
    """

    def __init__(self, file: BinaryIO, stop: Stop, progress: Progress | None) -> None:
        self._file = file
        self._stop = stop
        self._progress = progress
        self._reset()

    def expect(self, size: int) -> None:
        """So that a disk that is too small is found out at once."""
        os.posix_fallocate(self._file.fileno(), 0, size)

    def _reset(self) -> None:
        self._hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        self._stop.check()
        data = self._file.read(size)
        self._count(data)
        return data

    def readinto(self, buffer: memoryview) -> int:
        self._stop.check()
        count = cast(RawIOBase, self._file).readinto(buffer) or 0
        self._count(buffer[:count])
        return count

    def write(self, data: bytes) -> int:
        self._stop.check()
        self._count(data)
        return self._file.write(data)

    def _count(self, data: bytes | memoryview) -> None:
        self._hash.update(data)
        self.size += len(data)
        if self._progress is not None:
            self._progress.add(len(data))

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if (offset, whence) != (0, io.SEEK_SET):
            raise io.UnsupportedOperation("only back to the start")
        self._reset()
        return self._file.seek(0)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def file(self, path: str) -> File:
        return File(path=path, size=self.size, sha256=self.sha256)


def fetch(
    store: Store, item: Fetch, stop: Stop, *, objects: Objects | None = None, progress: Progress | None = None
) -> Listed:
    """Bring a file, whole or not at all. Returns what storage says of it.

    objects: where contents that are known are taken from first, and to whom they are lent. Raises InputMissing,
    InputDamaged, InputUnusable, DiskFull, NodeFailed, StorageFailed, Stopped.
    """
    stop.check()
    try:
        return _fetch(store, item, stop, objects, progress)
    except DiskFull:
        if objects is None or not objects.make_room():
            raise
        return _fetch(store, item, stop, objects, progress)


def _fetch(store: Store, item: Fetch, stop: Stop, objects: Objects | None, progress: Progress | None) -> Listed:
    expected = item.expected
    if expected is not None and not expected.sha256:
        objects = None
    with _local_errors(item.target):
        item.target.parent.mkdir(parents=True, exist_ok=True)
        if expected is not None and objects is not None and objects.copy_to(item.target, expected, stop.check):
            objects.lend(item.target, expected)
            if progress is not None:
                progress.add(expected.size, files=1)
            return Listed(item.name, expected.size)
        found = _download(store, item, stop, progress)
        if progress is not None:
            progress.add(0, files=1)
        if expected is not None and objects is not None:
            objects.lend(item.target, expected)
    return found


def _download(store: Store, item: Fetch, stop: Stop, progress: Progress | None) -> Listed:
    with item.target.open("xb") as file:
        sink = _Hashing(file, stop, progress)
        try:
            found = store.download(item.container, item.name, cast(BinaryIO, sink))
            file.flush()
            _verify(item, sink)
        except BaseException:
            item.target.unlink()
            raise
    return found


def _verify(item: Fetch, sink: _Hashing) -> None:
    expected = item.expected
    if expected is None:
        return
    if (sink.size, sink.sha256 if expected.sha256 else "") != (expected.size, expected.sha256):
        raise InputDamaged(
            f"The blob {item.container}/{item.name} is not what its step committed: {sink.size} bytes with sha256 "
            f"{sink.sha256}, not {expected.size} with {expected.sha256 or 'another version'}."
        )


def push(store: Store, item: Push, stop: Stop, progress: Progress | None = None) -> File:
    """Store a file. Raises StorageFailed, Stopped, OSError."""
    stop.check()
    with _opened(item.source) as file:
        source = _Hashing(file, stop, progress)
        try:
            store.upload(item.container, item.name, cast(BinaryIO, source))
        except StoreFailed as error:
            raise StorageFailed(f"{item.path or item.name} could not be stored: {error}") from error
        if progress is not None:
            progress.add(0, files=1)
        return source.file(item.path)


def _opened(path: Path) -> BinaryIO:
    """Open a script's file, also one that the script has made unreadable."""
    try:
        return path.open("rb", buffering=0)
    except PermissionError:
        path.chmod(0o600)
        return path.open("rb", buffering=0)


def fetch_all(pool: Pool, store: Store, items: Sequence[Fetch], stop: Stop, progress: Progress | None = None) -> None:
    pool.map(lambda item: fetch(store, item, stop, objects=pool.objects, progress=progress), items)


def push_all(pool: Pool, store: Store, items: Sequence[Push], stop: Stop) -> list[File]:
    return pool.map(lambda item: push(store, item, stop), items)


@contextmanager
def _local_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except BlobMissing as error:
        raise InputMissing(f"The blob of {target.name!r} is missing: {error}") from error
    except StoreFailed as error:
        raise StorageFailed(f"The blob of {target.name!r} could not be read: {error}") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        reason = f"{target.name!r} is a file in one place and a folder in another"
        raise InputUnusable(f"The input cannot be laid out as files: {reason}.") from error
    except OSError as error:
        raise node_failure(error, f"{target.name!r} could not be written") from error

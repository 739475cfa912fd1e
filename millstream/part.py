"""The beginning of a large file that is being downloaded, kept for whoever goes on with it.

    .millstream-NAME.part         the first bytes of the file NAME, which lies beside it once it is whole
    .millstream-NAME.part.json    which file they are of, how many are known to be right, and their sha256

One process at a time holds them, by a lock that ends with the process. Where there are no such locks, or somebody else
has it, the file comes under a name that nobody else knows and is not kept.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_CHUNK = 1 << 20
_LONGEST = 200
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class _State(msgspec.Struct, frozen=True, kw_only=True):
    """`done` bytes, whose sha256 is `sum`, of the file that has this size, etag and, if that is known, sha256."""

    size: int
    sha256: str | None
    etag: str
    done: int
    sum: str


class Part:
    """A file in the making, of which `done` bytes are there and summed. Not thread-safe.

    `etag`: the version of the blob that they are of; "" when nothing is there.
    """

    def __init__(self, target: Path, *, size: int, sha256: str | None) -> None:
        """Takes up what is left of an earlier try, as far as it is known to be right. Raises OSError."""
        self._target = target
        self._size = size
        self._sha256 = sha256
        self.etag = ""
        self.done = 0
        self._sum = hashlib.sha256()
        self._file, self._path, self._kept = _open(target)
        if self._kept:
            self._take_up()
        self._file.truncate(self.done)
        self._file.seek(self.done)

    @property
    def _state_path(self) -> Path:
        return self._path.with_name(self._path.name + ".json")

    def _take_up(self) -> None:
        try:
            state = msgspec.json.decode(self._state_path.read_bytes(), type=_State)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return
        if (state.size, state.sha256) != (self._size, self._sha256) or not 0 < state.done <= state.size:
            return
        summed = _sum_of(self._file, state.done)
        if summed is not None and summed.hexdigest() == state.sum:
            self._sum, self.done, self.etag = summed, state.done, state.etag

    def begin_anew(self) -> None:
        """What is there is of no use."""
        self._file.seek(0)
        self._file.truncate()
        self.done, self.etag = 0, ""
        self._sum = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._sum.update(data)
        self._file.write(data)
        self.done += len(data)

    def right(self) -> bool:
        """Whether all of it is there, as it was stored."""
        return self.done == self._size and self._sha256 in (None, self._sum.hexdigest())

    def note(self) -> None:
        """What is there now may be taken up after this process. Raises OSError."""
        if not self._kept or not self.done:
            return
        self._file.flush()
        state = _State(size=self._size, sha256=self._sha256, etag=self.etag, done=self.done, sum=self._sum.hexdigest())
        fresh = self._state_path.with_name(self._state_path.name + "~")
        fresh.write_bytes(msgspec.json.encode(state))
        fresh.replace(self._state_path)

    def finish(self) -> None:
        """The file appears under its name. Raises OSError."""
        self._file.flush()
        self._path.replace(self._target)
        self._state_path.unlink(missing_ok=True)
        self._file.close()

    def leave(self) -> None:
        """For an error: keep what is there, if it is anything."""
        if self._kept and self.done:
            with suppress(OSError):
                self.note()
            self._file.close()
        else:
            self.discard()

    def discard(self) -> None:
        """Keep nothing."""
        self._state_path.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)
        self._file.close()


def _open(target: Path) -> tuple[IO[bytes], Path, bool]:
    """The part's file, its path, and whether it may be kept."""
    if fcntl is not None:
        name = target.name
        if len(os.fsencode(name)) > _LONGEST:
            name = hashlib.sha256(os.fsencode(name)).hexdigest()
        path = target.with_name(f".millstream-{name}.part")
        if (file := _locked(path, lambda held: fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB))) is not None:
            return file, path, True
    path = target.with_name(f".millstream-{secrets.token_hex(8)}")
    return path.open("x+b"), path, False


def _locked(path: Path, lock: Callable[[int], None]) -> IO[bytes] | None:
    """The file, made if there is none. None: another process has it."""
    while True:
        number = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINKS, 0o666)
        try:
            lock(number)
            # Whoever had the lock until now may have given the file its name, or removed it.
            if _same(number, path):
                return os.fdopen(number, "r+b")
        except BlockingIOError:
            os.close(number)
            return None
        except BaseException:
            os.close(number)
            raise
        os.close(number)


def _same(number: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(number), os.lstat(path))
    except FileNotFoundError:
        return False


def _sum_of(file: IO[bytes], size: int) -> hashlib._Hash | None:
    """The sum of the first `size` bytes; None: there are not so many."""
    summed = hashlib.sha256()
    left = size
    while left:
        data = file.read(min(left, _CHUNK))
        if not data:
            return None
        summed.update(data)
        left -= len(data)
    return summed

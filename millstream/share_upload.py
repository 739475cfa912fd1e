"""Files into a file share: made under a name of their own, filled range by range, and given their name when whole.

What is broken off of a large file is noted on this machine, and goes on, also in another process.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from millstream.config import cache_folder

KEPT: Final = 5 * 86400.0
"""Seconds after which a note is not believed."""


class Draft:
    """The id of an upload, and which of its ranges are there. The file is locked: of two processes that send the same
    file to the same place, one goes on with what was left, and the other begins anew.
    """

    def __init__(self, place: str, source: Path) -> None:
        facts = source.stat()
        known = f"{place}\0{source.absolute()}\0{facts.st_size}\0{facts.st_mtime_ns}"
        self._path = cache_folder() / "uploads" / f"share-{hashlib.sha256(known.encode()).hexdigest()[:32]}"
        self._file: IO[str] | None = self._locked()
        self.id = secrets.token_hex(16)
        self.done: frozenset[str] = frozenset()
        if self._file is not None:
            first, *rest = self._file.read().split("\n")
            if len(first) == len(self.id):
                self.id, self.done = first, frozenset(rest)
            else:
                self.begin()

    def _locked(self) -> IO[str] | None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists() and time.time() - self._path.stat().st_mtime > KEPT:
                self._path.unlink()
            file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="ascii")
        except OSError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        return file

    @property
    def lasts(self) -> bool:
        """Whether an upload that is broken off can go on."""
        return self._file is not None

    def begin(self) -> None:
        """Nothing is there yet."""
        self.done = frozenset()
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
            self._write(self.id)

    def add(self, name: str) -> None:
        """A range is there. What is not noted is sent again, and does no harm."""
        if self._file is not None:
            self._write(name)

    def _write(self, line: str) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.write(f"{line}\n")
                self._file.flush()

    def end(self) -> None:
        """The file is whole, or given up."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def range_name(start: int, data: bytes) -> str:
    """What a range is noted as."""
    return f"{start}-{hashlib.sha256(data).hexdigest()}"

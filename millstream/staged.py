"""Which blocks of an interrupted upload storage has already, noted on this machine.

A signed URL to write a blob does not let its holder list the blob's blocks. So what has been sent is noted in a file,
one name a line, until the blob is made. A block's name holds the sum of its bytes and its place: a name that is noted
wrongly cannot bring other bytes into the blob, storage refuses a list with a block that it has not.
"""

from __future__ import annotations

import base64
import hashlib
import time
from contextlib import suppress
from threading import Lock
from typing import Final
from urllib.parse import urlsplit

from millstream.config import cache_folder

KEPT: Final = 5 * 86400.0
"""Seconds after which a note is not believed: storage forgets blocks that nobody used for a week."""


def block_id(number: int, data: bytes) -> str:
    """The name of a block, as storage wants it: all of one length."""
    return base64.b64encode(number.to_bytes(4, "big") + hashlib.sha256(data).digest()[:20]).decode()


class Staged:
    """The blocks sent to the blob at `url`. Thread-safe. A note that is lost costs a repetition, nothing else."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        name = hashlib.sha256(f"{place.netloc}{place.path}".encode()).hexdigest()
        self._path = cache_folder() / "uploads" / name
        self._lock = Lock()
        self._known = self._read()

    def _read(self) -> frozenset[str]:
        try:
            if time.time() - self._path.stat().st_mtime > KEPT:
                self._path.unlink(missing_ok=True)
            return frozenset(self._path.read_text("ascii").split("\n")[:-1])
        except (OSError, UnicodeDecodeError):
            return frozenset()

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def __bool__(self) -> bool:
        return bool(self._known)

    def add(self, name: str) -> None:
        with self._lock, suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="ascii") as notes:
                notes.write(name + "\n")

    def forget(self) -> None:
        """The blob is made, or the blocks are gone."""
        self._known = frozenset()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

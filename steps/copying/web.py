"""Files of the web as sources of copies."""

from __future__ import annotations

import posixpath
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from orchestrator.core.fingerprint import digest_of
from orchestrator.datasets.web import Described, describe, path_of, read_into, save
from steps.copying.sources import Item
from steps.failures import InputUnusable
from steps.store import Origin, Replaced


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOrigin:
    """A file whose server sends parts of it."""

    address: str
    size: int
    version: str
    content_type: str
    md5: str = ""

    def read(self, start: int, buffer: memoryview) -> None:
        if not read_into(self.address, start, buffer, self.version):
            raise Replaced(f"{posixpath.basename(path_of(self.address))} has changed on its server meanwhile.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOrigin:
    """A file on this node."""

    path: Path
    size: int
    content_type: str = ""
    md5: str = ""

    def read(self, start: int, buffer: memoryview) -> None:
        with self.path.open("rb") as file:
            file.seek(start)
            if cast(BinaryIO, file).readinto(buffer) != len(buffer):  # type: ignore[attr-defined]
                raise Replaced(f"{self.path.name} is shorter than it was.")


def web_item(url: str, path: str, scratch: Path, *, limit: int, told: Callable[[str], None]) -> Item:
    """The file at a URL. One whose server tells no size, or sends no parts, comes to `scratch` first, whole; `told` so.

    limit: the most bytes it may have. Raises FileMissing, Unavailable, InputUnusable, OSError.
    """
    found = describe(url)
    if found.size is not None and found.in_pieces:
        _check(path or url, found.size, limit)
        origin: Origin = WebOrigin(address=url, size=found.size, version=found.version, content_type=found.content_type)
    else:
        told(f"The server of {path_of(url)} sends no parts of it: it comes to this node first.")
        origin = _saved(url, found, scratch, limit)
    # Without a version it may be another file each time.
    version = found.version or secrets.token_hex(16)
    return Item(path=path, size=origin.size, version=digest_of([url, origin.size, version]), open=lambda: origin)


def _saved(url: str, found: Described, scratch: Path, limit: int) -> FileOrigin:
    scratch.mkdir(parents=True, exist_ok=True)
    place = scratch / secrets.token_hex(8)
    with place.open("wb") as file:
        save(url, cast(BinaryIO, _Limited(file, path_of(url), limit)))
    return FileOrigin(path=place, size=place.stat().st_size, content_type=found.content_type)


class _Limited:
    """A file that takes so many bytes."""

    def __init__(self, file: BinaryIO, name: str, limit: int) -> None:
        self._file = file
        self._name = name
        self._limit = limit
        self.seek, self.truncate = file.seek, file.truncate

    def write(self, data: bytes) -> int:
        _check(self._name, self._file.tell() + len(data), self._limit)
        return self._file.write(data)


def _check(name: str, size: int, limit: int) -> None:
    if size > limit:
        raise InputUnusable(f"{name!r} has more than the {limit:,} bytes that are taken.")

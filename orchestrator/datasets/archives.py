"""Zip archives: what is in them, and whether it may be unpacked.

An archive comes from anywhere. Before a byte is unpacked every name is looked at, and the sizes that it claims; while
unpacking, no entry gets more bytes than it claims (zipfile sees to that, and to the checksums).
"""

from __future__ import annotations

import io
import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Lock
from typing import IO, Any, BinaryIO, cast

from orchestrator.core.names import PATH, shown
from orchestrator.core.patterns import fits
from orchestrator.datasets.access import Access, Blob
from orchestrator.datasets.errors import Unreadable, UnsafeArchive

MOST_ENTRIES = 200_000
MOST_BYTES = 200 * 10**9
RATIO = 200
FREE = 100 * 10**6
"""Bytes that an archive may hold unpacked however small it is; beyond them RATIO holds."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


class Archives:
    """Archives that are open, each one opened once. Close it in the end. Thread-safe."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._open: dict[tuple[str | None, str], zipfile.ZipFile] = {}
        self._stack = ExitStack()
        self._lock = Lock()

    def entries(self, blob: Blob, glob: str) -> Iterator[zipfile.ZipInfo]:
        """The files in an archive that fit `glob`, by name. Raises UnsafeArchive, Unreadable, FileMissing."""
        archive = self._archive(blob)
        found = [info for info in archive.infolist() if not info.is_dir() and fits(glob, info.filename)]
        yield from sorted(found, key=lambda info: info.filename)

    def open(self, blob: Blob, entry: str) -> BinaryIO:
        """An entry's bytes, unpacked. Raises Unreadable."""
        what = f"{entry!r} in {blob.path!r}"
        try:
            opened = self._archive(blob).open(entry)
        except (KeyError, zipfile.BadZipFile) as error:
            raise Unreadable(f"{what} cannot be unpacked: {error}.") from error
        return cast(BinaryIO, io.BufferedReader(_Entry(opened, what), buffer_size=64 * 1024))

    def close(self) -> None:
        self._stack.close()

    def _archive(self, blob: Blob) -> zipfile.ZipFile:
        with self._lock:
            known = (blob.datastore, blob.path)
            if known not in self._open:
                file = self._stack.enter_context(self._access.open(blob))
                try:
                    archive = self._stack.enter_context(zipfile.ZipFile(file))
                except zipfile.BadZipFile as error:
                    raise Unreadable(f"{blob.path!r} is no zip archive: {error}.") from error
                file.seek(0, 2)
                check(archive, file.tell(), blob.path)
                self._open[known] = archive
            return self._open[known]


class _Entry(io.RawIOBase):
    """An entry whose damage is told in our words."""

    def __init__(self, entry: IO[bytes], what: str) -> None:
        self._entry = entry
        self._what = what

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._entry.seek(offset, whence)

    def tell(self) -> int:
        return self._entry.tell()

    def readinto(self, into: Any) -> int:
        try:
            data = self._entry.read(len(into))
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, lzma.LZMAError) as error:
            raise Unreadable(f"{self._what} is damaged: {error}.") from error
        into[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._entry.close()
        super().close()


def check(archive: zipfile.ZipFile, size: int, name: str) -> None:
    """Refuse an archive of `size` bytes that cannot be trusted. Raises UnsafeArchive."""
    infos = archive.infolist()
    if len(infos) > MOST_ENTRIES:
        raise UnsafeArchive(f"{name!r} has {len(infos):,} entries; at most {MOST_ENTRIES:,} are unpacked.")
    seen: set[str] = set()
    for info in infos:
        _check_entry(info, name)
        if info.filename in seen:
            raise UnsafeArchive(f"{name!r} holds {info.filename!r} twice.")
        seen.add(info.filename)
    total = sum(info.file_size for info in infos)
    if total > MOST_BYTES or total > max(FREE, size * RATIO):
        raise UnsafeArchive(f"{name!r} has {size:,} bytes and would unpack to {total:,}. That is more than is trusted.")


def _check_entry(info: zipfile.ZipInfo, name: str) -> None:
    # zipfile cuts names at a NUL, and on Windows turns backslashes round; what was written counts.
    fix = PATH.complaint(info.orig_filename.removesuffix("/"))
    if fix is not None:
        raise UnsafeArchive(f"{name!r} has an entry {shown(info.orig_filename)} that may not be unpacked. {fix}")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UnsafeArchive(f"{name!r} has an entry {shown(info.filename)} that is a link or a device.")
    if info.flag_bits & 1:
        raise UnsafeArchive(f"{name!r} is encrypted.")
    if info.compress_type not in _METHODS:
        raise UnsafeArchive(f"{name!r} is packed in a way (method {info.compress_type}) that is not known.")

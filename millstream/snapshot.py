"""The source folder of a step, taken as it is now: which files, their sums, the id of the whole, and the zip.

The id is the sha256 of the canonical manifest (docs/definition.md, `snapshot`): equal files at equal paths give equal
ids, whatever their dates, and wherever the folder lies.
"""

from __future__ import annotations

import hashlib
import stat
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
from pathspec import GitIgnoreSpec

from millstream.api import Api
from millstream.console import amount
from millstream.errors import Conflict, InvalidRequest, ServiceFault, TooLarge
from millstream.transfer import send
from millstream.views import LimitsView
from orchestrator.core.names import PATH, shown

IGNORE_FILES = (".amlignore", ".gitignore")
LEFT_OUT = frozenset(
    {
        *(*IGNORE_FILES, ".git", ".hg", ".svn", ".venv", ".azureml", ".millstream", ".DS_Store"),
        *("__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox"),
    }
)
"""Names that never belong to a source folder: caches, version control, and what holds tokens."""

LARGE = 50_000_000
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a source folder: its path in it, with `/`, where it lies, its sum and size."""

    path: str
    place: Path
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A source folder as it was when it was taken. `files` are in the order of their paths."""

    folder: Path
    files: tuple[SourceFile, ...]

    @property
    def manifest(self) -> list[dict[str, str | int]]:
        return [{"path": file.path, "sha256": file.sha256, "size": file.size} for file in self.files]

    @property
    def id(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self.manifest)).hexdigest()

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def take(folder: Path) -> Snapshot:
    """The files of `folder`, less what its .amlignore (or else its .gitignore) names, and less caches.

    Raises InvalidRequest for a folder that cannot be taken: not there, empty, with a link that leads out of it.
    """
    if not folder.is_dir():
        raise InvalidRequest(f"The source folder {folder} is not there.", field="source_directory")
    root = folder.resolve()
    found = sorted(_walk(root, root, _ignored(root), (root,)), key=lambda item: item[0])
    files = tuple(_source_file(path, place) for path, place in found)
    if not files:
        raise InvalidRequest(f"The source folder {folder} has no files.", field="source_directory")
    return Snapshot(folder, files)


def check_size(snapshot: Snapshot, limits: LimitsView) -> None:
    """Warns about a large folder. Raises TooLarge, naming the largest files, for one that the service would refuse."""
    if snapshot.size > limits.snapshot_bytes or len(snapshot.files) > limits.snapshot_files:
        raise TooLarge(
            f"{_measure(snapshot)}; the service takes {amount(limits.snapshot_bytes)} and {limits.snapshot_files:,} "
            f"files. {_advice(snapshot)}",
            field="source_directory",
        )
    if snapshot.size > LARGE:
        warnings.warn(f"{_measure(snapshot)} and goes up whole. {_advice(snapshot)}", stacklevel=2)


def upload(api: Api, snapshot: Snapshot) -> None:
    """See to it that the service has the snapshot; only what it lacks is sent. Raises TransferError, Conflict."""
    known = api.register_snapshot(snapshot.manifest)
    if known.id != snapshot.id:
        raise ServiceFault("The service counts the source folder differently. Client and service do not fit together.")
    if known.upload is None:
        return
    with tempfile.SpooledTemporaryFile(max_size=16_000_000) as file:
        write_zip(snapshot, file)
        send(api.transport, file, known.upload, f"the source folder {snapshot.folder}")
    api.complete_snapshot(snapshot.id)


def write_zip(snapshot: Snapshot, target: IO[bytes]) -> None:
    """The files as a zip that depends on nothing but their paths and bytes. Raises Conflict if one has changed."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in snapshot.files:
            entry = zipfile.ZipInfo(file.path, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.create_system = 3
            checksum = hashlib.sha256()
            with file.place.open("rb") as source, archive.open(entry, "w", force_zip64=False) as sink:
                while chunk := source.read(1 << 20):
                    checksum.update(chunk)
                    sink.write(chunk)
            if checksum.hexdigest() != file.sha256:
                raise Conflict(f"{file.place} changed while it was read. Submit again.", field="source_directory")


def _walk(root: Path, folder: Path, ignored: GitIgnoreSpec, inside: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    """(path, place) of every file. `inside` are the real folders on the way here: a link back to one is a loop."""
    if (folder / "pyvenv.cfg").is_file():
        return
    for entry in sorted(folder.iterdir()):
        if entry.name in LEFT_OUT:
            continue
        path = entry.relative_to(root).as_posix()
        if ignored.match_file(f"{path}/" if entry.is_dir() else path):
            continue
        if entry.is_symlink():
            _check_link(root, entry, inside)
        if entry.is_dir():
            yield from _walk(root, entry, ignored, (*inside, entry.resolve()))
        elif entry.is_file():
            yield path, entry


def _check_link(root: Path, link: Path, inside: tuple[Path, ...]) -> None:
    target = link.resolve()
    if not target.is_relative_to(root):
        raise InvalidRequest(
            f"{link} is a link that leads out of the source folder. Copy what it points to, or name it in .amlignore.",
            field="source_directory",
        )
    if target in inside:
        raise InvalidRequest(f"{link} is a link to a folder that it lies in.", field="source_directory")


def _ignored(root: Path) -> GitIgnoreSpec:
    """v1: the .amlignore if there is one, else the .gitignore, never both."""
    for name in IGNORE_FILES:
        if (root / name).is_file():
            return GitIgnoreSpec.from_lines((root / name).read_text(encoding="utf-8").splitlines())
    return GitIgnoreSpec.from_lines([])


def _source_file(path: str, place: Path) -> SourceFile:
    PATH.check(path, "source_directory")
    try:
        with place.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        raise InvalidRequest(f"{place} cannot be read: {error.strerror}.", field="source_directory") from error
    return SourceFile(path, place, checksum, size)


def _measure(snapshot: Snapshot) -> str:
    return f"The source folder {snapshot.folder} has {amount(snapshot.size)} in {len(snapshot.files):,} files"


def _advice(snapshot: Snapshot) -> str:
    largest = sorted(snapshot.files, key=lambda file: -file.size)[:5]
    names = ", ".join(f"{shown(file.path)} ({amount(file.size)})" for file in largest)
    return f"The largest are {names}. Name what the script does not need in an .amlignore file."

"""Snapshots: source folders, stored once under the sum of what is in them.

    snapshots/<id>.json    the manifest; id = sha256 of it
    snapshots/<id>.zip     the files; whoever unpacks it holds every file against the manifest

The client sends the manifest, and then, only if the service does not have the zip, the zip itself to a signed URL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from orchestrator.core.definition import Definition, Step, all_steps
from orchestrator.core.errors import Conflict, InvalidDefinition, InvalidRequest, Problem, TooLarge, UnknownThing
from orchestrator.core.names import PATH, SNAPSHOT, shown
from orchestrator.engine.memory import Recent
from orchestrator.files import SYSTEM, FileSize, SignDownload, Signed, SignUpload
from orchestrator.ports import Task, WriteBlob

Seen = Recent[str, bool]
"""The snapshots that this process knows to be stored. They are never taken away while a pipeline names them."""


class ManifestEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of a source folder: its path in it with `/`, the sha256 of its bytes in hex, its size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotLimits:
    files: int
    bytes: int
    url_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """`upload` None: the zip is there already."""

    id: str
    upload: Signed | None


def manifest_bytes(files: Sequence[ManifestEntry]) -> bytes:
    """The canonical manifest, whose sha256 is the snapshot's id."""
    return msgspec.json.encode(sorted(files, key=lambda entry: entry.path))


def register(files: Sequence[ManifestEntry], limits: SnapshotLimits) -> Task[Registration]:
    """Name a source folder. Raises InvalidRequest and TooLarge naming the field."""
    _check(files, limits)
    manifest = manifest_bytes(files)
    wanted = hashlib.sha256(manifest).hexdigest()
    if (yield from FileSize(container=SYSTEM, name=zip_name(wanted))):
        return Registration(id=wanted, upload=None)
    yield from WriteBlob(name=f"snapshots/{wanted}.json", data=manifest)
    upload = yield from SignUpload(container=SYSTEM, name=zip_name(wanted), seconds=limits.url_seconds)
    return Registration(id=wanted, upload=upload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """A source folder as a zip of `size` bytes; `url` reads it."""

    id: str
    size: int
    url: str


def sources(wanted: str, *, url_seconds: float) -> Task[Sources]:
    """Where a source folder can be read. Raises UnknownThing."""
    size = None
    if SNAPSHOT.allows(wanted):
        size = yield from FileSize(container=SYSTEM, name=zip_name(wanted))
    if size is None:
        raise UnknownThing(f"There is no snapshot {shown(wanted)}.", field="snapshot_id")
    url = yield from SignDownload(container=SYSTEM, name=zip_name(wanted), seconds=url_seconds)
    return Sources(id=wanted, size=size, url=url)


def complete(wanted: str, limits: SnapshotLimits) -> Task[None]:
    """Check that the zip has come. Raises UnknownThing if it has not, TooLarge if it is larger than it may be."""
    if not SNAPSHOT.allows(wanted):
        raise UnknownThing(f"There is no snapshot {shown(wanted)}. POST /api/snapshots gives ids.", field="snapshot_id")
    size = yield from FileSize(container=SYSTEM, name=zip_name(wanted))
    if size is None:
        raise UnknownThing(
            f"The files of snapshot {wanted} are not there. PUT them to the URL that POST /api/snapshots gives.",
            field="snapshot_id",
        )
    if size == 0:
        raise Conflict(f"The zip of snapshot {wanted} is empty.", field="snapshot_id")
    if size > limits.bytes:
        raise TooLarge(f"The zip of snapshot {wanted} has {size:,} bytes; at most {limits.bytes:,} are kept.")


def check_uploaded(definition: Definition, seen: Seen) -> Task[None]:
    """Raises InvalidDefinition naming every step whose source folder is not stored."""
    missing: dict[str, list[tuple[str, Step]]] = {}
    for place, step in all_steps(definition):
        if step.snapshot and not seen.get(step.snapshot):
            missing.setdefault(step.snapshot, []).append((place, step))
    for snapshot in tuple(missing):
        if (yield from FileSize(container=SYSTEM, name=zip_name(snapshot))):
            seen.put(snapshot, True)
            del missing[snapshot]
    if missing:
        raise InvalidDefinition(
            [
                Problem(
                    "SnapshotNotUploaded",
                    f"{place}.snapshot",
                    f"The source folder of step {shown(step.name)} is not stored.",
                    "Upload it first: POST /api/snapshots.",
                )
                for places in missing.values()
                for place, step in places
            ]
        )


def zip_name(snapshot: str) -> str:
    """Where the files of a snapshot lie in the system container."""
    return f"snapshots/{snapshot}.zip"


def _check(files: Sequence[ManifestEntry], limits: SnapshotLimits) -> None:
    if not files:
        raise InvalidRequest("The source folder has no files.", field="files")
    if len(files) > limits.files:
        raise TooLarge(
            f"The source folder has {len(files):,} files; at most {limits.files:,} are taken. Leave data and caches "
            "out with an .amlignore file.",
            field="files",
        )
    for index, entry in enumerate(files):
        PATH.check(entry.path, f"files[{index}].path")
        if not SNAPSHOT.allows(entry.sha256):
            raise InvalidRequest("Give the sha256 of the file as 64 hex digits.", field=f"files[{index}].sha256")
        if entry.size < 0:
            raise InvalidRequest("A file has 0 bytes or more.", field=f"files[{index}].size")
    total = sum(entry.size for entry in files)
    if total > limits.bytes:
        largest = max(files, key=lambda entry: entry.size)
        raise TooLarge(
            f"The source folder has {total:,} bytes; at most {limits.bytes:,} are taken. The largest file is "
            f"{shown(largest.path)} with {largest.size:,}.",
            field="files",
        )
    _check_tree(files)


def _check_tree(files: Sequence[ManifestEntry]) -> None:
    """No path twice, and none that is a file and a folder at once."""
    paths: set[str] = set()
    folders: set[str] = set()
    for index, entry in enumerate(files):
        if entry.path in paths:
            raise InvalidRequest(f"The path {shown(entry.path)} is given twice.", field=f"files[{index}].path")
        paths.add(entry.path)
        parts = entry.path.split("/")
        folders.update("/".join(parts[:end]) for end in range(1, len(parts)))
    for index, entry in enumerate(files):
        if entry.path in folders:
            raise InvalidRequest(f"{shown(entry.path)} is both a file and a folder.", field=f"files[{index}].path")

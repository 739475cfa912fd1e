"""Models from files that no step has made: the files go up by signed URLs, then they become a version of a model.

    models/files/<id>/<path>    the files, where id is the sha256 of their manifest

The files are named by their content, so the same files are stored once, and what a version refers to never changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from orchestrator.catalog.models import Model, Origin, register
from orchestrator.catalog.snapshots import ManifestEntry
from orchestrator.core.errors import Conflict, InvalidRequest, TooLarge
from orchestrator.core.names import MODEL, PATH, RUN_ID, SNAPSHOT, shown
from orchestrator.core.result import File, ModelRegistration, StepResult
from orchestrator.files import SYSTEM, FilePage, ListFiles, Signed, SignUpload
from orchestrator.ports import Task

MOST_FILES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Where one file goes; `upload` None: it is there."""

    path: str
    upload: Signed | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """`id` names the files as a whole."""

    id: str
    slots: tuple[Slot, ...]


def prepare(files: Sequence[ManifestEntry], *, url_seconds: float) -> Task[Upload]:
    """A place for each file that is not stored yet. Raises InvalidRequest, TooLarge."""
    wanted = _address(files)
    there = yield from _stored(wanted)
    slots: list[Slot] = []
    for file in files:
        upload = None
        if there.get(file.path) != file.size:
            name = f"{_folder(wanted)}/{file.path}"
            upload = yield from SignUpload(container=SYSTEM, name=name, seconds=url_seconds, replace=True)
        slots.append(Slot(path=file.path, upload=upload))
    return Upload(id=wanted, slots=tuple(slots))


def publish(wish: ModelRegistration, files: Sequence[ManifestEntry], request: str) -> Task[Model]:
    """The files as the next version of a model. `request` names the wish: said again, it finds the version it made.

    Raises InvalidRequest, TooLarge, and Conflict for files that have not been uploaded.
    """
    MODEL.check(wish.name, "name")
    RUN_ID.check(request, "request_id")
    PATH.check(wish.path, "path")
    if not any(file.path == wish.path or file.path.startswith(f"{wish.path}/") for file in files):
        raise InvalidRequest(f"There is no {shown(wish.path)} among the files.", field="path")
    wanted = _address(files)
    there = yield from _stored(wanted)
    for file in files:
        if there.get(file.path) != file.size:
            raise Conflict(f"{shown(file.path)} has not been uploaded. POST /api/models/uploads first.", field="files")
    kept = tuple(File(path=file.path, size=file.size, sha256=file.sha256) for file in files)
    result = StepResult(artifacts=kept, artifact_prefix=_folder(wanted), models=(wish,))
    (model,) = yield from register(Origin(run=request, step="", attempt=1), result)
    return model


def _folder(wanted: str) -> str:
    return f"models/files/{wanted}"


def _stored(wanted: str) -> Task[dict[str, int]]:
    """What is there of an upload: path -> size."""
    prefix = f"{_folder(wanted)}/"
    found: dict[str, int] = {}
    marker: str | None = None
    while True:
        page: FilePage = yield from ListFiles(container=SYSTEM, prefix=prefix, marker=marker)
        found |= {item.name.removeprefix(prefix): item.size for item in page.items}
        marker = page.marker
        if marker is None:
            return found


def _address(files: Sequence[ManifestEntry]) -> str:
    """The id of the files as a whole. Raises InvalidRequest, TooLarge."""
    if not files:
        raise InvalidRequest("Give at least one file.", field="files")
    if len(files) > MOST_FILES:
        raise TooLarge(f"A model has at most {MOST_FILES:,} files; zip them.", field="files")
    for index, file in enumerate(files):
        PATH.check(file.path, f"files[{index}].path")
        if not SNAPSHOT.allows(file.sha256):
            raise InvalidRequest("Give the sha256 of the file as 64 hex digits.", field=f"files[{index}].sha256")
        if file.size < 0:
            raise InvalidRequest("A file has 0 bytes or more.", field=f"files[{index}].size")
    if len({file.path for file in files}) < len(files):
        raise InvalidRequest("A path is given twice.", field="files")
    ordered = sorted(files, key=lambda file: file.path)
    return hashlib.sha256(msgspec.json.encode(ordered)).hexdigest()

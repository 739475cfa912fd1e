"""Sources and data on their way in and out: always by signed URLs."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from orchestrator.catalog import datastores, registered_datastores, snapshots
from orchestrator.catalog.datastores import StoredFile, UploadFile
from orchestrator.catalog.snapshots import ManifestEntry, SnapshotLimits
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import Continuation, Strict, UploadTarget, upload_target

_SUM = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class SnapshotRequest(Strict, frozen=True, kw_only=True):
    """The manifest of a source folder: every file of it."""

    files: tuple[ManifestEntry, ...]


class SnapshotBody(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the sha256 of the canonical manifest. `upload` is null when the files are there already."""

    id: str
    exists: bool
    upload: UploadTarget | None


class SourcesBody(msgspec.Struct, frozen=True, kw_only=True):
    """A source folder as a zip of `size` bytes, and a URL, good for minutes, to read it."""

    id: str
    size: int
    url: str


class UploadsRequest(Strict, frozen=True, kw_only=True):
    """Files to write. Without `overwrite`, those that are there stay as they are."""

    files: tuple[UploadFile, ...]
    overwrite: bool = False


class UploadBody(msgspec.Struct, frozen=True, kw_only=True):
    """`upload` is null for a file that is there and stays."""

    path: str
    exists: bool
    upload: UploadTarget | None


class UploadsBody(msgspec.Struct, frozen=True, kw_only=True):
    files: tuple[UploadBody, ...]


class FilesQuery(Strict, frozen=True, kw_only=True):
    prefix: Annotated[str, Meta(description="Only files whose paths begin so.")] = ""
    limit: Annotated[int, Meta(ge=1, le=5000, description="The most to list.")] = 1000
    continuation: Annotated[str, Meta(description="From the answer to the page before.")] = ""


class FileBody(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a datastore. `last_modified` in epoch seconds; `url` reads it, for minutes."""

    path: str
    size: int
    etag: str
    last_modified: float
    url: str


class LocateRequest(Strict, frozen=True, kw_only=True):
    """Paths of files, up to 1,000."""

    paths: tuple[str, ...]


class LocatedList(msgspec.Struct, frozen=True, kw_only=True):
    """A file for each path, in their order; null where there is none."""

    files: tuple[FileBody | None, ...]


class FileList(msgspec.Struct, frozen=True, kw_only=True):
    files: tuple[FileBody, ...]
    continuation: Continuation


@route(
    "POST",
    "snapshots",
    summary="Register a source folder",
    role=Role.SUBMITTER,
    answers={200: SnapshotBody},
    errors=(413,),
    example={"files": [{"path": "train.py", "sha256": _SUM, "size": 1234}]},
)
def register_snapshot(service: Service, asked: Asked, body: SnapshotRequest) -> Reply:
    """Ask for the id of a folder, and, if its files are not stored yet, where to send them as one zip."""
    del asked
    made = service.world.run(snapshots.register(body.files, _limits(service)))
    return Reply(body=SnapshotBody(id=made.id, exists=made.upload is None, upload=upload_target(made.upload)))


@route(
    "POST",
    "snapshots/{snapshot_id}/complete",
    summary="Say that a source folder is uploaded",
    role=Role.SUBMITTER,
    answers={200: SnapshotBody},
    errors=(404, 409, 413),
)
def complete_snapshot(service: Service, asked: Asked) -> Reply:
    """The service looks whether it is. Pipelines can name the snapshot from then on."""
    wanted = asked.path["snapshot_id"]
    service.world.run(snapshots.complete(wanted, _limits(service)))
    return Reply(body=SnapshotBody(id=wanted, exists=True, upload=None))


@route(
    "GET",
    "snapshots/{snapshot_id}",
    summary="Get a source folder",
    role=Role.READER,
    answers={200: SourcesBody},
    errors=(404,),
)
def get_snapshot(service: Service, asked: Asked) -> Reply:
    """That a step ran from: its id is in the definition of the run."""
    found = service.world.run(snapshots.sources(asked.path["snapshot_id"], url_seconds=service.settings.url_seconds))
    return Reply(body=SourcesBody(id=found.id, size=found.size, url=found.url))


@route(
    "POST",
    "datastores/{name}/uploads",
    summary="Upload data",
    role=Role.SUBMITTER,
    answers={200: UploadsBody},
    errors=(404, 409, 413),
    example={"files": [{"path": "raw/diabetes.csv", "size": 23456}], "overwrite": False},
)
def create_uploads(service: Service, asked: Asked, body: UploadsRequest) -> Reply:
    """Ask where to send each file, up to 1,000 at a time."""
    container = _container(service, asked.path["name"])
    task = datastores.prepare_uploads(
        container,
        body.files,
        overwrite=body.overwrite,
        url_seconds=service.settings.url_seconds,
        relay=asked.base_url,
    )
    slots = service.world.run(task)
    files = tuple(UploadBody(path=s.path, exists=s.exists, upload=upload_target(s.upload)) for s in slots)
    return Reply(body=UploadsBody(files=files))


@route(
    "GET",
    "datastores/{name}/files",
    summary="List data",
    role=Role.READER,
    answers={200: FileList},
    errors=(404, 409),
)
def list_files(service: Service, asked: Asked, query: FilesQuery) -> Reply:
    """By path, each with a URL to read it."""
    container = _container(service, asked.path["name"])
    task = datastores.listing(
        container,
        prefix=query.prefix,
        limit=query.limit,
        continuation=query.continuation or None,
        url_seconds=service.settings.url_seconds,
        relay=asked.base_url,
    )
    page = service.world.run(task)
    return Reply(body=FileList(files=tuple(map(_file, page.items)), continuation=page.continuation))


@route(
    "POST",
    "datastores/{name}/locate",
    summary="Find files by their paths",
    role=Role.READER,
    answers={200: LocatedList},
    errors=(404, 409, 413),
    example={"paths": ["raw/diabetes.csv", "raw/iris.csv"]},
)
def locate_files(service: Service, asked: Asked, body: LocateRequest) -> Reply:
    """Exactly these paths, each with a URL to read it. Folders are no files: list them."""
    container = _container(service, asked.path["name"])
    task = datastores.locate(container, body.paths, url_seconds=service.settings.url_seconds, relay=asked.base_url)
    found = service.world.run(task)
    return Reply(body=LocatedList(files=tuple(None if file is None else _file(file) for file in found)))


def _container(service: Service, name: str) -> str:
    """Its address. Raises UnknownThing; InvalidRequest for a datastore without files."""
    return service.world.run(registered_datastores.address(service.settings.datastores, name))


def _file(file: StoredFile) -> FileBody:
    return FileBody(
        path=file.item.name,
        size=file.item.size,
        etag=file.item.etag,
        last_modified=file.item.last_modified,
        url=file.url,
    )


def _limits(service: Service) -> SnapshotLimits:
    settings = service.settings
    return SnapshotLimits(
        files=settings.snapshot_files, bytes=settings.snapshot_bytes, url_seconds=settings.url_seconds
    )


ROUTES = (register_snapshot, complete_snapshot, get_snapshot, create_uploads, list_files, locate_files)

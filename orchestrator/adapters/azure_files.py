"""Files in Azure blob storage: the interpreters of `orchestrator.files`.

AzureFiles(blobs).install(world)
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from azurerest import BlobItem, BlobProperties, Blobs, Busy, Invalid, NotFound, StorageError, Unanswered, Unreachable
from azurerest.sas import blob_url
from orchestrator.adapters.driver import World
from orchestrator.core.errors import Broken, InvalidRequest, Unavailable
from orchestrator.files import (
    FileHead,
    FileItem,
    FilePage,
    FileSize,
    ListFiles,
    Part,
    ReadPart,
    SignDownload,
    Signed,
    SignUpload,
)

T = TypeVar("T")


class AzureFiles:
    """Thread-safe. Signing needs the account's key.

    It asks nothing of storage, but for the container of an upload, which is created once for each process: a signed URL
    cannot do that.
    """

    def __init__(self, blobs: Blobs, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._blobs = blobs
        self._now = now
        self._containers: set[str] = set()

    def install(self, world: World) -> None:
        """Have `world` carry out the effects of `orchestrator.files`."""
        world.register(SignUpload, self.sign_upload)
        world.register(SignDownload, self.sign_download)
        world.register(ListFiles, self.list)
        world.register(FileHead, self.head)
        world.register(FileSize, self.size)
        world.register(ReadPart, self.read)

    def sign_upload(self, effect: SignUpload) -> Signed:
        self._ensure(effect.container)
        expiry = self._now() + timedelta(seconds=effect.seconds)
        headers = {"x-ms-blob-type": "BlockBlob"}
        if not effect.replace:
            headers["If-None-Match"] = "*"
        # Not "c" alone, with which an upload that is repeated after a lost answer is forbidden instead of in conflict.
        url = self._url(effect.container, effect.name, "cw", expiry)
        return Signed(url=url, headers=headers, expires_at=expiry.timestamp())

    def sign_download(self, effect: SignDownload) -> str:
        return self._url(effect.container, effect.name, "r", self._now() + timedelta(seconds=effect.seconds))

    def list(self, effect: ListFiles) -> FilePage:
        try:
            page = self._blobs.list(
                effect.container,
                effect.prefix,
                delimiter=None if effect.deep else "/",
                marker=effect.marker,
                max_results=effect.limit,
            )
        except NotFound:
            return FilePage(items=(), marker=None)
        except Invalid as fault:
            if effect.marker is None:
                raise _broken(fault) from fault
            raise InvalidRequest(
                "This continuation was not made by the service. Start the listing again without it.",
                field="continuation",
            ) from fault
        except StorageError as fault:
            raise _failure(fault) from fault
        return FilePage(items=tuple(_item(item) for item in page.items), marker=page.marker, at=page.date)

    def head(self, effect: FileHead) -> FileItem | None:
        found = _found(lambda: self._blobs.head(effect.container, effect.name))
        return None if found is None else _headed(effect.name, found)

    def size(self, effect: FileSize) -> int | None:
        found = _found(lambda: self._blobs.head(effect.container, effect.name))
        return None if found is None else found.size

    def read(self, effect: ReadPart) -> Part | None:
        end = effect.start + effect.limit
        found = _found(lambda: self._blobs.get(effect.container, effect.name, start=effect.start, end=end))
        return None if found is None else Part(data=found.data, size=found.properties.size)

    def _ensure(self, container: str) -> None:
        if container in self._containers:
            return
        try:
            self._blobs.create_container(container)
        except StorageError as fault:
            raise _failure(fault) from fault
        self._containers.add(container)

    def _url(self, container: str, name: str, permissions: str, expiry: datetime) -> str:
        plain = self._blobs.service.endpoint.origin.scheme == "http"
        return blob_url(
            self._blobs,
            container,
            name,
            permissions=permissions,
            expiry=expiry,
            protocol="https,http" if plain else "https",
        )


def _found(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except NotFound:
        return None
    except StorageError as fault:
        raise _failure(fault) from fault


def _item(item: BlobItem) -> FileItem:
    return FileItem(name=item.name, size=item.size, etag=item.etag, last_modified=item.last_modified.timestamp())


def _headed(name: str, found: BlobProperties) -> FileItem:
    modified = found.last_modified.timestamp()
    return FileItem(name=name, size=found.size, etag=found.etag, last_modified=modified, metadata=found.metadata)


def _failure(fault: StorageError) -> Exception:
    if isinstance(fault, Busy | Unreachable | Unanswered):
        return Unavailable("Storage did not answer in time. Try again in a moment.")
    return _broken(fault)


def _broken(fault: StorageError) -> Broken:
    return Broken(f"storage refused a request that should be right: {fault}")

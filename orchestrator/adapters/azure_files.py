"""Files in Azure storage: the interpreters of `orchestrator.files`. What is a share is left to `share_files`.

AzureFiles(containers).install(world)
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from azurerest import (
    BlobItem,
    BlobProperties,
    Busy,
    Invalid,
    NotFound,
    StorageError,
    Unanswered,
    Unreachable,
)
from azurerest.auth import Anonymous, SharedAccessSignature
from azurerest.sas import blob_url
from orchestrator.adapters import share_files
from orchestrator.adapters.containers import Container, Containers, Place, Share
from orchestrator.adapters.driver import World
from orchestrator.adapters.relays import Relays, forwarded
from orchestrator.core.errors import Broken, Conflict, InvalidRequest, Unavailable
from orchestrator.files import (
    SYSTEM,
    DeleteFiles,
    FileHead,
    FileItem,
    FilePage,
    FileSize,
    Forward,
    Forwarded,
    ListFiles,
    Part,
    ReadPart,
    SignDownload,
    Signed,
    SignUpload,
    TryContainer,
)

T = TypeVar("T")


class AzureFiles:
    """Thread-safe. URLs are signed with the account's key, or, where a token opens the account, with a key that the
    account gives for it; a SAS cannot sign: `relays` gives URLs of the service then, and without it there are none.

    Signing asks nothing of storage, but for that key, and for the container of an upload, which is created once for
    each process: a signed URL cannot do that.
    """

    def __init__(
        self,
        containers: Containers,
        *,
        relays: Relays | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._containers = containers
        self._relays = relays
        self._now = now
        self._made: set[str] = set()

    def install(self, world: World) -> None:
        """Have `world` carry out the effects of `orchestrator.files`."""
        world.register(SignUpload, self.sign_upload)
        world.register(SignDownload, self.sign_download)
        world.register(ListFiles, self.list)
        world.register(DeleteFiles, self.delete)
        world.register(FileHead, self.head)
        world.register(FileSize, self.size)
        world.register(ReadPart, self.read)
        world.register(TryContainer, self.try_container)
        world.register(Forward, self.forward)

    def sign_upload(self, effect: SignUpload) -> Signed:
        place = self._containers.at(effect.container)
        expiry = self._now() + timedelta(seconds=effect.seconds)
        if self._relays is not None and isinstance(place.credential, SharedAccessSignature) and effect.relay:
            return self._relays.upload(place, effect, expiry)
        if isinstance(place, Share):
            return share_files.sign_upload(place, effect, expiry)
        if place.own:
            self._ensure(place)
        headers = {"x-ms-blob-type": "BlockBlob"}
        if not effect.replace:
            headers["If-None-Match"] = "*"
        # Not "c" alone, with which an upload that is repeated after a lost answer is forbidden instead of in conflict.
        url = self._url(place, effect.name, "rcw" if effect.readable else "cw", expiry)
        return Signed(url=url, headers=headers, expires_at=expiry.timestamp())

    def sign_download(self, effect: SignDownload) -> str:
        place = self._containers.at(effect.container)
        expiry = self._now() + timedelta(seconds=effect.seconds)
        if self._relays is not None and isinstance(place.credential, SharedAccessSignature) and effect.relay:
            return self._relays.download(place, effect, expiry)
        if isinstance(place, Share):
            return share_files.sign_download(place, effect.name, expiry)
        return self._url(place, effect.name, "r", expiry)

    def list(self, effect: ListFiles) -> FilePage:
        place = self._containers.at(effect.container)
        if isinstance(place, Share):
            return share_files.listed(place, effect)
        try:
            page = place.blobs.list(
                place.name,
                effect.prefix,
                delimiter=None if effect.deep else "/",
                marker=effect.marker,
                max_results=effect.limit,
            )
        except NotFound:
            return FilePage(items=(), marker=None)
        except Invalid as fault:
            if effect.marker is None:
                raise _failure(fault, place) from fault
            raise InvalidRequest(
                "This continuation was not made by the service. Start the listing again without it.",
                field="continuation",
            ) from fault
        except StorageError as fault:
            raise _failure(fault, place) from fault
        return FilePage(items=tuple(_item(item) for item in page.items), marker=page.marker, at=page.date)

    def delete(self, effect: DeleteFiles) -> None:
        place, marker = self._containers.at(SYSTEM), None
        assert isinstance(place, Container)
        while True:
            page = self.list(ListFiles(container=SYSTEM, prefix=effect.prefix, marker=marker))
            try:
                for item in page.items:
                    place.blobs.delete(place.name, item.name)
            except StorageError as fault:
                raise _failure(fault, place) from fault
            marker = page.marker
            if marker is None:
                return

    def head(self, effect: FileHead) -> FileItem | None:
        place = self._containers.at(effect.container)
        if isinstance(place, Share):
            return share_files.head(place, effect.name)
        found = _found(lambda: place.blobs.head(place.name, effect.name), place)
        return None if found is None else _headed(effect.name, found)

    def size(self, effect: FileSize) -> int | None:
        found = self.head(FileHead(container=effect.container, name=effect.name))
        return None if found is None else found.size

    def read(self, effect: ReadPart) -> Part | None:
        place = self._containers.at(effect.container)
        if isinstance(place, Share):
            return share_files.read(place, effect)
        end = effect.start + effect.limit
        found = _found(lambda: place.blobs.get(place.name, effect.name, start=effect.start, end=end), place)
        return None if found is None else Part(data=found.data, size=found.properties.size, etag=found.properties.etag)

    def forward(self, effect: Forward) -> Forwarded:
        return forwarded(self._containers.at(effect.container), effect)

    def try_container(self, effect: TryContainer) -> None:
        try:
            place = self._containers.of(effect.datastore, effect.secret)
            _try_out(place, create=effect.create)
        except NotFound as fault:
            kind = "share" if isinstance(place, Share) else "container"
            message = f"The account has no {kind} {place.name!r}. Make it, or register with create_if_not_exists."
            raise InvalidRequest(message, field="container") from fault
        except (Busy, Unreachable, Unanswered) as fault:
            raise InvalidRequest(
                f"{effect.datastore.endpoint} does not answer. Look whether account and endpoint are right, or "
                "register with skip_validation.",
                field="endpoint",
            ) from fault
        except StorageError as fault:
            if isinstance(fault, Invalid) and not fault.status:
                message = f"The datastore cannot be reached as it is described: {fault.message}."
                raise InvalidRequest(message, field="auth") from fault
            said = f"status {fault.status} {fault.code}" if fault.status else fault.message
            raise InvalidRequest(
                f"The account {effect.datastore.account!r} refuses this {effect.datastore.auth}: {said}. Register with "
                "skip_validation if it need not list the container.",
                field="secret",
            ) from fault

    def _ensure(self, place: Container) -> None:
        if place.name in self._made:
            return
        try:
            place.blobs.create_container(place.name)
        except StorageError as fault:
            raise _failure(fault, place) from fault
        self._made.add(place.name)

    def _url(self, place: Container, name: str, permissions: str, expiry: datetime) -> str:
        if isinstance(place.credential, Anonymous) and permissions == "r":
            return place.blobs.url(place.name, name)
        if isinstance(place.credential, SharedAccessSignature | Anonymous):
            raise Conflict(share_files.CANNOT_SIGN, field="name")
        plain = place.blobs.service.endpoint.origin.scheme == "http"
        try:
            return blob_url(
                place.blobs,
                place.name,
                name,
                permissions=permissions,
                expiry=expiry,
                protocol="https,http" if plain else "https",
                key=place.signing_key(self._now(), expiry),
            )
        except StorageError as fault:
            raise _failure(fault, place) from fault


def _try_out(place: Place, *, create: bool) -> None:
    """Raises StorageError."""
    if isinstance(place, Share):
        share_files.try_out(place, create=create)
        return
    if create:
        place.blobs.create_container(place.name)
    # A SAS may allow to list and not to look at the container itself.
    place.blobs.list(place.name, "", max_results=1)


def _found(read: Callable[[], T], place: Container) -> T | None:
    try:
        return read()
    except NotFound:
        return None
    except StorageError as fault:
        raise _failure(fault, place) from fault


def _item(item: BlobItem) -> FileItem:
    return FileItem(name=item.name, size=item.size, etag=item.etag, last_modified=item.last_modified.timestamp())


def _headed(name: str, found: BlobProperties) -> FileItem:
    modified = found.last_modified.timestamp()
    return FileItem(name=name, size=found.size, etag=found.etag, last_modified=modified, metadata=found.metadata)


def _failure(fault: StorageError, place: Container) -> Exception:
    if isinstance(fault, Busy | Unreachable | Unanswered):
        return Unavailable("Storage did not answer in time. Try again in a moment.")
    if not place.own:
        return Conflict(
            f"The account {place.blobs.service.account.name!r} refuses what this datastore was registered with: status "
            f"{fault.status} {fault.code}. Register it again with overwrite=True.",
            field="name",
        )
    return Broken(f"storage refused a request that should be right: {fault}")

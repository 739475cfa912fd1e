"""Copies that become blobs.

What is a blob itself is copied by storage: within an account in one request, else block by block from a signed URL,
which nothing stays of. All else comes through this node, block by block, in bounded memory. Blocks have names that
follow from the version of the source, so an attempt finds those that another one has copied and was not there to
commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs

from azurerest import Blobs, Conflict, Forbidden, NotFound, PreconditionFailed, StorageError, blobfiles
from azurerest.auth import Anonymous, SharedAccessSignature, SharedKey
from azurerest.blobcopy import MAX_URL_BLOCK, put_block_from_url, staged_blocks
from azurerest.sas import DelegationKey, blob_url
from orchestrator.core.datachange import COPY_OWNER, COPY_SOURCE
from steps.parts import PART, Parts
from steps.patience import patiently
from steps.store import BlobExists, BlobMissing, Listed, Mark, Origin, Refused, Replaced, StoreFailed

T = TypeVar("T")
Signing = Callable[[datetime, datetime], DelegationKey | None]
"""What signs a URL from now until then where the account's key is not known. Raises StorageError."""

URL_BLOCK: Final = 32 * 1024 * 1024
"""Bytes of a block that storage fetches by itself."""
SIGNED: Final = timedelta(hours=1)
COPY_SECONDS: Final = 24 * 3600.0
_LOOK: Final = 0.2
_LONGEST_LOOK: Final = 5.0
_UNREADABLE: Final = "CannotVerifyCopySource"


def no_signing(_now: datetime, _until: datetime) -> None:
    """The account's key signs, or a SAS is there already."""


@dataclass(frozen=True, kw_only=True)
class BlobOrigin:
    """A blob, as it was found."""

    blobs: Blobs
    container: str
    found: Listed
    sleep: Callable[[float], None]
    signing: Signing = no_signing

    @property
    def size(self) -> int:
        return self.found.size

    @property
    def content_type(self) -> str:
        return self.found.content_type

    @property
    def md5(self) -> str:
        kind, _, md5 = self.found.checksum.partition(":")
        return md5 if kind == "md5" else ""

    def url(self) -> str:
        """By which storage can read it for an hour: a secret. Raises StoreFailed."""
        plain = self.blobs.url(self.container, self.found.name)
        credential = self.blobs.service.account.credential
        if isinstance(credential, Anonymous):
            return plain
        if isinstance(credential, SharedAccessSignature):
            return f"{plain}?{credential.query}"
        now = datetime.now(UTC)
        secure = self.blobs.service.endpoint.origin.scheme == "https"
        try:
            return blob_url(
                self.blobs,
                self.container,
                self.found.name,
                permissions="r",
                expiry=now + SIGNED,
                protocol="https" if secure else "https,http",
                key=self.signing(now, now + SIGNED),
            )
        except StorageError as fault:
            raise failed(fault, self.blobs) from fault

    def read(self, start: int, buffer: memoryview) -> None:
        def get() -> int:
            etag, name = self.found.etag, self.found.name
            return blobfiles.get_into(self.blobs, self.container, name, buffer, start=start, if_match=etag)[0]

        try:
            got = patiently(get, self.sleep)
        except (NotFound, PreconditionFailed) as fault:
            raise replaced(self.container, self.found.name) from fault
        except StorageError as fault:
            raise failed(fault, self.blobs) from fault
        if got != len(buffer):
            raise StoreFailed(f"{self.container}/{self.found.name}: of the bytes from {start} on only {got} came.")

    def unreadable(self, fault: StorageError) -> StoreFailed:
        """Why storage could not read it by its URL."""
        try:
            self.blobs.head(self.container, self.found.name)
        except NotFound:
            return replaced(self.container, self.found.name)
        except StorageError as reason:
            return failed(reason, self.blobs)
        return Refused(
            f"The account of the destination may not read {self.container}/{self.found.name} by a signed URL. Let the "
            f"source's firewall admit it, and keep shared access signatures allowed there. ({fault.message})"
        )


@dataclass(frozen=True, slots=True)
class _Write:
    """One copy that is to be made. `conditions`: If-Match or If-None-Match."""

    container: str
    name: str
    metadata: dict[str, str]
    mark: Mark
    conditions: dict[str, Any]
    told: Callable[[int], None]


class BlobCopies:
    """Makes copies in an account. at_home: makes the container where that is ours to make."""

    def __init__(
        self,
        blobs: Blobs,
        parts: Parts,
        sleep: Callable[[float], None],
        *,
        at_home: Callable[[str, Callable[[], Any]], Any],
    ) -> None:
        self._blobs = blobs
        self._parts = parts
        self._sleep = sleep
        self._at_home = at_home

    def take_in(
        self,
        container: str,
        name: str,
        origin: Origin,
        *,
        mark: Mark,
        before: Listed | None,
        told: Callable[[int], None],
    ) -> None:
        """See `steps.store.Store.take_in`."""
        conditions = {"if_none_match": "*"} if before is None else {"if_match": before.etag}
        metadata = {COPY_OWNER: mark.owner, COPY_SOURCE: mark.source}
        write = _Write(container, name, metadata, mark, conditions, told)
        try:
            if isinstance(origin, BlobOrigin) and self._is_near(origin):
                self._copy_near(write, origin)
            else:
                self._copy_blocks(write, origin)
        except StorageError as fault:
            if isinstance(origin, BlobOrigin) and fault.code == _UNREADABLE:
                raise origin.unreadable(fault) from fault
            if isinstance(fault, PreconditionFailed) and not self._was_changed(write, before):
                raise replaced(*_names(origin)) from fault
            if isinstance(fault, (Conflict, PreconditionFailed)):
                raise BlobExists(f"Somebody else has written {container}/{name} meanwhile.") from fault
            raise failed(fault, self._blobs) from fault

    def _is_near(self, origin: BlobOrigin) -> bool:
        """Whether who may write here may read the source in one request: it is in this account, under its key."""
        theirs, ours = origin.blobs.service, self._blobs.service
        same = theirs.endpoint == ours.endpoint
        return same and all(isinstance(it.account.credential, SharedKey) for it in (theirs, ours))

    def _copy_near(self, write: _Write, origin: BlobOrigin) -> None:
        source = self._blobs.url(origin.container, origin.found.name)
        begin = partial(
            self._blobs.copy_from_url,
            write.container,
            write.name,
            source,
            metadata=write.metadata,
            source_if_match=origin.found.etag,
            **write.conditions,
        )
        try:
            status: str | None = self._do(write, begin).status
        except NotFound as fault:
            if fault.code == "ContainerNotFound":
                raise
            raise replaced(origin.container, origin.found.name) from fault
        except (Conflict, PreconditionFailed):
            status = self._status_of_ours(write)
            if status is None:
                raise
        wait = _LOOK
        while status == "pending":
            write.told(0)
            self._sleep(wait)
            wait = min(wait * 2, _LONGEST_LOOK)
            status = self._blobs.head(write.container, write.name).copy_status
        if status != "success":
            raise StoreFailed(f"The copy to {write.container}/{write.name} ended as {status!r}.")
        write.told(origin.size)

    def _status_of_ours(self, write: _Write) -> str | None:
        """How far the copy is that stands in the way, if it is this one, begun by an earlier request."""
        try:
            there = self._blobs.head(write.container, write.name)
        except NotFound:
            return None
        ours = there.metadata.get(COPY_SOURCE) == write.mark.source
        return there.copy_status if ours and there.copy_status in ("success", "pending") else None

    def _copy_blocks(self, write: _Write, origin: Origin) -> None:
        remote = isinstance(origin, BlobOrigin)
        block = block_size(origin.size, remote=remote)
        starts = range(0, origin.size, block)
        ids = [f"{write.mark.source[:24]}{number:06d}" for number in range(len(starts))]
        there = staged_blocks(self._blobs, write.container, write.name) if len(starts) > 1 else {}
        put = self._fetched if remote else self._carried

        def calls() -> Iterator[Callable[[], object]]:
            for id_, start in zip(ids, starts, strict=True):
                length = min(block, origin.size - start)
                if there.get(id_) == length:
                    write.told(length)
                else:
                    yield partial(put, write, origin, id_, start, length)

        self._parts.run(calls())
        self._commit(write, origin, ids)

    def _fetched(self, write: _Write, origin: Origin, id_: str, start: int, length: int) -> None:
        """A block that storage fetches."""
        assert isinstance(origin, BlobOrigin)
        where = (self._blobs, write.container, write.name, id_)
        etag = origin.found.etag
        try:
            self._do(write, lambda: put_block_from_url(*where, origin.url(), start, length, source_if_match=etag))
        except PreconditionFailed as fault:
            raise replaced(origin.container, origin.found.name) from fault
        write.told(length)

    def _carried(self, write: _Write, origin: Origin, id_: str, start: int, length: int) -> None:
        """A block that comes through this node."""
        buffer = memoryview(bytearray(length))
        origin.read(start, buffer)
        self._do(write, lambda: blobfiles.put_block(self._blobs, write.container, write.name, id_, buffer))
        write.told(length)

    def _commit(self, write: _Write, origin: Origin, ids: list[str]) -> None:
        put = partial(
            blobfiles.put_block_list,
            self._blobs,
            write.container,
            write.name,
            ids,
            content_type=origin.content_type or "application/octet-stream",
            metadata=write.metadata,
            md5=origin.md5,
            **write.conditions,
        )
        try:
            self._do(write, put)
        except (Conflict, PreconditionFailed):
            # Unless an earlier commit of ours went unanswered.
            if self._blobs.head(write.container, write.name).metadata.get(COPY_SOURCE) != write.mark.source:
                raise

    def _was_changed(self, write: _Write, before: Listed | None) -> bool:
        """Whether the target is another one by now: if not, it is the source that has changed."""
        try:
            etag = self._blobs.head(write.container, write.name).etag
        except NotFound:
            return before is not None
        return before is None or etag != before.etag

    def _do(self, write: _Write, call: Callable[[], T]) -> T:
        made: T = patiently(lambda: self._at_home(write.container, call), self._sleep)
        return made


def block_size(size: int, *, remote: bool) -> int:
    """Bytes of a block: larger ones only where there would be too many."""
    least = -(-size // blobfiles.MAX_BLOCKS)
    return min(max(URL_BLOCK, least), MAX_URL_BLOCK) if remote else max(PART, least)


def replaced(container: str, name: str) -> Replaced:
    return Replaced(f"{container}/{name} has changed, or is gone, since it was looked at.")


def failed(fault: StorageError, blobs: Blobs) -> StoreFailed:
    """What a storage error is for those who use a store."""
    if isinstance(fault, NotFound):
        return BlobMissing(str(fault))
    if isinstance(fault, Forbidden):
        return Refused(f"{fault}{_expired(blobs)}")
    return StoreFailed(str(fault))


def _expired(blobs: Blobs) -> str:
    credential = blobs.service.account.credential
    if not isinstance(credential, SharedAccessSignature):
        return ""
    end = parse_qs(credential.query).get("se", [""])[0]
    try:
        over = datetime.fromisoformat(end) < datetime.now(UTC)
    except (TypeError, ValueError):
        return ""
    return f" (The SAS token expired at {end}: register the datastore with a new one.)" if over else ""


def _names(origin: Origin) -> tuple[str, str]:
    return (origin.container, origin.found.name) if isinstance(origin, BlobOrigin) else ("the source", "")

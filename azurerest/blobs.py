"""The Blob service: containers, blobs, listings, leases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from azurerest import xmltext
from azurerest.account import Account
from azurerest.blobtypes import (
    META,
    Blob,
    BlobItem,
    BlobPage,
    BlobProperties,
    Written,
    metadata_headers,
    page_of,
    properties_of,
    written_of,
)
from azurerest.errors import Conflict, Invalid, NotFound, StorageError, Unanswered
from azurerest.names import blob_path, container_path
from azurerest.service import Query, Service
from azurerest.transport import Response, Transport

MAX_PAGE: Final = 5000
MAX_APPEND: Final = 4 * 1024 * 1024
_CONTAINER: Query = (("restype", "container"),)


class Copy(NamedTuple):
    """A copy that was begun. status: success, pending, failed or aborted."""

    id: str
    status: str


class Blobs:
    """Thread-safe. Every method raises StorageError.

    if_match, if_none_match: ETags, "*" for any. lease_id: of the lease that holds the blob.
    """

    def __init__(self, account: Account, transport: Transport) -> None:
        self.service = Service("blob", account, transport)

    # Containers

    def create_container(self, container: str) -> bool:
        """Create a container; False when it exists."""
        try:
            self.service.call("PUT", container_path(container), query=_CONTAINER)
        except Conflict as fault:
            if fault.code != "ContainerAlreadyExists":
                raise
            return False
        return True

    def delete_container(self, container: str) -> bool:
        """Delete a container and its blobs; False when there is none."""
        try:
            self.service.call("DELETE", container_path(container), query=_CONTAINER)
        except NotFound:
            return False
        return True

    def container_exists(self, container: str) -> bool:
        try:
            self.service.call("HEAD", container_path(container), query=_CONTAINER, repeat=True)
        except NotFound:
            return False
        return True

    def list_containers(self, prefix: str = "") -> list[str]:
        """Names of the containers, all pages."""
        names: list[str] = []
        marker = ""
        while True:
            query = (("comp", "list"), *_given(prefix=prefix, marker=marker))
            root = xmltext.parse(self.service.call("GET", "/", query=query, repeat=True).body)
            names += [name.text for name in root.iterfind("Containers/Container/Name") if name.text]
            marker = root.findtext("NextMarker") or ""
            if not marker:
                return names

    # Blobs

    def put(
        self,
        container: str,
        name: str,
        data: bytes | memoryview,
        *,
        content_type: str = "application/octet-stream",
        metadata: dict[str, str] | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        lease_id: str | None = None,
        md5: str | None = None,
    ) -> Written:
        """A block blob in one request.

        if_none_match="*": Conflict when it exists. md5: of the data, base64; checked by the service.
        """
        headers = {"x-ms-blob-type": "BlockBlob", "x-ms-blob-content-type": content_type}
        headers |= metadata_headers(metadata) | _conditions(if_match, if_none_match, lease_id)
        if md5 is not None:
            headers["content-md5"] = md5
        return written_of(self.service.call("PUT", blob_path(container, name), headers=headers, body=data).headers)

    def get(
        self,
        container: str,
        name: str,
        *,
        start: int | None = None,
        end: int | None = None,
        if_match: str | None = None,
    ) -> Blob:
        """The blob, or its bytes start <= n < end; beyond its end there are none, which is no error."""
        if end is not None and end <= (start or 0):
            return Blob(b"", self.head(container, name))
        headers = _conditions(if_match, None, None)
        if start is not None or end is not None:
            headers["x-ms-range"] = f"bytes={start or 0}-{'' if end is None else end - 1}"
        try:
            answer = self.service.call("GET", blob_path(container, name), headers=headers, repeat=True)
        except StorageError as fault:
            if fault.status != 416:
                raise
            return Blob(b"", self.head(container, name))
        return Blob(answer.body, properties_of(answer.headers))

    def head(self, container: str, name: str) -> BlobProperties:
        """Raises NotFound."""
        return properties_of(self.service.call("HEAD", blob_path(container, name), repeat=True).headers)

    def exists(self, container: str, name: str) -> bool:
        try:
            self.head(container, name)
        except NotFound:
            return False
        return True

    def delete(self, container: str, name: str, *, if_match: str | None = None, lease_id: str | None = None) -> bool:
        """Delete a blob and its snapshots; False when there is none."""
        headers = _conditions(if_match, None, lease_id) | {"x-ms-delete-snapshots": "include"}
        try:
            self.service.call("DELETE", blob_path(container, name), headers=headers)
        except NotFound:
            return False
        return True

    def set_metadata(
        self,
        container: str,
        name: str,
        metadata: dict[str, str],
        *,
        if_match: str | None = None,
        lease_id: str | None = None,
    ) -> Written:
        """Replace a blob's metadata."""
        headers = metadata_headers(metadata) | _conditions(if_match, None, lease_id)
        answer = self.service.call("PUT", blob_path(container, name), query=(("comp", "metadata"),), headers=headers)
        return written_of(answer.headers)

    def list(
        self,
        container: str,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        marker: str | None = None,
        max_results: int | None = None,
        metadata: bool = False,
    ) -> BlobPage:
        """One page of blobs, in name order."""
        if max_results is not None and not 1 <= max_results <= MAX_PAGE:
            raise Invalid(f"max_results is 1 to {MAX_PAGE}, not {max_results}")
        query: Query = (("restype", "container"), ("comp", "list"))
        query += _given(prefix=prefix, delimiter=delimiter, marker=marker, maxresults=max_results)
        query += _given(include="copy,metadata" if metadata else None)
        answer = self.service.call("GET", container_path(container), query=query, repeat=True)
        return page_of(xmltext.parse(answer.body), answer.date)

    def list_all(self, container: str, prefix: str = "", *, metadata: bool = False) -> Iterator[BlobItem]:
        """All blobs, page by page."""
        marker: str | None = None
        while True:
            page = self.list(container, prefix, marker=marker, metadata=metadata)
            yield from page.items
            marker = page.marker
            if marker is None:
                return

    def copy_from_url(
        self,
        container: str,
        name: str,
        url: str,
        *,
        metadata: dict[str, str] | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        source_if_match: str | None = None,
    ) -> Copy:
        """Begin a copy by the service. url: readable by it: of the same account, or with a SAS. metadata: of the copy;
        None: that of the source. source_if_match: ETag that the source must have; else PreconditionFailed.

        Within an account a copy is as a rule done at once; else `head` tells its copy_status.
        """
        headers = {"x-ms-copy-source": url} | metadata_headers(metadata) | _conditions(if_match, if_none_match, None)
        if source_if_match is not None:
            headers["x-ms-source-if-match"] = source_if_match
        answer = self.service.call("PUT", blob_path(container, name), headers=headers).headers
        return Copy(answer.get("x-ms-copy-id", ""), answer.get("x-ms-copy-status", ""))

    def url(self, container: str, name: str) -> str:
        """URL of a blob, without signature."""
        return self.service.endpoint.url + blob_path(container, name)

    # Append blobs

    def append_create(
        self,
        container: str,
        name: str,
        *,
        content_type: str = "text/plain; charset=utf-8",
        metadata: dict[str, str] | None = None,
        if_none_match: str | None = None,
    ) -> Written:
        """An empty append blob, in place of what was there unless if_none_match="*" (Conflict when it exists)."""
        headers = {"x-ms-blob-type": "AppendBlob", "x-ms-blob-content-type": content_type}
        headers |= metadata_headers(metadata) | _conditions(None, if_none_match, None)
        return written_of(self.service.call("PUT", blob_path(container, name), headers=headers).headers)

    def append(
        self,
        container: str,
        name: str,
        data: bytes | memoryview,
        *,
        position: int | None = None,
        lease_id: str | None = None,
    ) -> int:
        """Append 1 byte to 4 MiB; returns the blob's new size.

        position: size the blob must have before; else PreconditionFailed. With it an Unanswered append can be looked up
        and repeated without doubling.
        """
        if not 1 <= len(data) <= MAX_APPEND:
            raise Invalid(f"1 to {MAX_APPEND} bytes can be appended, not {len(data)}")
        headers = _conditions(None, None, lease_id)
        if position is not None:
            headers["x-ms-blob-condition-appendpos"] = str(position)
        query: Query = (("comp", "appendblock"),)
        answer = self.service.call("PUT", blob_path(container, name), query=query, headers=headers, body=data)
        offset = answer.headers.get("x-ms-blob-append-offset", "")
        if not offset.isdigit():
            raise Unanswered("the service's answer has no append offset", status=answer.status)
        return int(offset) + len(data)

    # Leases

    def lease_acquire(self, container: str, name: str, seconds: int, *, proposed_id: str | None = None) -> str:
        """Lease a blob for 15 to 60 seconds, -1 for ever; the lease's id. Raises Conflict when it is leased."""
        if seconds != -1 and not 15 <= seconds <= 60:
            raise Invalid(f"a lease lasts 15 to 60 seconds, or -1, not {seconds}")
        headers = {"x-ms-lease-duration": str(seconds)}
        if proposed_id is not None:
            headers["x-ms-proposed-lease-id"] = proposed_id
        return self._lease("acquire", container, name, headers).headers.get("x-ms-lease-id", "")

    def lease_renew(self, container: str, name: str, lease_id: str) -> None:
        """Raises Conflict when it is not ours any more."""
        self._lease("renew", container, name, {"x-ms-lease-id": lease_id})

    def lease_release(self, container: str, name: str, lease_id: str) -> None:
        """Raises Conflict when it is not ours any more."""
        self._lease("release", container, name, {"x-ms-lease-id": lease_id})

    def lease_break(self, container: str, name: str, *, period: int = 0) -> int:
        """End anybody's lease after at most period (0 to 60) seconds; returns the seconds that are left."""
        answer = self._lease("break", container, name, {"x-ms-lease-break-period": str(period)})
        return int(answer.headers.get("x-ms-lease-time", "0"))

    def _lease(self, action: str, container: str, name: str, headers: dict[str, str]) -> Response:
        headers = {"x-ms-lease-action": action} | headers
        return self.service.call("PUT", blob_path(container, name), query=(("comp", "lease"),), headers=headers)


def _given(**values: str | int | None) -> Query:
    return tuple((name, str(value)) for name, value in values.items() if value is not None and value != "")


def _conditions(if_match: str | None, if_none_match: str | None, lease_id: str | None) -> dict[str, str]:
    headers: dict[str, str] = {}
    if if_match is not None:
        headers["if-match"] = if_match
    if if_none_match is not None:
        headers["if-none-match"] = if_none_match
    if lease_id is not None:
        headers["x-ms-lease-id"] = lease_id
    return headers


__all__ = ["META", "Blob", "BlobItem", "BlobPage", "BlobProperties", "Blobs", "Copy", "Written"]

"""Receipts: which version of a blob has already fired which function."""

from __future__ import annotations

from azurerest.blobs import Blobs
from azurerest.blobtypes import BlobProperties
from azurerest.errors import Conflict, NotFound, PreconditionFailed
from devhost.blob_messages import BlobFunction, BlobQueue
from devhost.lease import CONTAINER

_LEASE_SECONDS = 30
_COMPLETED = "completed"


class Receipts:
    """The receipt blobs of one host, under ``blobreceipts/<host>``."""

    def __init__(self, blobs: Blobs, host_id: str, queue: BlobQueue) -> None:
        self._blobs = blobs
        self._prefix = f"blobreceipts/{host_id}"
        self._queue = queue

    def notify(self, function: BlobFunction, blob: str, properties: BlobProperties) -> bool:
        """Put a notice once for this version of the blob; False when another host is at it just now.

        A crash between the notice and the completed mark brings a second notice, as in the real host.

        Raises:
            StorageError: storage refused or did not answer.
        """
        name = f"{self._prefix}/{function.id}/{properties.etag}/{function.pattern.container}/{blob}"
        if self._is_completed(name):
            return True
        if not self._create(name):
            return False
        try:
            lease = self._blobs.lease_acquire(CONTAINER, name, _LEASE_SECONDS)
        except (Conflict, NotFound):
            return False
        try:
            if not self._is_completed(name):
                self._queue.put(function, blob, properties)
                self._blobs.set_metadata(CONTAINER, name, {_COMPLETED: "True"}, lease_id=lease)
        finally:
            self._release(name, lease)
        return True

    def _is_completed(self, name: str) -> bool:
        try:
            return self._blobs.head(CONTAINER, name).metadata.get(_COMPLETED) == "True"
        except NotFound:
            return False

    def _create(self, name: str) -> bool:
        """Create an open receipt; an open one of a crashed host does as well. False when it is leased."""
        try:
            self._blobs.put(CONTAINER, name, b"", if_none_match="*", metadata={_COMPLETED: "False"})
        except PreconditionFailed:
            return False
        except Conflict:
            return True
        except NotFound:
            self._blobs.create_container(CONTAINER)
            return self._create(name)
        return True

    def _release(self, name: str, lease: str) -> None:
        try:
            self._blobs.lease_release(CONTAINER, name, lease)
        except (Conflict, PreconditionFailed, NotFound):  # it has ended by itself
            return

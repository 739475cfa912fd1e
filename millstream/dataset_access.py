"""Access to the files of datasets by signed URLs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO

from millstream.config import find_password, password_variable
from millstream.errors import TransferError
from millstream.transfer import Fetch, fetch_all
from orchestrator.core.dataset import SqlQuery
from orchestrator.core.datastore import SQL, with_password
from orchestrator.core.secret import Secret
from orchestrator.datasets.access import Blob
from orchestrator.datasets.errors import FileMissing, NotSupported
from orchestrator.datasets.local import LocalAccess
from orchestrator.datasets.ranged import ranged
from orchestrator.datasets.web import open_web

if TYPE_CHECKING:
    from millstream.api import Api
    from millstream.file_views import StoredFile

LOCATED_AT_ONCE = 1000


class SignedAccess:
    """Thread-safe. URLs are good for minutes; one that has expired is asked for anew."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._files: dict[tuple[str, str], StoredFile] = {}
        self._lock = Lock()

    def find(self, datastore: str, paths: Sequence[str]) -> Sequence[Blob | None]:
        found: list[Blob | None] = []
        for start in range(0, len(paths), LOCATED_AT_ONCE):
            files = self._api.locate(datastore, list(paths[start : start + LOCATED_AT_ONCE]))
            found += [None if file is None else self._known(datastore, file) for file in files]
        return found

    def list(self, datastore: str, prefix: str) -> Iterator[Blob]:
        for file in self._api.files(datastore, prefix):
            yield self._known(datastore, file)

    def open(self, blob: Blob) -> BinaryIO:
        if blob.datastore is None:
            return open_web(blob.path)
        with self._lock:
            file = self._files.get((blob.datastore, blob.path))
        if file is None:
            file = self._signed(blob.datastore, blob.path)
        return ranged(file.size, partial(self._piece, blob.datastore, file))

    def query(self, source: SqlQuery) -> Iterator[Any]:
        """Run here, so what the database asks for must be known here: the service gives no password away."""
        from orchestrator.datasets.sql import query

        found = self._api.datastore(source.datastore)
        if found.type not in SQL:
            raise NotSupported(f"{found.name!r} is no SQL datastore, and cannot be queried.", field="sources")
        url = found.url
        if found.auth == "password":
            variable = password_variable(found.name)
            password = find_password(found.name)
            if password is None:
                raise NotSupported(
                    f"The service keeps the password of {found.name!r} and gives it to nobody. Set {variable} to query "
                    "it from here, or take the dataset as an input of a step.",
                    field="sources",
                )
            url = with_password(url, password)
        return query(Secret(url), source.query, seconds=source.timeout_seconds)

    def bring(self, wishes: Sequence[tuple[Blob, Path]]) -> None:
        web = [(blob, target) for blob, target in wishes if blob.datastore is None]
        LocalAccess({}).bring(web)
        stored: dict[str, list[tuple[str, Path]]] = {}
        for blob, target in wishes:
            if blob.datastore is not None:
                stored.setdefault(blob.datastore, []).append((blob.path, target))
        for datastore, files in stored.items():
            # Signed in portions, so that no URL grows old while others are used.
            for start in range(0, len(files), LOCATED_AT_ONCE):
                self._bring(datastore, files[start : start + LOCATED_AT_ONCE])

    def _bring(self, datastore: str, files: Sequence[tuple[str, Path]]) -> None:
        signed = self._api.locate(datastore, [path for path, _ in files])
        wishes = []
        for (path, target), file in zip(files, signed, strict=True):
            if file is None:
                raise _missing(datastore, path)
            renew = partial(self._url, datastore, path)
            wish = Fetch(url=file.url, size=file.size, sha256=None, target=target, etag=file.etag, renew=renew)
            wishes.append(wish)
        fetch_all(self._api.transport, wishes)

    def _known(self, datastore: str, file: StoredFile) -> Blob:
        with self._lock:
            self._files[datastore, file.path] = file
        return Blob(datastore=datastore, path=file.path, size=file.size, modified=file.last_modified, etag=file.etag)

    def _signed(self, datastore: str, path: str) -> StoredFile:
        (file,) = self._api.locate(datastore, [path])
        if file is None:
            raise _missing(datastore, path)
        self._known(datastore, file)
        return file

    def _url(self, datastore: str, path: str, _stale: str) -> str:
        return self._signed(datastore, path).url

    def _piece(self, datastore: str, file: StoredFile, start: int, length: int) -> bytes:
        """Bytes of the version of the file that `file` is."""
        headers = {"Range": f"bytes={start}-{start + length - 1}", "If-Match": file.etag or "*"}
        with self._lock:
            url = self._files.get((datastore, file.path), file).url
        response = self._api.transport.request("GET", url, headers=headers)
        if response.status == 403:
            response = self._api.transport.request("GET", self._signed(datastore, file.path).url, headers=headers)
        if response.status == 404:
            raise _missing(datastore, file.path)
        if response.status == 412:
            raise TransferError(f"{file.path} in {datastore} was written to while it was read. Read it again.")
        if response.status not in (200, 206) or len(response.body) != length:
            raise TransferError(f"{file.path} in {datastore} could not be read: storage says {response.status}.")
        return response.body


def _missing(datastore: str, path: str) -> FileMissing:
    return FileMissing(f"There is no file {path!r} in the datastore {datastore!r}.", field="path")

"""The File service: shares, directories, files.

A file is made with its size and then filled by ranges, so it is there before it is whole; `sharefiles` writes whole
ones.
Names in a share differ by more than their case.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

from azurerest import xmltext
from azurerest.account import Account
from azurerest.auth import SharedAccessSignature
from azurerest.blobtypes import META, Written, metadata_headers, written_of
from azurerest.errors import Conflict, Invalid, NotFound, StorageError, Unanswered
from azurerest.httpdate import parse_http_date
from azurerest.names import container_path, file_path
from azurerest.service import Query, Service
from azurerest.transport import Response, Transport

MAX_PAGE: Final = 5000
MAX_RANGE: Final = 4 * 1024 * 1024
_SHARE: Query = (("restype", "share"),)
_DIRECTORY: Query = (("restype", "directory"),)
_LIST: Query = (*_DIRECTORY, ("comp", "list"), ("include", "Timestamps,ETag"))


class FileProperties(NamedTuple):
    """size: bytes of the whole file. copy_status: of the last copy into it ("" if none)."""

    size: int
    etag: str
    last_modified: datetime
    metadata: dict[str, str]
    copy_status: str


class Entry(NamedTuple):
    """A file or directory in a listing, by its own name; size, etag and last_modified are those of a file."""

    name: str
    is_directory: bool
    size: int = 0
    etag: str = ""
    last_modified: datetime | None = None


class EntryPage(NamedTuple):
    """One page of a directory. marker: of the next page, None at the end."""

    entries: list[Entry]
    marker: str | None


class Files:
    """Thread-safe. Every method raises StorageError."""

    def __init__(self, account: Account, transport: Transport) -> None:
        self.service = Service("file", account, transport)

    def create_share(self, share: str) -> bool:
        """Create a share; False when it exists."""
        return self._made(container_path(share), _SHARE, "ShareAlreadyExists")

    def create_directory(self, share: str, path: str) -> bool:
        """Create one directory; False when it exists. NotFound without its parent."""
        return self._made(file_path(share, path), _DIRECTORY, "ResourceAlreadyExists")

    def _made(self, path: str, query: Query, exists: str) -> bool:
        try:
            self.service.call("PUT", path, query=query)
        except Conflict as fault:
            if fault.code != exists:
                raise
            return False
        return True

    def create(self, share: str, name: str, size: int, *, metadata: dict[str, str] | None = None) -> Written:
        """A file of `size` zeros, in place of what was there. NotFound without its directory."""
        headers = {"x-ms-type": "file", "x-ms-content-length": str(size)} | metadata_headers(metadata)
        return written_of(self.service.call("PUT", file_path(share, name), headers=headers).headers)

    def put_range(self, share: str, name: str, data: bytes | memoryview, start: int) -> None:
        """1 byte to 4 MiB of a file that is large enough for them."""
        if not 1 <= len(data) <= MAX_RANGE:
            raise Invalid(f"1 to {MAX_RANGE} bytes can be written, not {len(data)}")
        headers = {"x-ms-write": "update", "x-ms-range": f"bytes={start}-{start + len(data) - 1}"}
        self.service.call("PUT", file_path(share, name), query=(("comp", "range"),), headers=headers, body=data)

    def resize(self, share: str, name: str, size: int) -> None:
        """Cut a file, or make it longer by zeros."""
        headers = {"x-ms-content-length": str(size)}
        self.service.call("PUT", file_path(share, name), query=(("comp", "properties"),), headers=headers)

    def get(self, share: str, name: str, *, start: int, end: int) -> tuple[bytes, FileProperties]:
        """Its bytes start <= n < end, and what is said of the whole; beyond its end there are none."""
        buffer = memoryview(bytearray(max(end - start, 0)))
        if not buffer:
            return b"", self.head(share, name)
        count, properties = self.get_into(share, name, buffer, start=start)
        return bytes(buffer[:count]), properties

    def get_into(self, share: str, name: str, buffer: memoryview, *, start: int = 0) -> tuple[int, FileProperties]:
        """Bytes of the file from `start` on, as many as it has and the buffer takes; their number.

        After an error the buffer may hold anything. Raises NotFound, also for a directory.
        """
        headers = {"x-ms-range": f"bytes={start}-{start + len(buffer) - 1}"}
        try:
            answer = self._read("GET", file_path(share, name), headers, buffer)
        except StorageError as fault:
            if fault.status != 416:
                raise
            return 0, self.head(share, name)
        if answer.body:
            raise Unanswered("the service's answer has more bytes than it was asked for", status=answer.status)
        return answer.length, _properties(answer)

    def head(self, share: str, name: str) -> FileProperties:
        """Raises NotFound, also for a directory."""
        return _properties(self._read("HEAD", file_path(share, name), {}, None))

    def _read(self, verb: str, path: str, headers: dict[str, str], into: memoryview | None) -> Response:
        try:
            return self.service.call(verb, path, headers=headers, repeat=True, into=into)
        except Conflict as fault:
            if fault.code != "ResourceTypeMismatch":
                raise
            raise NotFound("it is a directory", status=404, code=fault.code, operation=f"{verb} file {path}") from fault

    def delete(self, share: str, name: str) -> bool:
        """Delete a file; False when there is none."""
        try:
            self.service.call("DELETE", file_path(share, name))
        except NotFound:
            return False
        return True

    def rename(self, share: str, name: str, target: str, *, replace: bool) -> None:
        """Give a file another name in its share, at once. Conflict when there is one and it is not to be replaced."""
        headers = {
            "x-ms-file-rename-source": self._readable(share, name),
            "x-ms-file-rename-replace-if-exists": "true" if replace else "false",
        }
        self.service.call("PUT", file_path(share, target), query=(("comp", "rename"),), headers=headers)

    def copy(self, share: str, name: str, target: str, *, metadata: dict[str, str]) -> str:
        """Begin a copy by the service, in place of what was there. Its status: success, pending, failed or aborted.

        The service notes the source's URL on the copy for all to see who read that: also one with a SAS in it.
        """
        headers = {"x-ms-copy-source": self._readable(share, name)} | metadata_headers(metadata)
        answer = self.service.call("PUT", file_path(share, target), headers=headers)
        return answer.headers.get("x-ms-copy-status", "")

    def list(
        self,
        share: str,
        directory: str = "",
        *,
        prefix: str = "",
        marker: str | None = None,
        max_results: int | None = None,
    ) -> EntryPage:
        """One page of a directory, "" for that of the share; not of what is below. prefix: of the entries' names.

        NotFound without the directory, with the code ShareNotFound without the share.
        """
        path = file_path(share, directory) if directory else container_path(share)
        if max_results is not None and not 1 <= max_results <= MAX_PAGE:
            raise Invalid(f"max_results is 1 to {MAX_PAGE}, not {max_results}")
        given = {"prefix": prefix, "marker": marker, "maxresults": max_results}
        query = (*_LIST, *((name, str(value)) for name, value in given.items() if value))
        headers = {"x-ms-file-extended-info": "true"}
        return _page(xmltext.parse(self.service.call("GET", path, query=query, headers=headers, repeat=True).body))

    def url(self, share: str, name: str) -> str:
        """URL of a file, without signature."""
        return self.service.endpoint.url + file_path(share, name)

    def _readable(self, share: str, name: str) -> str:
        """As the service wants it for a source: with the SAS, where that is what opens the account."""
        credential = self.service.account.credential
        url = self.url(share, name)
        return f"{url}?{credential.query}" if isinstance(credential, SharedAccessSignature) else url


def _properties(answer: Response) -> FileProperties:
    """Raises Unanswered."""
    headers = answer.headers
    try:
        whole = headers.get("content-range")
        size = whole.rpartition("/")[2] if whole else headers["content-length"]
        return FileProperties(
            size=int(size),
            etag=headers["etag"],
            last_modified=parse_http_date(headers["last-modified"]),
            metadata={name[len(META) :]: value for name, value in headers.items() if name.startswith(META)},
            copy_status=headers.get("x-ms-copy-status", ""),
        )
    except (KeyError, ValueError) as fault:
        raise Unanswered(f"the service's file properties cannot be read: {fault!r}") from fault


def _page(root: Element) -> EntryPage:
    """Raises Unanswered."""
    try:
        entries = [_entry(element) for element in root.iterfind("Entries/*")]
    except (KeyError, ValueError) as fault:
        raise Unanswered(f"the service's listing cannot be read: {fault!r}") from fault
    return EntryPage(entries, root.findtext("NextMarker") or None)


def _entry(element: Element) -> Entry:
    name = xmltext.name_of(element)
    if element.tag == "Directory":
        return Entry(name, is_directory=True)
    found = element.find("Properties")
    fields = {child.tag: child.text or "" for child in found} if found is not None else {}
    etag = fields["Etag"]
    return Entry(
        name,
        is_directory=False,
        size=int(fields["Content-Length"]),
        etag=etag if etag.startswith('"') else f'"{etag}"',
        last_modified=parse_http_date(fields["Last-Modified"]),
    )


__all__ = ["MAX_RANGE", "Entry", "EntryPage", "FileProperties", "Files"]

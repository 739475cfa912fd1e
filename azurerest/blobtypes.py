"""What the Blob service says of a blob, and how it is read from headers and listings."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from xml.etree.ElementTree import Element

from azurerest.errors import Invalid, Unanswered
from azurerest.httpdate import parse_http_date
from azurerest.xmltext import name_of

META = "x-ms-meta-"


class BlobProperties(NamedTuple):
    """size: bytes of the whole blob. kind: BlockBlob, AppendBlob or PageBlob. lease: available, leased, expired,
    breaking or broken. copy: id and state of the last copy into it ("" if none). md5: base64, "" if unknown.
    """

    size: int
    etag: str
    last_modified: datetime
    content_type: str
    md5: str
    metadata: dict[str, str]
    kind: str
    lease: str
    copy_id: str
    copy_status: str


class Blob(NamedTuple):
    """data: what was asked for. properties: of the whole blob."""

    data: bytes
    properties: BlobProperties


class BlobItem(NamedTuple):
    """A blob in a listing. metadata is empty unless it was asked for, and so is copy_status. kind, md5, copy_status: as
    in BlobProperties.
    """

    name: str
    size: int
    etag: str
    last_modified: datetime
    content_type: str
    metadata: dict[str, str]
    kind: str = ""
    md5: str = ""
    copy_status: str = ""


class BlobPage(NamedTuple):
    """One page of a listing. prefixes: "folders", with a delimiter. marker: of the next page, None at the end.

    date: the service's clock when it answered, epoch seconds.
    """

    items: list[BlobItem]
    prefixes: list[str]
    marker: str | None
    date: float


class Written(NamedTuple):
    """A blob after a write."""

    etag: str
    last_modified: datetime


def metadata_headers(metadata: dict[str, str] | None) -> dict[str, str]:
    """Raises Invalid for names that are no identifiers and values that are not printable ASCII."""
    headers: dict[str, str] = {}
    for name, value in (metadata or {}).items():
        if not name.isidentifier() or not name.isascii():
            raise Invalid(f"not a metadata name: {name!r}")
        if not value.isascii() or not value.isprintable():
            raise Invalid(f"metadata {name!r} must be printable ASCII")
        headers[META + name.lower()] = value.strip()
    return headers


def properties_of(headers: dict[str, str]) -> BlobProperties:
    """From the headers of an answer. Raises Unanswered when they say too little."""
    try:
        whole = headers.get("content-range")
        size = whole.rpartition("/")[2] if whole else headers["content-length"]
        return BlobProperties(
            size=int(size),
            etag=headers["etag"],
            last_modified=parse_http_date(headers["last-modified"]),
            content_type=headers.get("content-type", ""),
            md5=headers.get("x-ms-blob-content-md5") or ("" if whole else headers.get("content-md5", "")),
            metadata={name[len(META) :]: value for name, value in headers.items() if name.startswith(META)},
            kind=headers.get("x-ms-blob-type", ""),
            lease=headers.get("x-ms-lease-state", ""),
            copy_id=headers.get("x-ms-copy-id", ""),
            copy_status=headers.get("x-ms-copy-status", ""),
        )
    except (KeyError, ValueError) as fault:
        raise Unanswered(f"the service's blob properties cannot be read: {fault!r}") from fault


def written_of(headers: dict[str, str]) -> Written:
    """From the headers of an answer to a write. Raises Unanswered."""
    try:
        return Written(headers["etag"], parse_http_date(headers["last-modified"]))
    except (KeyError, ValueError) as fault:
        raise Unanswered(f"the service's answer to a write cannot be read: {fault!r}") from fault


def page_of(root: Element, date: float) -> BlobPage:
    """From a listing. Raises Unanswered."""
    found = root.find("Blobs")
    try:
        items = [_item(element) for element in found.iterfind("Blob")] if found is not None else []
    except (KeyError, ValueError) as fault:
        raise Unanswered(f"the service's listing cannot be read: {fault!r}") from fault
    prefixes = [name_of(element) for element in found.iterfind("BlobPrefix")] if found is not None else []
    return BlobPage(items, prefixes, root.findtext("NextMarker") or None, date)


def _item(element: Element) -> BlobItem:
    own = element.find("Properties")
    fields = {child.tag: child.text or "" for child in own} if own is not None else {}
    meta = element.find("Metadata")
    etag = fields["Etag"]
    return BlobItem(
        name=name_of(element),
        size=int(fields.get("Content-Length", "0")),
        # A listing gives the ETag without the quotes that it has in headers and needs in If-Match.
        etag=etag if etag.startswith('"') else f'"{etag}"',
        last_modified=parse_http_date(fields["Last-Modified"]),
        content_type=fields.get("Content-Type", ""),
        metadata={child.tag.lower(): child.text or "" for child in meta} if meta is not None else {},
        kind=fields.get("BlobType", ""),
        md5=fields.get("Content-MD5", ""),
        copy_status=fields.get("CopyStatus", ""),
    )

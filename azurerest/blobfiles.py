"""Files and large blobs, in bounded memory."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from azurerest.blobs import Blobs
from azurerest.blobtypes import BlobProperties, Written, metadata_headers, properties_of, written_of
from azurerest.errors import Invalid, StorageError, Unanswered
from azurerest.names import blob_path

SINGLE: Final = 8 * 1024 * 1024
MAX_BLOCKS: Final = 50_000


def put_block(blobs: Blobs, container: str, name: str, block_id: str, data: bytes | memoryview) -> None:
    """Upload a block; it is no part of the blob until `put_block_list` names it.

    block_id: ASCII, of one length within a blob.
    """
    query = (("comp", "block"), ("blockid", encoded(block_id)))
    blobs.service.call("PUT", blob_path(container, name), query=query, body=data)


def put_block_list(
    blobs: Blobs,
    container: str,
    name: str,
    block_ids: Sequence[str],
    *,
    content_type: str = "application/octet-stream",
    metadata: dict[str, str] | None = None,
    if_match: str | None = None,
    if_none_match: str | None = None,
    md5: str = "",
) -> Written:
    """Make the blob of blocks uploaded before, in this order. md5: of the whole, base64, which the service notes."""
    if len(block_ids) > MAX_BLOCKS:
        raise Invalid(f"a blob has at most {MAX_BLOCKS} blocks, not {len(block_ids)}")
    headers = {"x-ms-blob-content-type": content_type, "content-type": "application/xml"} | metadata_headers(metadata)
    optional = {"if-match": if_match, "if-none-match": if_none_match, "x-ms-blob-content-md5": md5 or None}
    headers |= {header: value for header, value in optional.items() if value is not None}
    blocks = "".join(f"<Latest>{encoded(block_id)}</Latest>" for block_id in block_ids)
    body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{blocks}</BlockList>'.encode()
    path = blob_path(container, name)
    answer = blobs.service.call("PUT", path, query=(("comp", "blocklist"),), headers=headers, body=body)
    return written_of(answer.headers)


def put_stream(
    blobs: Blobs,
    container: str,
    name: str,
    source: BinaryIO,
    *,
    content_type: str = "application/octet-stream",
    metadata: dict[str, str] | None = None,
    if_none_match: str | None = None,
    chunk: int = SINGLE,
) -> Written:
    """Upload until the end of the source: up to one chunk in one request, else in blocks.

    The blob appears whole or not at all. Memory: two chunks.
    """
    data = _read_full(source, chunk)
    following = _read_full(source, chunk) if len(data) == chunk else b""
    if not following:
        return blobs.put(
            container, name, data, content_type=content_type, metadata=metadata, if_none_match=if_none_match
        )
    ids: list[str] = []
    while data:
        ids.append(f"{len(ids):06d}")
        put_block(blobs, container, name, ids[-1], data)
        data, following = following, _read_full(source, chunk) if following else b""
    return put_block_list(
        blobs, container, name, ids, content_type=content_type, metadata=metadata, if_none_match=if_none_match
    )


def put_file(
    blobs: Blobs,
    container: str,
    name: str,
    path: str | Path,
    *,
    content_type: str = "application/octet-stream",
    metadata: dict[str, str] | None = None,
    if_none_match: str | None = None,
) -> Written:
    """Upload a file; see `put_stream`. Raises OSError, too."""
    with Path(path).open("rb") as source:
        return put_stream(
            blobs, container, name, source, content_type=content_type, metadata=metadata, if_none_match=if_none_match
        )


def get_into(
    blobs: Blobs, container: str, name: str, buffer: memoryview, *, start: int = 0, if_match: str | None = None
) -> tuple[int, BlobProperties]:
    """Bytes of the blob from `start` on, as many as it has and the buffer takes; their number.

    After an error the buffer may hold anything.
    """
    headers = {"x-ms-range": f"bytes={start}-{start + len(buffer) - 1}"}
    if if_match is not None:
        headers["if-match"] = if_match
    try:
        answer = blobs.service.call("GET", blob_path(container, name), headers=headers, repeat=True, into=buffer)
    except StorageError as fault:
        if fault.status != 416:
            raise
        return 0, blobs.head(container, name)
    if answer.body:
        raise Unanswered("the service's answer has more bytes than it was asked for", status=answer.status)
    return answer.length, properties_of(answer.headers)


def get_stream(blobs: Blobs, container: str, name: str, *, chunk: int = SINGLE) -> Iterator[bytes]:
    """The blob in chunks, all of one version: PreconditionFailed when it changes on the way."""
    first = blobs.get(container, name, start=0, end=chunk)
    yield first.data
    properties = first.properties
    for start in range(chunk, properties.size, chunk):
        yield blobs.get(container, name, start=start, end=start + chunk, if_match=properties.etag).data


def download(blobs: Blobs, container: str, name: str, sink: BinaryIO, *, chunk: int = SINGLE) -> BlobProperties:
    """Write the blob to a file object; see `get_stream`. Returns its properties."""
    first = blobs.get(container, name, start=0, end=chunk)
    sink.write(first.data)
    properties = first.properties
    for start in range(chunk, properties.size, chunk):
        sink.write(blobs.get(container, name, start=start, end=start + chunk, if_match=properties.etag).data)
    return properties


def encoded(block_id: str) -> str:
    """A block's id as it travels. Raises Invalid."""
    if not 0 < len(block_id) <= 48 or not block_id.isascii():
        raise Invalid(f"not a block id: {block_id!r}")
    return base64.b64encode(block_id.encode("ascii")).decode("ascii")


def _read_full(source: BinaryIO, size: int) -> bytes:
    """size bytes, fewer only at the end, also from a source that gives less at a time."""
    data = source.read(size)
    if len(data) in (0, size):
        return data
    parts = [data]
    left = size - len(data)
    while left and (data := source.read(left)):
        parts.append(data)
        left -= len(data)
    return b"".join(parts)

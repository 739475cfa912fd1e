"""Blobs that the service copies by itself, block by block, from a URL that it can read.

Unlike a copy of a whole blob (`Blobs.copy_from_url`), nothing of the source's URL stays with the copy, so that it may
hold a signature; and what has been copied of a large blob is not copied again.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from azurerest import xmltext
from azurerest.blobfiles import encoded
from azurerest.blobs import Blobs
from azurerest.errors import NotFound, Unanswered
from azurerest.names import blob_path

MAX_URL_BLOCK: Final = 100 * 1024 * 1024
"""Bytes of a block that every version of the service takes from a URL."""


def put_block_from_url(
    blobs: Blobs,
    container: str,
    name: str,
    block_id: str,
    url: str,
    start: int,
    length: int,
    *,
    source_if_match: str | None = None,
) -> None:
    """As `blobfiles.put_block`, with `length` bytes from `start` on of what is at the URL.

    source_if_match: ETag that the source must have; else PreconditionFailed. Raises Forbidden or NotFound with the code
    CannotVerifyCopySource where the service may not, or cannot, read the URL.
    """
    headers = {"x-ms-copy-source": url, "x-ms-source-range": f"bytes={start}-{start + length - 1}"}
    if source_if_match is not None:
        headers["x-ms-source-if-match"] = source_if_match
    query = (("comp", "block"), ("blockid", encoded(block_id)))
    blobs.service.call("PUT", blob_path(container, name), query=query, headers=headers)


def staged_blocks(blobs: Blobs, container: str, name: str) -> dict[str, int]:
    """The blocks that were uploaded and are no part of the blob yet: id -> bytes. None, if there is no such blob."""
    query = (("comp", "blocklist"), ("blocklisttype", "uncommitted"))
    try:
        answer = blobs.service.call("GET", blob_path(container, name), query=query, repeat=True)
    except NotFound:
        return {}
    found: dict[str, int] = {}
    for block in xmltext.parse(answer.body).iterfind("UncommittedBlocks/Block"):
        try:
            id_ = base64.b64decode(block.findtext("Name") or "", validate=True)
            size = int(block.findtext("Size") or "")
        except (binascii.Error, ValueError) as fault:
            raise Unanswered(f"the service's list of blocks cannot be read: {fault!r}") from fault
        if id_.isascii():  # others have not been ours
            found[id_.decode("ascii")] = size
    return found

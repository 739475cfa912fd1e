"""Entity group transactions: the multipart document of $batch, both ways.

Limits (the service's): one table, one PartitionKey, each row once, 100 operations, 4 MiB.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from azurerest import entity
from azurerest.entity import Props
from azurerest.errors import Invalid, StorageError, TooLarge, Unanswered
from azurerest.names import check_key
from azurerest.odata import entity_path
from azurerest.service import refusal
from azurerest.transport import Response

MAX_OPERATIONS: Final = 100
MAX_BYTES: Final = 4 * 1024 * 1024
# Unguessable, since a peer may look for it anywhere in the document.
_TOKEN = os.urandom(16).hex()
BOUNDARY: Final = f"batch_{_TOKEN}"
_CHANGES = f"changeset_{_TOKEN}"
_STATUS = re.compile(r"^HTTP/1\.1 (\d{3})", re.MULTILINE)
_ETAG = re.compile(r"^ETag: *(.+?)\r?$", re.MULTILINE | re.IGNORECASE)
_INDEX = re.compile(r"(\d+):")


_NOTHING: Props = MappingProxyType({})


class Op(NamedTuple):
    """One operation of a transaction. etag: If-Match, None for none (insert and upserts)."""

    verb: str
    pk: str
    rk: str
    props: Props = _NOTHING
    etag: str | None = None

    @classmethod
    def insert(cls, pk: str, rk: str, props: Props) -> Op:
        return cls("POST", pk, rk, props)

    @classmethod
    def merge(cls, pk: str, rk: str, props: Props, *, etag: str = "*") -> Op:
        return cls("PATCH", pk, rk, props, etag)

    @classmethod
    def replace(cls, pk: str, rk: str, props: Props, *, etag: str = "*") -> Op:
        return cls("PUT", pk, rk, props, etag)

    @classmethod
    def upsert_merge(cls, pk: str, rk: str, props: Props) -> Op:
        return cls("PATCH", pk, rk, props)

    @classmethod
    def upsert_replace(cls, pk: str, rk: str, props: Props) -> Op:
        return cls("PUT", pk, rk, props)

    @classmethod
    def delete(cls, pk: str, rk: str, *, etag: str = "*") -> Op:
        return cls("DELETE", pk, rk, _NOTHING, etag)


def encode(url: str, table: str, ops: Sequence[Op]) -> bytes:
    """The body of a transaction, checked. url: of the table endpoint. Raises Invalid, TooLarge."""
    if not 1 <= len(ops) <= MAX_OPERATIONS:
        raise Invalid(f"a transaction has 1 to {MAX_OPERATIONS} operations, not {len(ops)}")
    seen: set[str] = set()
    parts = [f"--{BOUNDARY}\r\nContent-Type: multipart/mixed; boundary={_CHANGES}\r\n\r\n"]
    for index, op in enumerate(ops):
        if op.pk != ops[0].pk:
            raise _at(index, Invalid(f"PartitionKey {op.pk!r} in a transaction on {ops[0].pk!r}"))
        if op.rk in seen:
            raise _at(index, Invalid(f"row {op.rk!r} is twice in the transaction"))
        seen.add(op.rk)
        try:
            parts.append(_part(url, table, op))
        except Invalid as fault:
            raise _at(index, fault) from None
    parts.append(f"--{_CHANGES}--\r\n--{BOUNDARY}--\r\n")
    body = "".join(parts).encode()
    if len(body) > MAX_BYTES:
        raise TooLarge(f"the transaction takes {len(body)} bytes, more than {MAX_BYTES}")
    return body


def _at(index: int, fault: StorageError) -> StorageError:
    fault.index = index
    return fault


def _part(url: str, table: str, op: Op) -> str:
    check_key("PartitionKey", op.pk)
    check_key("RowKey", op.rk)
    body = "" if op.verb == "DELETE" else entity.encode(op.pk, op.rk, op.props)
    path = f"/{table}" if op.verb == "POST" else entity_path(table, op.pk, op.rk)
    match = f"If-Match: {_header(op.etag)}\r\n" if op.etag is not None else ""
    content = f"Content-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n" if body else ""
    return (
        f"--{_CHANGES}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"{op.verb} {url}{path} HTTP/1.1\r\nAccept: application/json;odata=minimalmetadata\r\n"
        f"Prefer: return-no-content\r\nDataServiceVersion: 3.0\r\n{match}{content}\r\n{body}\r\n"
    )


def _header(etag: str) -> str:
    if not etag.isascii() or not etag.isprintable():
        raise Invalid(f"not an ETag: {etag!r}")
    return etag


def decode(response: Response, count: int, operation: str) -> list[str]:
    """The new ETag of each operation ("" for a delete). Raises the error of the failing operation, with its index."""
    text = response.body.decode("utf-8", "replace")
    starts = [(match.start(), int(match[1])) for match in _STATUS.finditer(text)]
    for start, status in starts:
        if status >= 300:
            raise _failure(text[start:], status, response, operation)
    if len(starts) != count:
        raise Unanswered(f"{len(starts)} answers to {count} operations", operation=operation, status=response.status)
    ends = [start for start, _ in starts[1:]] + [len(text)]
    return [
        found[1] if (found := _ETAG.search(text, start, end)) else ""
        for (start, _), end in zip(starts, ends, strict=True)
    ]


def _failure(text: str, status: int, response: Response, operation: str) -> StorageError:
    _, _, body = text.partition("\r\n\r\n")
    start, end = body.find("{"), body.rfind("}")
    fault = refusal(Response(status, response.headers, body[start : end + 1].encode(), response.date), operation)
    fault.index = index_in(fault.message)
    return fault


def index_in(message: str) -> int | None:
    """The failing operation, which the service puts in front of its message."""
    match = _INDEX.match(message)
    return int(match[1]) if match else None

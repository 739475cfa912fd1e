"""The Table service."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from azurerest import batch, entity
from azurerest.account import Account
from azurerest.batch import Op
from azurerest.entity import Entity, Props
from azurerest.errors import Conflict, Invalid, NotFound, StorageError, Unanswered
from azurerest.names import check_key, table_name
from azurerest.odata import entity_path
from azurerest.service import Query, Service
from azurerest.transport import Response, Transport

_READ = {"accept": "application/json;odata=minimalmetadata", "dataserviceversion": "3.0"}
_WRITE = {
    "accept": "application/json;odata=minimalmetadata",
    "content-type": "application/json",
    "dataserviceversion": "3.0",
    "prefer": "return-no-content",
}
_BATCH = {
    "accept": "application/json;odata=minimalmetadata",
    "content-type": f"multipart/mixed; boundary={batch.BOUNDARY}",
    "dataserviceversion": "3.0",
}
_NEXT = ("NextPartitionKey", "NextRowKey")


class Page(NamedTuple):
    """Up to 1000 entities in key order. continuation: given back to `Tables.query` for the next page, None at the end.

    A page may be empty and still have a continuation.
    """

    entities: list[Entity]
    continuation: str | None


class Tables:
    """Thread-safe. Every method raises StorageError; see errors.py for which of them leave the row's state open."""

    def __init__(self, account: Account, transport: Transport) -> None:
        self._service = Service("table", account, transport)

    def create(self, table: str) -> bool:
        """Create a table; False when it exists."""
        body = entity.to_json({"TableName": table_name(table)}).encode()
        try:
            self._service.call("POST", "/Tables", headers=_WRITE, body=body)
        except Conflict as fault:
            if fault.code != "TableAlreadyExists":
                raise
            return False
        return True

    def delete_table(self, table: str) -> bool:
        """Delete a table and its rows; False when there is none."""
        try:
            self._service.call("DELETE", f"/Tables('{table_name(table)}')", headers=_WRITE)
        except NotFound:
            return False
        return True

    def get(self, table: str, pk: str, rk: str, select: Sequence[str] | None = None) -> Entity | None:
        """One row, None when it does not exist. Raises NotFound when the table does not."""
        query: Query = (("$select", _columns(select)),) if select is not None else ()
        try:
            answer = self._service.call("GET", _row(table, pk, rk), query=query, headers=_READ, repeat=True)
        except NotFound as fault:
            if fault.code == "TableNotFound":
                raise
            return None
        return entity.decode(_loads(answer), answer.date)

    def query(
        self,
        table: str,
        filter: str,
        select: Sequence[str] | None = None,
        top: int | None = None,
        continuation: str | None = None,
    ) -> Page:
        """One page of rows. filter: OData ("" for all rows), see `odata`. top: at most this many, 1 to 1000."""
        query: list[tuple[str, str]] = []
        if filter:
            query.append(("$filter", filter))
        if select is not None:
            query.append(("$select", _columns(select)))
        if top is not None:
            query.append(("$top", str(top)))
        if continuation is not None:
            query += _continue(continuation)
        path = f"/{table_name(table)}()"
        answer = self._service.call("GET", path, query=tuple(query), headers=_READ, repeat=True)
        rows = _loads(answer).get("value")
        if not isinstance(rows, list):
            raise Unanswered("the service's page has no rows")
        return Page([entity.decode(row, answer.date) for row in rows], _next(answer))

    def query_all(self, table: str, filter: str, select: Sequence[str] | None = None) -> Iterator[Entity]:
        """All rows, page by page."""
        continuation: str | None = None
        while True:
            page = self.query(table, filter, select, continuation=continuation)
            yield from page.entities
            continuation = page.continuation
            if continuation is None:
                return

    def insert(self, table: str, pk: str, rk: str, props: Props) -> str:
        """A new row; its ETag. Raises Conflict when it exists."""
        body = entity.encode(pk, rk, props).encode()
        return _etag(self._service.call("POST", f"/{table_name(table)}", headers=_WRITE, body=body))

    def merge(self, table: str, pk: str, rk: str, props: Props, *, etag: str = "*") -> str:
        """Change some properties of a row; its new ETag. Raises PreconditionFailed, NotFound."""
        return self._write("PATCH", table, pk, rk, props, etag)

    def replace(self, table: str, pk: str, rk: str, props: Props, *, etag: str = "*") -> str:
        """Replace all properties of a row; its new ETag. Raises PreconditionFailed, NotFound."""
        return self._write("PUT", table, pk, rk, props, etag)

    def upsert_merge(self, table: str, pk: str, rk: str, props: Props) -> str:
        """Insert, or change some properties; the new ETag."""
        return self._write("PATCH", table, pk, rk, props, None)

    def upsert_replace(self, table: str, pk: str, rk: str, props: Props) -> str:
        """Insert or replace; the new ETag."""
        return self._write("PUT", table, pk, rk, props, None)

    def delete(self, table: str, pk: str, rk: str, *, etag: str = "*") -> None:
        """Delete a row. Raises PreconditionFailed, NotFound."""
        self._service.call("DELETE", _row(table, pk, rk), headers=_READ | {"if-match": etag})

    def transact(self, table: str, ops: Sequence[Op]) -> list[str]:
        """Apply all operations or none; their new ETags ("" for a delete).

        A refusal carries the `index` of the failing operation. Limits are checked before anything is sent: Invalid or
        TooLarge with the index of the offending operation.
        """
        body = batch.encode(self._service.endpoint.url, table_name(table), ops)
        try:
            answer = self._service.call("POST", "/$batch", headers=_BATCH, body=body)
        except StorageError as fault:
            fault.index = batch.index_in(fault.message)
            raise
        return batch.decode(answer, len(ops), f"transaction on {table}")

    def _write(self, verb: str, table: str, pk: str, rk: str, props: Props, etag: str | None) -> str:
        headers = _WRITE if etag is None else _WRITE | {"if-match": etag}
        body = entity.encode(pk, rk, props).encode()
        return _etag(self._service.call(verb, _row(table, pk, rk), headers=headers, body=body))


def _row(table: str, pk: str, rk: str) -> str:
    return entity_path(table_name(table), check_key("PartitionKey", pk), check_key("RowKey", rk))


def _columns(select: Sequence[str]) -> str:
    """Keys and Timestamp are always asked for: an Entity without them is none."""
    for name in select:
        if not name.isidentifier():
            raise Invalid(f"not a property name: {name!r}")
    return ",".join(dict.fromkeys(("PartitionKey", "RowKey", "Timestamp", *select)))


def _loads(answer: Response) -> dict[str, Any]:
    try:
        data = json.loads(answer.body)
    except ValueError as fault:
        raise Unanswered("the service's answer is not JSON", status=answer.status) from fault
    if not isinstance(data, dict):
        raise Unanswered("the service's answer is not a JSON object", status=answer.status)
    return data


def _etag(answer: Response) -> str:
    etag = answer.headers.get("etag")
    if not etag:
        raise Unanswered("the service's answer has no ETag", status=answer.status)
    return etag


def _next(answer: Response) -> str | None:
    found = {name: value for name in _NEXT if (value := answer.headers.get(f"x-ms-continuation-{name.lower()}"))}
    return urlencode(found) if found else None


def _continue(continuation: str) -> list[tuple[str, str]]:
    pairs = parse_qsl(continuation, keep_blank_values=True)
    if not pairs or any(name not in _NEXT for name, _ in pairs):
        raise Invalid("not a continuation of this client")
    return pairs


__all__ = ["Entity", "Op", "Page", "Props", "StorageError", "Tables"]

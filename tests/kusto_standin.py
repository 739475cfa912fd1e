"""A stand-in for a cluster of Azure Data Explorer, of which nothing runs here: its REST API for queries, over HTTP.

It answers as "Query/management HTTP request" and "Query V2 HTTP response" say, without progress frames, as far as this
project goes. What it is like is not proved by the real service. It knows no Kusto Query Language: a test says what a
query's text gives.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Any

from tests.json_standin import Call, JsonStandIn, Refusal

_SPAN = re.compile(r"\d\d:\d\d:\d\d")
_CANCEL = re.compile(r'\.cancel query "([A-Za-z0-9_.\-]+)"')


def refused(status: int, code: str, message: str, detail: str = "") -> Refusal:
    """As the guidelines for Azure's APIs have errors; Kusto's own words are in @message."""
    return Refusal(status, {"error": {"code": code, "message": message, "@message": detail or message}})


@dataclass(frozen=True)
class Table:
    columns: tuple[tuple[str, str], ...]
    rows: list[Any]


@dataclass
class Kusto(JsonStandIn):
    """`tables`: a query's text -> what it gives, several tables for several statements. `broken`: what an answer tells
    at its end. A query of `held` is answered when it has been cancelled.
    """

    tables: dict[str, list[Table]] = field(default_factory=dict)
    broken: str = ""
    held: set[str] = field(default_factory=set)
    cancelled: list[str] = field(default_factory=list)
    cancel_came: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)

    def unauthorized(self) -> Refusal:
        return refused(401, "Unauthorized", "The token is not good.")

    def answer(self, call: Call) -> Any:
        match call.verb, call.path:
            case "POST", "/v2/rest/query":
                return self._query(call.body)
            case "POST", "/v1/rest/mgmt":
                return self._command(call.body)
            case _:
                raise refused(404, "NotFound", f"There is no {call.verb} {call.path}.")

    def _query(self, body: dict[str, Any]) -> Any:
        assert body.keys() == {"db", "csl", "properties"}
        properties = body["properties"]
        assert _SPAN.fullmatch(properties["Options"]["servertimeout"])
        assert all(isinstance(value, str | int) for value in properties["Parameters"].values())
        self.asked.set()
        if body["csl"] in self.held:
            self.lock.release()
            try:
                assert self.cancel_came.wait(30)
            finally:
                self.lock.acquire()
            raise refused(400, "Query_Cancelled", "The query was cancelled.")
        if body["csl"] not in self.tables:
            detail = "Semantic error: SEM0100: 'table' operator: Failed to resolve table expression."
            raise refused(400, "General_BadRequest", "Request is invalid and cannot be executed.", detail)
        return [*self._begin(), *self._results(self.tables[body["csl"]]), self._end()]

    def _begin(self) -> list[Any]:
        kind = {"FrameType": "DataTable", "TableId": 0, "TableKind": "QueryProperties", "TableName": "@Extended"}
        header = {"FrameType": "DataSetHeader", "IsProgressive": False, "Version": "v2.0"}
        return [header, {**kind, "Columns": [], "Rows": []}]

    def _results(self, tables: list[Table]) -> list[Any]:
        return [
            {
                "FrameType": "DataTable",
                "TableId": number,
                "TableKind": "PrimaryResult",
                "TableName": "PrimaryResult",
                "Columns": [{"ColumnName": name, "ColumnType": kind} for name, kind in table.columns],
                "Rows": table.rows,
            }
            for number, table in enumerate(tables, 1)
        ]

    def _end(self) -> Any:
        end = {"FrameType": "DataSetCompletion", "HasErrors": bool(self.broken), "Cancelled": False}
        errors = [refused(500, "LimitsExceeded", "Limits.", self.broken).body] if self.broken else []
        return {**end, "OneApiErrors": errors} if errors else end

    def _command(self, body: dict[str, Any]) -> Any:
        found = _CANCEL.fullmatch(body["csl"])
        assert found is not None
        self.cancelled.append(found[1])
        self.cancel_came.set()
        return {"Tables": []}

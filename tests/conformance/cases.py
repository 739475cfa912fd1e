"""The invocations that are made through both workers, as JSON."""

from __future__ import annotations

import base64
import json
from typing import Any

Wire = dict[str, Any]
Case = dict[str, Any]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def text(value: str) -> Wire:
    return {"kind": "string", "text": value}


def raw(value: bytes) -> Wire:
    return {"kind": "bytes", "data": b64(value)}


def document(value: Any) -> Wire:
    return {"kind": "json", "text": json.dumps(value)}


NOTHING: Wire = {"kind": ""}

QUEUE_METADATA = {
    "Id": text("message-id"),
    "PopReceipt": text("receipt"),
    "DequeueCount": document(3),
    "InsertionTime": text("2026-11-21T10:11:12+00:00"),
    "ExpirationTime": text("2026-11-28T10:11:12.1234567Z"),
    "NextVisibleTime": text("2026-11-21T10:21:12Z"),
    "QueueTrigger": text("body"),
}
BLOB_METADATA = {
    "BlobTrigger": text("box/a.txt"),
    "Uri": text("http://127.0.0.1/box/a.txt"),
    "name": text("a.txt"),
    "Properties": document({"ContentLength": 5, "ContentType": "text/plain", "ETag": '"1"'}),
    "Metadata": document({"owner": "me"}),
}


def http(body: bytes = b"", *, what: str = "", content_type: str = "application/json") -> Wire:
    request = {
        "method": "post",
        "url": "http://localhost:7071/api/tell?a=1",
        "headers": {"host": "localhost:7071", "x-probe": "p", "content-type": content_type},
        "query": {"a": "1", "b": "ü"},
        "params": {"what": what} if what else {},
        "body": b64(body),
    }
    return {"kind": "http", "request": request}


def _case(function: str, inputs: list[tuple[str, Wire]], metadata: dict[str, Wire] | None = None) -> Case:
    return {"function": function, "inputs": inputs, "metadata": metadata or {}}


def _queue(function: str, body: Wire, metadata: dict[str, Wire] | None = None) -> Case:
    return _case(function, [("msg", body)], QUEUE_METADATA if metadata is None else metadata)


HTTP_GIFTS = [
    *("none", "text", "empty-text", "bytes", "int", "zero", "dict", "list", "object", "class", "raise", "own", "key"),
    *("file", "response", "cookies", "bad-cookie", "bad-age", "plain-response", "json-response", "bytes-response"),
    *("empty-response", "latin-response", "own-type-response"),
]
QUEUE_GIFTS = [
    *("none", "text", "empty-text", "bytes", "bytearray", "int", "zero", "false", "dict", "list", "empty-list"),
    *("tuple", "generator", "set", "bytes-list", "int-list", "mixed-list", "message", "message-bytes", "object"),
    *("raise", "file", "response"),
]
BLOB_GIFTS = ["none", "text", "bytes", "bytearray", "int", "dict", "list", "file", "text-file", "object", "raise"]
OUT_GIFTS = ["none", "text", "bytes", "int", "list", "message", "object", "raise"]


def _http_cases() -> list[Case]:
    form = b"a=1&b=two"
    cases = [
        _case("http_tell", [("req", http(b"\x00\xff"))]),
        _case("http_tell", [("req", http())]),
        _case("http_json", [("req", http(b'{"a": [1, null, "\xc3\xbc"]}'))]),
        _case("http_json", [("req", http(b"{bad"))]),
        _case("http_json", [("req", http(b""))]),
        _case("http_json", [("req", http(b"\xff\xfe"))]),
        _case("http_form", [("req", http(form, content_type="application/x-www-form-urlencoded"))]),
        _case("http_context", [("req", http())]),
        _case("http_tell", [("req", text("no http datum"))]),
    ]
    cases += [_case("http_give", [("req", http(what=what))]) for what in HTTP_GIFTS]
    cases += [_case("http_give_async", [("req", http(what=what))]) for what in ("text", "none", "raise", "cookies")]
    cases += [_case("http_annotated", [("req", http(what=what))]) for what in ("plain-response", "text", "none")]
    return cases


def _queue_cases() -> list[Case]:
    body = text('{"a": "ü"}')
    few = {"Id": text("only")}
    cases = [_queue(function, body) for function in ("queue_tell", "queue_json", "queue_text", "queue_plain")]
    cases += [_queue(function, raw(b"\xff\x00")) for function in ("queue_tell", "queue_bytes", "queue_text")]
    cases += [
        _queue("queue_bytes", body),
        _queue("queue_tell", body, few),
        _queue("queue_tell", body, {}),
        _queue("queue_tell", body, QUEUE_METADATA | {"DequeueCount": text("4")}),
        _queue("queue_tell", body, QUEUE_METADATA | {"DequeueCount": text("many")}),
        _queue("queue_tell", body, QUEUE_METADATA | {"InsertionTime": text("yesterday")}),
        _queue("queue_tell", document({"a": 1})),
        _queue("queue_text", document({"a": 1})),
        _queue("queue_json", text("{bad")),
        _queue("queue_json", text("")),
        _queue("queue_many", text("x")),
    ]
    cases += [_queue("queue_give", text(what)) for what in QUEUE_GIFTS]
    cases += [_queue("queue_give_async", text(what)) for what in ("text", "list", "none", "raise", "int")]
    cases += [_queue("queue_stray", text(what)) for what in ("none", "text", "false", "raise")]
    for function in ("queue_out", "queue_out_text", "queue_out_bytes", "queue_out_list"):
        cases += [_queue(function, text(what)) for what in OUT_GIFTS]
    return cases


def _blob_cases() -> list[Case]:
    def blob(function: str, body: Wire, metadata: dict[str, Wire] | None = None) -> Case:
        return _case(function, [("blob", body)], BLOB_METADATA if metadata is None else metadata)

    names = ("blob_tell", "blob_copy", "blob_pass", "blob_bytes", "blob_text")
    cases = [blob(function, body) for function in names for body in (raw(b"h\xc3\xa9llo"), text("héllo"))]
    cases += [
        blob("blob_tell", raw(b""), {}),
        blob("blob_tell", raw(b"abc"), {"BlobTrigger": text("box/b"), "Metadata": text("odd")}),
        blob("blob_tell", document({"a": 1})),
        blob("blob_tell", NOTHING),
        _case("blob_read", [("msg", text("x")), ("found", raw(b"abc"))], QUEUE_METADATA),
        _case("blob_read", [("msg", text("x")), ("found", text("äbc"))], QUEUE_METADATA),
        _case("blob_read", [("msg", text("x")), ("found", NOTHING)], QUEUE_METADATA),
        _case("blob_read_bytes", [("msg", text("x")), ("found", raw(b"abc"))], QUEUE_METADATA),
        _case("blob_read_bytes", [("msg", text("x")), ("found", NOTHING)], QUEUE_METADATA),
    ]
    cases += [_queue("blob_give", text(what)) for what in BLOB_GIFTS]
    cases += [_queue("blob_out", text(what)) for what in BLOB_GIFTS]
    return cases


def _timer_cases() -> list[Case]:
    status = {"Last": "2026-11-21T03:00:00", "Next": "2026-11-22T03:00:00", "LastUpdated": "2026-11-21T03:00:00"}
    full = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": True}
    without = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False}
    return [
        _case(function, [("timer", body)])
        for function in ("timer_tell", "timer_async", "timer_text", "timer_raise")
        for body in (document(full), document(without), document({}), text("no json datum"))
    ]


def all_cases() -> list[Case]:
    """Every case, with an id that says what it is."""
    cases = _http_cases() + _queue_cases() + _blob_cases() + _timer_cases()
    for number, case in enumerate(cases):
        case["id"] = f"{number:03d}-{case['function']}"
    return cases

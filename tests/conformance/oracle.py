"""Runs cases through Microsoft's azure-functions-runtime. A program of its own: it needs Python 3.13.

Reads {"app": folder, "cases": [...]} on standard input, writes {"answers": {...}, "verdicts": {...}}.
"""

import asyncio
import base64
import json
import sys
import uuid
from types import SimpleNamespace
from typing import Any

from azure_functions_runtime import (
    handle_event,
    native_invocation,
    start_threadpool_executor,
    stop_threadpool_executor,
    worker_init_request,
)
from azure_functions_runtime.bindings.datumdef import Datum, datum_as_proto
from azure_functions_runtime.functions import Registry
from signatures import verdicts  # type: ignore[import-not-found]


class Record(SimpleNamespace):
    """Stands in for a protobuf message: it keeps what it is given."""


class Protos:
    """Stands in for the protobuf module that the runtime is handed."""

    Timestamp = Record
    TypedData = Record
    RpcHttp = Record
    NullableString = NullableBool = NullableDouble = NullableTimestamp = Record

    class RpcHttpCookie(Record):
        SameSite = SimpleNamespace(**{"None": "None", "Lax": "Lax", "Strict": "Strict", "ExplicitNone": "ExplicitNone"})

    class BindingInfo(Record):
        inout = 2
        out = 1
        undefined = 0

    class StatusResult(Record):
        Success = 1
        Failure = 0

    def __getattr__(self, name: str) -> type[Record]:
        return Record


PROTOS = Protos()


def to_datum(wire: dict[str, Any]) -> Any:
    kind = wire["kind"]
    if not kind:
        return None
    if kind == "bytes":
        return Datum(base64.b64decode(wire["data"]), "bytes")
    if kind != "http":
        return Datum(wire["text"], kind)
    request = wire["request"]

    def texts(values: dict[str, str]) -> dict[str, Any]:
        return {name: Datum(value, "string") for name, value in values.items()}

    value = {name: texts(request[name]) for name in ("headers", "params", "query")}
    value |= {name: Datum(request[name], "string") for name in ("method", "url")}
    value["body"] = Datum(base64.b64decode(request["body"]), "bytes")
    return Datum(value, "http")


def plain(value: Any) -> Any:
    """JSON of whatever the stand-ins keep."""
    if isinstance(value, Record):
        return {name: plain(item) for name, item in vars(value).items()}
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


async def answer(case: dict[str, Any]) -> dict[str, Any]:
    identity = str(uuid.uuid5(namespace=uuid.NAMESPACE_OID, name=case["function"]))
    inputs = [(name, to_datum(wire)) for name, wire in case["inputs"]]
    metadata = {name: to_datum(wire) for name, wire in case["metadata"].items()}
    try:
        ok, result, outputs, error, _ = await native_invocation.invocation_request_native(
            case["id"], identity, inputs, metadata
        )
        if not ok:
            return {"ok": False, "error": error}
        return {
            "ok": True,
            "result": plain(datum_as_proto(result, PROTOS)) if result is not None else None,
            "outputs": [[name, plain(datum_as_proto(datum, PROTOS))] for name, datum in outputs],
        }
    except Exception as error:  # noqa: BLE001 - turning the answer into protobuf failed
        return {"ok": False, "error": repr(error)}


async def main() -> None:
    work = json.load(sys.stdin)
    sys.path.insert(0, work["app"])
    out = sys.stdout
    sys.stdout = sys.stderr
    start_threadpool_executor()
    init = SimpleNamespace(capabilities={}, function_app_directory=work["app"])
    request = SimpleNamespace(
        request=SimpleNamespace(worker_init_request=init), properties={"host": "127.0.0.1", "protos": PROTOS}
    )
    response = await worker_init_request(request)
    if response.result.status != Protos.StatusResult.Success:
        sys.exit(f"the oracle could not load the app: {response.result.exception}")
    assert handle_event._functions is not None
    answers = {case["id"]: await answer(case) for case in work["cases"]}
    taken = verdicts(lambda function: Registry().add_indexed_function(function=function, protos=PROTOS))
    stop_threadpool_executor()
    json.dump({"answers": answers, "verdicts": taken}, out)


asyncio.run(main())

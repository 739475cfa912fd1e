# mypy: ignore-errors
"""Functions of every shape, good and bad, that tell what they saw and give what they are asked for."""

import http
import io
import json
import logging
from typing import List  # noqa: UP035 - the worker takes List[str] and refuses list[str]

import azure.functions as func

app = func.FunctionApp()
STORAGE = "AzureWebJobsStorage"


class OwnError(Exception):
    pass


def give(what):
    """What a function is asked to return or set."""
    if what == "raise":
        raise ValueError("as asked, ä")
    if what == "own":
        raise OwnError("mine", 2)
    if what == "key":
        return {}["absent"]
    response = func.HttpResponse(
        "c", status_code=418, headers={"X-Own": "1", "x-own-2": "ü".encode().decode("latin-1")}
    )
    if what == "cookies":
        response.headers.add("Set-Cookie", "one=a%b; Path=/x; HttpOnly; Max-Age=5; Domain=example.org")
        response.headers.add("Set-Cookie", "two=2; Secure; SameSite=Lax; Expires=Wed, 21 Oct 2026 07:28:00 GMT")
        response.headers.add("Set-Cookie", "three=; SameSite=None")
    if what == "bad-cookie":
        response.headers.add("Set-Cookie", "one=1; Expires=tomorrow")
    if what == "bad-age":
        response.headers.add("Set-Cookie", "one=1; Max-Age=soon")
    return {
        "none": None,
        "text": "täxt",
        "empty-text": "",
        "bytes": b"\x00\xff",
        "bytearray": bytearray(b"ab"),
        "int": 5,
        "zero": 0,
        "false": False,
        "true": True,
        "float": 1.5,
        "dict": {"a": [1, None]},
        "list": ["a", "b"],
        "empty-list": [],
        "tuple": ("a", "b"),
        "generator": (item for item in ("a", "b")),
        "set": {"a"},
        "bytes-list": [b"a"],
        "int-list": [1],
        "mixed-list": ["a", func.QueueMessage(id="i", body="b")],
        "message": func.QueueMessage(id="i", body="bödy"),
        "message-bytes": func.QueueMessage(body=b"\xff"),
        "object": object(),
        "file": io.BytesIO(b"from a file"),
        "text-file": io.StringIO("from a text file"),
        "response": response,
        "cookies": response,
        "bad-cookie": response,
        "bad-age": response,
        "plain-response": func.HttpResponse("plain"),
        "json-response": func.HttpResponse('{"a": 1}', mimetype="application/json"),
        "bytes-response": func.HttpResponse(b"\x00\xff", mimetype="application/octet-stream"),
        "empty-response": func.HttpResponse(status_code=http.HTTPStatus.NO_CONTENT),
        "latin-response": func.HttpResponse("ä", charset="latin-1"),
        "own-type-response": func.HttpResponse("<a/>", headers={"Content-Type": "text/xml"}),
        "class": func.HttpResponse,
    }[what]


def tell(seen, **facts):
    seen.set(json.dumps(facts, sort_keys=True, default=str))


# HTTP


@app.route(route="tell")
@app.queue_output("seen", queue_name="seen", connection=STORAGE)
def http_tell(req: func.HttpRequest, seen: func.Out[str]) -> func.HttpResponse:
    tell(
        seen,
        method=req.method,
        url=req.url,
        headers=dict(req.headers),
        upper=req.headers.get("X-PROBE"),
        params=dict(req.params),
        route=dict(req.route_params),
        body=list(req.get_body()),
    )
    return func.HttpResponse("told")


@app.route(route="json")
def http_json(req: func.HttpRequest) -> str:
    return json.dumps(req.get_json(), sort_keys=True)


@app.route(route="form")
def http_form(req: func.HttpRequest) -> str:
    return json.dumps(req.form.to_dict())


@app.route(route="give/{what}")
def http_give(req: func.HttpRequest):
    return give(req.route_params["what"])


@app.route(route="agive/{what}")
async def http_give_async(req: func.HttpRequest):
    return give(req.route_params["what"])


@app.route(route="annotated/{what}")
def http_annotated(req: func.HttpRequest) -> func.HttpResponse:
    return give(req.route_params["what"])


@app.route(route="context")
def http_context(req: func.HttpRequest, context: func.Context) -> str:
    logging.info("from the function")
    return json.dumps(
        {
            "id": context.invocation_id,
            "name": context.function_name,
            "local": context.thread_local_storage.invocation_id,
            "retry": [context.retry_context.retry_count, context.retry_context.max_retry_count],
            "trace": [context.trace_context.trace_parent, context.trace_context.trace_state],
            "attributes": context.trace_context.attributes,
        }
    )


# Queues


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
@app.queue_output("seen", queue_name="seen", connection=STORAGE)
def queue_tell(msg: func.QueueMessage, seen: func.Out[str]) -> None:
    tell(
        seen,
        id=msg.id,
        body=list(msg.get_body()),
        count=msg.dequeue_count,
        receipt=msg.pop_receipt,
        times=[msg.insertion_time, msg.expiration_time, msg.time_next_visible],
        type=type(msg).__name__,
    )


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
@app.queue_output("seen", queue_name="seen", connection=STORAGE)
async def queue_json(msg: func.QueueMessage, seen: func.Out[str]) -> None:
    tell(seen, value=msg.get_json())


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
@app.queue_output("seen", queue_name="seen", connection=STORAGE)
def queue_text(msg: str, seen: func.Out[str]) -> None:
    tell(seen, value=msg, type=type(msg).__name__)


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
@app.queue_output("seen", queue_name="seen", connection=STORAGE)
def queue_bytes(msg: bytes, seen: func.Out[str]) -> None:
    tell(seen, value=msg, type=type(msg).__name__)


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
@app.queue_output("seen", queue_name="seen", connection=STORAGE)
def queue_plain(msg, seen: func.Out[str]):
    tell(seen, body=list(msg.get_body()), type=type(msg).__name__)


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
@app.queue_output("$return", queue_name="out", connection=STORAGE)
def queue_give(msg: func.QueueMessage):
    return give(msg.get_body().decode())


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
@app.queue_output("$return", queue_name="out", connection=STORAGE)
async def queue_give_async(msg: func.QueueMessage) -> str:
    return give(msg.get_body().decode())


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
def queue_stray(msg: func.QueueMessage):
    return give(msg.get_body().decode())


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
@app.queue_output("out", queue_name="out", connection=STORAGE)
def queue_out(msg: func.QueueMessage, out: func.Out[func.QueueMessage]) -> None:
    out.set(give(msg.get_body().decode()))


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
@app.queue_output("out", queue_name="out", connection=STORAGE)
def queue_out_text(msg: func.QueueMessage, out: func.Out[str]) -> None:
    out.set(give(msg.get_body().decode()))


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
@app.queue_output("out", queue_name="out", connection=STORAGE)
def queue_out_bytes(msg: func.QueueMessage, out: func.Out[bytes]) -> None:
    out.set(give(msg.get_body().decode()))


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
@app.queue_output("out", queue_name="out", connection=STORAGE)
def queue_out_list(msg: func.QueueMessage, out: func.Out[List[str]]) -> None:  # noqa: UP006
    out.set(give(msg.get_body().decode()))


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
@app.queue_output("first", queue_name="out", connection=STORAGE)
@app.queue_output("second", queue_name="out", connection=STORAGE)
@app.queue_output("$return", queue_name="out", connection=STORAGE)
def queue_many(msg: func.QueueMessage, first: func.Out[str], second: func.Out[str]) -> str:
    first.set("1")
    first.set("again")
    assert first.get() == "again"
    return "returned"


# Blobs


@app.blob_trigger("blob", path="box/{name}", connection=STORAGE)
@app.queue_output("seen", queue_name="seen", connection=STORAGE)
def blob_tell(blob: func.InputStream, seen: func.Out[str]) -> None:
    facts = {"name": blob.name, "uri": blob.uri, "length": blob.length, "meta": blob.metadata}
    facts |= {"properties": blob.blob_properties, "can": [blob.readable(), blob.writable(), blob.seekable()]}
    tell(seen, start=list(blob.read(2)), rest=list(blob.read()), **facts)


@app.blob_trigger("blob", path="box/{name}", connection=STORAGE)
@app.blob_output("copy", path="box/copy", connection=STORAGE)
async def blob_copy(blob: func.InputStream, copy: func.Out[bytes]) -> None:
    copy.set(blob.read())


@app.blob_trigger("blob", path="box/{name}", connection=STORAGE)
@app.blob_output("copy", path="box/copy", connection=STORAGE)
def blob_pass(blob: func.InputStream, copy: func.Out[func.InputStream]) -> None:
    copy.set(blob)


@app.blob_trigger("blob", path="box/{name}", connection=STORAGE)
@app.blob_output("$return", path="box/copy", connection=STORAGE)
def blob_bytes(blob: bytes) -> bytes:
    return blob[::-1]


@app.blob_trigger("blob", path="box/{name}", connection=STORAGE)
@app.blob_output("$return", path="box/copy", connection=STORAGE)
def blob_text(blob: str) -> str:
    return blob.upper()


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
@app.blob_output("$return", path="box/given", connection=STORAGE)
def blob_give(msg: func.QueueMessage):
    return give(msg.get_body().decode())


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
@app.blob_output("out", path="box/given", connection=STORAGE)
def blob_out(msg: func.QueueMessage, out: func.Out[str]) -> None:
    out.set(give(msg.get_body().decode()))


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
@app.blob_input("found", path="box/given", connection=STORAGE)
@app.queue_output("seen", queue_name="seen", connection=STORAGE)
def blob_read(msg: func.QueueMessage, found: func.InputStream, seen: func.Out[str]) -> None:
    tell(seen, found=None if found is None else [list(found.read()), found.name, found.length])


@app.queue_trigger("msg", queue_name="in", connection=STORAGE)
@app.blob_input("found", path="box/given", connection=STORAGE)
@app.queue_output("seen", queue_name="seen", connection=STORAGE)
def blob_read_bytes(msg: func.QueueMessage, found: bytes, seen: func.Out[str]) -> None:
    tell(seen, found=found, type=type(found).__name__)


# Timers


@app.timer_trigger("timer", schedule="0 0 3 * * *")
@app.queue_output("seen", queue_name="seen", connection=STORAGE)
def timer_tell(timer: func.TimerRequest, seen: func.Out[str]) -> None:
    tell(seen, past_due=timer.past_due, status=timer.schedule_status, schedule=timer.schedule)


@app.timer_trigger("timer", schedule="0 0 3 * * *")
@app.queue_output("seen", queue_name="seen", connection=STORAGE)
async def timer_async(timer: func.TimerRequest, seen: func.Out[str], context: func.Context) -> None:
    tell(seen, past_due=timer.past_due, id=context.invocation_id)


@app.timer_trigger("timer", schedule="0 0 3 * * *")
@app.queue_output("seen", queue_name="seen", connection=STORAGE)
def timer_text(timer: str, seen: func.Out[str]) -> None:
    tell(seen, value=timer)


@app.timer_trigger("timer", schedule="0 0 3 * * *")
def timer_raise(timer: func.TimerRequest) -> None:
    give("raise")

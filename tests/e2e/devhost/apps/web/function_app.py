"""HTTP functions of every kind that the tests ask for."""

import asyncio
import json
import logging
import os

import azure.functions as func

app = func.FunctionApp()
ANONYMOUS = func.AuthLevel.ANONYMOUS


@app.route(route="items/{id:int}/{part?}", methods=["GET", "POST"], auth_level=ANONYMOUS)
def items(req: func.HttpRequest) -> func.HttpResponse:
    seen = {
        "method": req.method,
        "url": req.url,
        "params": dict(req.params),
        "route": dict(req.route_params),
        "header": req.headers.get("X-Probe"),
        "names": sorted(req.headers),
        "body": req.get_body().decode("latin-1"),
    }
    return func.HttpResponse(json.dumps(seen), mimetype="application/json")


@app.route(route="files/{*path}", auth_level=ANONYMOUS)
def files(req: func.HttpRequest) -> str:
    return req.route_params.get("path", "(none)")


@app.route(methods=["GET"])
def guarded(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")


@app.route(auth_level=func.AuthLevel.ADMIN)
def ruled(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")


@app.route(route="gives/{what}", auth_level=ANONYMOUS)
def gives(req: func.HttpRequest):
    what = req.route_params["what"]
    if what == "raise":
        raise ValueError("as asked")
    if what == "exit":
        os._exit(5)
    if what == "cookies":
        response = func.HttpResponse("c", status_code=418, headers={"X-Own": "1"})
        response.headers.add("Set-Cookie", "one=a%b; Path=/x; HttpOnly; Max-Age=5")
        response.headers.add("Set-Cookie", "two=2; Secure; SameSite=Lax; Expires=Wed, 21 Oct 2026 07:28:00 GMT")
        return response
    return {
        "text": "plain",
        "bytes": func.HttpResponse(bytes(range(256)), mimetype="application/x-own"),
        "empty": func.HttpResponse(status_code=204),
        "none": None,
        "dict": {"a": 1},
        "number": 5,
        "badstatus": func.HttpResponse("x", status_code=9999),
    }[what]


@app.route(route="size", methods=["POST"], auth_level=ANONYMOUS)
def size(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(str(len(req.get_body())))


@app.route(route="wait", auth_level=ANONYMOUS)
async def wait(req: func.HttpRequest) -> str:
    logging.info("waiting %s s", req.params["seconds"])
    await asyncio.sleep(float(req.params["seconds"]))
    return "waited"


@app.route(route="off", auth_level=ANONYMOUS)
def off(req: func.HttpRequest) -> str:
    return "on"


@app.route(route="lookup/{key}", auth_level=ANONYMOUS)
@app.blob_input("found", path="%BOX%/{key}.txt", connection="AzureWebJobsStorage")
@app.blob_output("copy", path="%BOX%/copy-{Query.to}.txt", connection="AzureWebJobsStorage")
def lookup(req: func.HttpRequest, found: func.InputStream, copy: func.Out[bytes]) -> func.HttpResponse:
    if found is None:
        return func.HttpResponse("nothing", status_code=404)
    content = found.read()
    copy.set(content.upper())
    return func.HttpResponse(content)

"""Blob functions: copy, fail, and one fed by Event Grid."""

import json
import os

import azure.functions as func

app = func.FunctionApp()
STORAGE = "AzureWebJobsStorage"


def record(kind, **facts):
    with open(os.environ["EVENTS"], "a") as out:
        out.write(json.dumps({"kind": kind, **facts}) + "\n")


@app.blob_trigger("source", path="%BOX%/raw/{name}.csv", connection=STORAGE)
@app.blob_output("target", path="%BOX%/done/{name}.{rand-guid}", connection=STORAGE)
def copy(source: func.InputStream, target: func.Out[bytes]) -> None:
    content = source.read()
    record("copy", name=source.name, length=source.length, uri=source.uri, meta=source.metadata, text=content.decode())
    target.set(content)


@app.blob_trigger("text", path="%BOX%/bad/{name}", connection=STORAGE)
async def bad(text: bytes) -> None:
    record("bad", text=text.decode())
    raise RuntimeError("as asked")


@app.blob_trigger("source", path="%BOX%/grid/{name}", connection=STORAGE, source=func.BlobSource.EVENT_GRID)
def grid(source: func.InputStream) -> None:
    record("grid", name=source.name, text=source.read().decode())

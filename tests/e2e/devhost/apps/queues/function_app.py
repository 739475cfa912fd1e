"""Queue functions whose messages say what to do."""

import asyncio
import json
import os
import time
from typing import List  # noqa: UP035

import azure.functions as func

app = func.FunctionApp()
STORAGE = "AzureWebJobsStorage"


def record(kind, **facts):
    line = json.dumps({"kind": kind, "time": time.time(), "pid": os.getpid(), **facts}) + "\n"
    with open(os.environ["EVENTS"], "a") as out:
        out.write(line)


@app.queue_trigger("msg", queue_name="%IN%", connection=STORAGE)
@app.queue_output("out", queue_name="%OUT%", connection=STORAGE)
def work(msg: func.QueueMessage, out: func.Out[bytes], context: func.Context) -> None:
    task = msg.get_json()
    what = task["do"]
    record("start", id=task.get("id"), dequeue=msg.dequeue_count, message=msg.id, invocation=context.invocation_id)
    if what == "fail" or (what == "fail-once" and msg.dequeue_count == 1):
        raise RuntimeError("as asked")
    if what == "exit-once" and msg.dequeue_count == 1:
        os._exit(7)
    if what == "sysexit-once" and msg.dequeue_count == 1:
        raise SystemExit(3)
    if what == "sleep" or (what == "sleep-once" and msg.dequeue_count == 1):
        time.sleep(task["seconds"])
    record("end", id=task.get("id"), dequeue=msg.dequeue_count)
    out.set(msg.get_body())


@app.queue_trigger("msg", queue_name="%HOPS%", connection=STORAGE)
@app.queue_output("following", queue_name="%HOPS%", connection=STORAGE)
async def hop(msg: func.QueueMessage, following: func.Out[str]) -> None:
    left = int(msg.get_body())
    record("hop", left=left, clock=time.perf_counter())
    if left:
        following.set(str(left - 1))


@app.queue_trigger("text", queue_name="%FAN%", connection=STORAGE)
@app.queue_output("many", queue_name="%OUT%", connection=STORAGE)
@app.queue_output("one", queue_name="{target}", connection=STORAGE)
# The worker takes List[str] and refuses list[str].
async def fan(text: str, many: func.Out[List[str]], one: func.Out[str]) -> None:  # noqa: UP006
    task = json.loads(text)
    await asyncio.sleep(0)
    many.set(task["many"])
    one.set(task["one"])


@app.queue_trigger("msg", queue_name="%RETRIED%", connection=STORAGE)
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00")
def retried(msg: func.QueueMessage, context: func.Context) -> None:
    record("retried", count=context.retry_context.retry_count, dequeue=msg.dequeue_count)
    raise RuntimeError("always")


@app.route(route="put", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.queue_output("out", queue_name="%IN%", connection=STORAGE)
def put(req: func.HttpRequest, out: func.Out[func.QueueMessage]) -> str:
    out.set(req.get_body().decode())
    return "put"

"""A fast timer, a slow one, and one that runs at the start."""

import json
import os
import time

import azure.functions as func

app = func.FunctionApp()


def record(kind, timer, **more):
    facts = {
        "past_due": timer.past_due,
        "status": timer.schedule_status,
        "time": time.time(),
        "pid": os.getppid(),
        **more,
    }
    with open(os.environ["EVENTS"], "a") as out:
        out.write(json.dumps({"kind": kind, **facts}) + "\n")


@app.timer_trigger("timer", schedule="%FAST%")
def fast(timer: func.TimerRequest) -> None:
    record("fast", timer)
    if not timer.past_due:
        raise RuntimeError("a failing timer goes on")


@app.timer_trigger("timer", schedule="0 0 3 * * *")
async def nightly(timer: func.TimerRequest) -> None:
    record("nightly", timer)


@app.timer_trigger("timer", schedule="0 0 4 1 1 *", run_on_startup=True)
def starting(timer: func.TimerRequest) -> None:
    record("starting", timer)


@app.timer_trigger("timer", schedule="0 0 4 1 1 *", run_on_startup=True)
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00")
def retried(timer: func.TimerRequest, context: func.Context) -> None:
    retry = context.retry_context
    record("retried", timer, count=retry.retry_count, limit=retry.max_retry_count, error=retry.exception.message)
    raise RuntimeError("always")

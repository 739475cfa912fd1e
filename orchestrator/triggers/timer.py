"""The timer-triggered function: once a minute, set going again what stands still."""

from __future__ import annotations

import logging

import azure.functions as func

from orchestrator.engine.sweep import sweep
from orchestrator.triggers.outbox import STORAGE, Outbox, send
from orchestrator.triggers.service import Service

log = logging.getLogger("millstream.timer")

EVERY_MINUTE = "0 * * * * *"


def blueprint(service: Service) -> func.Blueprint:
    """The sweep. It may fire twice or late: nothing depends on its moment."""
    functions = func.Blueprint()  # type: ignore[no-untyped-call]

    @functions.function_name("sweep")
    @functions.timer_trigger(arg_name="timer", schedule=EVERY_MINUTE)
    @functions.queue_output(arg_name="outbox", queue_name=service.settings.queue, connection=STORAGE)
    def sweep_runs(timer: func.TimerRequest, outbox: Outbox) -> None:
        del timer
        swept = service.world.run(sweep(service.memory))
        for run, reason in swept.failed:
            log.warning("run %s could not be swept: %s", run, reason)
        if swept.messages:
            log.info("the sweep sent %d messages for %d unfinished runs", len(swept.messages), swept.seen)
        send(outbox, swept.messages)

    return functions

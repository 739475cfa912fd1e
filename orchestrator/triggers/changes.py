"""The functions through which changed blobs come in: blob triggers, the queue of batches, and the sweep.

Blob triggers are one for each place that the settings name, fed by polling or by Event Grid. What they are told is a
hint; all of them end in the one intake, `orchestrator.changes`.
"""

from __future__ import annotations

import logging

import azure.functions as func
import msgspec

from orchestrator import logs
from orchestrator.changes.runs import Tick
from orchestrator.changes.sweep import sweep_changes
from orchestrator.triggers import blueprints
from orchestrator.triggers.naming import watcher
from orchestrator.triggers.outbox import STORAGE, left_to_newer
from orchestrator.triggers.service import Service

log = logging.getLogger("millstream.changes")

EVERY_MINUTE = "30 * * * * *"
"""Half a minute apart from the sweep of runs."""


def blueprint(service: Service) -> func.Blueprint:
    """The functions of data-change schedules."""
    functions = blueprints.blueprint()
    for container, folder in service.settings.blob_event_places:
        _watch(functions, service, container, folder)
    _batches(functions, service)
    _sweep(functions, service)
    return functions


def _watch(functions: func.Blueprint, service: Service, container: str, folder: str) -> None:
    source = func.BlobSource.EVENT_GRID if service.settings.blob_events == "eventgrid" else None
    place = f"{container}/{folder}" if folder else container

    @functions.function_name(watcher(place))
    @functions.blob_trigger(arg_name="blob", path=f"{place}/{{name}}", connection=STORAGE, source=source)
    def blob_changed(blob: func.InputStream) -> None:
        # The name begins with the container.
        name = (blob.name or "").partition("/")[2]
        if taken := service.world.run(service.intake.notice(container, name)):
            log.info("%s/%s was a change for %d schedules", container, name, taken)


def _batches(functions: func.Blueprint, service: Service) -> None:
    @functions.function_name("close_batch")
    @functions.queue_trigger(arg_name="msg", queue_name=service.settings.changes_queue, connection=STORAGE)
    def close_batch(msg: func.QueueMessage) -> None:
        try:
            tick = msgspec.json.decode(msg.get_body(), type=Tick)
        except msgspec.MsgspecError:
            log.exception("a message that is none of ours was dropped from the queue of batches: %s", msg.id)
            return
        with logs.about(schedule=tick.schedule), left_to_newer(service, service.settings.changes_queue, msg):
            service.world.run(service.intake.tick(tick.schedule))


def _sweep(functions: func.Blueprint, service: Service) -> None:
    @functions.function_name("sweep_changes")
    @functions.timer_trigger(arg_name="timer", schedule=EVERY_MINUTE)
    def sweep(timer: func.TimerRequest) -> None:
        del timer
        swept = service.world.run(sweep_changes(service.intake))
        for schedule, reason in swept.failed:
            log.warning("schedule %s could not be swept for changes: %s", schedule, reason)
        if swept.found:
            log.info("the sweep found %d changes that no event had told of", swept.found)

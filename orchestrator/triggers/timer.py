"""The timer-triggered functions: once a minute, set going again what stands still, and start what is due; once a night,
put away what is left over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import azure.functions as func

from orchestrator.catalog.firing import Fired, fire
from orchestrator.catalog.orphaned_secrets import forget_orphans
from orchestrator.core.errors import MillstreamError
from orchestrator.engine import health
from orchestrator.engine import outbox as webhooks
from orchestrator.engine.sweep import sweep
from orchestrator.events import QUEUE_LOOKED_AT, Fact, Tell
from orchestrator.executions import CountMessages
from orchestrator.triggers import blueprints
from orchestrator.triggers.executions import start_executions
from orchestrator.triggers.outbox import Outbox, send, sends
from orchestrator.triggers.service import Service

log = logging.getLogger("millstream.timer")

EVERY_MINUTE = "0 * * * * *"
EVERY_NIGHT = "0 41 3 * * *"
MOST_RUNS = 100
"""Runs that are started before the schedule's progress is noted and what is due is looked for again."""
LONGEST_FIRING = 50.0
"""Seconds after which no further round begins: the next minute's invocation goes on."""
SHORTEST_PAUSE = 0.25


def blueprint(service: Service) -> func.Blueprint:
    """The sweep and the schedules. They may fire twice or late: nothing depends on their moment."""
    functions = blueprints.blueprint()

    @functions.function_name("sweep")
    @functions.timer_trigger(arg_name="timer", schedule=EVERY_MINUTE)
    @sends(functions, service.settings.queue)
    def sweep_runs(timer: func.TimerRequest, outbox: Outbox, urgent: Outbox) -> None:
        del timer
        swept = service.world.run(sweep(service.memory))
        for run, reason in swept.failed:
            log.warning("run %s could not be swept: %s", run, reason)
        if swept.messages:
            log.info("the sweep sent %d messages for %d unfinished runs", len(swept.messages), swept.seen)
        send(service, outbox, urgent, swept.messages)
        start_executions(service)
        _sweep_webhooks(service)
        for queue in service.settings.step_queues:
            _look_at_queue(service, queue)
        _note_swept(service)

    @functions.function_name("fire_schedules")
    @functions.timer_trigger(arg_name="timer", schedule=EVERY_MINUTE)
    def fire_schedules(timer: func.TimerRequest) -> None:
        del timer
        fire_what_is_due(service)

    if service.settings.vault:

        @functions.function_name("forget_orphaned_secrets")
        @functions.timer_trigger(arg_name="timer", schedule=EVERY_NIGHT)
        def forget_orphaned_secrets(timer: func.TimerRequest) -> None:
            del timer
            forgotten = service.world.run(forget_orphans())
            if forgotten:
                log.warning("the vault held %d secrets that no row named: they are deleted", forgotten)

    return functions


def fire_what_is_due(
    service: Service, *, monotonic: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Start what is due, round after round, and wait for what is due in a moment (the setting `fire_ahead`)."""
    ahead = min(service.settings.fire_ahead, LONGEST_FIRING)
    began = monotonic()
    while True:
        fired = service.world.run(fire(service.submitter, most=MOST_RUNS))
        _tell(fired)
        passed = monotonic() - began
        if fired.next_due is None or passed > LONGEST_FIRING:
            return
        if fired.next_due > 0 and passed + fired.next_due > ahead:
            return
        # A bit more: the clock of storage, which decides, has whole seconds.
        sleep(fired.next_due + SHORTEST_PAUSE)


def _look_at_queue(service: Service, queue: str) -> None:
    """Tell how long the oldest message has waited: what grows when steps come faster than they are run."""
    try:
        found = service.world.run(iter(CountMessages(queue=queue)))
    except MillstreamError as error:
        log.warning("queue %s could not be looked at: %s", queue, error)
        return
    facts: dict[str, Fact] = {"queue": queue, "messages": found.total, "age_seconds": round(found.oldest, 1)}
    service.world.run(iter(Tell(event=QUEUE_LOOKED_AT, facts=facts)))


def _note_swept(service: Service) -> None:
    try:
        service.world.run(health.note_swept())
    except MillstreamError as error:
        log.warning("that the sweep came to its end could not be noted: %s", error.message)


def _tell(fired: Fired) -> None:
    if fired.started:
        log.info("schedules have started %d runs", fired.started)
    for schedule, reason in fired.refused:
        log.warning("schedule %s: an occurrence has no run: %s", schedule, reason)
    for schedule, reason in fired.failed:
        log.warning("schedule %s could not be fired, and is tried again: %s", schedule, reason)


def _sweep_webhooks(service: Service) -> None:
    """A failure here is left to the next minute: the messages of steps are not to be lost with it."""
    try:
        overdue = service.world.run(webhooks.sweep(service.memory))
    except MillstreamError as error:
        log.warning("the webhooks could not be swept: %s", error.message)
        return
    if overdue:
        log.info("the sweep sent messages for %d overdue calls of webhooks", overdue)

"""Executions, from the Functions app: started for what waits, and stopped when their run is cancelled.

Only where the app itself starts them (MILLSTREAM_EXECUTIONS is container-apps); elsewhere the driver or the platform
looks at the queues.
"""

from __future__ import annotations

import logging

from orchestrator.catalog import computes
from orchestrator.catalog.dispatch import dispatch
from orchestrator.catalog.stopping import stop_executions
from orchestrator.core.errors import MillstreamError
from orchestrator.triggers.service import Service

log = logging.getLogger("millstream.executions")

BY = "Container Apps job"


def start_executions(service: Service) -> None:
    """For what waits on the queues of all computes. What cannot be started now, is in a minute."""
    if not service.settings.starts_executions:
        return
    own = service.settings.computes.values()
    try:
        every = service.world.run(computes.every(own))
        done = service.world.run(dispatch(every, service.settings.step_queues, lambda _: BY))
    except MillstreamError as error:
        log.warning("no executions could be started: %s", error.message)
        return
    for name, reason in done.failed:
        log.warning("compute %s: %s", name, reason)


def end_executions(service: Service, run: str) -> None:
    """Those of a run that was cancelled."""
    if not service.settings.starts_executions:
        return
    try:
        service.world.run(stop_executions(service.memory, run))
    except MillstreamError as error:
        log.warning("the executions of run %s end by themselves: %s", run, error.message)

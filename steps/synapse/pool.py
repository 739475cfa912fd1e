"""A step's work in a Spark pool of Synapse, by its batches.

A batch has no idempotency token. So it has a name made of run, step and number of retries, and before one is submitted,
and again after each answer that was lost, the pool's batches are looked through for it.
"""

from __future__ import annotations

from typing import Final

from orchestrator.core.kinds.synapse_spark import SparkBatch
from orchestrator.core.resolving import resolve_timeout
from steps import environment
from steps.context import StepContext
from steps.deferred import NotYet
from steps.failures import JobFailed, ServiceFailed
from steps.remote import bringing, source_files
from steps.remote.attached import Workspace
from steps.remote.ending import ending
from steps.remote.following import LOOK_PATIENCE, Handle, handle_of, not_yet, show, tell
from steps.remote.http import Api, Refused, refusal
from steps.remote.places import Places, opened
from steps.remote.waiting import Waiter
from steps.spark.local import script_of
from steps.synapse import requests
from steps.synapse.requests import State

WHO: Final = "Synapse"
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 15.0
"""Seconds between two tries to submit a batch."""
PAGE: Final = 20


def run(context: StepContext, wanted: SparkBatch, workspace: Workspace, places: Places) -> NotYet | None:
    """Submit the batch, or look at it; outputs are there when it has ended well. Raises StepFailure, Stopped."""
    handle, path = handle_of(context), requests.batches(workspace.pool)
    try:
        if handle is None:
            script_of(context, wanted.file)
            waiter = Waiter(context.stop)
            api = Api(WHO, workspace.url, workspace.token, waiter, patience=LOOK_PATIENCE)
            number = _submitted(context, wanted, api, waiter, path, places)
            context.log.note(f"{WHO} batch {number} is submitted.")
            context.report_property("synapse_batch_id", str(number))
            return not_yet(context, Handle(job=number), WHO)
        state = _look(context, workspace, path, handle)
    except Refused as error:
        raise refusal(WHO, error, "do the step's work") from error
    if isinstance(state, NotYet):
        return state
    if not state.succeeded:
        raise JobFailed(f"The {WHO} batch {handle.job} ended as {state}. {state.page}".rstrip())
    bringing.bring_outputs(context, places)
    return None


def call_off(context: StepContext, wanted: SparkBatch, workspace: Workspace) -> None:
    """Cancel the batch, if there is one. Raises StepFailure, Stopped."""
    handle, path = handle_of(context), requests.batches(workspace.pool)
    api = Api(WHO, workspace.url, workspace.token, Waiter(context.stop), patience=LOOK_PATIENCE)
    try:
        number = handle.job if handle is not None else _found(api, path, requests.name_of(context.job, wanted))
        if number is not None:
            api.delete(f"{path}/{number}")
            context.log.note(f"{WHO} batch {number} is cancelled.")
    except Refused as error:
        raise refusal(WHO, error, "cancel the batch") from error


def _submitted(context: StepContext, wanted: SparkBatch, api: Api, waiter: Waiter, path: str, places: Places) -> int:
    """The number of the batch, a new one or the one that is there."""
    body, pause = None, FIRST_PAUSE
    name = requests.name_of(context.job, wanted)
    until = waiter.passed() + LOOK_PATIENCE
    while True:
        found = _found(api, path, name)
        if found is not None:
            return found
        body = body or _body(context, wanted, places)
        try:
            return int(api.once("POST", f"{path}?detailed={requests.DETAILED}", body)["id"])
        except ServiceFailed:
            if waiter.passed() + pause > until:
                raise
        waiter.pause(pause)
        pause = min(LONGEST_PAUSE, pause * 1.5)


def _found(api: Api, path: str, name: str) -> int | None:
    start = 0
    while True:
        page = api.get(path, **{"from": start, "size": PAGE, "detailed": requests.DETAILED})
        sessions = page.get("sessions") or []
        for session in sessions:
            if session.get("name") == name:
                return int(session["id"])
        start += len(sessions)
        if not sessions or start >= int(page.get("total", 0)):
            return None


def _body(context: StepContext, wanted: SparkBatch, places: Places) -> dict[str, object]:
    timeout = resolve_timeout(context.job.step, context.job.parameters)
    outputs = places.output_urls(context.job)
    sources = source_files.put(context, places)
    urls = {path: sources.container.url(name) for path, name in sources.blobs.items()}
    conf = opened(context.job, places, timeout, {sources.container.address: False}, wanted.conf)
    arguments = environment.arguments(context.job, context.inputs, outputs)
    return requests.submission(context.job, wanted, urls=urls, arguments=arguments, conf=conf)


def _look(context: StepContext, workspace: Workspace, path: str, handle: Handle) -> State | NotYet:
    """The batch at its end. Raises TimedOut, Refused, ServiceFailed, Stopped."""
    api = Api(WHO, workspace.url, workspace.token, Waiter(context.stop), patience=LOOK_PATIENCE)
    number = handle.job
    with ending(context, lambda: api.once("DELETE", f"{path}/{number}", None)):
        state = requests.state_of(api.get(f"{path}/{number}", detailed=requests.DETAILED))
        if state.page:
            context.report_property("spark_ui_url", state.page)
        handle = tell(context, handle, WHO, str(state))
        handle = show(context, handle, state.log)
        return state if state.ended else not_yet(context, handle, WHO)

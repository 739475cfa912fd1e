"""Runs once more: from the beginning, or from where they failed."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from orchestrator.catalog.repeats import RESUBMIT_OF, earlier
from orchestrator.catalog.submissions import Submission
from orchestrator.core.webhook import MOST_A_RUN
from orchestrator.engine.view import RunView
from orchestrator.triggers.http_runs import IDEMPOTENCY_KEY, KEY_HELP, NotifyRequest, named, started
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import ExperimentName, RunId, Source, Strict


class RerunRequest(Strict, frozen=True, kw_only=True):
    """What is not given is as in the earlier run; `tags` are added to its own, null leaves one out."""

    experiment_name: ExperimentName | None = None
    tags: dict[str, str | None] = msgspec.field(default_factory=dict)
    properties: dict[str, str] = msgspec.field(default_factory=dict)
    description: str | None = None
    continue_on_step_failure: bool | None = None
    run_id: RunId | None = None
    source: Source = "http"
    notify: Annotated[tuple[NotifyRequest, ...], Meta(max_length=MOST_A_RUN)] | None = None


class ResubmitRequest(RerunRequest, frozen=True, kw_only=True):
    """What is not given is as in the earlier run; `tags` are added to its own, null leaves one out."""

    parameters: Annotated[
        dict[str, Any], Meta(description="Values that are to differ from those of the earlier run.")
    ] = msgspec.field(default_factory=dict)


@route(
    "POST",
    "runs/{run_id}/resubmit",
    summary="Run the same again",
    role=Role.SUBMITTER,
    answers={202: RunView, 200: RunView},
    errors=(404, 409, 413),
    headers={IDEMPOTENCY_KEY: KEY_HELP},
    example={"parameters": {"reg_rate": 0.05}, "tags": {"attempt": "second"}},
    sends=True,
)
def resubmit_run(service: Service, asked: Asked, body: ResubmitRequest) -> Reply:
    """A new run of what this run ran, with its parameters and tags, but for those that are given here.

    The run may be going on. Sent again with the same `run_id` or Idempotency-Key it answers with the same new run.
    """
    return _repeat(service, asked, body, parameters=body.parameters)


@route(
    "POST",
    "runs/{run_id}/rerun",
    summary="Run again what failed",
    role=Role.SUBMITTER,
    answers={202: RunView, 200: RunView},
    errors=(404, 409, 413),
    headers={IDEMPOTENCY_KEY: KEY_HELP},
    example={"tags": {"attempt": "second"}},
    sends=True,
)
def rerun_run(service: Service, asked: Asked, body: RerunRequest) -> Reply:
    """A new run with the same definition and parameters that keeps the steps which this run has finished.

    The run must have failed or been cancelled: 409 otherwise.
    """
    return _repeat(service, asked, body, keep_finished=True)


def _repeat(
    service: Service,
    asked: Asked,
    body: RerunRequest,
    *,
    parameters: dict[str, Any] | None = None,
    keep_finished: bool = False,
) -> Reply:
    before = service.world.run(earlier(asked.path["run_id"]))
    tags = {name: value for name, value in {**before.tags, **body.tags}.items() if value is not None}
    wish = Submission(
        experiment=before.experiment if body.experiment_name is None else body.experiment_name,
        earlier=before,
        keep_finished=keep_finished,
        parameters={**before.parameters, **(parameters or {})},
        tags=tags,
        properties=body.properties if keep_finished else {RESUBMIT_OF: before.id, **body.properties},
        description=before.description if body.description is None else body.description,
        keep_going=body.continue_on_step_failure,
        run_id=body.run_id,
        idempotency_key=asked.headers.get(IDEMPOTENCY_KEY.lower()),
        source=body.source,
        parent_run=before.parent_run,
        notify=before.notify if body.notify is None else named(body.notify),
        started_by=asked.caller,
    )
    return started(service, wish)


ROUTES = (resubmit_run, rerun_run)

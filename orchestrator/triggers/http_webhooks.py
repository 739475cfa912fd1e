"""Webhooks: who is told of the end of runs."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from orchestrator.catalog import webhooks
from orchestrator.catalog.webhooks import LONGEST_TEXT, Registration
from orchestrator.core.errors import Conflict
from orchestrator.core.notice import NoticeState
from orchestrator.core.webhook import LONGEST_URL, Event, Webhook, shown_url
from orchestrator.engine import outbox
from orchestrator.engine.view import run_view
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import Strict, text


class WebhookRequest(Strict, frozen=True, kw_only=True):
    """No `events`: every end of a run. `pipeline_id`: only runs of this published pipeline."""

    url: Annotated[str, text("http or https.", "^https?://", longest=LONGEST_URL)]
    events: tuple[Event, ...] = ()
    pipeline_id: str = ""
    description: Annotated[str, Meta(max_length=LONGEST_TEXT)] = ""
    enabled: bool = True
    new_secret: Annotated[bool, Meta(description="Sign with another secret from now on, and show it.")] = False


class WebhookView(msgspec.Struct, frozen=True, kw_only=True):
    """The query of `url` is not shown. `secret` is, once: in the answer that has made it."""

    name: str
    url: str
    events: tuple[Event, ...]
    pipeline_id: str | None
    description: str
    enabled: bool
    created_at: float
    secret: str | None = None


class WebhookList(msgspec.Struct, frozen=True, kw_only=True):
    webhooks: tuple[WebhookView, ...]


class NoticeView(msgspec.Struct, frozen=True, kw_only=True):
    """How it goes to tell a webhook of the end of a run. Times in epoch seconds.

    `message_id` is the header webhook-id of every call. `attempts` have been begun; `status` and `error` are those of
    the last one: the HTTP status, null without an answer.
    """

    webhook: str
    event: Event
    state: NoticeState
    message_id: str
    attempts: int
    status: int | None
    error: str
    changed_at: float
    next_at: float | None


class NoticeList(msgspec.Struct, frozen=True, kw_only=True):
    notices: tuple[NoticeView, ...]


@route(
    "PUT",
    "webhooks/{webhook}",
    summary="Register a webhook",
    role=Role.OPERATOR,
    answers={201: WebhookView, 200: WebhookView},
    errors=(404, 409, 413),
    example={"url": "https://hooks.example.org/millstream", "events": ["run.failed"]},
)
def put_webhook(service: Service, asked: Asked, body: WebhookRequest) -> Reply:
    """Have a URL called at the end of runs. If there is one of this name, it is changed (200), and keeps its secret.

    `secret` verifies the calls, as Standard Webhooks says. It is shown once and not stored.
    """
    if not service.settings.webhook_keys:
        raise Conflict("This service has no webhooks: MILLSTREAM_WEBHOOK_KEYS is not set.", field="webhook")
    wish = Registration(
        url=body.url,
        events=body.events,
        pipeline_id=body.pipeline_id,
        description=body.description,
        enabled=body.enabled,
        new_secret=body.new_secret,
    )
    task = webhooks.put(asked.path["webhook"], wish, private=service.settings.webhook_private)
    made = service.world.run(task)
    secret = service.settings.webhook_secret(made.webhook.signer) if made.renewed else None
    view = msgspec.structs.replace(_view(made.webhook), secret=secret)
    return Reply(body=view, status=201 if made.created else 200)


@route("GET", "webhooks", summary="List webhooks", role=Role.READER, answers={200: WebhookList})
def list_webhooks(service: Service, asked: Asked) -> Reply:
    """Those that are registered, by name."""
    del asked
    found = service.world.run(outbox.webhooks())
    return Reply(body=WebhookList(webhooks=tuple(_view(webhook) for webhook in found)))


@route(
    "GET", "webhooks/{webhook}", summary="Get a webhook", role=Role.READER, answers={200: WebhookView}, errors=(404,)
)
def get_webhook(service: Service, asked: Asked) -> Reply:
    """Without its secret."""
    return Reply(body=_view(service.world.run(webhooks.get(asked.path["webhook"]))))


@route(
    "DELETE",
    "webhooks/{webhook}",
    summary="Remove a webhook",
    role=Role.OPERATOR,
    answers={200: WebhookView},
    errors=(404,),
)
def delete_webhook(service: Service, asked: Asked) -> Reply:
    """What it has not been told yet it will not be told."""
    return Reply(body=_view(service.world.run(webhooks.remove(asked.path["webhook"]))))


@route(
    "GET",
    "runs/{run_id}/notices",
    summary="Who has been told of a run's end",
    role=Role.READER,
    answers={200: NoticeList},
    errors=(404,),
)
def get_notices(service: Service, asked: Asked) -> Reply:
    """A notice for each webhook, by the webhook's name; none before the run has ended."""
    run = service.world.run(run_view(service.memory, asked.path["run_id"]))
    found = service.world.run(outbox.of_run(run.id))
    views = tuple(
        NoticeView(
            webhook=notice.webhook,
            event=notice.event,
            state=notice.state,
            message_id=notice.message_id,
            attempts=notice.attempt,
            status=notice.status or None,
            error=notice.error,
            changed_at=at,
            next_at=at + notice.delay if notice.state is NoticeState.WAITING else None,
        )
        for notice, at in found
    )
    return Reply(body=NoticeList(notices=views))


def _view(webhook: Webhook) -> WebhookView:
    return WebhookView(
        name=webhook.name,
        url=shown_url(webhook.url),
        events=webhook.events,
        pipeline_id=webhook.pipeline_id or None,
        description=webhook.description,
        enabled=webhook.enabled,
        created_at=webhook.created_at,
    )


ROUTES = (put_webhook, list_webhooks, get_webhook, delete_webhook, get_notices)

"""Registered webhooks: who is told of the end of runs, under a name. Their secrets are derived, never stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from orchestrator.catalog import pipelines
from orchestrator.core.errors import InvalidRequest, TooLarge, Unavailable, UnknownThing
from orchestrator.core.names import WEBHOOK, shown
from orchestrator.core.webhook import Event, Webhook, check_url
from orchestrator.engine import outbox
from orchestrator.engine.outbox import REGISTERED, WEBHOOKS
from orchestrator.engine.rows import VERSION
from orchestrator.ports import Commit, Delete, NewId, Now, Props, Refused, Task, Unanswered, Upsert

MOST: Final = 50
"""Each is a row that the end of every run reads, and perhaps a call."""
LONGEST_TEXT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a webhook is to be. `new_secret`: another one than it had."""

    url: str
    events: tuple[Event, ...] = ()
    pipeline_id: str = ""
    description: str = ""
    enabled: bool = True
    new_secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """`created`: it was not there. `renewed`: its secret is a new one."""

    webhook: Webhook
    created: bool
    renewed: bool


def put(name: str, wish: Registration, *, private: bool) -> Task[Registered]:
    """Register the webhook, or change it. Raises UserErrors naming the field."""
    WEBHOOK.check(name, "webhook")
    check_url(wish.url, "url", private=private)
    if len(wish.description) > LONGEST_TEXT:
        raise TooLarge(f"The description is longer than {LONGEST_TEXT:,} characters.", field="description")
    if wish.pipeline_id:
        yield from pipelines.get(wish.pipeline_id)
    before = yield from outbox.webhook(name)
    if before is None and len((yield from outbox.webhooks())) >= MOST:
        raise InvalidRequest(f"There are {MOST} webhooks already. Remove one first.", field="webhook")
    made = Webhook(
        name=name,
        url=wish.url,
        nonce=(yield from NewId()) if before is None or wish.new_secret else before.nonce,
        events=tuple(dict.fromkeys(wish.events)),
        pipeline_id=wish.pipeline_id.lower(),
        description=wish.description,
        enabled=wish.enabled,
        created_at=(yield from Now()) if before is None else before.created_at,
    )
    props: Props = {"v": VERSION, "webhook": msgspec.json.encode(made).decode()}
    try:
        yield from Commit(table=WEBHOOKS, pk=REGISTERED, writes=(Upsert(rk=name, props=props),))
    except Unanswered:
        raise Unavailable("Storage did not say whether the webhook was kept. Send the request again.") from None
    return Registered(webhook=made, created=before is None, renewed=before is None or wish.new_secret)


def get(name: str) -> Task[Webhook]:
    """Raises UnknownThing."""
    found = (yield from outbox.webhook(name)) if WEBHOOK.allows(name) else None
    if found is None:
        raise UnknownThing(
            f"There is no webhook {shown(name)}. GET /api/webhooks lists what there is.", field="webhook"
        )
    return found


def remove(name: str) -> Task[Webhook]:
    """Forget a webhook: what it has not been told yet it is not told. Raises UnknownThing."""
    there = yield from get(name)
    try:
        yield from Commit(table=WEBHOOKS, pk=REGISTERED, writes=(Delete(rk=name),))
    except Refused:
        pass  # somebody else has removed it meanwhile
    except Unanswered:
        raise Unavailable("Storage did not say whether the webhook was removed. Send the request again.") from None
    return there

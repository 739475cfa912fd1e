"""Handle one message of the outbox: call the webhook of a run that has ended, once, and keep what became of it."""

from __future__ import annotations

from typing import Final

import msgspec

from orchestrator.core.errors import Unavailable
from orchestrator.core.message import Delivery
from orchestrator.core.notice import LONGEST_ERROR, Notice, NoticeMessage, NoticeState
from orchestrator.core.run import RunInfo
from orchestrator.core.webhook import Notify, Webhook
from orchestrator.engine import outbox
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.noticebody import body_of
from orchestrator.engine.outbox import OUTBOX, WEBHOOKS
from orchestrator.engine.reading import read_info
from orchestrator.ports import Commit, Delete, Get, Merge, Post, Posted, Refused, Row, Task, Unanswered

GONE: Final = 410
"""The receiver wants to hear no more."""


def notify(memory: ProcessMemory, message: NoticeMessage, delivery: Delivery) -> Task[None]:
    """Call the webhook, if that call has not been made yet. Raises Unavailable: the message will come back.

    A message that comes back tells that its process died during the call: then it is made again.
    """
    row = yield from Get(table=WEBHOOKS, pk=OUTBOX, rk=outbox.key(message.run, message.webhook))
    if row is None:
        return
    notice = outbox.read(row)
    if message.attempt <= notice.attempt and delivery.count == 1:
        return  # a duplicate: that call has begun already
    settled_before = yield from Get(table=WEBHOOKS, pk=outbox.settled(notice.run), rk=notice.webhook)
    if settled_before is not None:
        yield from outbox.ensure(OUTBOX, Delete(rk=row.rk))
        return
    if notice.attempt >= memory.settings.webhook_attempts:
        yield from outbox.settle(notice, NoticeState.GIVEN_UP)  # its process died during the last call
        return
    begun = msgspec.structs.replace(notice, attempt=notice.attempt + 1, delay=0.0, looks=0)
    if (etag := (yield from _replace(row, begun))) is not None:
        yield from _call(memory, begun, etag)


def _call(memory: ProcessMemory, notice: Notice, etag: str) -> Task[None]:
    info = yield from read_info(memory, notice.run)
    target = None if info is None else (yield from _target(info, notice.webhook))
    if target is None:
        yield from outbox.settle(notice, NoticeState.DROPPED)
        return
    body = yield from body_of(memory, notice.run, notice.event)
    posted = yield from Post(url=target.url, body=body, message_id=notice.message_id, signer=target.signer)
    after = msgspec.structs.replace(notice, status=posted.status, error=posted.error[:LONGEST_ERROR])
    if posted.accepted:
        yield from outbox.settle(after, NoticeState.DELIVERED)
    elif _is_last(memory, notice, posted):
        yield from outbox.settle(after, NoticeState.GIVEN_UP)
    else:
        after = msgspec.structs.replace(after, delay=memory.settings.webhook_delays[notice.attempt - 1])
        write = Merge(rk=outbox.key(notice.run, notice.webhook), props=outbox.props(after), etag=etag)
        yield from outbox.ensure(OUTBOX, write)
        # Also when it was refused: that may be since it was written before, and no answer came.
        yield from outbox.send(memory, after)


def _is_last(memory: ProcessMemory, notice: Notice, posted: Posted) -> bool:
    return posted.status == GONE or notice.attempt >= memory.settings.webhook_attempts


def _target(info: RunInfo, webhook: str) -> Task[Webhook | Notify | None]:
    """Whom to call: as it is registered now."""
    for named in info.notify:
        if named.id == webhook:
            return named
    found = yield from outbox.webhook(webhook)
    return found if found is not None and found.enabled else None


def _replace(row: Row, notice: Notice) -> Task[str | None]:
    """Write the notice in place of the one in `row`; None: somebody else has."""
    try:
        (etag,) = yield from Commit(
            table=WEBHOOKS, pk=OUTBOX, writes=(Merge(rk=row.rk, props=outbox.props(notice), etag=row.etag),)
        )
    except Refused:
        return None
    except Unanswered:
        raise Unavailable("Table storage did not answer. The message will come back.") from None
    return etag

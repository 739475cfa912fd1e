"""The outbox of webhooks: who is to be told of the end of a run, kept until it is settled.

Before the end of a run is noted in the lists, a notice for each webhook is put in the outbox, and a message sent. Until
then the run is among the unfinished ones, so whatever a crash cuts off is repeated. A notice stays in the outbox until
it is settled; the sweep sends a message for one that is overdue.

    registered      <webhook>         webhooks with a name
    outbox          <run>|<webhook>   notices that are not settled
    r|<run>         <webhook>         notices that are
"""

from __future__ import annotations

from typing import Final

import msgspec

from orchestrator.core import notice as notices
from orchestrator.core.notice import Notice, NoticeMessage, NoticeState
from orchestrator.core.run import RunInfo
from orchestrator.core.states import RunStatus
from orchestrator.core.webhook import EVENTS, Webhook
from orchestrator.engine import repeatable
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.rows import VERSION
from orchestrator.ports import (
    Commit,
    Delete,
    Get,
    Insert,
    Merge,
    Now,
    Props,
    Query,
    Refused,
    Row,
    Send,
    Task,
    Unanswered,
    Upsert,
    Write,
)

WEBHOOKS: Final = "webhooks"
REGISTERED: Final = "registered"
OUTBOX: Final = "outbox"
_MOST_DOUBLINGS = 5

_webhook = msgspec.json.Decoder(Webhook).decode
_notice = msgspec.json.Decoder(Notice).decode


def announce(memory: ProcessMemory, info: RunInfo, status: RunStatus) -> Task[None]:
    """Put a notice for every webhook that wants to hear of this end in the outbox, and send its message.

    Repeating it is harmless: a notice that has been settled is not sent to its webhook again.
    """
    if not memory.settings.webhook_queue or info.is_part:
        return
    event = EVENTS[status]
    registered = yield from webhooks()
    wanted = [hook.id for hook in registered if hook.wants(event, info.pipeline_id)]
    wanted += [hook.id for hook in info.notify if hook.wants(event)]
    for hook_id in wanted:
        notice = Notice(run=info.id, webhook=hook_id, event=event)
        yield from ensure(OUTBOX, Insert(rk=key(info.id, hook_id), props=props(notice)))
        yield from send(memory, notice)


def sweep(memory: ProcessMemory) -> Task[int]:
    """Send a message for every notice that should have moved and has not. Returns how many there were.

    With growing patience: its message may just be waiting in a long queue. Of two sweeps at once, one sends.
    """
    if not memory.settings.webhook_queue:
        return 0
    rows = yield from Query(table=WEBHOOKS, pk=OUTBOX, first="", last="~")
    overdue = 0
    for row in rows:
        notice = read(row)
        if row.age > notice.delay + memory.settings.webhook_patience * 2 ** min(notice.looks, _MOST_DOUBLINGS):
            looked = msgspec.structs.replace(notice, looks=notice.looks + 1, delay=0.0)
            if (yield from _touch(row, looked)):
                yield from send(memory, looked)
                overdue += 1
    return overdue


def _touch(row: Row, notice: Notice) -> Task[bool]:
    """Note a look in the row, whose age begins anew. False: it has moved meanwhile."""
    try:
        yield from Commit(table=WEBHOOKS, pk=OUTBOX, writes=(Merge(rk=row.rk, props=props(notice), etag=row.etag),))
    except Refused:
        return False
    except Unanswered:
        return True  # perhaps a message too many, which is harmless
    return True


def webhook(name: str) -> Task[Webhook | None]:
    """The one that is registered under this name."""
    row = yield from Get(table=WEBHOOKS, pk=REGISTERED, rk=name)
    return None if row is None else _webhook(str(row.props["webhook"]))


def webhooks() -> Task[tuple[Webhook, ...]]:
    """All that are registered, by name."""
    rows = yield from Query(table=WEBHOOKS, pk=REGISTERED, first="", last="~")
    return tuple(_webhook(str(row.props["webhook"])) for row in rows)


def of_run(run: str) -> Task[tuple[tuple[Notice, float], ...]]:
    """The notices of a run by webhook, each with when something last became of it, in epoch seconds."""
    waiting = yield from Query(table=WEBHOOKS, pk=OUTBOX, first=f"{run}|", last=f"{run}}}")
    over = yield from Query(table=WEBHOOKS, pk=settled(run), first="", last="~")
    now = yield from Now()
    found = {row.rk.rpartition("|")[2]: (read(row), now - row.age) for row in (*waiting, *over)}
    return tuple(found[webhook] for webhook in sorted(found))


def settle(notice: Notice, state: NoticeState) -> Task[None]:
    """Keep what became of it first, then take it out of the outbox: what is cut off between is repeated.

    Delivered is the last word, whatever another call of the same notice has come to.
    """
    after = msgspec.structs.replace(notice, state=state, delay=0.0)
    write = Upsert if state is NoticeState.DELIVERED else Insert
    yield from ensure(settled(notice.run), write(rk=notice.webhook, props=props(after)))
    yield from ensure(OUTBOX, Delete(rk=key(notice.run, notice.webhook)))


def send(memory: ProcessMemory, notice: Notice) -> Task[None]:
    """Send the message of the next call."""
    message = NoticeMessage(run=notice.run, webhook=notice.webhook, attempt=notice.attempt + 1)
    yield from Send(queue=memory.settings.webhook_queue, body=notices.encode(message), delay=notice.delay)


def ensure(pk: str, write: Write) -> Task[bool]:
    """A write to the outbox that may be repeated. False: it was refused."""
    return repeatable.ensure(WEBHOOKS, pk, write)


def key(run: str, webhook: str) -> str:
    return f"{run}|{webhook}"


def settled(run: str) -> str:
    return f"r|{run}"


def props(notice: Notice) -> Props:
    return {"v": VERSION, "notice": msgspec.json.encode(notice).decode()}


def read(row: Row) -> Notice:
    return _notice(str(row.props["notice"]))

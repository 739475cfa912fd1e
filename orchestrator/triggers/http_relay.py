"""Bytes of files that no signed URL opens, in place of storage. The URLs come with listings and uploads."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from orchestrator.catalog import relay
from orchestrator.core.relay import Ticket
from orchestrator.triggers.auth import Forbidden
from orchestrator.triggers.routes import Asked, Octets, Reply, Service, route
from orchestrator.triggers.shapes import Strict


class TicketQuery(Strict, frozen=True, kw_only=True):
    ticket: Annotated[str, Meta(description="From the URL that the service gave.")] = ""


class WriteQuery(TicketQuery, frozen=True, kw_only=True):
    comp: Annotated[str, Meta(description="As storage has it: block, blocklist, range, or nothing.")] = ""
    blockid: Annotated[str, Meta(description="The name of a block, in base64.")] = ""


class DoneBody(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing more is to be said than the status."""


_HEADERS = {
    "Range": "Of a file of more than 8 MiB: which bytes, at most so many.",
    "If-Match": "The ETag that the file is to have; if it has another one by now, the answer is 412.",
}


@route(
    "GET",
    "relay/{file}",
    summary="Read a file",
    role=None,
    answers={200: Octets, 206: Octets, 412: DoneBody},
    errors=(403, 404, 409, 413),
    headers=_HEADERS,
)
def read_relayed(service: Service, asked: Asked, query: TicketQuery) -> Reply:
    """By a URL that a listing gave, of a datastore that is registered with a SAS token. No token is needed."""
    ticket = _ticket(service, asked, query, write=False)
    wanted = asked.headers.get("range", "")
    part, start = service.world.run(relay.read(ticket, wanted))
    if asked.headers.get("if-match", "*").strip() not in ("*", part.etag):
        return Reply(body=DoneBody(), status=412)
    headers = {"ETag": part.etag} if part.etag else {}
    if wanted and part.data:
        headers["Content-Range"] = f"bytes {start}-{start + len(part.data) - 1}/{part.size}"
    return Reply(body=Octets(part.data), status=206 if wanted else 200, headers=headers)


@route(
    "PUT",
    "relay/{file}",
    summary="Write a file",
    role=None,
    answers={201: DoneBody},
    errors=(403, 404, 409, 413),
)
def write_relayed(service: Service, asked: Asked, query: WriteQuery, data: bytes) -> Reply:
    """By a URL that an upload gave, and as that says: of a blob the whole, or blocks and their list; of a file in a
    share its length, then its ranges. At most 8 MiB by one request."""
    ticket = _ticket(service, asked, query, write=True)
    service.world.run(relay.write(ticket, comp=query.comp, block=query.blockid, headers=asked.headers, body=data))
    return Reply(body=DoneBody(), status=201)


@route(
    "DELETE",
    "relay/{file}",
    summary="Take back a file that was not written to its end",
    role=None,
    answers={202: DoneBody},
    errors=(403, 404, 409),
)
def remove_relayed(service: Service, asked: Asked, query: TicketQuery) -> Reply:
    """Of a share alone."""
    service.world.run(relay.remove(_ticket(service, asked, query, write=True)))
    return Reply(body=DoneBody(), status=202)


def _ticket(service: Service, asked: Asked, query: TicketQuery, *, write: bool) -> Ticket:
    """Raises Forbidden: also for what has expired, so that a client asks for another URL."""
    found = service.world.run(relay.opened(query.ticket, asked.path["file"])) if query.ticket else None
    if found is None or found.write != write:
        raise Forbidden("This URL is not, or not any more, good for that. Ask for another one.", field="ticket")
    return found


ROUTES = (read_relayed, write_relayed, remove_relayed)

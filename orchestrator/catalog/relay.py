"""Files whose storage only a SAS token opens: their bytes pass through the service, one file a ticket, in parts.

What a client may ask for is what it could ask of storage by a signed URL for that file: reading it; writing it whole,
or in blocks and their list; in a share, making it, filling it, and giving it its name, or taking it away again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import MsgspecError

from orchestrator.core import relay
from orchestrator.core.errors import Conflict, InvalidRequest, TooLarge, UnknownThing
from orchestrator.core.relay import MOST, Ticket
from orchestrator.files import Forward, Forwarded, Part, ReadPart
from orchestrator.ports import Now, Task
from orchestrator.secrets import Unseal

_RANGE: Final = re.compile(r"bytes=(\d{1,15})-(\d{1,15})", re.ASCII)
_BLOCK: Final = re.compile(r"[A-Za-z0-9+/=]{1,64}", re.ASCII)
_SIZE: Final = re.compile(r"\d{1,14}", re.ASCII)
_THERE: Final = (409, 412)
_MADE_BY: Final = "x-ms-meta-millstream_upload"


def opened(text: str, file: str) -> Task[Ticket | None]:
    """The ticket behind a text, for this file; None: it is none, or it has expired."""
    try:
        sealed = yield from Unseal(owner="", purpose=relay.PURPOSE, sealed=text)
        ticket = relay.decode(sealed.reveal())
    except (Conflict, MsgspecError):
        return None
    now = yield from Now()
    return ticket if ticket.file == file and now < ticket.expires_at else None


def read(ticket: Ticket, wanted: str) -> Task[tuple[Part, int]]:
    """(bytes, where they begin) of the file. `wanted`: a Range header, or "" for all of a file that is not too large.

    Raises InvalidRequest, TooLarge, UnknownThing, Conflict.
    """
    start, limit = _span(wanted)
    part = yield from ReadPart(container=ticket.container, name=ticket.name, start=start, limit=limit)
    if part is None:
        raise UnknownThing("There is no such file.", field="file")
    if not wanted and part.size > MOST:
        raise TooLarge(f"The file has {part.size:,} bytes. Ask for at most {MOST:,} at a time, by a Range header.")
    return part, start


def _span(wanted: str) -> tuple[int, int]:
    if not wanted:
        return 0, MOST
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or int(found[2]) < int(found[1]):
        raise InvalidRequest("Ask for one range, as in Range: bytes=0-99.", field="Range")
    start, limit = int(found[1]), int(found[2]) - int(found[1]) + 1
    if limit > MOST:
        raise TooLarge(f"Ask for at most {MOST:,} bytes at a time.", field="Range")
    return start, limit


def write(ticket: Ticket, *, comp: str, block: str, headers: Mapping[str, str], body: bytes) -> Task[None]:
    """Pass one writing request on. `headers`: the client's, names in lower case; only what is asked for is taken.

    Raises InvalidRequest, TooLarge, Conflict when there is a file that is to stay, UnknownThing without a container.
    """
    if len(body) > MOST:
        raise TooLarge(f"Send at most {MOST:,} bytes at a time.", field="body")
    asked = _to_blob(ticket, comp, block) if ticket.kind == "blob" else _to_share(ticket, comp, headers)
    query, sent = asked
    request = Forward(
        container=ticket.container,
        name=ticket.name,
        method="PUT",
        query=query,
        headers=sent,
        body=body,
        draft=ticket.draft,
        replace=ticket.replace,
    )
    _check((yield from request))


def remove(ticket: Ticket) -> Task[None]:
    """Take away a file of a share that has not got its name; one that is not there is away already."""
    if ticket.kind != "share":
        raise InvalidRequest("A blob appears when it is whole: nothing of it is taken away.", field="ticket")
    answer = yield from Forward(container=ticket.container, name=ticket.name, method="DELETE", draft=ticket.draft)
    if answer.status != 404:
        _check(answer)


_Asked = tuple[tuple[tuple[str, str], ...], dict[str, str]]


def _to_blob(ticket: Ticket, comp: str, block: str) -> _Asked:
    # Whether a blob that is there stays is the ticket's to say, not the client's.
    keep = {} if ticket.replace else {"If-None-Match": "*"}
    if comp == "block":
        if not _BLOCK.fullmatch(block):
            raise InvalidRequest("A block has a name of base64.", field="blockid")
        return (("comp", "block"), ("blockid", block)), {}
    if comp == "blocklist":
        return (("comp", "blocklist"),), {"content-type": "text/xml", **keep}
    if comp:
        raise InvalidRequest("Of a blob comp is block or blocklist, or is left out.", field="comp")
    return (), {"x-ms-blob-type": "BlockBlob", **keep}


def _to_share(ticket: Ticket, comp: str, headers: Mapping[str, str]) -> _Asked:
    if comp == "range":
        place = headers.get("x-ms-range", "")
        if not _RANGE.fullmatch(place):
            raise InvalidRequest("Say where the bytes go, as in x-ms-range: bytes=0-99.", field="x-ms-range")
        return (("comp", "range"),), {"x-ms-write": "update", "x-ms-range": place}
    if comp == "rename":
        return (("comp", "rename"),), {}
    if comp:
        raise InvalidRequest("Of a file in a share comp is range or rename, or is left out.", field="comp")
    size = headers.get("x-ms-content-length", "")
    if not _SIZE.fullmatch(size):
        raise InvalidRequest("Say how long the file is to be.", field="x-ms-content-length")
    return (), {"x-ms-type": "file", "x-ms-content-length": size, _MADE_BY: ticket.draft}


def _check(answer: Forwarded) -> None:
    if answer.status < 300:
        return
    if answer.status in _THERE:
        raise Conflict(f"Storage keeps what is there: {answer.code}.", field="file")
    if answer.status == 404:
        raise UnknownThing(f"Storage has no place for this file: {answer.code}.", field="file")
    if answer.status in (401, 403):
        raise InvalidRequest(
            f"Storage refuses the SAS token that the datastore is registered with: status {answer.status} "
            f"{answer.code}. Register it again with overwrite=True.",
            field="ticket",
        )
    raise InvalidRequest(f"Storage refuses this: status {answer.status} {answer.code}.", field="body")

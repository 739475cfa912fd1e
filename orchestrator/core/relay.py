"""A ticket: leave to move the bytes of one file through the service, where storage can be opened by the service alone.

Of a datastore that is registered with a SAS token the service cannot sign URLs, and the token itself would open all of
it to whoever holds it. So clients get a URL of the service, with a ticket that is sealed as secrets are.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal

import msgspec

PURPOSE: Final = "relay"
"""What tickets are sealed for: nothing else that is sealed opens as one."""
PATH: Final = "relay"
MOST: Final = 8 * 1024 * 1024
"""Bytes that travel by one request."""
Kind = Literal["blob", "share"]


class Ticket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`container`: its address. `replace`: whether a file that is there may be written over. `expires_at`: epoch
    seconds. `draft`: what a file of a share is known by until it is whole.
    """

    container: str
    name: str
    kind: Kind
    write: bool
    expires_at: float
    replace: bool = False
    draft: str = ""

    @property
    def file(self) -> str:
        """What tells files apart in the paths of URLs, and nothing of their names."""
        return hashlib.sha256(f"{self.container}\0{self.name}".encode()).hexdigest()[:32]


def encode(ticket: Ticket) -> str:
    return msgspec.json.encode(ticket).decode()


_decoder = msgspec.json.Decoder(Ticket)


def decode(text: str) -> Ticket:
    return _decoder.decode(text)

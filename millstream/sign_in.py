"""Where a service sends its callers for a token: asked of the service itself, once a process."""

from __future__ import annotations

from functools import cache

import msgspec

from millstream.errors import MillstreamError
from millstream.transport import Transport


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """Authority and tenant of Entra ID, and the application that tokens are for; empty: the service takes none.
    `functions_key`: every caller needs a key of the Functions app.
    """

    authority: str = ""
    tenant: str = ""
    audience: str = ""
    functions_key: bool = False


class _Health(msgspec.Struct, frozen=True, kw_only=True):
    sign_in: SignIn = SignIn()


@cache
def sign_in_of(url: str) -> SignIn:
    """What the service at `url` says. One that does not answer is said to take none: the call itself will tell why."""
    try:
        answer = Transport().request("GET", f"{url.rstrip('/')}/api/health")
        return msgspec.json.decode(answer.body, type=_Health).sign_in
    except (MillstreamError, msgspec.MsgspecError):
        return SignIn()

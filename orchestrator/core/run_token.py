"""The run token: what the script of one attempt of a step shows when it calls the service.

A JSON Web Token signed by HMAC-SHA256 (RFC 7515, compact form), because a real azureml-core reads the expiry out of it.
Exactly this header is taken, so no other algorithm, and none at all, can be asked for. What a token may do is decided
where it is shown; it only says who made the call, and until when.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

import msgspec

from orchestrator.core.errors import Unauthorized

DOOR = "in-step"
"""Below /api: where scripts call when the Functions host asks all others for a key, which a script must not have."""
SHORTEST_KEY = 32
"""Characters of a signing key: as many bytes as its sums have."""


class RunToken(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of a step: `owner` is its claim's nonce. `expires_at` in epoch seconds."""

    run: str
    step: str
    position: int
    attempt: int
    owner: str
    expires_at: int = msgspec.field(name="exp")

    @property
    def step_run_id(self) -> str:
        """The id of the step's run, as people see it."""
        return f"{self.run}_{self.step}"


def sign(token: RunToken, key: bytes) -> str:
    """The text that goes to the script."""
    signed = f"{_HEADER}.{_text(msgspec.json.encode(token))}"
    return f"{signed}.{_text(_sum(signed, key))}"


def is_one(text: str) -> bool:
    """Whether a bearer token has the form of a run token; nothing is said of its truth."""
    return text.startswith(f"{_HEADER}.") and text.count(".") == 2


def verify(text: str, key: bytes, *, now: float) -> RunToken:
    """The token behind a text. `now` in epoch seconds. Raises Unauthorized; the sum is compared in constant time."""
    signed, _, given = text.rpartition(".")
    try:
        genuine = is_one(text) and hmac.compare_digest(_text(_sum(signed, key)).encode(), given.encode())
        token = _decode(_bytes(signed.partition(".")[2])) if genuine else None
    except (msgspec.MsgspecError, binascii.Error, UnicodeError):
        token = None
    if token is None:
        raise Unauthorized("The run token in the Authorization header is not accepted.", field="Authorization")
    if now >= token.expires_at:
        raise Unauthorized("The run token in the Authorization header has expired.", field="Authorization")
    return token


def _sum(signed: str, key: bytes) -> bytes:
    return hmac.new(key, signed.encode(), hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


_HEADER = _text(b'{"alg":"HS256","typ":"JWT"}')
_decode = msgspec.json.Decoder(RunToken).decode

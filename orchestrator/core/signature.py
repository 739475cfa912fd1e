"""How calls of webhooks are signed: HMAC-SHA256, with the headers and the form of Standard Webhooks.

No secret is stored. Each is derived from a key of the service and the webhook that it belongs to.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable

_PURPOSE = b"millstream webhook 1\0"


def derive(key: bytes, signer: str) -> bytes:
    """The 32 bytes with which calls of this webhook are signed."""
    return hmac.digest(key, _PURPOSE + signer.encode(), "sha256")


def shown(secret: bytes) -> str:
    """A secret as receivers' libraries take it."""
    return f"whsec_{base64.b64encode(secret).decode()}"


def headers(secrets: Iterable[bytes], *, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a call. `timestamp` in epoch seconds; a signature for each of the secrets."""
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = [base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }

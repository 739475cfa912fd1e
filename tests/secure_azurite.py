"""An Azurite behind https that tokens alone open, and a stand-in for the identity endpoint of Azure."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import trustme

from tests.azurite import Azurite, running_azurite
from tests.unit.millstream.loopback import Answer, Asked, Loopback, loopback

TENANT = "6b0f3a2e-6c52-4c59-9a0a-58a4f3f0c1d2"
HEADER = "a-header-that-only-the-app-knows"
CLIENT = "0f9d1c6e-3f5b-4a58-8d0e-2c9f6a7b8c9d"


class Secure(NamedTuple):
    """A running Azurite, and the file with the authority that its certificate is to be trusted by."""

    azurite: Azurite
    ca_file: str


@contextmanager
def secure_azurite(folder: Path) -> Iterator[Secure]:
    """Start one, with a certificate below `folder`. Raises AzuriteMissing."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    paths = {name: str(folder / f"{name}.pem") for name in ("ca", "cert", "key")}
    authority.cert_pem.write_to_path(paths["ca"])
    certificate.cert_chain_pems[0].write_to_path(paths["cert"])
    certificate.private_key_pem.write_to_path(paths["key"])
    with running_azurite(["--oauth", "basic", "--cert", paths["cert"], "--key", paths["key"]]) as azurite:
        yield Secure(azurite, paths["ca"])


def token(*, seconds: int = 3600, resource: str = "https://storage.azure.com") -> tuple[str, float]:
    """A token as an identity service issues it, but for the signature, which Azurite does not check."""
    now = int(time.time())
    claims = {
        "aud": resource,
        "iss": f"https://sts.windows.net/{TENANT}/",
        "nbf": now - 60,
        "iat": now - 60,
        "exp": now + seconds,
        "oid": "11111111-2222-3333-4444-555555555555",
        "tid": TENANT,
    }
    parts = (json.dumps(part).encode() for part in ({"alg": "RS256", "typ": "JWT"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2ln"]), now + seconds


@contextmanager
def identity_endpoint() -> Iterator[Loopback]:
    """What App Service and Container Apps offer at IDENTITY_ENDPOINT: a stand-in, over real HTTP."""

    def answer(seen: Asked) -> Answer:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(seen.path).query).items()}
        if seen.headers.get("x-identity-header") != HEADER or asked.get("client_id") != CLIENT:
            return Answer(status=400, body=b'{"error": "invalid_request"}')
        made, expires = token(resource=asked["resource"].rstrip("/"))
        body = {
            "access_token": made,
            "expires_on": str(int(expires)),
            "resource": asked["resource"],
            "token_type": "Bearer",
        }
        return Answer(body=json.dumps(body).encode())

    with loopback(answer) as server:
        yield server

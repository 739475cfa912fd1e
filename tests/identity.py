"""A stand-in for what gives tokens on Azure: the endpoint of an app's identity, and the one where tenants sign in.

It speaks their real HTTP. Its tokens are signed by nobody; Azurite looks only at what they say.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TENANT = "6b0f3a2e-6c52-4c59-9a0a-58a4f3f0c1d2"
CLIENT = "0a1b2c3d-0000-4000-8000-000000000001"
SECRET = "s3cret~of.a-principal"
HEADER = "the header that proves a request comes from the app"


@dataclass
class Identity:
    """`asked`: the bodies and queries of the requests so far."""

    url: str
    asked: list[str] = field(default_factory=list)

    @property
    def variables(self) -> dict[str, str]:
        """What the platform sets for an app that has an identity."""
        return {"IDENTITY_ENDPOINT": f"{self.url}/msi/token", "IDENTITY_HEADER": HEADER}


def token(*, seconds: int = 3600) -> str:
    now = int(time.time())
    claims = {
        "aud": "https://storage.azure.com",
        "iss": f"https://sts.windows.net/{TENANT}/",
        "nbf": now - 60,
        "iat": now - 60,
        "exp": now + seconds,
        "oid": "11111111-2222-3333-4444-555555555555",
        "tid": TENANT,
    }
    parts = (json.dumps(part).encode() for part in ({"alg": "RS256", "typ": "JWT"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2ln"])


@contextmanager
def running_identity() -> Iterator[Identity]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            identity.asked.append(parts.query)
            query = parse_qs(parts.query)
            good = parts.path == "/msi/token" and self.headers["X-IDENTITY-HEADER"] == HEADER
            if not good or query != {"resource": ["https://storage.azure.com/"], "api-version": ["2019-08-01"]}:
                self._answer(400, {"statusCode": 400, "message": "bad"})
                return
            expires = str(int(time.time()) + 3600)
            self._answer(200, {"access_token": token(), "expires_on": expires, "token_type": "Bearer"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            identity.asked.append(body)
            wanted = {
                "client_id": [CLIENT],
                "client_secret": [SECRET],
                "grant_type": ["client_credentials"],
                "scope": ["https://storage.azure.com/.default"],
            }
            if self.path != f"/{TENANT}/oauth2/v2.0/token" or parse_qs(body) != wanted:
                self._answer(401, {"error": "invalid_client", "error_description": f"what was sent: {body}"})
                return
            self._answer(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": token()})

        def _answer(self, status: int, document: dict[str, object]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    identity = Identity(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield identity
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()

"""A stand-in for Entra ID over real HTTP: its keys, its tokens, and the grant by which a program gets one."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.unit.millstream.loopback import Answer, Asked, Loopback, loopback

TENANT = "6b0f3a2e-6c52-4c59-9a0a-58a4f3f0c1d2"
AUDIENCE = "2f6b4d0a-8f0e-4b3f-9a55-0f3f6c5d7e81"
CLIENT = "c0ffee00-1111-2222-3333-444444444444"
SECRET = "a-secret-of-a-principal"


class Entra:
    """One tenant. `url`: the authority; `down`: it does not answer. Keys are published until `rotate`."""

    def __init__(self) -> None:
        self.down = False
        self.server: Loopback | None = None
        self._keys: dict[str, rsa.RSAPrivateKey] = {}
        self.kid = ""
        self.rotate()

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url

    @property
    def fetches(self) -> int:
        """How often the keys have been asked for."""
        assert self.server is not None
        return sum("discovery" in asked.path for asked in self.server.asked)

    def rotate(self) -> None:
        """Sign with a new key, and publish no other."""
        self.kid = f"key-{len(self._keys) + 1}-{time.monotonic_ns()}"
        self._keys = {self.kid: rsa.generate_private_key(public_exponent=65537, key_size=2048)}

    def claims(self, *roles: str, **more: Any) -> dict[str, Any]:
        """What a token of version 2 says; a claim that is given as None is left out."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "aud": AUDIENCE,
            "iss": f"{self.url}/{TENANT}/v2.0",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "sub": "subject",
            "oid": "11111111-2222-3333-4444-555555555555",
            "tid": TENANT,
            "roles": list(roles),
        }
        return {name: value for name, value in (claims | more).items() if value is not None}

    def token(self, *roles: str, headers: Mapping[str, Any] | None = None, **more: Any) -> str:
        """A token that is signed as it should be."""
        named = {name: value for name, value in ({"kid": self.kid} | dict(headers or {})).items() if value is not None}
        return jwt.encode(self.claims(*roles, **more), self._keys[self.kid], algorithm="RS256", headers=named)

    def answer(self, asked: Asked) -> Answer:
        path = urlsplit(asked.path).path
        if self.down:
            return Answer(cut=-1)
        if path == f"/{TENANT}/discovery/v2.0/keys":
            return _json({"keys": [self._published(kid) for kid in self._keys]})
        if path == f"/{TENANT}/v2.0/.well-known/openid-configuration":
            base = f"{self.url}/{TENANT}"
            endpoints = {"authorization_endpoint": f"{base}/oauth2/v2.0/authorize", "issuer": f"{base}/v2.0"}
            return _json(endpoints | {"token_endpoint": f"{base}/oauth2/v2.0/token"})
        if path == f"/{TENANT}/oauth2/v2.0/token":
            return self._granted({name: values[0] for name, values in parse_qs(asked.body.decode()).items()})
        return Answer(status=404)

    def _published(self, kid: str) -> dict[str, Any]:
        public = RSAAlgorithm.to_jwk(self._keys[kid].public_key(), as_dict=True)
        return {**public, "kid": kid, "use": "sig"}

    def _granted(self, form: Mapping[str, str]) -> Answer:
        known = form.get("client_id") == CLIENT and form.get("client_secret") == SECRET
        if not known or form.get("grant_type") != "client_credentials" or form.get("scope") != f"{AUDIENCE}/.default":
            return _json({"error": "invalid_client", "error_description": "AADSTS7000215"}, 401)
        return _json({"access_token": self.token("Submitter"), "expires_in": 3600, "token_type": "Bearer"})


def _json(document: object, status: int = 200) -> Answer:
    return Answer(status=status, body=json.dumps(document).encode(), headers={"Content-Type": "application/json"})


@contextmanager
def entra(tls: ssl.SSLContext | None = None) -> Iterator[Entra]:
    """A tenant that answers."""
    tenant = Entra()
    with loopback(tenant.answer, tls) as server:
        tenant.server = server
        yield tenant


def unsigned(claims: Mapping[str, Any], kid: str) -> str:
    """A token that says it needs no signature."""
    parts = ({"alg": "none", "typ": "JWT", "kid": kid}, dict(claims))
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), ""])

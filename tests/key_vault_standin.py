"""A stand-in for a Key Vault: secrets and their versions over real HTTPS, with its challenge, soft delete and faults.

Microsoft's own client is held to it in tests/unit/adapters/test_key_vault.py.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme

from tests.secure_azurite import TENANT
from tests.unit.millstream.loopback import Answer, Asked, Loopback, loopback

RESOURCE = "https://vault.azure.net"
CHALLENGE = f'Bearer authorization="https://login.microsoftonline.com/{TENANT}", resource="{RESOURCE}"'
PAGE = 25
VERSIONS = re.compile(r"7\.[4-6]|20\d\d-\d\d-\d\d")


class Refusal(Exception):
    def __init__(self, status: int, code: str, inner: str = "", **headers: str) -> None:
        super().__init__(code)
        error: dict[str, Any] = {"code": code, "message": "what a vault says of it"}
        if inner:
            error["innererror"] = {"code": inner}
        self.answer = _json({"error": error}, status, {name.replace("_", "-"): text for name, text in headers.items()})


@dataclass
class Version:
    id: str
    value: str
    tags: dict[str, str]
    content_type: str | None
    created: int
    enabled: bool = True


@dataclass
class StandIn:
    """`rights`: what the caller may. `faults`: refusals that the next calls get; None: a call that is done, whose
    answer is lost.
    """

    rights: set[str] = field(default_factory=lambda: {"get", "set", "delete", "list"})
    faults: list[Refusal | None] = field(default_factory=list)
    secrets: dict[str, list[Version]] = field(default_factory=dict)
    deleted: dict[str, list[Version]] = field(default_factory=dict)
    server: Loopback | None = None
    ca_file: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url

    def calls(self) -> list[str]:
        """Method and path of each call so far, as in GET /secrets/x."""
        assert self.server is not None
        return [f"{asked.method} {urlsplit(asked.path).path}" for asked in self.server.asked]

    def answer(self, asked: Asked) -> Answer:
        with self.lock:
            try:
                _check(asked)
                fault = self.faults.pop(0) if self.faults else False
                if isinstance(fault, Refusal):
                    raise fault
                made = self._done(asked)
            except Refusal as refusal:
                return refusal.answer
            return Answer(cut=-1) if fault is None else made

    def _done(self, asked: Asked) -> Answer:
        parts = urlsplit(asked.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if not VERSIONS.fullmatch(query.get("api-version", "")):
            raise Refusal(400, "BadParameter")
        found = re.fullmatch(r"/(secrets|deletedsecrets)(?:/([0-9a-zA-Z-]{1,127})(?:/([0-9a-z]+))?)?/?", parts.path)
        if found is None:
            raise Refusal(400, "BadParameter")
        kind, name, rest = found.groups()
        if name is None:
            return self._listed(kind, int(query.get("$skiptoken", "0")))
        return self._deleted(asked, name, rest) if kind == "deletedsecrets" else self._secret(asked, name, rest)

    def _secret(self, asked: Asked, name: str, version: str | None) -> Answer:
        right = {"GET": "get", "PUT": "set", "DELETE": "delete"}.get(asked.method, "")
        self._allow(right)
        if right == "set":
            return self._set(name, json.loads(asked.body))
        if name not in self.secrets:
            raise Refusal(404, "SecretNotFound")
        if right == "delete":
            self.deleted[name] = self.secrets.pop(name)
            return _json(self._shown(self.deleted[name][-1]) | {"recoveryId": f"{self.url}/deletedsecrets/{name}"})
        versions = self.secrets[name]
        one = next((it for it in versions if it.id == version), None) if version else versions[-1]
        if one is None:
            raise Refusal(404, "SecretNotFound")
        if not one.enabled:
            raise Refusal(403, "Forbidden", "SecretDisabled")
        return _json(self._shown(one, name) | {"value": one.value})

    def _set(self, name: str, body: dict[str, Any]) -> Answer:
        if name in self.deleted:
            raise Refusal(409, "Conflict", "ObjectIsDeletedButRecoverable")
        value, tags = body["value"], body.get("tags") or {}
        too_long = len(value.encode()) > 25_600 or len(tags) > 15 or any(len(text) > 256 for text in tags.values())
        if too_long:
            raise Refusal(400, "BadParameter")
        made = Version(secrets.token_hex(16), value, tags, body.get("contentType"), int(time.time()))
        self.secrets.setdefault(name, []).append(made)
        return _json(self._shown(made, name) | {"value": value})

    def _deleted(self, asked: Asked, name: str, rest: str | None) -> Answer:
        if name not in self.deleted:
            raise Refusal(404, "SecretNotFound")
        if asked.method == "POST" and rest == "recover":
            self.secrets[name] = self.deleted.pop(name)
            return _json(self._shown(self.secrets[name][-1], name))
        if asked.method != "GET":
            raise Refusal(403, "Forbidden", "ForbiddenByPolicy")  # it is protected against purging
        return _json(self._shown(self.deleted[name][-1], name) | {"recoveryId": f"{self.url}/deletedsecrets/{name}"})

    def _listed(self, kind: str, start: int) -> Answer:
        self._allow("list")
        kept = self.secrets if kind == "secrets" else self.deleted
        names = sorted(kept)
        page = [self._shown(kept[name][-1], name, versioned=False) for name in names[start : start + PAGE]]
        following = start + PAGE if start + PAGE < len(names) else 0
        more = f"{self.url}/{kind}?api-version=7.4&$skiptoken={following}&maxresults={PAGE}" if following else None
        return _json({"value": page, "nextLink": more})

    def _allow(self, right: str) -> None:
        if right not in self.rights:
            raise Refusal(403, "Forbidden", "ForbiddenByRbac")

    def _shown(self, one: Version, name: str = "", *, versioned: bool = True) -> dict[str, Any]:
        name = name or next(it for it, versions in (self.secrets | self.deleted).items() if one in versions)
        attributes: dict[str, Any] = {"enabled": one.enabled, "created": one.created, "updated": one.created}
        attributes |= {"recoveryLevel": "CustomizedRecoverable", "recoverableDays": 7}
        ending = f"/{one.id}" if versioned else ""
        shown: dict[str, Any] = {"id": f"{self.url}/secrets/{name}{ending}", "attributes": attributes, "tags": one.tags}
        return shown | ({"contentType": one.content_type} if one.content_type else {})


def _check(asked: Asked) -> None:
    """A token for vaults, and for nothing else."""
    scheme, _, text = asked.headers.get("authorization", "").partition(" ")
    try:
        claims = json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
        good = scheme == "Bearer" and claims["aud"] == RESOURCE and claims["tid"] == TENANT
        good = good and claims["exp"] > time.time()
    except (IndexError, ValueError, KeyError):
        good = False
    if not good:
        raise Refusal(401, "Unauthorized", WWW_Authenticate=CHALLENGE)


def _json(document: object, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Answer(status=status, body=json.dumps(document).encode(), headers=kind | (headers or {}))


@contextmanager
def running_vault(folder: Path, authority: trustme.CA | None = None) -> Iterator[StandIn]:
    """Start one. `ca_file`, in `folder`, names whom to trust; `authority`: who vouches for it."""
    authority = authority or trustme.CA()
    kept = StandIn(ca_file=str(folder / "vault-ca.pem"))
    authority.cert_pem.write_to_path(kept.ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    with loopback(kept.answer, context) as server:
        kept.server = server
        yield kept

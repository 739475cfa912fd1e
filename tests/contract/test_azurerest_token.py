"""Bearer tokens, TLS with an own authority, and user delegation signatures, against Azurite with OAuth."""

from __future__ import annotations

import base64
import json
import ssl
import time
import urllib.request
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError

import pytest
import trustme

from azurerest import Account, Blobs, Queues, Transport, sas
from azurerest.errors import Forbidden, Invalid
from azurerest.sas import DelegationKey
from tests.azurite import ACCOUNT, Azurite, AzuriteMissing, running_azurite

pytestmark = pytest.mark.azurite

TENANT = "6b0f3a2e-6c52-4c59-9a0a-58a4f3f0c1d2"


class Secure(NamedTuple):
    azurite: Azurite
    ca_file: str


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder: Path = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    paths = {name: str(folder / f"{name}.pem") for name in ("ca", "cert", "key")}
    authority.cert_pem.write_to_path(paths["ca"])
    certificate.cert_chain_pems[0].write_to_path(paths["cert"])
    certificate.private_key_pem.write_to_path(paths["key"])
    try:
        with running_azurite(["--oauth", "basic", "--cert", paths["cert"], "--key", paths["key"]]) as azurite:
            yield Secure(azurite, paths["ca"])
    except AzuriteMissing as reason:
        pytest.skip(str(reason))


def token(*, seconds: int = 3600) -> tuple[str, float]:
    """A token as an identity service issues it, but for the signature, which Azurite does not check."""
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
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2ln"]), now + seconds


def account(secure: Secure, *, seconds: int = 3600) -> Account:
    server = secure.azurite
    endpoints = {"blob": server.blob_endpoint, "queue": server.queue_endpoint, "table": server.table_endpoint}
    return Account.from_token(ACCOUNT, lambda: token(seconds=seconds), endpoints=endpoints)


def test_a_token_opens_blobs_and_queues(secure: Secure) -> None:
    transport = Transport(ca_file=secure.ca_file)
    name = f"n-{uuid.uuid4().hex}"
    blobs = Blobs(account(secure), transport)
    blobs.create_container(name)
    blobs.put(name, "b", b"data")
    assert blobs.get(name, "b").data == b"data"
    queues = Queues(account(secure), transport)
    queues.create(name)
    queues.put(name, b"x")
    assert queues.receive(name)[0].body == b"x"


def test_an_expired_token_is_forbidden(secure: Secure) -> None:
    with pytest.raises(Forbidden):
        Blobs(account(secure, seconds=-600), Transport(ca_file=secure.ca_file)).list_containers()


def test_a_user_delegation_signature(secure: Secure) -> None:
    blobs = Blobs(account(secure), Transport(ca_file=secure.ca_file))
    name = f"n-{uuid.uuid4().hex}"
    blobs.create_container(name)
    blobs.put(name, "a b/ü", b"data")
    blobs.put(name, "other", b"secret")
    now = datetime.now(UTC)
    soon = now + timedelta(minutes=30)
    with pytest.raises(Invalid):
        sas.blob_url(blobs, name, "a b/ü", permissions="r", expiry=soon)
    key = sas.get_user_delegation_key(blobs, start=now - timedelta(minutes=5), expiry=now + timedelta(hours=1))
    assert key.value not in repr(key)
    url = sas.blob_url(blobs, name, "a b/ü", permissions="r", expiry=soon, key=key, content_disposition="inline")
    assert _fetch(url, secure) == (200, b"data")
    assert _fetch(url.replace("/a%20b/%C3%BC", "/other"), secure)[0] == 403
    assert _fetch(url.replace("sp=r", "sp=rw"), secure)[0] == 403
    forged = sas.blob_url(blobs, name, "a b/ü", permissions="r", expiry=soon, key=_forge(key))
    assert _fetch(forged, secure)[0] == 403
    container = sas.container_query(blobs, name, permissions="r", expiry=soon, key=key)
    assert _fetch(f"{blobs.url(name, 'other')}?{container}", secure) == (200, b"secret")


def _forge(key: DelegationKey) -> DelegationKey:
    return key._replace(value=base64.b64encode(b"x" * 32).decode())


def _fetch(url: str, secure: Secure) -> tuple[int, bytes]:
    trust = ssl.create_default_context(cafile=secure.ca_file)
    try:
        with urllib.request.urlopen(url, context=trust, timeout=10) as answer:
            return answer.status, answer.read()
    except HTTPError as refused:
        with refused:
            return refused.code, refused.read()

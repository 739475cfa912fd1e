"""Bearer tokens, TLS with an own authority, and user delegation signatures, against Azurite with OAuth."""

from __future__ import annotations

import base64
import os
import ssl
import urllib.request
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError

import pytest
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient

from azurerest import Account, Blobs, Queues, Tables, Transport, sas
from azurerest.connections import connection
from azurerest.errors import Forbidden, Invalid
from azurerest.sas import DelegationKey
from tests.azurite import ACCOUNT, AzuriteMissing
from tests.secure_azurite import CLIENT, HEADER, Secure, identity_endpoint, secure_azurite, token

pytestmark = pytest.mark.azurite


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    try:
        with secure_azurite(tmp_path_factory.mktemp("tls")) as found:
            yield found
    except AzuriteMissing as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))


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


def test_a_token_opens_tables(secure: Secure) -> None:
    tables = Tables(account(secure), Transport(ca_file=secure.ca_file))
    name = f"n{uuid.uuid4().hex}"
    tables.create(name)
    tables.insert(name, "p", "r", {"a": 1})
    found = tables.get(name, "p", "r")
    assert found is not None
    assert found.props["a"] == 1


def test_the_settings_of_an_app_open_everything_by_its_identity(secure: Secure) -> None:
    with identity_endpoint() as identity:
        server = secure.azurite
        settings = {
            "IDENTITY_ENDPOINT": identity.url,
            "IDENTITY_HEADER": HEADER,
            "AzureWebJobsStorage__accountName": ACCOUNT,
            "AzureWebJobsStorage__clientId": CLIENT,
            "AzureWebJobsStorage__blobServiceUri": server.blob_endpoint,
            "AzureWebJobsStorage__queueServiceUri": server.queue_endpoint,
            "AzureWebJobsStorage__tableServiceUri": server.table_endpoint,
        }
        found = connection(settings, "AzureWebJobsStorage")
        transport = Transport(ca_file=secure.ca_file)
        name = f"n{uuid.uuid4().hex}"
        Blobs(found, transport).create_container(name)
        Queues(found, transport).create(name)
        Tables(found, transport).create(name)
        assert len(identity.asked) == 1
        with pytest.raises(Forbidden):
            stranger = connection({**settings, "IDENTITY_HEADER": "another"}, "AzureWebJobsStorage")
            Blobs(stranger, transport).list_containers()


def test_the_real_azure_identity_opens_the_same(secure: Secure, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its token is good for this client, and Microsoft's client reads by it what this one has written."""
    with identity_endpoint() as identity:
        monkeypatch.setenv("IDENTITY_ENDPOINT", identity.url)
        monkeypatch.setenv("IDENTITY_HEADER", HEADER)
        credential = ManagedIdentityCredential(client_id=CLIENT)

        def provide() -> tuple[str, float]:
            found = credential.get_token("https://storage.azure.com/.default")
            return found.token, float(found.expires_on)

        server, name = secure.azurite, f"n-{uuid.uuid4().hex}"
        ours = Account.from_token(ACCOUNT, provide, endpoints={"blob": server.blob_endpoint})
        blobs = Blobs(ours, Transport(ca_file=secure.ca_file))
        blobs.create_container(name)
        blobs.put(name, "b", b"data")
        with BlobServiceClient(server.blob_endpoint, credential=credential, connection_verify=secure.ca_file) as theirs:
            assert theirs.get_blob_client(name, "b").download_blob().readall() == b"data"


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

"""Signed URLs: what they open, what they do not, and that the SDK signs alike."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.storage.blob import generate_blob_sas, generate_container_sas

from azurerest import Account, Blobs, Transport, sas
from azurerest.auth import SharedAccessSignature
from azurerest.errors import Forbidden, Invalid
from tests.azurite import ACCOUNT, KEY

pytestmark = pytest.mark.azurite

NAME = "a b/ü&x.txt"


@pytest.fixture(scope="module")
def transport() -> Iterator[Transport]:
    transport = Transport()
    yield transport
    transport.close()


@pytest.fixture(scope="module")
def blobs(azurite_connection: str, transport: Transport) -> Blobs:
    return Blobs(Account.from_connection_string(azurite_connection), transport)


@pytest.fixture
def con(blobs: Blobs) -> str:
    name = f"c-{uuid.uuid4().hex}"
    blobs.create_container(name)
    blobs.put(name, NAME, b"data")
    blobs.put(name, "other", b"secret")
    return name


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=5)


def fetch(verb: str, url: str, body: bytes | None = None) -> tuple[int, bytes, dict[str, str]]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=10)
    try:
        headers = {"x-ms-blob-type": "BlockBlob"} if verb == "PUT" else {}
        connection.request(verb, f"{parts.path}?{parts.query}", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def test_a_url_to_read_one_blob(blobs: Blobs, con: str) -> None:
    url = sas.blob_url(
        blobs,
        con,
        NAME,
        permissions="r",
        expiry=soon(),
        protocol="https,http",
        content_disposition='attachment; filename="x y.txt"',
        content_type="text/plain; charset=utf-8",
    )
    status, data, headers = fetch("GET", url)
    assert (status, data) == (200, b"data")
    assert headers["content-disposition"] == 'attachment; filename="x y.txt"'
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert fetch("PUT", url, b"mine")[0] == 403
    assert fetch("DELETE", url)[0] == 403
    assert fetch("GET", url.replace("/a%20b/%C3%BC%26x.txt", "/other"))[0] == 403
    assert fetch("GET", url.replace("sp=r", "sp=rw"))[0] == 403


def test_a_url_to_write_one_blob(blobs: Blobs, con: str) -> None:
    url = sas.blob_url(blobs, con, "new", permissions="cw", expiry=soon(), protocol="https,http")
    assert fetch("PUT", url, b"mine")[0] == 201
    assert fetch("GET", url)[0] == 403
    assert blobs.get(con, "new").data == b"mine"


def test_urls_outside_their_time_and_protocol(blobs: Blobs, con: str) -> None:
    now = datetime.now(UTC)
    hour = timedelta(hours=1)

    def status(start: datetime, expiry: datetime, protocol: Literal["https", "https,http"]) -> int:
        url = sas.blob_url(blobs, con, NAME, permissions="r", start=start, expiry=expiry, protocol=protocol)
        return fetch("GET", url)[0]

    assert status(now - hour, now + hour, "https,http") == 200
    assert status(now - 2 * hour, now - hour, "https,http") == 403
    assert status(now + hour, now + 2 * hour, "https,http") == 403
    assert status(now - hour, now + hour, "https") == 403


def test_a_container_signature(azurite_connection: str, blobs: Blobs, transport: Transport, con: str) -> None:
    query = sas.container_query(blobs, con, permissions="rl", expiry=soon(), protocol="https,http")
    account = Account.from_connection_string(azurite_connection)._replace(credential=SharedAccessSignature(query))
    reader = Blobs(account, transport)
    assert [item.name for item in reader.list(con).items] == [NAME, "other"]
    assert reader.get(con, NAME).data == b"data"
    with pytest.raises(Forbidden):
        reader.put(con, "new", b"")
    with pytest.raises(Forbidden):
        reader.list("other-container")
    with pytest.raises(Invalid, match="account's key"):
        sas.blob_url(reader, con, NAME, permissions="r", expiry=soon())


def test_a_connection_string_with_a_signature(azurite_connection: str, blobs: Blobs, con: str) -> None:
    query = sas.container_query(blobs, con, permissions="rwl", expiry=soon(), protocol="https,http")
    endpoint = Account.from_connection_string(azurite_connection).blob_endpoint
    account = Account.from_connection_string(f"BlobEndpoint={endpoint};SharedAccessSignature={query}")
    writer = Blobs(account, Transport())
    writer.put(con, "new", b"x")
    assert writer.get(con, "new").data == b"x"


def test_the_sdk_signs_alike(blobs: Blobs, con: str) -> None:
    start, expiry = datetime(2024, 5, 6, 7, tzinfo=UTC), datetime(2024, 5, 7, 7, tzinfo=UTC)
    ours = sas.blob_url(
        blobs, con, NAME, permissions="wr", start=start, expiry=expiry, content_disposition="inline", content_type="a/b"
    )
    theirs = generate_blob_sas(
        ACCOUNT,
        con,
        NAME,
        account_key=KEY,
        permission="rw",
        start=start,
        expiry=expiry,
        protocol="https",
        content_disposition="inline",
        content_type="a/b",
    )
    assert _unversioned(ours.partition("?")[2]) == _unversioned(theirs)
    ours = sas.container_query(blobs, con, permissions="lr", start=start, expiry=expiry)
    theirs = generate_container_sas(
        ACCOUNT, con, account_key=KEY, permission="rl", start=start, expiry=expiry, protocol="https"
    )
    assert _unversioned(ours) == _unversioned(theirs)


def _unversioned(query: str) -> dict[str, list[str]]:
    """Fields without version and signature: the version is signed, and the SDK's is newer."""
    return {name: value for name, value in parse_qs(query).items() if name not in ("sv", "sig")}

"""Connection strings and endpoints."""

from __future__ import annotations

import pytest

from azurerest.account import Account, Endpoint
from azurerest.auth import SharedAccessSignature, SharedKey
from azurerest.errors import Invalid
from azurerest.http1 import Origin


def urls(account: Account) -> list[str]:
    return [account.endpoint(service).url for service in ("blob", "queue", "table")]


def test_a_key_string() -> None:
    account = Account.from_connection_string(
        " DefaultEndpointsProtocol=https;AccountName=abc;AccountKey=a2V5cw==;EndpointSuffix=core.chinacloudapi.cn; "
    )
    assert account.name == "abc"
    assert urls(account) == [f"https://abc.{each}.core.chinacloudapi.cn" for each in ("blob", "queue", "table")]
    assert isinstance(account.credential, SharedKey)


def test_one_given_endpoint() -> None:
    text = "AccountName=abc;AccountKey=a2V5;TableEndpoint=https://t.example:8443/"
    assert urls(Account.from_connection_string(text)) == [
        "https://abc.blob.core.windows.net",
        "https://abc.queue.core.windows.net",
        "https://t.example:8443",
    ]


def test_a_sas_string_has_its_name_in_the_endpoint() -> None:
    account = Account.from_connection_string(
        "BlobEndpoint=https://abc.blob.core.windows.net/;SharedAccessSignature=?sv=2021&sig=a%3D"
    )
    assert account.name == "abc"
    assert urls(account)[2] == "https://abc.table.core.windows.net"
    assert isinstance(account.credential, SharedAccessSignature)


def test_development_storage() -> None:
    account = Account.from_connection_string("UseDevelopmentStorage=true")
    assert urls(account) == [f"http://127.0.0.1:{port}/devstoreaccount1" for port in (10000, 10001, 10002)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "AccountName=abc",
        "AccountKey=a2V5",
        "AccountName=ABC;AccountKey=a2V5",
        "AccountName=a/b;AccountKey=a2V5",
        "AccountName=abc;AccountKey=%%%",
        "AccountName=abc;AccountKey=a2V5;BlobEndpoint=ftp://x",
        "AccountName=abc;AccountKey=a2V5;BlobEndpoint=https://x:port",
        "AccountName=abc;AccountKey=a2V5;BlobEndpoint=https://user@x",
        "AccountName=abc;AccountKey=a2V5;BlobEndpoint=https://x/?q",
    ],
)
def test_bad_strings(text: str) -> None:
    with pytest.raises(Invalid):
        Account.from_connection_string(text)


def test_a_token_does_not_travel_in_the_clear() -> None:
    def provide() -> tuple[str, float]:
        raise AssertionError("not asked")

    assert urls(Account.from_token("abc", provide))[0] == "https://abc.blob.core.windows.net"
    Account.from_token("abc", provide, endpoints=dict.fromkeys(("blob", "queue", "table"), "http://127.0.0.1:1/abc"))
    with pytest.raises(Invalid, match="plain HTTP"):
        Account.from_token("abc", provide, endpoints={"queue": "http://abc.queue.core.windows.net"})


def test_endpoints() -> None:
    assert Endpoint.parse("https://h:443/") == Endpoint(Origin("https", "h", 443), "", "h")
    assert Endpoint.parse("http://[::1]:8/a/") == Endpoint(Origin("http", "::1", 8), "/a", "[::1]:8")

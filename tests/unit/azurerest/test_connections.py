"""Which account the settings of an app name, and how it is opened."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from azurerest.auth import Bearer, SharedKey
from azurerest.connections import connection, is_set
from azurerest.errors import Invalid
from azurerest.tokens import managed_identity
from tests.unit.millstream.loopback import Answer, Asked, loopback

IDENTITY = {"IDENTITY_ENDPOINT": "http://127.0.0.1:1/token", "IDENTITY_HEADER": "x"}


def test_a_connection_string() -> None:
    found = connection({"azurewebjobsstorage": "UseDevelopmentStorage=true"}, "AzureWebJobsStorage")
    assert found.name == "devstoreaccount1"
    assert isinstance(found.credential, SharedKey)


def test_an_account_by_name() -> None:
    found = connection({**IDENTITY, "Data__accountName": "ours"}, "Data")
    assert found.blob_endpoint == "https://ours.blob.core.windows.net"
    assert found.table_endpoint == "https://ours.table.core.windows.net"
    assert isinstance(found.credential, Bearer)


def test_an_account_by_one_of_its_services() -> None:
    found = connection({**IDENTITY, "Data__blobServiceUri": "https://ours.blob.core.chinacloudapi.cn/"}, "Data")
    assert found.name == "ours"
    assert found.blob_endpoint == "https://ours.blob.core.chinacloudapi.cn"
    assert found.queue_endpoint == "https://ours.queue.core.chinacloudapi.cn"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "neither Data nor Data__accountName is set"),
        ({"Data": ""}, "neither Data nor Data__accountName is set"),
        ({"Data": "UseDevelopmentStorage=true", "Data__accountName": "ours"}, "is set twice"),
        ({"Data__accountName": "ours"}, "the platform offers none"),
        ({**IDENTITY, "Data__accountName": "ours", "Data__credential": "key"}, "must be managedidentity or"),
        ({**IDENTITY, "Data__accountName": "../ours"}, "not an account name"),
        ({**IDENTITY, "Data__accountName": "ours", "Data__blobServiceUri": "http://example.com"}, "plain HTTP"),
    ],
)
def test_what_cannot_be_one(settings: dict[str, str], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        connection(settings, "Data")


def test_whether_one_is_set() -> None:
    assert is_set({"data__blobserviceuri": "x"}, "Data")
    assert is_set({"Data": "x"}, "Data")
    assert not is_set({"Database": "x", "Data_x": "y"}, "Data")


def test_the_identity_of_a_pod(tmp_path: Path) -> None:
    def answer(_: Asked) -> Answer:
        return Answer(body=json.dumps({"access_token": "made", "expires_in": 3600}).encode())

    file = tmp_path / "token"
    file.write_text("of the cluster\n")
    with loopback(answer) as server:
        variables = {
            "AZURE_FEDERATED_TOKEN_FILE": str(file),
            "AZURE_TENANT_ID": "tenant",
            "AZURE_CLIENT_ID": "client",
            "AZURE_AUTHORITY_HOST": server.url,
        }
        provide = managed_identity(variables)
        assert provide is not None
        assert provide()[0] == "made"
        (asked,) = server.asked
    assert asked.path == "/tenant/oauth2/v2.0/token"
    form = parse_qs(asked.body.decode())
    assert form["client_assertion"] == ["of the cluster"]
    assert form["scope"] == ["https://storage.azure.com/.default"]
    assert form["client_id"] == ["client"]


def test_without_an_identity_there_is_none() -> None:
    assert managed_identity({"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c"}) is None

"""What v1's register_* calls ask of the service."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from millstream import Datastore, Workspace
from millstream.errors import InvalidRequest
from tests.unit.millstream.loopback import Answer, Asked, Loopback, loopback

WORKSPACE = {
    "name": "w",
    "subscription_id": "s",
    "resource_group": "g",
    "default_datastore": "workspaceblobstore",
    "datastores": [],
    "computes": [],
}


@pytest.fixture
def server() -> Iterator[Loopback]:
    def answer(asked: Asked) -> Answer:
        if asked.path == "/api/workspace":
            return Answer(200, json.dumps(WORKSPACE).encode())
        body = json.loads(asked.body)
        known = {"name": asked.path.rpartition("/")[2], "type": body.get("type"), "auth": body.get("auth")}
        return Answer(201, json.dumps(known).encode())

    with loopback(answer) as server:
        yield server


@pytest.fixture
def register(server: Loopback) -> Callable[..., dict[str, Any]]:
    """Call `Datastore.register_<what>`; what was sent, without what says nothing."""

    def register(what: str, *arguments: Any, **named: Any) -> dict[str, Any]:
        workspace = Workspace(url=server.url, token="t")
        made = getattr(Datastore, f"register_{what}")(workspace, "lake", *arguments, **named)
        assert isinstance(made, Datastore)
        assert made.name == "lake"
        (asked,) = [asked for asked in server.asked if asked.method == "PUT"]
        assert asked.path == "/api/datastores/lake"
        return {name: value for name, value in json.loads(asked.body).items() if value not in ("", False)}

    return register


def test_a_blob_container_by_its_key(register: Callable[..., dict[str, Any]]) -> None:
    sent = register("azure_blob_container", "raw", "acc", account_key="a2V5", overwrite=True, create_if_not_exists=True)
    assert sent == {
        "type": "AzureBlob",
        "auth": "account_key",
        "secret": "a2V5",
        "account": "acc",
        "container": "raw",
        "endpoint": "https://acc.blob.core.windows.net",
        "overwrite": True,
        "create_if_not_exists": True,
    }


def test_a_blob_container_by_a_sas_elsewhere(register: Callable[..., dict[str, Any]]) -> None:
    sent = register("azure_blob_container", "raw", "acc", "?sv=1&sig=x", protocol="http", endpoint="core.example")
    assert (sent["auth"], sent["secret"]) == ("sas", "sv=1&sig=x")
    assert sent["endpoint"] == "http://acc.blob.core.example"


def test_a_blob_container_by_the_service_s_identity(register: Callable[..., dict[str, Any]]) -> None:
    sent = register("azure_blob_container", "raw", "acc", endpoint="http://127.0.0.1:10000/acc")
    assert (sent["auth"], sent["endpoint"]) == ("identity", "http://127.0.0.1:10000/acc")
    assert sent["skip_validation"], "as in v1 there is nothing to be looked at"
    assert "secret" not in sent


def test_a_data_lake_by_a_service_principal(register: Callable[..., dict[str, Any]]) -> None:
    sent = register("azure_data_lake_gen2", "fs", "acc", "tenant", "client", "secret")
    assert sent == {
        "type": "AzureDataLakeGen2",
        "auth": "service_principal",
        "tenant": "tenant",
        "client": "client",
        "secret": "secret",
        "account": "acc",
        "container": "fs",
        "endpoint": "https://acc.blob.core.windows.net",
        "skip_validation": True,
    }


def test_a_file_share(register: Callable[..., dict[str, Any]]) -> None:
    sent = register("azure_file_share", "share", "acc", account_key="a2V5")
    assert (sent["type"], sent["endpoint"]) == ("AzureFile", "https://acc.file.core.windows.net")


def test_a_file_share_that_is_to_be_made(register: Callable[..., dict[str, Any]]) -> None:
    sent = register("azure_file_share", "share", "acc", sas_token="sig=x", create_if_not_exists=True)
    assert (sent["auth"], sent["create_if_not_exists"]) == ("sas", True)


@pytest.mark.parametrize(
    ("what", "arguments", "kind", "url"),
    [
        (
            "azure_sql_database",
            {"username": "me@corp", "password": "p"},
            "AzureSqlDatabase",
            "mssql+pymssql://me%40corp@srv.database.windows.net:1433/shop",
        ),
        (
            "azure_postgre_sql",
            {"user_id": "me@srv", "user_password": "p"},
            "AzurePostgreSql",
            "postgresql+psycopg://me%40srv@srv.postgres.database.azure.com:5432/shop?sslmode=require",
        ),
        (
            "azure_postgre_sql",
            {"user_id": "me", "user_password": "p", "enforce_ssl": False, "port_number": 6432, "endpoint": "example"},
            "AzurePostgreSql",
            "postgresql+psycopg://me@srv.example:6432/shop",
        ),
        (
            "azure_my_sql",
            {"user_id": "me", "user_password": "p"},
            "AzureMySql",
            "mysql+pymysql://me@srv.mysql.database.azure.com:3306/shop?ssl_check_hostname=true",
        ),
    ],
)
def test_databases(
    register: Callable[..., dict[str, Any]], what: str, arguments: dict[str, Any], kind: str, url: str
) -> None:
    sent = register(what, "srv", "shop", **arguments)
    assert sent == {"type": kind, "auth": "password", "secret": "p", "url": url}


def test_a_password_in_a_url_travels_by_itself(register: Callable[..., dict[str, Any]]) -> None:
    sent = register("sql", "postgresql+psycopg://me:p%40ss@host/db")
    assert sent == {"type": "Sql", "auth": "password", "secret": "p@ss", "url": "postgresql+psycopg://me@host/db"}


def test_a_file_of_sqlite_has_none(register: Callable[..., dict[str, Any]]) -> None:
    assert register("sql", "sqlite:////data/a.db") == {"type": "Sql", "auth": "none", "url": "sqlite:////data/a.db"}


@pytest.mark.parametrize(
    ("what", "arguments", "field"),
    [
        ("azure_blob_container", ("raw", "acc", "sig=x", "a2V5"), "account_key"),
        ("azure_data_lake_gen2", ("fs", "acc", "tenant"), "client_secret"),
        ("azure_sql_database", ("srv", "db", "tenant", "client", "secret"), "username"),
        ("azure_sql_database", ("srv", "db"), "username"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_sent(
    server: Loopback, what: str, arguments: tuple[str, ...], field: str
) -> None:
    workspace = Workspace(url=server.url, token="t")
    with pytest.raises(InvalidRequest) as refused:
        getattr(Datastore, f"register_{what}")(workspace, "lake", *arguments)
    assert refused.value.field == field
    assert server.asked == []


def test_the_default_is_changed(server: Loopback) -> None:
    workspace = Workspace(url=server.url, token="t")
    Datastore(workspace, "lake").set_as_default()
    (asked,) = [asked for asked in server.asked if asked.method == "PUT"]
    assert (asked.path, json.loads(asked.body)) == ("/api/workspace/default-datastore", {"name": "lake"})

"""What a registered datastore may be, and what its address says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from orchestrator.core.datastore import (
    Datastore,
    address_of,
    check,
    password_in,
    registered_in,
    with_password,
    without_password,
)
from orchestrator.core.errors import InvalidRequest

BLOB = Datastore(
    name="lake",
    type="AzureBlob",
    auth="account_key",
    account="lakeaccount",
    container="raw",
    endpoint="https://lakeaccount.blob.core.windows.net",
)
SQL = Datastore(name="sales", type="Sql", auth="none", url="sqlite:////data/sales.db")


def changed(of: Datastore, **changes: Any) -> Datastore:
    return msgspec.structs.replace(of, **changes)


@pytest.mark.parametrize(
    "found",
    [
        BLOB,
        changed(BLOB, container="$root"),
        changed(BLOB, endpoint="http://127.0.0.1:10000/lakeaccount", auth="sas"),
        changed(BLOB, type="AzureDataLakeGen2", auth="service_principal", tenant="contoso.com", client="a-b"),
        changed(BLOB, type="AzureFile"),
        changed(BLOB, auth="identity"),
        changed(BLOB, auth="identity", endpoint="http://127.0.0.1:10000/lakeaccount"),
        SQL,
        changed(
            SQL,
            type="AzurePostgreSql",
            auth="password",
            url="postgresql+psycopg://me%40here@host:5432/db?sslmode=require",
        ),
    ],
)
def test_what_fits_together(found: Datastore) -> None:
    assert check(found) is found


@pytest.mark.parametrize(
    ("found", "field"),
    [
        (changed(BLOB, account="Lake"), "account"),
        (changed(BLOB, account="x/../y"), "account"),
        (changed(BLOB, container="a"), "container"),
        (changed(BLOB, container="a--b"), "container"),
        (changed(BLOB, container="raw/../x"), "container"),
        (changed(BLOB, container="x" * 64), "container"),
        (changed(BLOB, endpoint=""), "endpoint"),
        (changed(BLOB, endpoint="ftp://x"), "endpoint"),
        (changed(BLOB, endpoint="https://user:pw@host"), "endpoint"),
        (changed(BLOB, endpoint="https://host?sig=x"), "endpoint"),
        (changed(BLOB, endpoint="https://host:99999"), "endpoint"),
        (changed(BLOB, endpoint="https://host/\r\nx: y"), "endpoint"),
        (changed(BLOB, auth="password"), "auth"),
        (changed(BLOB, url="sqlite://"), "url"),
        (changed(BLOB, tenant="t"), "tenant"),
        (changed(BLOB, auth="service_principal", tenant="t"), "client"),
        (changed(BLOB, auth="service_principal", tenant="a/b", client="c"), "tenant"),
        (changed(BLOB, type="AzureFile", auth="identity"), "auth"),
        (changed(BLOB, auth="identity", endpoint="https://lakeaccount.blob.core.windows.net.example.com"), "endpoint"),
        (changed(BLOB, auth="identity", endpoint="http://lakeaccount.blob.core.windows.net"), "endpoint"),
        (changed(BLOB, auth="identity", endpoint="https://127.0.0.1.example.com"), "endpoint"),
        (changed(SQL, url=""), "url"),
        (changed(SQL, url="no url"), "url"),
        (changed(SQL, url="postgresql://me:secret@host/db"), "url"),
        (changed(SQL, url="postgresql://me:@host/db"), "url"),
        (changed(SQL, url="postgresql://host/db?password=x"), "url"),
        (changed(SQL, url="mssql://host/db?odbc_connect=PWD&Pwd=x"), "url"),
        (changed(SQL, url="sqlite:///a\nb"), "url"),
        (changed(SQL, account="lake"), "url"),
        (changed(SQL, auth="account_key"), "auth"),
    ],
)
def test_what_does_not(found: Datastore, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check(found)
    assert refused.value.field == field


@pytest.mark.parametrize("password", ["plain", "p@ss:w/rd?#", "ü %", "a+b"])
def test_a_password_is_taken_out_of_a_url_and_put_in(password: str) -> None:
    url = "postgresql+psycopg://me%40here@host:5432/db?sslmode=require"
    whole = with_password(url, password)
    assert password_in(whole) == password
    assert without_password(whole) == url
    assert password_in(url) is None


@pytest.mark.parametrize("url", ["sqlite:////data/a.db", "sqlite://", "duckdb:///x@y.db?a=b@c"])
def test_a_url_without_a_user_stays_as_it_is(url: str) -> None:
    assert without_password(url) == url or "@" in url
    assert password_in(url) is None


def test_an_address_tells_the_version() -> None:
    assert registered_in(address_of(BLOB)) == "lake"
    assert address_of(BLOB) == address_of(changed(BLOB))
    assert address_of(BLOB) != address_of(changed(BLOB, sealed="1.x.y"))
    assert registered_in("workspaceblobstore") is None

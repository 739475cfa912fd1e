"""Rows of a real MariaDB, spoken to as MySQL is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from orchestrator.core import dataset as ds
from orchestrator.core.errors import Unavailable
from orchestrator.core.secret import Secret
from orchestrator.datasets import sql
from orchestrator.datasets.errors import QueryFailed
from tests.mariadb import PASSWORD, MariaDb, MariaDbMissing, running_mariadb
from tests.unit.datasets.test_sql import Databases, query_of

pytest.importorskip("pymysql")


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDb]:
    try:
        with running_mariadb() as server:
            made = sqlalchemy.create_engine(server.url)
            with made.begin() as connection:
                connection.exec_driver_sql("create table sales (id int, what text)")
                connection.exec_driver_sql("insert into sales values (1, 'ü'), (2, null)")
            made.dispose()
            yield server
    except MariaDbMissing as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@pytest.fixture(params=["mysql", "mariadb"])
def store(request: pytest.FixtureRequest, server: MariaDb, tmp_path: Path) -> Databases:
    return Databases(tmp_path, server.url.replace("mysql+", f"{request.param}+"))


def test_its_types(store: Databases) -> None:
    text = """
        select 1 as i, cast(2.5 as decimal(9, 2)) as n, 'ü%s :x' as t, date '2020-01-31' as d,
               timestamp '2020-01-31 12:00:00' as at, null as nothing, cast('1.5' as double) as f,
               x'00ff' as raw, cast(-1 as unsigned) as large, '12:30:00.5' + interval 0 second as later
    """
    rows = store.table(query_of(text))
    types = {field.name: str(field.type) for field in rows.schema}
    assert types == {
        "i": "int64",
        "n": "double",
        "t": "string",
        "d": "timestamp[us]",
        "at": "timestamp[us]",
        "nothing": "null",
        "f": "double",
        "raw": "binary",
        "large": "string",
        "later": "null",
    }
    (row,) = rows.to_pylist()
    assert (row["n"], row["t"], row["raw"], row["large"]) == (2.5, "ü%s :x", b"\x00\xff", str(2**64 - 1))


def test_it_streams(store: Databases) -> None:
    tables = sql.query(Secret(store.url), "select seq from seq_1_to_25000", seconds=30)
    assert [rows.num_rows for rows in tables] == [10_000, 10_000, 5_000]


def test_who_needs_a_few_rows_does_not_wait_for_all(store: Databases) -> None:
    began = time.monotonic()
    rows = store.rows(query_of("select seq from seq_1_to_400000000", seconds=60).then(ds.Take(count=3)))
    assert [row["seq"] for row in rows] == [1, 2, 3]
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("select sleep(30) from seq_1_to_2", "max_statement_time"),
        ("insert into sales values (3, 'x')", "READ ONLY"),
        ("delete from sales", "READ ONLY"),
        ("select * from nowhere", "doesn't exist"),
        ("selekt", "SQL syntax"),
    ],
)
def test_it_refuses(store: Databases, text: str, said: str) -> None:
    began = time.monotonic()
    with pytest.raises(QueryFailed, match=said):
        store.table(query_of(text, seconds=1))
    assert time.monotonic() - began < 20
    assert store.rows(query_of("select count(*) as n from sales")) == [{"n": 2}]


def test_a_wrong_password_is_not_repeated(server: MariaDb) -> None:
    wrong = server.url.replace(server.url.partition("me:")[2].partition("@")[0], "not-it")
    with pytest.raises(Unavailable, match="Access denied") as refused:
        list(sql.query(Secret(wrong), "select 1", seconds=1))
    assert "not-it" not in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_over_tls_the_server_must_be_the_one_it_is_called(server: MariaDb, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `register_azure_my_sql` registers it."""
    text = "select variable_value as cipher from information_schema.session_status where variable_name = 'Ssl_cipher'"
    asked = f"{server.url}?{sql.VERIFIED}=true"
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        list(sql.query(Secret(asked), text, seconds=5))
    monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
    (rows,) = sql.query(Secret(asked), text, seconds=5)
    assert rows["cipher"][0].as_py().startswith("TLS_")
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        list(sql.query(Secret(asked.replace("127.0.0.1", "localhost")), text, seconds=5))

"""Rows of SQL databases: SQLite always, and a real PostgreSQL where there is one."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core import dataset as ds
from orchestrator.core.errors import Unavailable
from orchestrator.core.secret import Secret
from orchestrator.datasets import sql
from orchestrator.datasets.errors import NotSupported, QueryFailed
from orchestrator.datasets.frames import frame
from tests.postgres import PASSWORD, PostgresMissing, running_postgres
from tests.unit.datasets.store import Store

ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"


class Databases(Store):
    """Every database is the one at `url`."""

    def __init__(self, root: Path, url: str) -> None:
        super().__init__(root)
        self.url = url

    def query(self, source: ds.SqlQuery) -> Iterator[Any]:
        return sql.query(Secret(self.url), source.query, seconds=source.timeout_seconds)


@pytest.fixture
def url(tmp_path: Path) -> str:
    path = tmp_path / "sales.db"
    with sqlite3.connect(path) as made:
        made.execute("create table sales (id integer, what text, price numeric, anything)")
        rows = [(n, f"thing {n}", n / 2 if n % 2 else None, n if n < 15_000 else "late") for n in range(20_000)]
        made.executemany("insert into sales values (?, ?, ?, ?)", rows)
    made.close()
    return f"sqlite:///{path}"


@pytest.fixture
def store(tmp_path: Path, url: str) -> Databases:
    return Databases(tmp_path, url)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    try:
        with running_postgres() as url:
            yield url
    except PostgresMissing as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))


def query_of(text: str, *, seconds: float = 30.0, **more: Any) -> ds.DatasetDocument:
    source = ds.SqlQuery(datastore="sales", query=text, timeout_seconds=seconds)
    return ds.DatasetDocument(type="tabular", sources=(source,), **more)


def test_rows_have_types_and_their_order(store: Databases) -> None:
    rows = store.table(query_of("select id, what, price from sales order by id"))
    assert rows.num_rows == 20_000
    assert [str(field.type) for field in rows.schema] == ["int64", "string", "double"]
    assert rows.slice(0, 2).to_pylist() == [
        {"id": 0, "what": "thing 0", "price": None},
        {"id": 1, "what": "thing 1", "price": 0.5},
    ]


def test_what_is_done_to_them_is_done(store: Databases) -> None:
    document = query_of("select id, what from sales order by id").then(ds.Skip(count=10)).then(ds.Take(count=2))
    assert store.rows(document) == [{"id": 10, "what": "thing 10"}, {"id": 11, "what": "thing 11"}]


def test_taking_a_few_rows_reads_a_few(store: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    made = sql._table

    def count(names: list[str], rows: Any) -> Any:
        read.append(len(rows))
        return made(names, rows)

    monkeypatch.setattr(sql, "_table", count)
    store.rows(query_of("select id from sales").then(ds.Take(count=3)))
    assert read == [sql.BATCH]


def test_a_column_that_turns_out_to_hold_texts_is_text_throughout(store: Databases) -> None:
    rows = store.table(query_of("select anything from sales order by id"))
    assert str(rows.schema.field("anything").type) == "string"
    assert rows["anything"][0].as_py() == "0"
    assert rows["anything"][19_999].as_py() == "late"


def test_a_column_may_begin_with_nothing(store: Databases) -> None:
    text = "select case when id < 10000 then null else id end as n from sales order by id"
    assert str(store.table(query_of(text)).schema.field("n").type) == "int64"


def test_types_that_are_set_are_used(store: Databases) -> None:
    document = query_of("select id from sales limit 1", column_types={"id": ds.ColumnType(type="string")})
    assert store.rows(document) == [{"id": "0"}]


def test_no_row_is_a_table_with_its_columns(store: Databases) -> None:
    rows = store.table(query_of("select id, what from sales where id < 0"))
    assert rows.num_rows == 0
    assert rows.column_names == ["id", "what"]
    assert frame(rows).shape == (0, 2)


def test_percent_signs_and_colons_are_the_query_s_own(store: Databases) -> None:
    rows = store.rows(query_of("select what from sales where what like '%thing 1999' and ':x' = ':x'"))
    assert rows == [{"what": "thing 1999"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("select color from sales", "no such column: color"),
        ("selekt", "syntax error"),
        ("delete from sales", "readonly database"),
        ("create table more (id integer)", "readonly database"),
        ("pragma query_only = on", "gives no rows"),
        ("select id, id from sales", "several columns the name 'id'"),
    ],
)
def test_a_query_that_is_no_good_is_said(store: Databases, text: str, said: str) -> None:
    with pytest.raises(QueryFailed, match=said):
        store.table(query_of(text))
    assert store.rows(query_of("select count(*) as n from sales")) == [{"n": 20_000}]


def test_a_query_may_take_so_long(store: Databases) -> None:
    began = time.monotonic()
    with pytest.raises(QueryFailed, match=r"longer than 0\.2 s"):
        store.table(query_of(ENDLESS, seconds=0.2))
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql+mysqldb://me:hidden@host/db", "pip install 'mysqlclient'"),
        ("mssql+pymssql://me:hidden@host/db", "pip install 'pymssql'"),
        ("postgresql+psycopg2://me:hidden@host/db", "pip install 'psycopg2-binary'"),
        ("nosuchdb://me:hidden@host/db", "no database 'nosuchdb'"),
    ],
)
def test_a_package_that_is_missing_is_named(url: str, said: str) -> None:
    with pytest.raises(NotSupported, match=said) as refused:
        list(sql.query(Secret(url), "select 1", seconds=1))
    assert "hidden" not in repr(refused.value)
    assert refused.value.__cause__ is None


def test_a_database_that_is_not_there_may_come_back() -> None:
    with pytest.raises(Unavailable) as refused:
        list(sql.query(Secret("postgresql+psycopg://me:hidden@127.0.0.1:9/db"), "select 1", seconds=1))
    assert "hidden" not in str(refused.value)


def test_postgresql_gives_its_types(tmp_path: Path, postgres: str) -> None:
    text = """
        select 1::int as i, 2.5::numeric as n, 'ü%s :x'::text as t, true as b, date '2020-01-31' as d,
               timestamptz '2020-01-31 12:00+02' as at, null::int as nothing, '{"a": 1}'::jsonb as j,
               '6b0f3a2e-6c52-4c59-9a0a-58a4f3f0c1d2'::uuid as u
    """
    rows = Databases(tmp_path, postgres).table(query_of(text))
    assert [str(field.type) for field in rows.schema] == [
        "int64", "double", "string", "bool", "timestamp[us]", "timestamp[us]", "null", "string", "string",
    ]  # fmt: skip
    (row,) = rows.to_pylist()
    assert (row["i"], row["n"], row["t"], row["j"]) == (1, 2.5, "ü%s :x", '{"a": 1}')
    assert row["at"].isoformat() == "2020-01-31T10:00:00"


def test_postgresql_streams(tmp_path: Path, postgres: str) -> None:
    tables = sql.query(Secret(postgres), "select i from generate_series(1, 25000) as i", seconds=30)
    assert [rows.num_rows for rows in tables] == [10_000, 10_000, 5_000]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("select pg_sleep(30)", "statement timeout"),
        ("create table t (i int)", "syntax error"),
        ("select * from nowhere", "does not exist"),
    ],
)
def test_postgresql_refuses(tmp_path: Path, postgres: str, text: str, said: str) -> None:
    began = time.monotonic()
    with pytest.raises(QueryFailed, match=said):
        Databases(tmp_path, postgres).table(query_of(text, seconds=0.5))
    assert time.monotonic() - began < 20


def test_postgresql_does_not_repeat_a_wrong_password(postgres: str) -> None:
    wrong = postgres.replace(postgres.partition("me:")[2].partition("@")[0], "not-it")
    with pytest.raises(Unavailable, match="password authentication failed") as refused:
        list(sql.query(Secret(wrong), "select 1", seconds=1))
    assert "not-it" not in str(refused.value)
    assert PASSWORD not in str(refused.value)

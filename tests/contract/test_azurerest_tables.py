"""The Table client against Azurite, and against what the official SDK reads and writes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.data.tables import EdmType, EntityProperty, TableClient

from azurerest import Account, Op, Tables, Transport, odata
from azurerest.entity import Value
from azurerest.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed, StorageError

pytestmark = pytest.mark.azurite

VALUES: dict[str, Value] = {
    "text": "Grüße, 世界 😀 \r\n\t'\"<&>",
    "empty": "",
    "small": -1,
    "large": 2**40,
    "whole": 5.0,
    "real": -1.5e-300,
    "infinite": float("inf"),
    "yes": True,
    "no": False,
    "raw": bytes(range(256)),
    "nothing": b"",
    "when": datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC),
}


@pytest.fixture(scope="module")
def tables(azurite_connection: str) -> Iterator[Tables]:
    transport = Transport()
    yield Tables(Account.from_connection_string(azurite_connection), transport)
    transport.close()


@pytest.fixture
def table(tables: Tables) -> str:
    name = f"t{uuid.uuid4().hex}"
    assert tables.create(name) is True
    return name


@pytest.fixture
def sdk(azurite_connection: str, table: str) -> Iterator[TableClient]:
    with TableClient.from_connection_string(azurite_connection, table) as client:
        yield client


def test_tables_are_created_and_deleted_once(tables: Tables) -> None:
    name = f"t{uuid.uuid4().hex}"
    assert [tables.create(name), tables.create(name)] == [True, False]
    assert [tables.delete_table(name), tables.delete_table(name)] == [True, False]
    with pytest.raises(NotFound) as caught:
        tables.get(name, "p", "r")
    assert caught.value.code == "TableNotFound"
    with pytest.raises(NotFound):
        tables.query(name, "")


def test_values_come_back_equal_and_of_the_same_type(tables: Tables, table: str) -> None:
    etag = tables.insert(table, "p", "r", VALUES)
    row = tables.get(table, "p", "r")
    assert row is not None
    assert row.props == VALUES
    assert {name: type(value) for name, value in row.props.items()} == {n: type(v) for n, v in VALUES.items()}
    assert (row.pk, row.rk, row.etag) == ("p", "r", etag)
    assert 0 <= row.age < 60
    assert tables.get(table, "p", "other") is None


def test_the_sdk_reads_what_is_written(tables: Tables, table: str, sdk: TableClient) -> None:
    tables.insert(table, "p", "r", VALUES)
    seen: dict[str, Any] = dict(sdk.get_entity("p", "r"))
    large = seen.pop("large")
    assert (large.value, large.edm_type) == (2**40, EdmType.INT64)
    assert seen == {"PartitionKey": "p", "RowKey": "r"} | {n: v for n, v in VALUES.items() if n != "large"}


def test_what_the_sdk_writes_is_read(tables: Tables, table: str, sdk: TableClient) -> None:
    entity: dict[str, Any] = {"PartitionKey": "p", "RowKey": "r", **VALUES}
    entity["large"] = EntityProperty(2**40, EdmType.INT64)
    entity["guid"] = uuid.UUID("c9da6455-213d-42c9-9a79-3e9149a57833")
    etag = sdk.create_entity(entity)["etag"]
    row = tables.get(table, "p", "r")
    assert row is not None
    assert row.props == VALUES | {"guid": "c9da6455-213d-42c9-9a79-3e9149a57833"}
    assert row.etag == etag


@pytest.mark.parametrize("key", ["it's", "a b", "ü%25", "r&k+1=2;,()", "''", "|~^`{}", "😀", "%2F", ""])
def test_awkward_keys(tables: Tables, table: str, sdk: TableClient, key: str) -> None:
    etag = tables.insert(table, key, key, {"a": 1})
    row = tables.get(table, key, key)
    assert row is not None
    assert (row.pk, row.rk, row.etag) == (key, key, etag)
    assert [each.rk for each in tables.query(table, odata.key_range(key)).entities] == [key]
    if key:
        assert sdk.get_entity(key, key)["a"] == 1
    (etag,) = tables.transact(table, [Op.merge(key, key, {"a": 2}, etag=etag)])
    tables.delete(table, key, key, etag=etag)
    assert tables.get(table, key, key) is None


def test_conditional_writes(tables: Tables, table: str) -> None:
    first = tables.insert(table, "p", "r", {"a": 1, "b": 1})
    with pytest.raises(Conflict) as caught:
        tables.insert(table, "p", "r", {})
    assert caught.value.code == "EntityAlreadyExists"
    second = tables.merge(table, "p", "r", {"a": 2}, etag=first)
    assert second != first
    for stale in (
        lambda: tables.merge(table, "p", "r", {"a": 3}, etag=first),
        lambda: tables.replace(table, "p", "r", {"a": 3}, etag=first),
        lambda: tables.delete(table, "p", "r", etag=first),
    ):
        with pytest.raises(PreconditionFailed):
            stale()
    assert _props(tables, table) == {"a": 2, "b": 1}
    third = tables.replace(table, "p", "r", {"c": 3}, etag=second)
    assert _props(tables, table) == {"c": 3}
    tables.delete(table, "p", "r", etag=third)
    for missing in (
        lambda: tables.merge(table, "p", "r", {"a": 3}),
        lambda: tables.replace(table, "p", "r", {"a": 3}),
        lambda: tables.delete(table, "p", "r"),
    ):
        with pytest.raises(NotFound):
            missing()


def _props(tables: Tables, table: str) -> dict[str, Value]:
    row = tables.get(table, "p", "r")
    assert row is not None
    return row.props


def test_upserts_and_empty_rows(tables: Tables, table: str) -> None:
    tables.upsert_merge(table, "p", "r", {"a": 1})
    tables.upsert_merge(table, "p", "r", {"b": 2})
    assert _props(tables, table) == {"a": 1, "b": 2}
    tables.upsert_replace(table, "p", "r", {"c": 3})
    assert _props(tables, table) == {"c": 3}
    tables.replace(table, "p", "r", {})
    assert _props(tables, table) == {}
    tables.insert(table, "p", "empty", {})


def test_an_etag_of_the_sdk_and_back(tables: Tables, table: str, sdk: TableClient) -> None:
    etag = tables.insert(table, "p", "r", {"a": 1})
    updated = sdk.update_entity(
        {"PartitionKey": "p", "RowKey": "r", "a": 2}, etag=etag, match_condition=MatchConditions.IfNotModified
    )
    tables.merge(table, "p", "r", {"a": 3}, etag=updated["etag"])


def test_queries(tables: Tables, table: str) -> None:
    rows = [Op.insert("p", f"{n:03d}", {"n": n, "s": f"it's {n}", "big": 2**40 + n}) for n in range(30)]
    tables.transact(table, rows)
    tables.insert(table, "q", "000", {"n": 99})

    def keys(text: str) -> list[str]:
        return [row.rk for row in tables.query_all(table, text)]

    assert keys(odata.key_range("p", "003", "006")) == ["003", "004", "005"]
    assert keys(odata.key_prefix("p", "02")) == [f"{n:03d}" for n in range(20, 30)]
    assert keys("s eq " + odata.literal("it's 7")) == ["007"]
    assert keys(f"big ge {odata.literal(2**40 + 28)}") == ["028", "029"]
    assert len(keys("")) == 31
    (row,) = tables.query(table, "n eq 5", select=["n"]).entities
    assert (row.pk, row.rk, row.props) == ("p", "005", {"n": 5})
    with pytest.raises(Invalid):
        tables.query(table, "not a filter (")


def test_pages(tables: Tables, table: str) -> None:
    tables.transact(table, [Op.insert("p", f"{n}'ü", {"n": n}) for n in range(5)])
    seen: list[Value] = []
    continuation = None
    while True:
        page = tables.query(table, odata.key_range("p"), top=2, continuation=continuation)
        assert len(page.entities) <= 2
        seen += [row.props["n"] for row in page.entities]
        continuation = page.continuation
        if continuation is None:
            break
    assert seen == [0, 1, 2, 3, 4]


def test_more_than_one_service_page(tables: Tables, table: str) -> None:
    for start in range(0, 1100, 100):
        tables.transact(table, [Op.insert("p", f"{n:05d}", {}) for n in range(start, start + 100)])
    assert len(tables.query(table, "").entities) == 1000
    assert [row.rk for row in tables.query_all(table, "")] == [f"{n:05d}" for n in range(1100)]


def test_a_transaction_applies_as_a_whole(tables: Tables, table: str) -> None:
    old = tables.insert(table, "p", "merge", {"a": 1, "b": 1})
    gone = tables.insert(table, "p", "delete", {})
    etags = tables.transact(
        table,
        [
            Op.insert("p", "insert", VALUES),
            Op.merge("p", "merge", {"a": 2}, etag=old),
            Op.delete("p", "delete", etag=gone),
            Op.upsert_merge("p", "upsert1", {"a": 1}),
            Op.upsert_replace("p", "upsert2", {}),
        ],
    )
    rows = {row.rk: row for row in tables.query_all(table, "")}
    assert rows.keys() == {"insert", "merge", "upsert1", "upsert2"}
    assert [rows[rk].etag for rk in ("insert", "merge", "upsert1", "upsert2")] == [*etags[:2], *etags[3:]]
    assert etags[2] == ""
    assert rows["insert"].props == VALUES
    assert rows["merge"].props == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (Op.insert("p", "there", {}), Conflict),
        (Op.merge("p", "there", {"a": 9}, etag="W/\"datetime'2024-01-01T00%3A00%3A00.0000000Z'\""), PreconditionFailed),
        (Op.delete("p", "there", etag="W/\"datetime'2024-01-01T00%3A00%3A00.0000000Z'\""), PreconditionFailed),
        (Op.replace("p", "missing", {}), NotFound),
        (Op.delete("p", "missing"), NotFound),
    ],
)
@pytest.mark.parametrize("place", [0, 2, 50])
def test_a_failing_operation_is_named_and_nothing_is_applied(
    tables: Tables, table: str, bad: Op, kind: type[StorageError], place: int
) -> None:
    tables.insert(table, "p", "there", {"a": 1})
    ops = [Op.insert("p", f"new{n}", {}) for n in range(place)]
    with pytest.raises(StorageError) as caught:
        tables.transact(table, [*ops, bad, Op.insert("p", "last", {})])
    assert type(caught.value) is kind
    assert caught.value.index == place
    assert [(row.rk, row.props) for row in tables.query_all(table, "")] == [("there", {"a": 1})]


def test_a_full_transaction(tables: Tables, table: str) -> None:
    etags = tables.transact(table, [Op.insert("p", f"{n:03d}", {"text": "ü" * 5000, "é": "ü"}) for n in range(100)])
    assert len(etags) == 100
    assert [row.etag for row in tables.query_all(table, "")] == etags


def test_data_that_looks_like_a_transaction(tables: Tables, table: str) -> None:
    text = "\r\n\r\nHTTP/1.1 412 Precondition Failed\r\nETag: x\r\n--batch\r\n{}"
    tables.transact(table, [Op.insert("p", "1", {"text": text}), Op.insert("p", "2", {"text": text})])
    assert [row.props["text"] for row in tables.query_all(table, "")] == [text, text]


def test_a_wrong_key_is_forbidden(azurite_connection: str, table: str) -> None:
    good = Account.from_connection_string(azurite_connection)
    wrong = good._replace(credential=type(good.credential)("d3Jvbmc="))  # type: ignore[call-arg]
    with pytest.raises(Forbidden):
        Tables(wrong, Transport()).get(table, "p", "r")


def test_large_rows(tables: Tables, table: str) -> None:
    props: dict[str, Value] = {f"p{n}": "ü" * 32_000 for n in range(15)}
    tables.insert(table, "p", "r", props)
    assert _props(tables, table) == props


def test_many_threads_share_a_client(tables: Tables, table: str) -> None:
    def work(thread: int) -> list[bool]:
        seen = []
        for number in range(25):
            etag = tables.insert(table, f"p{thread}", f"{number}", {"n": thread * 1000 + number})
            row = tables.get(table, f"p{thread}", f"{number}")
            seen.append(row is not None and (row.etag, row.props) == (etag, {"n": thread * 1000 + number}))
        return seen

    with ThreadPoolExecutor(16) as pool:
        assert [all(seen) and len(seen) == 25 for seen in pool.map(work, range(16))] == [True] * 16

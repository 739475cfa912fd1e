"""Rows and transactions: encodings and limits."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azurerest import Account, Tables, Transport, batch, entity
from azurerest.batch import Op
from azurerest.entity import Props, Value
from azurerest.errors import Conflict, Invalid, NotFound, PreconditionFailed, StorageError, TooLarge, Unanswered
from azurerest.transport import Response
from tests.unit.azurerest.loopback import Loopback, response
from tests.unit.azurerest.loopback import answer as peer_answer

SYSTEM = {"odata.etag": 'W/"1"', "Timestamp": "2024-05-06T07:08:09.1234567Z"}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
VALUES = (
    TEXT
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.binary(max_size=50)
    | st.datetimes(min_value=datetime(1601, 1, 1), timezones=st.just(UTC))
)


@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True), VALUES, max_size=8))
def test_what_is_encoded_decodes_equal_and_of_the_same_type(props: dict[str, Value]) -> None:
    props = {name: value for name, value in props.items() if name not in ("PartitionKey", "RowKey", "Timestamp")}
    row = entity.decode(json.loads(entity.encode("p", "r", props)) | SYSTEM, 1714979299.0)
    assert (row.pk, row.rk, row.etag, row.props) == ("p", "r", 'W/"1"', props)
    assert {name: type(value) for name, value in row.props.items()} == {n: type(v) for n, v in props.items()}


def test_age_is_by_the_server_alone() -> None:
    row = entity.decode({"PartitionKey": "p", "RowKey": "r"} | SYSTEM, 1714979299.0)
    assert row.timestamp == datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    assert row.age == pytest.approx(9.876544)
    assert row._replace(read_at=0.0).age == 0.0


def test_nulls_metadata_and_guids_are_read() -> None:
    data: dict[str, Any] = {
        "odata.metadata": "x",
        "PartitionKey": "p",
        "RowKey": "r",
        "a": None,
        "g@odata.type": "Edm.Guid",
        "g": "c9da6455-213d-42c9-9a79-3e9149a57833",
        "nan@odata.type": "Edm.Double",
        "nan": "NaN",
    }
    props = entity.decode(data | SYSTEM, 0.0).props
    assert props.keys() == {"g", "nan"}
    assert props["g"] == "c9da6455-213d-42c9-9a79-3e9149a57833"
    assert props["nan"] != props["nan"]


@pytest.mark.parametrize("data", [{}, {"PartitionKey": "p", "RowKey": "r"}, SYSTEM | {"a@odata.type": "?", "a": 1}])
def test_an_entity_that_cannot_be_read(data: dict[str, Any]) -> None:
    with pytest.raises(Unanswered):
        entity.decode(data, 0.0)


class Colour(StrEnum):
    RED = "red"


def test_subclasses_are_stored_as_their_base() -> None:
    assert json.loads(entity.encode("p", "r", {"c": Colour.RED}))["c"] == "red"


@pytest.mark.parametrize(
    ("props", "kind", "told"),
    [
        ({"a b": 1}, Invalid, "a b"),
        ({"": 1}, Invalid, "''"),
        ({"RowKey": "x"}, Invalid, "RowKey"),
        ({"a" * 256: 1}, Invalid, "aaa"),
        ({"big": 2**63}, Invalid, "big"),
        ({"naive": datetime(2024, 1, 1)}, Invalid, "time zone"),
        ({"nothing": None}, Invalid, "nothing"),
        ({"list": [1]}, Invalid, "list"),
        ({"half": "\ud800"}, Invalid, "Unicode"),
        ({"long": "a" * 32769}, TooLarge, "long"),
        ({"emoji": "😀" * 16385}, TooLarge, "emoji"),
        ({"blob": b"a" * 65537}, TooLarge, "blob"),
        ({f"p{n}": 1 for n in range(253)}, TooLarge, "253"),
        ({f"p{n}": "a" * 32000 for n in range(17)}, TooLarge, "bytes"),
    ],
)
def test_limits(props: Props, kind: type[StorageError], told: str) -> None:
    with pytest.raises(kind, match=told):
        entity.encode("p", "r", props)


def test_the_largest_that_fits() -> None:
    entity.encode("p", "r", {"a": "a" * 32768, "b": b"a" * 65536, "c": "😀" * 16384})
    entity.encode("p", "r", {f"p{n}": n for n in range(252)})
    entity.encode("p", "r", {f"p{n}": "a" * 32000 for n in range(16)})


def encode(*ops: Op) -> str:
    return batch.encode("http://h/account", "t", ops).decode()


@pytest.mark.parametrize(
    ("ops", "index", "told"),
    [
        ([], None, "1 to 100"),
        ([Op.insert("p", str(n), {}) for n in range(101)], None, "101"),
        ([Op.insert("p", "1", {}), Op.insert("q", "2", {})], 1, "'q'"),
        ([Op.insert("p", "1", {}), Op.delete("p", "1")], 1, "twice"),
        ([Op.insert("p", "1", {}), Op.insert("p", "2", {"a b": 1})], 1, "a b"),
        ([Op.delete("p", "1", etag='"\r\nx: y')], 0, "ETag"),
        ([Op.delete("p", "a/b")], 0, "RowKey"),
    ],
)
def test_limits_of_a_transaction(ops: list[Op], index: int | None, told: str) -> None:
    with pytest.raises(Invalid, match=told) as caught:
        encode(*ops)
    assert caught.value.index == index


def test_size_of_a_transaction() -> None:
    rows = [Op.insert("p", str(n), {f"p{k}": "a" * 32000 for k in range(16)}) for n in range(9)]
    with pytest.raises(TooLarge, match="transaction"):
        encode(*rows)
    encode(*rows[:8])


def test_each_operation_has_its_verb_and_condition() -> None:
    text = encode(
        Op.insert("p", "1", {"a": 1}),
        Op.merge("p", "2", {}, etag='W/"2"'),
        Op.replace("p", "3", {}),
        Op.upsert_merge("p", "4", {}),
        Op.upsert_replace("p", "5", {}),
        Op.delete("p", "6", etag='W/"6"'),
    )
    parts = [part.split("\r\n\r\n", 1)[1] for part in text.split("--changeset_")[1:7]]
    conditions = [part.partition("If-Match: ")[2].partition("\r\n")[0] for part in parts]
    assert [part.split(" ")[0] for part in parts] == ["POST", "PATCH", "PUT", "PATCH", "PUT", "DELETE"]
    assert conditions == ["", 'W/"2"', "*", "", "", 'W/"6"']


def answer(*parts: str) -> Response:
    body = "".join(f"--x\r\nContent-Type: application/http\r\n\r\n{part}\r\n" for part in parts)
    return Response(202, {}, f"{body}--x--\r\n".encode(), 0.0)


def refused(status: int, code: str, message: str) -> str:
    error = {"odata.error": {"code": code, "message": {"lang": "en", "value": message}}}
    return f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n\r\n{json.dumps(error)}"


def test_etags_of_a_transaction() -> None:
    done = answer('HTTP/1.1 204 No Content\r\nETag: W/"a"\r\n\r\n', "HTTP/1.1 204 No Content\r\n\r\n")
    assert batch.decode(done, 2, "op") == ['W/"a"', ""]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (412, "UpdateConditionNotSatisfied", PreconditionFailed),
        (409, "EntityAlreadyExists", Conflict),
        (404, "ResourceNotFound", NotFound),
        (400, "InvalidInput", Invalid),
        (413, "RequestBodyTooLarge", TooLarge),
    ],
)
def test_the_failing_operation_is_told(status: int, code: str, kind: type[StorageError]) -> None:
    with pytest.raises(StorageError) as caught:
        batch.decode(answer(refused(status, code, "17:No.\nRequestId:1")), 100, "op")
    assert type(caught.value) is kind
    assert (caught.value.index, caught.value.code, caught.value.message) == (17, code, "17:No.")


def test_a_refusal_of_the_whole_transaction_tells_the_operation_too() -> None:
    error = {"odata.error": {"code": "InvalidInput", "message": {"value": "99:One of the inputs is not valid."}}}
    with Loopback([peer_answer(response(400, json.dumps(error).encode()))]) as server:
        tables = Tables(Account("account", server.url, server.url, server.url), Transport())
        with pytest.raises(Invalid) as caught:
            tables.transact("table", [Op.insert("p", "1", {})])
    assert caught.value.index == 99


def test_fewer_answers_than_operations_say_nothing() -> None:
    with pytest.raises(Unanswered):
        batch.decode(answer("HTTP/1.1 204 No Content\r\n\r\n"), 2, "op")

"""The dataset document: one address for one meaning, and every rule about it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import dataset as ds
from orchestrator.core import dataset_rules as rules
from orchestrator.core.dataset_filter import (
    DEEPEST,
    AllOf,
    AnyOf,
    ColumnValue,
    Comparison,
    Condition,
    ConstantValue,
    FileValue,
    MomentValue,
    Negation,
    NullTest,
    TextTest,
    operands,
)
from orchestrator.core.errors import InvalidRequest

FILES = ds.DatasetDocument(type="file", sources=(ds.DatastoreFiles(datastore="store", path="raw/**/*.csv"),))
TABLE = msgspec.structs.replace(FILES, type="tabular", format=ds.DelimitedFormat())
AGE = Comparison(left=ColumnValue(name="age"), operator=">", right=ConstantValue(value=30))
NOW = Comparison(left=ColumnValue(name="at"), operator="<=", right=MomentValue(value="2020-01-31T12:00:00"))


def changed(document: ds.DatasetDocument, **fields: Any) -> ds.DatasetDocument:
    return msgspec.structs.replace(document, **fields)


def codes(document: ds.DatasetDocument, **known: Any) -> list[tuple[str, str]]:
    return [(problem.code, problem.field) for problem in rules.validate(document, **known)]


def test_a_document_survives_its_bytes_and_its_address_is_its_meaning() -> None:
    condition: Condition = AnyOf(conditions=(AllOf(conditions=(AGE, NOW)), Negation(condition=AGE)))
    document = TABLE.then(ds.Filter(condition=condition)).then(ds.Sample(probability=0.1, seed=42))
    again = ds.decode(ds.encode(document))
    assert (again, ds.address(again)) == (document, ds.address(document))
    assert ds.address(document) != ds.address(document.then(ds.Take(count=1)))
    assert ds.datastores_of(document) == {"store"}


def test_the_address_does_not_depend_on_the_order_of_fields() -> None:
    one = ds.decode(b'{"type":"file","sources":[{"kind":"web","url":"https://h/x"}]}')
    other = ds.decode(b'{"sources":[{"url":"https://h/x","kind":"web"}],"type":"file","operations":[]}')
    assert ds.address(one) == ds.address(other)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"[]", "dataset"),
        (b'{"type":"file"}', "dataset"),
        (b'{"type":"heap","sources":[]}', "dataset.type"),
        (b'{"type":"file","sources":[{"kind":"ftp"}]}', "dataset.sources[0].kind"),
        (b'{"type":"file","sources":[],"operations":[{"op":"take"}]}', "dataset.operations[0]"),
        (b'{"type":"file","sources":[],"more":1}', "dataset"),
        (b"\xff", "dataset"),
    ],
)
def test_a_wrong_shape_is_named(data: bytes, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ds.decode(data)
    assert caught.value.field == field


def test_good_documents_have_no_problems() -> None:
    every = (
        ds.TimestampColumns(timestamp="at"),
        ds.TimeRange(start="2020-01-01"),
        ds.TimeRecent(seconds=60),
        ds.Split(percentage=0.8, seed=-1, part="first"),
        ds.KeepColumns(columns=("a b", "ü")),
        ds.DropColumns(columns=("c",)),
        ds.Filter(condition=AllOf(conditions=(AGE, NOW, NullTest(value=ColumnValue(name="x"))))),
        ds.PartitionKeys(columns=("a",)),
        ds.AsFiles(format="csv", separator=";"),
        ds.Skip(count=0),
        ds.Filter(condition=TextTest(value=FileValue(name="Path"), test="ends_with", text=".csv")),
    )
    document = changed(TABLE, partition_format="{year:yyyy/MM}/{city}.csv", type="file", operations=every)
    assert codes(document, datastores=["store"]) == []
    sql = ds.SqlQuery(datastore="db", query="select 1")
    assert codes(ds.DatasetDocument(type="tabular", sources=(sql,))) == []
    assert rules.check(FILES) is FILES


BAD: list[tuple[ds.DatasetDocument, str, str]] = [
    (changed(FILES, schema="x"), "UnknownSchema", "dataset.schema"),
    (changed(FILES, sources=()), "NoSources", "dataset.sources"),
    (changed(FILES, sources=FILES.sources * 10_001), "TooMany", "dataset.sources"),
    (changed(FILES, operations=(ds.Take(count=1),) * 201), "TooMany", "dataset.operations"),
    (changed(TABLE, format=None), "NoFormat", "dataset.format"),
    (changed(TABLE, type="file"), "NotAFile", "dataset.type"),
    (changed(FILES, include_path=True), "NotAFile", "dataset.type"),
    (changed(TABLE, operations=(ds.AsFiles(format="csv"),)), "NotAFile", "dataset.type"),
    (FILES.then(ds.KeepColumns(columns=("a",))), "NotAFile", "dataset.operations[0]"),
    (TABLE.then(ds.TimeRecent(seconds=1)), "NoTimestamp", "dataset.operations[0]"),
    (TABLE.then(ds.Take(count=-1)), "OutOfRange", "dataset.operations[0].count"),
    (TABLE.then(ds.Sample(probability=1.1, seed=1)), "OutOfRange", "dataset.operations[0].probability"),
    (TABLE.then(ds.Sample(probability=1.0, seed=2**63)), "OutOfRange", "dataset.operations[0].seed"),
    (TABLE.then(ds.DropColumns(columns=())), "InvalidColumns", "dataset.operations[0].columns"),
    (TABLE.then(ds.KeepColumns(columns=("a\0",))), "InvalidColumns", "dataset.operations[0].columns"),
    (changed(TABLE, partition_format="x/*.csv"), "InvalidFormat", "dataset.partition_format"),
    (changed(TABLE, partition_format="{a}/{a}"), "InvalidFormat", "dataset.partition_format"),
    (changed(TABLE, partition_format="{a/b.csv"), "InvalidFormat", "dataset.partition_format"),
    (changed(TABLE, partition_format="a}/{b}"), "InvalidFormat", "dataset.partition_format"),
    (changed(TABLE, format=ds.DelimitedFormat(separator="ab")), "InvalidFormat", "dataset.format.separator"),
    (changed(TABLE, format=ds.DelimitedFormat(encoding="rot13")), "InvalidFormat", "dataset.format.encoding"),
    (changed(TABLE, archive=ds.ZipArchive(entry_glob="../x")), "InvalidPath", "dataset.archive.entry_glob"),
    (
        TABLE.then(ds.TimestampColumns(timestamp="a")).then(ds.TimeRange(start="yesterday")),
        "InvalidTime",
        "dataset.operations[1].start",
    ),
    (TABLE.then(ds.TimestampColumns()).then(ds.TimeRange()), "OutOfRange", "dataset.operations[1]"),
]


@pytest.mark.parametrize(("document", "code", "field"), BAD)
def test_a_bad_document_is_told_what_is_wrong(document: ds.DatasetDocument, code: str, field: str) -> None:
    assert (code, field) in codes(document)
    with pytest.raises(rules.InvalidDataset) as caught:
        rules.check(document)
    assert caught.value.problems


@pytest.mark.parametrize("path", ["../x", "a/../b", "/a", "a//b", "a\\b", "c:/x", "a/**b/c", "a\n"])
def test_a_path_stays_in_its_datastore(path: str) -> None:
    document = changed(FILES, sources=(ds.DatastoreFiles(datastore="store", path=path),))
    assert codes(document) == [("InvalidPath", "dataset.sources[0].path")]


@pytest.mark.parametrize(
    "url", ["ftp://h/x", "file:///etc/passwd", "http:///x", "https://u:p@h/x", "https://h/a b", "http://[h", "x"]
)
def test_only_plain_web_urls_are_read(url: str) -> None:
    assert codes(changed(FILES, sources=(ds.WebFile(url=url),))) == [("InvalidUrl", "dataset.sources[0].url")]


def test_an_unknown_datastore_is_suggested() -> None:
    (problem,) = rules.validate(FILES, datastores=["stores"])
    assert (problem.code, problem.fix) == ("UnknownDatastore", 'Did you mean "stores"?')


def test_a_condition_is_looked_at_whole_but_not_without_end() -> None:
    condition: Condition = AGE
    for _ in range(DEEPEST - 1):
        condition = Negation(condition=condition)
    assert list(operands(condition)) == [AGE.left, AGE.right]
    assert codes(TABLE.then(ds.Filter(condition=condition))) == []
    deeper = TABLE.then(ds.Filter(condition=Negation(condition=condition)))
    assert codes(deeper) == [("TooMany", "dataset.operations[0].condition")]


@given(st.text(max_size=30))
def test_no_partition_format_breaks_the_rules(text: str) -> None:
    assert all(problem.code == "InvalidFormat" for problem in rules.partition_problems(text))

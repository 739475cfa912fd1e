"""Rows of datasets: the types that v1 infers, and what operations make of rows."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator.core import dataset as ds
from orchestrator.core.dataset_filter import (
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
)
from orchestrator.datasets.chance import chance, key
from orchestrator.datasets.errors import DatasetError, EmptyDataset, FileMissing, UnknownColumn, Unreadable
from orchestrator.datasets.files import Reading, bring, files
from orchestrator.datasets.rows import bits
from tests.unit.datasets.store import Store, csv_of, files_of

LINES = ds.JsonLinesFormat()
PARQUET = ds.ParquetFormat()
MOMENT = "datetime64[ns]"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


# The table of docs/datasets.md: what a column of delimited text becomes in pandas.
INFERRED = [
    ("1,2,3", "int64", [1, 2, 3]),
    ("1,,3", "float64", [1.0, None, 3.0]),
    ("1,2.5,3", "float64", [1.0, 2.5, 3.0]),
    ("1,NA,3", "object", ["1", "NA", "3"]),
    ("a,,c", "object", ["a", None, "c"]),
    ("true,False,TRUE", "bool", [True, False, True]),
    ("true,,false", "object", [True, None, False]),
    ("true,no,false", "object", ["true", "no", "false"]),
    ("1,true,0", "object", ["1", "true", "0"]),
    ("2020-01-31,2020-02-01,2020-03-01", MOMENT, ["2020-01-31", "2020-02-01", "2020-03-01"]),
    ("01/31/2020,2/1/2020,03/01/2020", MOMENT, ["2020-01-31", "2020-02-01", "2020-03-01"]),
    ("31/01/2020,2/1/2020,03/01/2020", "object", ["31/01/2020", "2/1/2020", "03/01/2020"]),
    ("2020-01-31,,2020-03-01", MOMENT, ["2020-01-31", None, "2020-03-01"]),
    (
        "2020-01-31T01:02:03,2020-01-31 01:02:04,2020-01-31T01:02:05.5",
        MOMENT,
        ["2020-01-31 01:02:03", "2020-01-31 01:02:04", "2020-01-31 01:02:05.5"],
    ),
    ("2020-01-31T01:00:00Z,2020-01-31T03:00:00+02:00,", MOMENT, ["2020-01-31 01:00", "2020-01-31 01:00", None]),
    ("1:02:03,12:30:00,13:00:00", "object", ["1:02:03", "12:30:00", "13:00:00"]),
    ("12:30:00,12:30:01,12:30:02", "object", ["12:30:00", "12:30:01", "12:30:02"]),
    (",,", "object", [None, None, None]),
    ("99999999999999999999,1,2", "float64", [1e20, 1.0, 2.0]),
]


@pytest.mark.parametrize(("values", "dtype", "expected"), INFERRED)
def test_types_are_inferred_as_v1_does(store: Store, values: str, dtype: str, expected: list[Any]) -> None:
    rows = "".join(f"{index},{value}\n" for index, value in enumerate(values.split(",")))
    column = store.put({"t.csv": "row,x\n" + rows}).frame(csv_of("t.csv"))["x"]
    assert str(column.dtype) == dtype
    wanted = pd.Series([pd.Timestamp(v) if v else None for v in expected] if dtype == MOMENT else expected, dtype=dtype)
    pd.testing.assert_series_equal(column, wanted, check_names=False)
    if dtype == "object":
        assert list(column) == expected


def test_header_and_names_of_columns(store: Store) -> None:
    store.put({"a.csv": "x,y\n1,2\n", "b.csv": "x,y\n3,4\n", "odd.csv": "x,,x\n1,2,3\n"})
    none, first = ds.DelimitedFormat(header="none"), ds.DelimitedFormat(header="first_file")
    assert store.rows(csv_of("a.csv", form=none)) == [
        {"Column1": "x", "Column2": "y"},
        {"Column1": "1", "Column2": "2"},
    ]
    assert [row["x"] for row in store.rows(csv_of("a.csv", "b.csv"))] == [1, 3]
    assert [row["x"] for row in store.rows(csv_of("a.csv", "b.csv", form=first))] == ["1", "x", "3"]
    assert store.rows(csv_of("odd.csv")) == [{"x": 1, "Column2": 2, "x_1": 3}]
    typed = csv_of("a.csv", form=none, column_types={"Column2": ds.ColumnType(type="int")})
    assert [row["Column2"] for row in store.rows(typed)] == [None, 2]


def test_path_and_partition_columns_come_first(store: Store) -> None:
    store.put({"in/2020/01/rome.csv": "n\n1\n", "in/2021/02/oslo.csv": "n\n2\n"})
    document = csv_of("in", partition_format="/{month:yyyy/MM}/{city}.csv", include_path=True)
    made = store.frame(document)
    assert list(made.columns) == ["Path", "month", "city", "n"]
    assert list(made["Path"]) == ["/2020/01/rome.csv", "/2021/02/oslo.csv"]
    assert (str(made["month"].dtype), list(made["city"])) == (MOMENT, ["rome", "oslo"])


def test_a_column_that_is_in_the_file_too_is_the_files(store: Store) -> None:
    store.put({"city=rome/x.csv": "n,city\n1,Roma\n"})
    assert store.rows(csv_of("", partition_format="city={city}/x.csv")) == [{"n": 1, "city": "Roma"}]


def test_files_of_different_types_and_columns_come_together(store: Store) -> None:
    store.put({"a.csv": "x,y,z\n007,1,2020-01-01\n", "b.csv": "x,y\nab,2.5\n", "c.csv": "w\n\n1\n", "d.csv": ""})
    made = store.frame(csv_of("*.csv"))
    assert [str(dtype) for dtype in made.dtypes] == ["object", "float64", MOMENT, "float64"]
    assert list(made["x"])[:2] == ["007", "ab"]


def test_texts_on_demand(store: Store) -> None:
    store.put({"t.csv": "a,b\n1,\n"})
    assert store.rows(csv_of("t.csv", form=ds.DelimitedFormat(infer_column_types=False))) == [{"a": "1", "b": None}]
    kept = ds.DelimitedFormat(infer_column_types=False, empty_as_string=True)
    assert store.rows(csv_of("t.csv", form=kept)) == [{"a": "1", "b": ""}]


TYPED = [
    ("1, 2 ,x,,1.5", ds.ColumnType(type="int"), [1, 2, None, None, None]),
    ("1,2.5e3,.5,x,-1", ds.ColumnType(type="float"), [1.0, 2500.0, 0.5, None, -1.0]),
    ("true,FALSE,no,,1", ds.ColumnType(type="bool"), [True, False, None, None, None]),
    ("1,2,007,,x", ds.ColumnType(type="string"), ["1", "2", "007", None, "x"]),
    (
        "2020-01-31,2020-02-31,2020-01-31T10:00:00Z,x,2020-01-31 10:00",
        ds.ColumnType(type="datetime"),
        [datetime(2020, 1, 31), None, datetime(2020, 1, 31, 10), None, datetime(2020, 1, 31, 10)],
    ),
    (
        "31.01.2020,x,2020/01,,1.1.2020",
        ds.ColumnType(type="datetime", formats=("%d.%m.%Y", "%Y/%m")),
        [datetime(2020, 1, 31), None, datetime(2020, 1, 1), None, datetime(2020, 1, 1)],
    ),
]


@pytest.mark.parametrize(("values", "kind", "expected"), TYPED)
def test_types_that_are_set(store: Store, values: str, kind: ds.ColumnType, expected: list[Any]) -> None:
    store.put({"t.csv": "row,x\n" + "".join(f"0,{value}\n" for value in values.split(","))})
    document = csv_of("t.csv", column_types={"x": kind, "missing": kind})
    assert [row["x"] for row in store.rows(document)] == expected
    if kind.type != "string":
        with pytest.raises(Unreadable, match="row"):
            store.table(document, strict=True)


def test_a_comma_may_be_the_decimal_mark(store: Store) -> None:
    store.put({"t.csv": "x;y\n1,5;2\n"})
    kind = ds.ColumnType(type="float", decimal_mark=",")
    document = csv_of("t.csv", form=ds.DelimitedFormat(separator=";"), column_types={"x": kind})
    assert store.rows(document) == [{"x": 1.5, "y": 2}]


def test_other_encodings_and_line_breaks_in_values(store: Store) -> None:
    store.put({"l.csv": "x\nü\n".encode("latin1"), "u.csv": "\ufeffx\n1\n", "m.csv": 'x,y\n"a\nb",1\n'})
    assert store.rows(csv_of("l.csv", form=ds.DelimitedFormat(encoding="latin1"))) == [{"x": "ü"}]
    assert store.rows(csv_of("u.csv")) == [{"x": 1}]
    assert store.rows(csv_of("m.csv", form=ds.DelimitedFormat(support_multi_line=True))) == [{"x": "a\nb", "y": 1}]
    with pytest.raises(Unreadable, match="not encoded"):
        store.rows(csv_of("l.csv"))
    with pytest.raises(Unreadable, match="not encoded"):
        store.rows(csv_of("l.csv", form=ds.DelimitedFormat(encoding="ascii")))


def test_ragged_rows_name_their_file(store: Store) -> None:
    with pytest.raises(Unreadable, match=r"'t.csv'.*Expected 2 columns, got 1"):
        store.put({"t.csv": "a,b\n1\n"}).table(csv_of("t.csv"))


def test_parquet_and_json_lines_have_types_of_their_own(store: Store) -> None:
    at = pa.array([datetime(2020, 1, 31, tzinfo=UTC), None], pa.timestamp("ms", "UTC"))
    day = pa.array([datetime(2020, 1, 31), None], pa.date32())
    store.put({"t.parquet": parquet(n=[1, None], at=at, day=day, kind=pa.array(["a", "b"]).dictionary_encode())})
    made = store.frame(csv_of("t.parquet", form=PARQUET))
    assert [str(dtype) for dtype in made.dtypes] == ["float64", MOMENT, MOMENT, "object"]
    store.put({"t.json": '{"n": 1, "s": "a"}\n\n{"n": 2.5}\n', "o.json": '{"n": 3}'})
    assert store.rows(csv_of("t.json", "o.json", form=LINES)) == [
        {"n": 1.0, "s": "a"},
        {"n": 2.5, "s": None},
        {"n": 3.0, "s": None},
    ]


def test_invalid_lines_are_an_error_or_dropped(store: Store) -> None:
    store.put({"t.json": '{"n": 1}\nnonsense\n[1]\n{"n": 2}\n'})
    with pytest.raises(Unreadable):
        store.table(csv_of("t.json", form=LINES))
    dropping = ds.JsonLinesFormat(invalid_lines="drop")
    assert store.rows(csv_of("t.json", form=dropping)) == [{"n": 1}, {"n": 2}]
    store.put({"t.json": '{"n": "ü"}\n'.encode("utf-16")})
    assert store.rows(csv_of("t.json", form=ds.JsonLinesFormat(encoding="utf16"))) == [{"n": "ü"}]


@pytest.mark.parametrize(("name", "form"), [("x.parquet", PARQUET), ("x.json", LINES)])
def test_what_is_not_of_its_format_is_unreadable(store: Store, name: str, form: ds.Format) -> None:
    with pytest.raises(Unreadable, match=name):
        store.put({name: "no, it is not"}).table(csv_of(name, form=form))


@pytest.mark.parametrize("path", ["none/**", "empty.csv"])
def test_a_table_of_nothing_is_an_error(store: Store, path: str) -> None:
    store.put({"empty.csv": ""})
    for document in (csv_of(path), csv_of(path).then(ds.Take(count=1))):
        with pytest.raises(EmptyDataset, match=path[:4]):
            store.table(document)


def test_a_header_without_rows_is_an_empty_table(store: Store) -> None:
    made = store.put({"t.csv": "a,b\n"}).frame(csv_of("t.csv"))
    assert (list(made.columns), len(made)) == (["a", "b"], 0)


def test_a_query_is_not_for_here(store: Store) -> None:
    query = ds.SqlQuery(datastore="db", query="select 1")
    with pytest.raises(FileMissing, match="not queried from here"):
        store.table(ds.DatasetDocument(type="tabular", sources=(query,)))


NUMBERS = "n,s\n" + "".join(f"{n},{'abc'[n % 3]}\n" for n in range(1000))


def taken(store: Store, *operations: ds.Operation) -> list[int]:
    return [row["n"] for row in store.put({"n.csv": NUMBERS}).rows(csv_of("n.csv", operations=operations))]


def test_take_and_skip(store: Store) -> None:
    assert taken(store, ds.Take(count=3)) == [0, 1, 2]
    assert taken(store, ds.Take(count=0)) == []
    assert taken(store, ds.Skip(count=998)) == [998, 999]
    assert taken(store, ds.Skip(count=2000)) == []
    assert taken(store, ds.Skip(count=5), ds.Take(count=2)) == [5, 6]
    assert taken(store, ds.Take(count=5), ds.Skip(count=3), ds.Take(count=9)) == [3, 4]


def test_the_parts_of_a_split_are_the_whole_and_always_the_same(store: Store) -> None:
    first = taken(store, ds.Split(percentage=0.8, seed=1, part="first"))
    second = taken(store, ds.Split(percentage=0.8, seed=1, part="second"))
    assert sorted(first + second) == list(range(1000))
    assert 760 < len(first) < 840
    assert first == taken(store, ds.Split(percentage=0.8, seed=1, part="first"))
    assert first == [n for n in range(1000) if chance(key(1, 0), n) < 0.8]
    assert first != taken(store, ds.Split(percentage=0.8, seed=2, part="first"))
    assert 70 < len(taken(store, ds.Sample(probability=0.1, seed=42))) < 130


def test_a_split_of_a_split_is_not_the_same_draw(store: Store) -> None:
    half = ds.Split(percentage=0.5, seed=1, part="first")
    assert 200 < len(taken(store, half, half)) < 300


def test_a_split_does_not_depend_on_how_the_rows_are_read(store: Store) -> None:
    whole = taken(store, ds.Sample(probability=0.5, seed=9))
    assert taken(store, ds.Sample(probability=0.5, seed=9), ds.Take(count=100)) == whole[:100]


def test_bits_for_many_are_the_bits_of_each() -> None:
    of = key(-7, 3)
    assert [bit * 2.0**-53 for bit in bits(of, 5, 100).to_pylist()] == [chance(of, 5 + n) for n in range(100)]


def test_the_head_of_a_large_file_is_read_alone(store: Store) -> None:
    store.put({"big.csv": "n,s\n" + "1,some text that fills the file\n" * 1_000_000, "z.csv": "m\n1\n"})
    assert store.rows(csv_of("*.csv").then(ds.Take(count=2))) == [{"n": 1, "s": "some text that fills the file"}] * 2
    assert store.read < 12_000_000


@pytest.mark.parametrize("form", [PARQUET, LINES])
def test_the_head_of_other_formats_too(store: Store, form: ds.Format) -> None:
    rows = range(300_000)
    lines = "".join(json.dumps({"n": n, "s": f"{n * 7919:09}"}) + "\n" for n in rows)
    data = parquet(n=list(rows), s=[f"{n * 7919:09}" for n in rows]) if form is PARQUET else lines.encode()
    store.put({"big": data})
    assert store.rows(csv_of("big", form=form).then(ds.Take(count=2))) == [
        {"n": 0, "s": "000000000"},
        {"n": 1, "s": "000007919"},
    ]
    assert form is PARQUET or store.read < len(data) / 2


def test_a_head_whose_types_do_not_hold_is_read_again(store: Store) -> None:
    store.put({"a.csv": "n\n" + "1\n" * 700_000 + "x\n", "b.csv": "n\n2.5\n"})
    rows = store.rows(csv_of("a.csv").then(ds.Skip(count=699_999)).then(ds.Take(count=2)))
    assert rows == [{"n": "1"}, {"n": "x"}]
    store.put({"c.csv": "n\n1\n"})
    assert store.rows(csv_of("c.csv", "b.csv").then(ds.Take(count=2))) == [{"n": 1.0}, {"n": 2.5}]
    store.put({"j.json": '{"n": 1}\n' * 200_000 + '{"n": "x"}\n'})
    with pytest.raises(Unreadable):
        store.rows(csv_of("j.json", form=LINES).then(ds.Skip(count=199_999)).then(ds.Take(count=2)))


def test_columns_are_kept_and_dropped(store: Store) -> None:
    store.put({"t.csv": "a,b,c\n1,2,3\n"})
    document = csv_of("t.csv")
    assert store.rows(document.then(ds.KeepColumns(columns=("c", "a")))) == [{"a": 1, "c": 3}]
    assert store.rows(document.then(ds.DropColumns(columns=("b", "none")))) == [{"a": 1, "c": 3}]
    with pytest.raises(UnknownColumn, match='Did you mean "b"'):
        store.table(document.then(ds.KeepColumns(columns=("B",))))


def column(name: str, symbol: Any, value: Any) -> Comparison:
    right = MomentValue(value=value[1:]) if str(value).startswith("@") else ConstantValue(value=value)
    return Comparison(left=ColumnValue(name=name), operator=symbol, right=right)


FILTERS: list[tuple[Condition, list[int]]] = [
    (column("n", ">", 2), [3]),
    (column("n", "<=", 1.5), [1]),
    (column("s", "==", "a"), [1]),
    (column("s", "!=", "a"), [3]),
    (column("at", ">=", "@2020-02-01"), [2, 3]),
    (column("at", "<", "@2020-02-01T00:00:00"), [1]),
    (NullTest(value=ColumnValue(name="s")), [2]),
    (Negation(condition=NullTest(value=ColumnValue(name="s"))), [1, 3]),
    (TextTest(value=ColumnValue(name="s"), test="contains", text="c."), [3]),
    (TextTest(value=ColumnValue(name="s"), test="starts_with", text="bc"), [3]),
    (TextTest(value=ColumnValue(name="s"), test="ends_with", text="d"), [3]),
    (AllOf(conditions=(column("n", ">", 1), column("n", "<", 3))), [2]),
    (AnyOf(conditions=(column("n", "==", 1), column("n", "==", 3))), [1, 3]),
    (AllOf(conditions=()), [1, 2, 3]),
    (column("b", "==", True), [1]),
]


@pytest.mark.parametrize(("condition", "left"), FILTERS)
def test_filters(store: Store, condition: Condition, left: list[int]) -> None:
    store.put({"t.csv": "n,s,at,b\n1,a,2020-01-01,true\n2,,2020-02-01,false\n3,bc.d,2020-03-01,\n"})
    assert [row["n"] for row in store.rows(csv_of("t.csv").then(ds.Filter(condition=condition)))] == left


@pytest.mark.parametrize(
    ("condition", "error"),
    [
        (column("m", ">", 2), UnknownColumn),
        (column("n", ">", "text"), DatasetError),
        (Comparison(left=FileValue(name="Size"), operator=">", right=ConstantValue(value=1)), DatasetError),
    ],
)
def test_filters_that_do_not_suit(store: Store, condition: Condition, error: type[DatasetError]) -> None:
    with pytest.raises(error):
        store.put({"n.csv": NUMBERS}).table(csv_of("n.csv").then(ds.Filter(condition=condition)))


TIMES = "at,n\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n,4\n"


@pytest.mark.parametrize(
    ("operation", "left"),
    [
        (ds.TimeRange(start="2020-01-02"), [2, 3]),
        (ds.TimeRange(start="2020-01-02", include_boundary=False), [3]),
        (ds.TimeRange(end="2020-01-02"), [1, 2]),
        (ds.TimeRange(start="2020-01-01T12:00:00", end="2020-01-02T12:00:00"), [2]),
        (ds.TimeRecent(seconds=86400), [2, 3]),
        (ds.TimeRecent(seconds=86400, include_boundary=False), []),
    ],
)
def test_time(store: Store, operation: ds.Operation, left: list[int]) -> None:
    document = csv_of("t.csv").then(ds.TimestampColumns(timestamp="at")).then(operation)
    made = store.put({"t.csv": TIMES}).table(document, now=datetime(2020, 1, 3, tzinfo=UTC))
    assert made["n"].to_pylist() == left


def test_the_time_may_be_that_of_the_path_and_texts_that_tell_it(store: Store) -> None:
    store.put({"2020/01.csv": "n\n1\n", "2020/02.csv": "n\n2\n", "text.csv": "at,n\n2020-01-01,1\nx,2\n"})
    partitioned = csv_of("2020", partition_format="{month:yyyy/MM}.csv")
    timed = partitioned.then(ds.TimestampColumns(partition_timestamp="month"))
    assert [row["n"] for row in store.rows(timed.then(ds.TimeRange(start="2020-01-15")))] == [2]
    wrong = csv_of("text.csv").then(ds.TimestampColumns(timestamp="at")).then(ds.TimeRange(start="2020-01-15"))
    with pytest.raises(Unreadable, match="'x'"):
        store.table(wrong)


def test_moments_that_pandas_cannot_hold(store: Store) -> None:
    store.put({"t.csv": "at\n9999-12-31\n2020-01-01\n"})
    assert list(store.frame(csv_of("t.csv"))["at"].isna()) == [True, False]
    with pytest.raises(Unreadable, match="2262"):
        store.frame(csv_of("t.csv"), out_of_range_datetime="error")


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_rows_become_files(store: Store, tmp_path: Path, form: Any) -> None:
    store.put({"t.csv": "a,b\n1,x\n2,\n"})
    document = csv_of("t.csv").then(ds.Skip(count=1)).then(ds.AsFiles(format=form, separator=";"))
    with Reading(store) as reading:
        (place,) = bring(files(document, reading), tmp_path / "out", reading)
    assert place.name == f"part-00000.{form}"
    made = pd.read_csv(place, sep=";") if form == "csv" else pd.read_parquet(place)
    assert (list(made.columns), list(made["a"])) == (["a", "b"], [2])


def test_evaluating_files_needs_no_arrow() -> None:
    import subprocess
    import sys

    code = "import sys, orchestrator.datasets.files; print('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
    assert files_of("a").type == "file"

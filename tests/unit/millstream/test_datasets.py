"""Datasets as users write them, without a service: forms of paths, values, conditions, and what is refused at once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from millstream import (
    ArchiveOptions,
    DataPath,
    DataPathComputeBinding,
    DataReference,
    Dataset,
    DatasetConsumptionConfig,
    Datastore,
    DataType,
    FileDataset,
    InvalidRequest,
    PromoteHeadersBehavior,
    TabularDataset,
    Workspace,
)
from millstream.dataset import dataset_of
from millstream.file_dataset import input_name
from orchestrator.core import dataset as ds
from orchestrator.core.dataset_filter import AllOf, AnyOf, MomentValue, Negation, NullTest, TextTest
from orchestrator.datasets.errors import NotSupported
from orchestrator.datasets.local import LocalAccess

WORKSPACE = Workspace(url="http://127.0.0.1:9", token="t")  # nothing listens there: no test may ask it
STORE = Datastore(WORKSPACE, "store")
FILE = ds.DatastoreFiles(datastore="store", path="a/b.csv")
WEB = ds.WebFile(url="https://host/x.csv")


@pytest.mark.parametrize(
    ("path", "sources"),
    [
        (DataPath(STORE, "a/b.csv"), (FILE,)),
        (DataPath("store", "/a/b.csv/"), (FILE,)),
        (DataReference(STORE, path_on_datastore="a/b.csv"), (FILE,)),
        (STORE.path("a/b.csv"), (FILE,)),
        ((STORE, "./a/b.csv"), (FILE,)),
        ((STORE, ["a/b.csv", "a/b.csv"]), (FILE, FILE)),
        ([(STORE, "a/b.csv"), "https://host/x.csv"], (FILE, WEB)),
        (((STORE, "a/b.csv"), DataPath(STORE, "a/b.csv")), (FILE, FILE)),
        ("https://host/x.csv", (WEB,)),
        (STORE, (ds.DatastoreFiles(datastore="store", path=""),)),
    ],
)
def test_forms_of_paths(path: Any, sources: tuple[ds.Source, ...]) -> None:
    assert Dataset.File.from_files(path).document.sources == sources


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("local/folder", InvalidRequest, "Upload it"),
        ("/tmp/x.csv", InvalidRequest, "Upload it"),
        ("abfss://c@a.dfs.core.windows.net/x", InvalidRequest, "datastore"),
        ([], InvalidRequest, "at least one"),
        (None, TypeError, "A path is"),
        (3, TypeError, "A path is"),
        ((STORE, "../x"), InvalidRequest, r"\.\."),
        ("https://user:secret@host/x", InvalidRequest, "password"),
    ],
)
def test_paths_that_are_none(path: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Dataset.File.from_files(path)


def table(**options: Any) -> TabularDataset:
    return Dataset.Tabular.from_delimited_files((STORE, "a.csv"), validate=False, **options)


def test_options_become_data() -> None:
    made = table(
        separator=";",
        header=PromoteHeadersBehavior.ONLY_FIRST_FILE_HAS_HEADERS,
        encoding="iso88591",
        set_column_types={"n": DataType.to_float(",")},
        partition_format="{year:yyyy}.csv",
        archive_options=ArchiveOptions(entry_glob="*.csv"),
    ).document
    assert made.format == ds.DelimitedFormat(separator=";", header="first_file", encoding="latin1")
    assert made.column_types == {"n": ds.ColumnType(type="float", decimal_mark=",")}
    assert (made.partition_format, made.archive) == ("{year:yyyy}.csv", ds.ZipArchive(entry_glob="*.csv"))
    plain = table(header=False).document.format
    assert isinstance(plain, ds.DelimitedFormat)
    assert plain.header == "none"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"separator": "ab"}, InvalidRequest),
        ({"header": 7}, ValueError),
        ({"encoding": "martian"}, InvalidRequest),
        ({"set_column_types": {"n": "int"}}, TypeError),
        ({"partition_format": "{a"}, InvalidRequest),
        ({"seperator": ","}, TypeError),
    ],
)
def test_wrong_options_are_refused_at_once(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        table(**options)


def test_types_of_columns() -> None:
    kinds = [DataType.to_bool(), DataType.to_long(), DataType.to_string(), DataType.to_datetime(["%Y", "%m"])]
    assert [kind.column_type.type for kind in kinds] == ["bool", "int", "string", "datetime"]
    assert (kinds[3].column_type.formats, DataType.to_datetime("%d").column_type.formats) == (("%Y", "%m"), ("%d",))
    with pytest.raises(NotSupported):
        DataType.to_stream(WORKSPACE)


def test_operations_are_data_and_leave_the_dataset_as_it_was() -> None:
    made = table()
    first, second = made.skip(1).random_split(0.8, seed=7)
    assert made.document.operations == ()
    assert first.document.operations == (ds.Skip(count=1), ds.Split(percentage=0.8, seed=7, part="first"))
    assert second.document.operations[1] == ds.Split(percentage=0.8, seed=7, part="second")
    drawn = made.take_sample(0.5).document.operations[0]
    assert isinstance(drawn, ds.Sample)
    assert drawn.seed >= 0
    one, other = (half.document.operations[0] for half in made.random_split(0.5))
    assert isinstance(one, ds.Split)
    assert isinstance(other, ds.Split)
    assert one.seed == other.seed


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda made: made.take(-1), InvalidRequest),
        (lambda made: made.random_split(1.5), InvalidRequest),
        (lambda made: made.take_sample(0.5, seed="x"), TypeError),
        (lambda made: made.take_sample(0.5, seed=True), TypeError),
        (lambda made: made.keep_columns([]), InvalidRequest),
        (lambda made: made.time_after(datetime(2020, 1, 1), validate=False), InvalidRequest),
        (lambda made: made.filter(True), TypeError),
        (lambda made: made.filter("a > 1"), TypeError),
        (lambda made: made.filter(made["a"] == object()), TypeError),
        (lambda made: made["a"] > 1 and made["b"] > 2, TypeError),
        (lambda made: made.to_pandas_dataframe(on_error="ignore"), ValueError),
        (lambda made: made.update(description="x"), InvalidRequest),
        (lambda made: made.to_spark_dataframe(), NotSupported),
        (lambda made: made.partition_by(["a"], "folder"), TypeError),
        (lambda made: made.get_partition_key_values(["a"]), InvalidRequest),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(change: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        change(table())


def test_conditions_are_written_with_operators() -> None:
    made = table()
    condition = ((made["a"] > 1) & ~(made["b"] == None) | made["c"].contains("x")).condition  # noqa: E711 - as users write
    assert isinstance(condition, AnyOf)
    both, text = condition.conditions
    assert isinstance(both, AllOf)
    assert isinstance(both.conditions[1], Negation)
    assert isinstance(both.conditions[1].condition, NullTest)
    assert isinstance(text, TextTest)
    assert isinstance((made["b"] != None).condition, Negation)  # noqa: E711 - as users write


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (date(2020, 1, 31), "2020-01-31T00:00:00"),
        (datetime(2020, 1, 31, 12), "2020-01-31T12:00:00"),
        (datetime(2020, 1, 31, 12, tzinfo=UTC), "2020-01-31T12:00:00"),
        (datetime(2020, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))), "2020-01-31T10:00:00"),
    ],
)
def test_moments_are_utc(value: Any, text: str) -> None:
    condition = (table()["at"] < value).condition
    assert getattr(condition, "right", None) == MomentValue(value=text)


def test_a_dataset_as_an_input_of_a_step() -> None:
    made = Dataset.File.from_files((STORE, "a"))
    config = made.as_named_input("raw")
    assert (config.name, config.mode, config.dataset) == ("raw", "direct", made)
    assert config.as_mount("./here/").path_on_compute == "here"
    assert config.as_download().mode == "download"
    assert made.as_mount() == made.as_mount()
    assert made.as_mount().name == input_name(made)
    assert str(config) == "$AZUREML_DATAREFERENCE_raw"
    assert table().as_named_input("t").as_download().mode == "download"


@pytest.mark.parametrize(
    "change",
    [
        lambda made: made.as_named_input("1st"),
        lambda made: made.as_named_input("a-b"),
        lambda made: DatasetConsumptionConfig("a", made, mode="upload"),
        lambda made: made.as_mount("../up"),
        lambda made: DataPathComputeBinding(mode="direct"),
        lambda made: DataPath(None),
    ],
)
def test_inputs_that_cannot_be(change: Any) -> None:
    with pytest.raises((ValueError, InvalidRequest)):
        change(Dataset.File.from_files((STORE, "a")))


def test_values_compare_by_what_they_say() -> None:
    assert DataPath(STORE, "a/") == DataPath("store", "a")
    assert {DataPath(STORE, "a")} == {DataPath("store", "a")}
    assert DataPath(STORE, "a") != DataPath(STORE, "b")


def test_a_dataset_of_what_a_step_was_brought(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "t.csv").write_text("n\n1\n2\n")
    document = ds.DatasetDocument(
        type="tabular",
        sources=(ds.DatastoreFiles(datastore="store", path="a/t.csv"),),
        format=ds.DelimitedFormat(),
    )
    made = dataset_of(document, access=LocalAccess({"store": tmp_path}), saved=True)
    assert isinstance(made, TabularDataset)
    assert made.id == ds.address(document)
    assert made.skip(1).to_pandas_dataframe()["n"].tolist() == [2]
    as_files = made.to_csv_files()
    assert isinstance(as_files, FileDataset)
    assert as_files.to_path() == ["/part-00000.csv"]


def test_a_dataset_named_by_text_alone_needs_a_workspace() -> None:
    with pytest.raises(InvalidRequest, match="workspace"):
        Dataset.File.from_files(DataPath("store", "a")).to_path()


def test_dataset_itself_is_not_made() -> None:
    with pytest.raises(TypeError, match="from_files"):
        Dataset()

"""Datasets of the client against the whole service: reading by signed URLs, names and versions, what goes wrong."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from millstream import (
    ArchiveOptions,
    Conflict,
    DataPath,
    Dataset,
    Datastore,
    DataType,
    FileDataset,
    InvalidRequest,
    TabularDataset,
    UnknownThing,
    Workspace,
)
from orchestrator.core.dataset import address
from orchestrator.datasets.errors import EmptyDataset, FileMissing, FilesInTheWay, UnknownColumn, UnsafeArchive
from tests.azurite import Azurite
from tests.service import TOKEN, Service, running_service

pytestmark = pytest.mark.azurite

IRIS = "sepal,species\n5.1,setosa\n4.9,setosa\n6.3,virginica\n"


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture(scope="module")
def workspace(service: Service) -> Workspace:
    return Workspace(url=service.url, token=TOKEN)


@pytest.fixture(scope="module")
def store(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Datastore:
    """The default datastore, with some files."""
    folder = tmp_path_factory.mktemp("data")
    files = {
        "iris.csv": IRIS,
        "days/2020-01-01/a.csv": "n\n1\n",
        "days/2020-01-02/a.csv": "n\n2\n",
        "days/2020-01-03/a.csv": "n\n3\n",
        "lines.json": '{"n": 1}\n{"n": 2}\n',
        "empty.csv": "",
        "bytes & names/ü %41.bin": "odd",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, entries in {"good.zip": ["in/a.txt", "b.jpg"], "bad.zip": ["a.txt", "../../climbed.txt"]}.items():
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for entry in entries:
                archive.writestr(entry, f"I am {entry}")
        (folder / name).write_bytes(packed.getvalue())
    store = workspace.get_default_datastore()
    store.upload(folder, "sets", show_progress=False)
    return store


@pytest.fixture
def iris(store: Datastore) -> TabularDataset:
    return Dataset.Tabular.from_delimited_files(DataPath(store, "sets/iris.csv"))


def test_a_table_is_read_by_signed_urls(iris: TabularDataset) -> None:
    made = iris.to_pandas_dataframe()
    assert (list(made.columns), len(made)) == (["sepal", "species"], 3)
    assert made["sepal"].sum() == pytest.approx(16.3)
    setosa = iris.filter((iris["species"] == "setosa") & ~(iris["sepal"] < 5)).keep_columns("sepal")
    assert setosa.to_pandas_dataframe().to_dict("list") == {"sepal": [5.1]}
    assert iris.take(1).to_pandas_dataframe()["species"].tolist() == ["setosa"]


def test_registering_versions_and_finding_again(workspace: Workspace, iris: TabularDataset) -> None:
    assert (iris.id, iris.name, iris.version) == (None, None, None)
    first = iris.register(workspace, "my iris", description="flowers", tags={"a": "1"})
    assert (first.name, first.version, first.id) == ("my iris", 1, address(iris.document))
    assert iris.register(workspace, "my iris").version == 1
    smaller = iris.take_sample(0.5)
    with pytest.raises(Conflict, match="taken"):
        smaller.register(workspace, "my iris")
    second = smaller.register(workspace, "my iris", create_new_version=True)
    assert second.version == 2

    latest = Dataset.get_by_name(workspace, "my iris")
    assert (latest.version, latest.document) == (2, smaller.document)
    old = Dataset.get_by_name(workspace, "my iris", version=1)
    assert isinstance(old, TabularDataset)
    assert (old.description, old.tags) == ("flowers", {"a": "1"})
    assert len(old.to_pandas_dataframe()) == 3
    assert Dataset.get_by_id(workspace, str(first.id)).document == iris.document
    assert workspace.datasets["my iris"].version == 2
    assert "my iris" in Dataset.get_all(workspace)
    assert "my iris" in [one.name for one in Dataset.list(workspace)]

    old.add_tags({"b": "2"})
    old.remove_tags(["a"])
    assert Dataset.get_by_name(workspace, "my iris", version="1").tags == {"b": "2"}
    assert old.update(description="new", tags={"c": "3"}).tags == {"c": "3"}
    with pytest.raises(UnknownThing, match="no version 3"):
        Dataset.get_by_name(workspace, "my iris", version=3)
    latest.unregister_all_versions()
    with pytest.raises(UnknownThing):
        Dataset.get_by_name(workspace, "my iris")


def test_files_are_listed_downloaded_and_mounted(store: Datastore, tmp_path: Path) -> None:
    days = Dataset.File.from_files((store, "sets/days/**/*.csv"))
    assert days.to_path() == [f"/2020-01-0{n}/a.csv" for n in (1, 2, 3)]
    places = days.skip(1).download(tmp_path / "days")
    assert [Path(place).read_text() for place in places] == ["n\n2\n", "n\n3\n"]
    with pytest.raises(FilesInTheWay, match="2020-01-02"):
        days.download(tmp_path / "days")
    assert len(days.download(tmp_path / "days", overwrite=True)) == 3
    with Dataset.File.from_files(DataPath(store, "sets/iris.csv")).mount() as folder:
        assert Path(folder, "iris.csv").read_text() == IRIS
    assert not Path(folder).exists()
    odd = Dataset.File.from_files((store, "sets/bytes & names"))
    assert [Path(place).name for place in odd.download()] == ["ü %41.bin"]
    assert days.filter(days.file_metadata("Size") > 100).to_path() == []


def test_a_missing_blob_is_named(store: Datastore, tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match=r"sets/none\.csv"):
        Dataset.Tabular.from_delimited_files((store, "sets/none.csv"))
    lazy = Dataset.File.from_files([(store, "sets/iris.csv"), (store, "sets/none.csv")])
    with pytest.raises(FileMissing, match=r"sets/none\.csv"):
        lazy.download(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert Dataset.Tabular.from_delimited_files((store, "sets/none.csv"), validate=False).id is None


def test_an_empty_dataset(store: Datastore) -> None:
    assert Dataset.File.from_files((store, "sets/nothing/**")).to_path() == []
    for path in ("sets/nothing/**", "sets/empty.csv"):
        with pytest.raises(EmptyDataset, match=path[:9]):
            Dataset.Tabular.from_delimited_files((store, path))


def test_an_unknown_column_shows_when_rows_are_read(iris: TabularDataset) -> None:
    wrong = iris.keep_columns(["sepals"])
    with pytest.raises(UnknownColumn, match='Did you mean "sepal"'):
        wrong.to_pandas_dataframe()
    with pytest.raises(UnknownColumn):
        iris.keep_columns("sepals", validate=True)
    assert list(iris.drop_columns("sepals").to_pandas_dataframe().columns) == ["sepal", "species"]


def test_archives(store: Datastore, tmp_path: Path) -> None:
    good = Dataset.File.from_files(
        paths=(store, "sets/good.zip"), archive_options=ArchiveOptions(entry_glob="**/*.jpg")
    )
    assert [Path(place).read_text() for place in good.download(tmp_path / "good")] == ["I am b.jpg"]
    bad = Dataset.File.from_files((store, "sets/bad.zip"), archive_options=ArchiveOptions())
    with pytest.raises(UnsafeArchive, match="climbed"):
        bad.download(tmp_path / "bad")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["b.jpg"]


@pytest.mark.parametrize("path", ["../x", "sets/../../x", "a\\..\\b"])
def test_a_path_that_climbs_is_refused(store: Datastore, path: str) -> None:
    with pytest.raises(InvalidRequest, match=r"\.\."):
        Dataset.File.from_files((store, path))


def test_time_and_partitions(store: Datastore) -> None:
    days = Dataset.Tabular.from_delimited_files((store, "sets/days"), partition_format="{day:yyyy-MM-dd}/a.csv")
    assert days.partition_keys == ["day"]
    assert days.get_partition_key_values()[0] == {"day": datetime(2020, 1, 1)}
    timed = days.with_timestamp_columns(partition_timestamp="day")
    assert timed.time_after(datetime(2020, 1, 2)).to_pandas_dataframe()["n"].tolist() == [2, 3]
    between = timed.time_between(datetime(2020, 1, 1), datetime(2020, 1, 3), include_boundary=False)
    assert between.to_pandas_dataframe()["n"].tolist() == [2]
    assert timed.timestamp_columns == (None, "day")


def test_rows_are_written_and_read_back(workspace: Workspace, store: Datastore, tmp_path: Path) -> None:
    frame = pd.DataFrame({"city": ["Rome", "Oslo", "Rome"], "n": [1, 2, 3], "at": pd.to_datetime(["2020-01-01"] * 3)})
    made = Dataset.Tabular.register_pandas_dataframe(frame, (store, "written"), "cities", show_progress=False)
    back = Dataset.get_by_name(workspace, "cities").to_pandas_dataframe()  # type: ignore[union-attr]
    assert (back["n"].tolist(), str(back["at"].dtype)) == ([1, 2, 3], "datetime64[ns]")
    parts = made.partition_by(["city"], DataPath(store, "parts"), name="by city", show_progress=False)
    assert isinstance(parts, TabularDataset)
    assert list(parts.to_pandas_dataframe().columns) == ["n", "at", "city"]
    assert parts.get_partition_key_values() == [{"city": "Oslo"}, {"city": "Rome"}]
    (file,) = parts.to_csv_files().download(tmp_path)
    assert pd.read_csv(file)["n"].tolist() == [2, 1, 3]


def test_folders_are_uploaded_as_datasets(store: Datastore, tmp_path: Path) -> None:
    for name in ("a.txt", "sub/b.txt", "c.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    made = Dataset.File.upload_directory(tmp_path, (store, "folder"), pattern="*.txt", show_progress=False)
    assert isinstance(made, FileDataset)
    assert made.to_path() == ["/a.txt", "/sub/b.txt"]


def test_other_formats_and_types(store: Datastore) -> None:
    lines = Dataset.Tabular.from_json_lines_files((store, "sets/lines.json"))
    assert lines.to_pandas_dataframe()["n"].tolist() == [1, 2]
    typed = Dataset.Tabular.from_delimited_files(
        (store, "sets/iris.csv"), include_path=True, set_column_types={"sepal": DataType.to_string()}
    )
    first = typed.take(1).to_pandas_dataframe().iloc[0]
    assert (first["Path"], first["sepal"]) == ("/iris.csv", "5.1")


def test_very_many_files(workspace: Workspace, store: Datastore, tmp_path: Path) -> None:
    """More than a page of a listing, and more than are signed at once."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(1100):
        (source / f"{number:04}.txt").write_text(str(number))
    store.upload(source, "many", show_progress=False)
    every = Dataset.File.from_files((store, "many/*.txt"))
    assert len(every.to_path()) == 1100
    first, second = every.random_split(0.5, seed=1)
    assert sorted(first.to_path() + second.to_path()) == every.to_path()
    assert first.to_path() == Dataset.get_by_id(workspace, first.save()).to_path()  # type: ignore[union-attr]
    assert len(every.download(tmp_path / "back")) == 1100
    one_by_one = Dataset.File.from_files([(store, f"many/{number:04}.txt") for number in range(1100)])
    assert one_by_one.to_path() == every.to_path()

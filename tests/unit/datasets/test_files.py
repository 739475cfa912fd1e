"""Which files a dataset means, under which paths, and in which order."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from orchestrator.core.patterns import fits
from orchestrator.datasets.access import Blob
from orchestrator.datasets.chance import chance, key, threshold
from orchestrator.datasets.errors import FileMissing, FilesInTheWay, UnknownColumn, Unreadable
from orchestrator.datasets.files import Reading, bring, files
from orchestrator.datasets.partitions import columns_of, values
from orchestrator.datasets.web import path_of
from tests.unit.datasets.store import Store, files_of

TREE = {
    "top.csv": "1",
    "data/b.csv": "22",
    "data/a.csv": "1",
    "data/x/c.csv": "333",
    "data/x/y/d.txt": "4444",
    "data-old/e.csv": "5",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").put(TREE)


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["top.csv"], ["top.csv"]),
        (["data/a.csv"], ["a.csv"]),
        (["data"], ["a.csv", "b.csv", "x/c.csv", "x/y/d.txt"]),
        (["data/*.csv"], ["a.csv", "b.csv"]),
        (["data/**/*.csv"], ["a.csv", "b.csv", "x/c.csv"]),
        (["data/**"], ["a.csv", "b.csv", "x/c.csv", "x/y/d.txt"]),
        (["data/x/?.csv"], ["c.csv"]),
        (["data*/*.csv"], ["data-old/e.csv", "data/a.csv", "data/b.csv"]),
        (["**/d.txt"], ["data/x/y/d.txt"]),
        ([""], sorted(TREE)),
        (["nothing/**"], []),
        (["data/b.csv", "data/a.csv"], ["b.csv", "a.csv"]),
        (["data/a.csv", "data/x/c.csv"], ["a.csv", "x/c.csv"]),
        (["data/x", "data-old"], ["data/x/c.csv", "data/x/y/d.txt", "data-old/e.csv"]),
        (["data/a.csv", "data/*.csv", "data/a.csv"], ["a.csv", "b.csv"]),
    ],
)
def test_the_files_and_their_paths(store: Store, paths: list[str], found: list[str]) -> None:
    assert store.paths(files_of(*paths)) == found


def test_several_origins_are_told_apart(tmp_path: Path) -> None:
    store = Store(tmp_path).put({"a.csv": "1", "other/a.csv": "2"})
    web = ds.WebFile(url="https://host.example/some/a%20b.csv?sig=x")
    sources = (*files_of("a.csv").sources, ds.DatastoreFiles(datastore="other", path="a.csv"), web)
    found = store.paths(ds.DatasetDocument(type="file", sources=sources))
    assert found == ["store/a.csv", "other/a.csv", "host.example/some/a b.csv"]
    assert store.paths(ds.DatasetDocument(type="file", sources=(web,))) == ["a b.csv"]


@pytest.mark.parametrize(
    "url", ["http://h/../../x", "http://h/%2e%2e/x", "http://h//x", "http://h/a%2f..%2fb", "http://h"]
)
def test_no_url_becomes_a_path_that_climbs(url: str) -> None:
    assert ".." not in path_of(url).split("/")
    assert not path_of(url).startswith("/")


def test_a_path_that_leads_nowhere_is_missing(store: Store) -> None:
    with pytest.raises(FileMissing, match=r"nothing at 'data/z.csv'"):
        store.paths(files_of("data/a.csv", "data/z.csv"))


def test_only_what_is_asked_for_is_listed(store: Store) -> None:
    """The missing second source is not met when the first file is all that is wanted."""
    assert store.paths(files_of("data/*.csv", "none.csv").then(ds.Take(count=1))) == ["data/a.csv"]
    with Reading(store) as reading:
        assert next(files(files_of("data/**", "other/none.csv"), reading)).size == 1


@pytest.mark.parametrize(
    ("pattern", "path", "fitting"),
    [
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "ab", False),
        ("**", "any/thing", True),
        ("a/**", "a", False),
        ("*", "a/b", False),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("?", "ab", False),
    ],
)
def test_patterns(pattern: str, path: str, fitting: bool) -> None:
    assert fits(pattern, path) is fitting


@given(st.text("a*?/", max_size=30), st.text("a/", max_size=60))
def test_a_pattern_answers_at_once(pattern: str, path: str) -> None:
    fits("/".join(part if part == "**" else part.replace("**", "*") for part in pattern.split("/")), path)


def test_operations_on_files(store: Store) -> None:
    every = files_of("data")
    assert store.paths(every.then(ds.Skip(count=1)).then(ds.Take(count=2))) == ["b.csv", "x/c.csv"]
    first = store.paths(every.then(ds.Split(percentage=0.5, seed=3, part="first")))
    second = store.paths(every.then(ds.Split(percentage=0.5, seed=3, part="second")))
    assert sorted(first + second) == store.paths(every)
    assert store.paths(every.then(ds.Sample(probability=0.5, seed=3))) == first
    assert store.paths(every.then(ds.Sample(probability=0, seed=3))) == []
    assert store.paths(every.then(ds.Sample(probability=1, seed=3))) == store.paths(every)


def size(symbol: str, value: int) -> Comparison:
    return Comparison(left=FileValue(name="Size"), operator=symbol, right=ConstantValue(value=value))  # type: ignore[arg-type]


PATH = FileValue(name="Path")
LATE = Comparison(left=FileValue(name="ModifiedTime"), operator=">", right=MomentValue(value="2100-01-01"))


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (size(">", 2), ["x/c.csv", "x/y/d.txt"]),
        (size("==", 2), ["b.csv"]),
        (AllOf(conditions=(size(">=", 2), size("<=", 3))), ["b.csv", "x/c.csv"]),
        (AnyOf(conditions=(size("<", 2), size("!=", 2))), ["a.csv", "x/c.csv", "x/y/d.txt"]),
        (Negation(condition=size("<", 4)), ["x/y/d.txt"]),
        (TextTest(value=PATH, test="starts_with", text="/x/"), ["x/c.csv", "x/y/d.txt"]),
        (TextTest(value=PATH, test="ends_with", text="b.csv"), ["b.csv"]),
        (TextTest(value=PATH, test="contains", text="y"), ["x/y/d.txt"]),
        (LATE, []),
        (NullTest(value=FileValue(name="Size")), []),
        (Comparison(left=PATH, operator="<", right=ConstantValue(value=1)), []),
    ],
)
def test_filters_on_files(store: Store, condition: Condition, found: list[str]) -> None:
    assert store.paths(files_of("data").then(ds.Filter(condition=condition))) == found


def test_a_missing_value_is_neither_true_nor_false(store: Store) -> None:
    web = ds.DatasetDocument(type="file", sources=(ds.WebFile(url="http://h/x"),))
    for condition in (size(">", 1), Negation(condition=size(">", 1))):
        assert store.paths(web.then(ds.Filter(condition=condition))) == []
    either = AnyOf(conditions=(size(">", 1), TextTest(value=PATH, test="contains", text="x")))
    assert store.paths(web.then(ds.Filter(condition=either))) == ["x"]


def test_columns_of_paths_can_be_filtered(tmp_path: Path) -> None:
    store = Store(tmp_path).put({f"in/{day}/{city}.csv": "1" for day in ("2020-01-01", "2020-02-01") for city in "ab"})
    document = files_of("in", partition_format="in/{day:yyyy-MM-dd}/{city}.csv")
    late = Comparison(left=ColumnValue(name="day"), operator=">=", right=MomentValue(value="2020-01-15"))
    city = Comparison(left=ColumnValue(name="city"), operator="==", right=ConstantValue(value="b"))
    found = store.paths(document.then(ds.Filter(condition=late)).then(ds.Filter(condition=city)))
    assert found == ["2020-02-01/b.csv"]
    unknown = Comparison(left=ColumnValue(name="town"), operator="==", right=ConstantValue(value="b"))
    with pytest.raises(UnknownColumn):
        store.paths(document.then(ds.Filter(condition=unknown)))


@pytest.mark.parametrize(
    ("form", "path", "found"),
    [
        ("/{city}/{day:yyyy/MM/dd}/data.csv", "a/b/Rome/2020/01/31/data.csv", {"city": "Rome", "day": "2020-01-31"}),
        ("{city}.csv", "x/Rome.csv", {"city": "Rome"}),
        ("{at:yyyyMMddHHmmss}-*.csv", "20200131235901-part7.csv", {"at": "2020-01-31T23:59:01"}),
        ("k={k}/*", "in/k=a b/part.0", {"k": "a b"}),
    ],
)
def test_partition_formats(form: str, path: str, found: dict[str, str]) -> None:
    made = values(form, path)
    plain = {name: value if isinstance(value, str) else value.isoformat() for name, value in made.items()}
    assert {name: text.removesuffix("T00:00:00") for name, text in plain.items()} == found
    assert columns_of(form) == tuple(found)


@pytest.mark.parametrize(("form", "path"), [("{y:yyyy}/x", "20/x"), ("{m:yyyy-MM}/x", "2020-13/x"), ("{a}/{b}", "c")])
def test_a_path_that_does_not_fit_its_format_is_named(form: str, path: str) -> None:
    with pytest.raises(Unreadable, match="does not fit"):
        values(form, path)


def test_files_are_brought_whole_and_keep_their_paths(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with Reading(store) as reading:
        places = bring(files(files_of("data"), reading), target, reading)
    assert [place.relative_to(target).as_posix() for place in places] == ["a.csv", "b.csv", "x/c.csv", "x/y/d.txt"]
    assert (target / "x/c.csv").read_text() == "333"


def test_nothing_is_replaced_unasked(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "b.csv").write_text("mine")
    with Reading(store) as reading:
        with pytest.raises(FilesInTheWay, match=r"b\.csv"):
            bring(files(files_of("data"), reading), target, reading)
        assert [path.name for path in target.iterdir()] == ["b.csv"]
        bring(files(files_of("data"), reading), target, reading, overwrite=True)
    assert (target / "b.csv").read_text() == "22"


def test_a_file_that_goes_meanwhile_is_missing(store: Store, tmp_path: Path) -> None:
    with Reading(store) as reading:
        found = list(files(files_of("data/a.csv"), reading))
        (store.root / "data/a.csv").unlink()
        with pytest.raises(FileMissing):
            bring(found, tmp_path / "target", reading)
    assert list((tmp_path / "target").iterdir()) == []


def test_a_datastore_that_was_not_brought_is_missing(store: Store) -> None:
    with pytest.raises(FileMissing, match="'far'"):
        store.paths(ds.DatasetDocument(type="file", sources=(ds.DatastoreFiles(datastore="far", path="x"),)))
    with pytest.raises(FileMissing, match="'far'"):
        store.bring([(Blob(datastore="far", path="x"), store.root / "y")])


def test_chance_is_pinned() -> None:
    """Other numbers would change every dataset that was ever split."""
    of = key(42, 0)
    assert [round(chance(of, index), 6) for index in range(3)] == CHANCES
    assert key(42, 0) != key(42, 1) != key(43, 0)
    drawn = [chance(key(7, 0), index) for index in range(10_000)]
    assert 0.48 < sum(drawn) / len(drawn) < 0.52
    assert min(drawn) >= 0.0
    assert max(drawn) < 1.0


CHANCES = [0.334377, 0.83629, 0.925865]


@given(st.floats(0, 1), st.integers(0, 2**53 - 1))
def test_the_threshold_decides_as_the_chance_does(share: float, drawn: int) -> None:
    assert (drawn < threshold(share)) == (drawn * 2.0**-53 < share)


def test_a_reading_has_one_moment() -> None:
    now = datetime(2020, 1, 31, 12, tzinfo=UTC)
    assert Reading(Store(Path("nowhere")), now=now).now == datetime(2020, 1, 31, 12)
    assert msgspec.structs.replace(files_of("a")).type == "file"

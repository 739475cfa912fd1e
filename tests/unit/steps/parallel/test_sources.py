"""What inputs are divided into: each file or row is in one mini-batch, in order."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.dataset import (
    AsFiles,
    DatasetDocument,
    DatasetView,
    DatastoreFiles,
    DelimitedFormat,
    Take,
    ZipArchive,
    address,
)
from orchestrator.core.job import InputData
from orchestrator.core.kinds.parallel_run import ParallelRun
from orchestrator.core.result import File
from orchestrator.datasets.local import LocalAccess
from steps.failures import InputMissing, InputUnusable, InvalidStep
from steps.parallel.sources import Divided, divide

STORE = "store"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("b/2", "a/1", "a/3", "c"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "table.csv").write_text("city,n\n" + "".join(f"{'xyz'[n % 3]},{n}\n" for n in range(100)))
    return tmp_path


def dataset(document: DatasetDocument) -> InputData:
    return InputData(dataset_id=address(document), dataset=document)


def files(path: str = "in/**", **more: Any) -> InputData:
    return dataset(DatasetDocument(type="file", sources=(DatastoreFiles(datastore=STORE, path=path),), **more))


def table(**more: Any) -> InputData:
    sources = (DatastoreFiles(datastore=STORE, path="table.csv"),)
    return dataset(DatasetDocument(type="tabular", sources=sources, format=DelimitedFormat(), **more))


def divided(root: Path, data: InputData, **settings: Any) -> Divided:
    wish = ParallelRun(entry_script="a.py", inputs=("data",), output="out", **settings)
    return divide("data", data, wish, LocalAccess({STORE: root}))


def paths(found: Divided) -> list[list[str]]:
    return [[item.path for item in batch.files] for batch in found.batches]


def test_files_of_a_dataset_in_order(root: Path) -> None:
    found = divided(root, files(), mini_batch_size="3")
    assert paths(found) == [["a/1", "a/3", "b/2"], ["c"]]
    assert [batch.items for batch in found.batches] == [3, 1]
    assert found.batches[0].files[0].blob == "in/a/1"


def test_ten_files_unless_it_is_said(root: Path) -> None:
    assert [batch.items for batch in divided(root, files()).batches] == [4]


def test_a_folder_or_a_file_of_a_datastore(root: Path) -> None:
    assert paths(divided(root, InputData(datastore=STORE, path="in/a/"), mini_batch_size=1)) == [["1"], ["3"]]
    assert paths(divided(root, InputData(datastore=STORE, path="in/c"), mini_batch_size=1)) == [["c"]]


def test_of_an_upstream_output_what_was_committed(root: Path) -> None:
    kept = (File(path="a/3", size=3, sha256="s3"), File(path="moved", size=1, sha256="s1", blob="other/1"))
    data = InputData(datastore=STORE, path="in", files=kept)
    found = divided(root, data, mini_batch_size=2).batches[0].files
    assert [(item.path, item.blob, item.sha256) for item in found] == [
        ("a/3", "in/a/3", "s3"),
        ("moved", "other/1", "s1"),
    ]
    view = DatasetView(type="file", pattern="a/*")
    assert paths(divided(root, InputData(datastore=STORE, path="in", files=kept[:1], view=view))) == [["3"]]
    only = InputData(datastore=STORE, path="in", files=kept, only=("moved",))
    assert paths(divided(root, only)) == [["moved"]]


def test_operations_count(root: Path) -> None:
    assert paths(divided(root, files(operations=(Take(count=1),)))) == [["a/1"]]


def test_files_by_the_keys_of_their_paths(root: Path) -> None:
    (root / "in" / "c").unlink()
    found = divided(root, files("in/*/*", partition_format="{folder}/*"), partition_keys=("folder",))
    assert paths(found) == [["a/1", "a/3"], ["b/2"]]
    assert [batch.key for batch in found.batches] == [{"folder": "a"}, {"folder": "b"}]
    with pytest.raises(InputUnusable, match="has no partition key 'flder'"):
        divided(root, files("in/*/*", partition_format="{folder}/*"), partition_keys=("flder",))


def test_moments_as_keys(root: Path) -> None:
    (root / "in" / "2020-01-02").mkdir()
    (root / "in" / "2020-01-02" / "x").touch()
    found = divided(root, files("in/2020*/*", partition_format="{day:yyyy-MM-dd}/x"), partition_keys=("day",))
    assert found.batches[0].key == {"day": "2020-01-02T00:00:00"}
    assert found.batches[0].moments == ("day",)


def test_entries_of_archives(root: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.txt", "x")
        archive.writestr("y.txt", "y")
    (root / "in.zip").write_bytes(packed.getvalue())
    found = divided(root, files("in.zip", archive=ZipArchive()), mini_batch_size=1)
    assert [batch.files[0].entry for batch in found.batches] == ["x.txt", "y.txt"]


def test_rows_by_size(root: Path) -> None:
    found = divided(root, table(), mini_batch_size="400")
    assert found.rows is not None
    rows = [found.rows(number) for number in range(len(found.batches))]
    assert [number for part in rows for number in part["n"].to_pylist()] == list(range(100))
    assert [part.num_rows for part in rows] == [batch.items for batch in found.batches]
    assert len(rows) > 2
    assert all(part.nbytes <= 440 for part in rows)


def test_rows_by_keys(root: Path) -> None:
    found = divided(root, table(), partition_keys=("city",))
    assert found.rows is not None
    assert [batch.key for batch in found.batches] == [{"city": city} for city in "xyz"]
    assert [set(found.rows(number)["city"].to_pylist()) for number in range(3)] == [{"x"}, {"y"}, {"z"}]
    assert sum(batch.items for batch in found.batches) == 100


def test_what_cannot_be_divided(root: Path) -> None:
    with pytest.raises(InputMissing, match="there is no dataset with the id"):
        divided(root, InputData(dataset_id="0" * 64))
    with pytest.raises(InputMissing, match=r"Input 'data': .*nowhere"):
        divided(root, files("nowhere"))
    with pytest.raises(InvalidStep, match="a number, not a size such as '1MB'"):
        divided(root, files(), mini_batch_size="1MB")
    rows = table().dataset
    assert rows is not None
    written = dataset(rows.then(AsFiles(format="csv")))
    with pytest.raises(InputUnusable, match="Take the table itself"):
        divided(root, written)

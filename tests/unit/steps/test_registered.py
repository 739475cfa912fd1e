"""Registered datastores in whole attempts: files behind an address, and rows of queries."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from orchestrator.core import dataset as ds
from orchestrator.core.definition import DatasetSource, FromInput, FromOutput, Input, Output
from orchestrator.core.errors import Unavailable, UnknownThing
from orchestrator.core.job import InputData
from orchestrator.core.result import StepResult
from orchestrator.core.secret import Secret
from orchestrator.datasets.sql import BATCH
from steps.datastores import AllDatastores
from steps.memory_store import MemoryStore
from steps.routed_store import RoutedStore
from steps.store import Store
from steps.worker import StepWorker
from tests.unit.steps.jobs import DATA, SYSTEM, job, perform, put_snapshot, settings, working

Mode = Literal["mount", "direct"]
ADDRESS = "lake@0123456789abcdef"
ROWS = """
from millstream import Run
frame = Run.get_context().input_datasets["data"].to_pandas_dataframe()
print(len(frame), list(frame.columns), [str(kind) for kind in frame.dtypes])
"""
SHOW = "import sys, pathlib; print(sorted(p.read_text() for p in pathlib.Path(sys.argv[1]).rglob('*') if p.is_file()))"


class Registry:
    """What is registered, and how often it was asked for."""

    def __init__(self, url: str) -> None:
        self.asked: list[str] = []
        self.url = url
        self.down = False

    def find(self, name: str) -> str:
        self.asked.append(name)
        if self.down:
            raise Unavailable("Storage does not answer.")
        if name != "lake":
            raise UnknownThing(f'There is no datastore "{name}".')
        return ADDRESS

    def connect(self, name: str) -> Secret:
        if name != "sales":
            raise UnknownThing(f'There is no datastore "{name}".')
        return Secret(self.url)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    with sqlite3.connect(tmp_path / "sales.db") as made:
        made.execute("create table sales (id integer, mixed)")
        rows = [(n, n if n < BATCH else "text") for n in range(BATCH + 5)]
        made.executemany("insert into sales values (?, ?)", rows)
    made.close()
    return Registry(f"sqlite:///{tmp_path / 'sales.db'}")


@pytest.fixture
def own() -> MemoryStore:
    return MemoryStore(SYSTEM, DATA)


@pytest.fixture
def lake() -> MemoryStore:
    return MemoryStore("raw")


@pytest.fixture
def worker(own: MemoryStore, lake: MemoryStore, registry: Registry, tmp_path: Path) -> Iterator[StepWorker]:
    def lead(address: str) -> tuple[Store, str]:
        return (lake, "raw") if address == ADDRESS else (own, address)

    datastores = AllDatastores({"workspaceblobstore": DATA}, registry.find, registry.connect)
    with working(RoutedStore(lead), settings(tmp_path / "cache", datastores=datastores)) as worker:
        yield worker


def attempt(
    worker: StepWorker, own: MemoryStore, data: InputData, script: str, mode: Mode = "mount"
) -> tuple[StepResult, str]:
    step = job(
        put_snapshot(own, {"script.py": script}),
        arguments=(FromInput(name="data"), FromOutput(name="out")),
        input_ports=(Input(name="data", source=DatasetSource(id="0" * 64), mode=mode),),
        outputs=(Output(name="out", datastore="lake"),),
        inputs={"data": data},
    )
    result = perform(worker, step)
    return result, own.blobs[SYSTEM][result.log].decode() if result.log else ""


def saved(document: ds.DatasetDocument) -> InputData:
    return InputData(dataset_id=ds.address(document), dataset=document)


def query(text: str, datastore: str = "sales", *operations: ds.Operation) -> InputData:
    source = ds.SqlQuery(datastore=datastore, query=text)
    return saved(ds.DatasetDocument(type="tabular", sources=(source,), operations=operations))


def test_files_and_outputs_lie_where_the_address_leads(
    worker: StepWorker, own: MemoryStore, lake: MemoryStore, registry: Registry
) -> None:
    for number in range(50):
        lake.put("raw", f"in/{number}.txt", b"%d" % number)
    script = f"{SHOW}; pathlib.Path(sys.argv[2]).write_text('made')"
    files = ds.DatasetDocument(type="file", sources=(ds.DatastoreFiles(datastore="lake", path="in"),))
    result, text = attempt(worker, own, saved(files), script)
    assert result.error is None
    assert "'49'" in text
    assert lake.blobs["raw"][result.outputs["out"].prefix] == b"made"
    assert len(registry.asked) == 2, "once for the dataset, once for the output"


@pytest.mark.parametrize(
    ("down", "code", "retryable", "said"),
    [(False, "InvalidStep", False, 'no datastore "pond"'), (True, "StorageFailed", True, "does not answer")],
)
def test_a_name_that_leads_nowhere(
    worker: StepWorker, own: MemoryStore, registry: Registry, down: bool, code: str, retryable: bool, said: str
) -> None:
    registry.down = down
    files = ds.DatasetDocument(type="file", sources=(ds.DatastoreFiles(datastore="pond", path="in"),))
    result, _ = attempt(worker, own, saved(files), SHOW)
    assert result.error is not None
    assert (result.error.code, result.retryable) == (code, retryable)
    assert said in result.error.message


def test_the_rows_of_a_query_are_on_the_node(worker: StepWorker, own: MemoryStore) -> None:
    script = f"{ROWS}\nimport sys; open(sys.argv[2], 'w').close()"
    result, text = attempt(worker, own, query("select * from sales order by id"), script, mode="direct")
    assert result.error is None, result.error
    assert f"{BATCH + 5} ['id', 'mixed'] ['int64', " in text
    read = result.read["data"]
    assert read.files == 2, "a file for each portion whose types differ"
    again, _ = attempt(worker, own, query("select * from sales order by id"), script, mode="direct")
    assert again.read["data"] == read
    fewer, _ = attempt(worker, own, query("select * from sales where id < 9"), script, mode="direct")
    assert fewer.read["data"].fingerprint != read.fingerprint


def test_the_rows_of_a_query_as_a_file(worker: StepWorker, own: MemoryStore) -> None:
    script = f"{SHOW}; pathlib.Path(sys.argv[2]).write_text('')"
    result, text = attempt(worker, own, query("select id from sales order by id", "sales", ds.Take(count=2)), script)
    assert result.error is None
    assert '"id"\\n0\\n1\\n' in text


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (query("selekt"), "InputUnusable", "syntax error"),
        (query("select 1", "pond"), "InvalidStep", 'no datastore "pond"'),
        (query("select 1", "workspaceblobstore"), "InvalidStep", "no SQL datastore"),
    ],
)
def test_a_query_that_cannot_be_run(
    worker: StepWorker, own: MemoryStore, data: InputData, code: str, said: str
) -> None:
    result, _ = attempt(worker, own, data, SHOW, mode="direct")
    assert result.error is not None
    assert result.error.code == code
    assert said in result.error.message


def test_a_database_that_is_away_may_be_back_at_the_next_attempt(
    worker: StepWorker, own: MemoryStore, registry: Registry
) -> None:
    registry.url = "postgresql+psycopg://me:hidden@127.0.0.1:9/db"
    result, text = attempt(worker, own, query("select 1"), SHOW, mode="direct")
    assert result.error is not None
    assert (result.error.code, result.retryable) == ("StorageFailed", True)
    assert "hidden" not in result.error.message + text

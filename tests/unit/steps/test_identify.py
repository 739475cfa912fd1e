"""What lies behind inputs, told by content; and whether what was made is still there."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from orchestrator.core import dataset as ds
from orchestrator.core.definition import DatasetSource, DatastoreSource, Input, Step
from orchestrator.core.fingerprint import Content
from orchestrator.core.job import InputData
from orchestrator.core.result import OutputData
from orchestrator.engine.identify import Absent, Identify, Made
from steps.identify import Identifier, Present
from steps.installed import environment_name
from steps.memory_store import MemoryStore
from steps.transfer import Pool
from tests.unit.steps.jobs import DATA, SYSTEM, file_of, settings


@pytest.fixture
def store() -> MemoryStore:
    found = MemoryStore(SYSTEM, DATA)
    for name, data in (("iris/a.csv", b"1"), ("iris/b.csv", b"2"), ("one.csv", b"3")):
        found.put(DATA, name, data)
    return found


class Telling:
    """Asks for the content of one input."""

    def __init__(self, store: MemoryStore, cache: Path) -> None:
        given = settings(cache, datastores={DATA: DATA})
        self._identifier = Identifier(store, Pool(2), given, cache)

    def path(self, path: str) -> Content:
        return self._told(
            Input(name="x", source=DatastoreSource(datastore=DATA, path=path)), InputData(datastore=DATA, path=path)
        )

    def dataset(self, document: ds.DatasetDocument, *, mode: str = "direct") -> Content:
        port = Input(name="x", source=DatasetSource(id="0" * 64), mode=mode)
        return self._told(port, InputData(dataset_id=ds.address(document), dataset=document))

    def absent(self, *made: Made) -> tuple[str, ...]:
        return self._identifier.absent(Absent(made=made))

    def _told(self, port: Input, data: InputData) -> Content:
        step = Step(id="s", name="s", kind="python_script", inputs=(port,))
        return self._identifier.identify(Identify(step=step, inputs={"x": data})).contents["x"]


@pytest.fixture
def telling(store: MemoryStore, tmp_path: Path) -> Telling:
    return Telling(store, tmp_path)


def files(*paths: str, **changes: object) -> ds.DatasetDocument:
    sources = tuple(ds.DatastoreFiles(datastore=DATA, path=path) for path in paths)
    return ds.DatasetDocument(type="file", sources=sources, **changes)  # type: ignore[arg-type]


def test_a_folder_is_told_by_its_blobs(store: MemoryStore, telling: Telling) -> None:
    before = telling.path("iris")
    assert set(before.names) == {f"{DATA}/iris/a.csv", f"{DATA}/iris/b.csv"}
    store.put(DATA, "iris/a.csv", b"1")
    assert telling.path("iris") == before
    store.put(DATA, "elsewhere.csv", b"x")
    assert telling.path("iris") == before
    store.put(DATA, "iris/a.csv", b"changed")
    changed = telling.path("iris")
    assert changed.digest != before.digest
    assert {name for name in before.names if changed.names[name] != before.names[name]} == {f"{DATA}/iris/a.csv"}
    store.put(DATA, "iris/c.csv", b"")
    assert telling.path("iris").digest not in (before.digest, changed.digest)


def test_a_file_and_a_folder_and_nothing_are_different(telling: Telling) -> None:
    told = [telling.path(path).digest for path in ("one.csv", "iris", "iris/", "nothing", "nothing2", "")]
    assert len(set(told)) == len(told)
    assert "" not in told


def test_a_rewrite_with_the_same_bytes_is_no_change_though_it_has_another_etag(telling: Telling) -> None:
    """Where storage keeps a checksum; an attempt reads by etag, and is held against that."""
    blob = next(iter(telling._identifier.store.list(DATA, "one.csv")))

    class Rewritten(MemoryStore):
        etag = blob.etag

        def find(self, container: str, name: str):  # type: ignore[no-untyped-def]
            return blob._replace(etag=self.etag)

    rewritten = Rewritten(DATA)
    again = Telling(rewritten, Path("/nonexistent"))
    first = again.path("one.csv")
    rewritten.etag = "another"
    second = again.path("one.csv")
    assert first.digest == second.digest
    assert first.read != second.read


def test_what_an_attempt_reads_is_what_was_told(store: MemoryStore, telling: Telling) -> None:
    assert telling.path("iris").read
    assert not telling.dataset(files("iris")).volatile
    # What is taken of a dataset to files may be less than what lies behind it: it is looked at again instead.
    assert telling.dataset(files("iris"), mode="mount").volatile


def test_datasets(store: MemoryStore, telling: Telling) -> None:
    first, half = files("iris/*.csv"), files("iris/*.csv", operations=(ds.Take(count=1),))
    assert telling.dataset(first).digest != telling.dataset(half).digest
    before = telling.dataset(first).digest
    store.put(DATA, "iris/notes.txt", b"beside the pattern")
    assert telling.dataset(first).digest == before
    store.put(DATA, "iris/c.csv", b"within")
    assert telling.dataset(first).digest != before


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (
            ds.DatasetDocument(
                type="tabular",
                sources=(ds.DatastoreFiles(datastore=DATA, path="iris"),),
                format=ds.DelimitedFormat(),
                operations=(ds.TimestampColumns(timestamp="t"), ds.TimeRecent(seconds=60)),
            ),
            "recent",
        ),
        (ds.DatasetDocument(type="tabular", sources=(ds.SqlQuery(datastore="sql", query="select 1"),)), "query"),
        (files("nowhere"), "nothing at"),
        (files("iris", operations=()), ""),
    ],
)
def test_what_cannot_be_told_is_unknown(telling: Telling, document: ds.DatasetDocument, reason: str) -> None:
    told = telling.dataset(document)
    assert bool(told.unknown) == bool(reason)
    assert reason in told.unknown
    assert bool(told.digest) != bool(told.unknown)


def test_a_datastore_that_is_not_there(telling: Telling) -> None:
    step = Step(
        id="s",
        name="s",
        kind="python_script",
        inputs=(Input(name="x", source=DatastoreSource(datastore="none", path="a")),),
    )
    told = telling._identifier.identify(Identify(step=step, inputs={"x": InputData(datastore="none", path="a")}))
    assert "no datastore" in told.contents["x"].unknown


class _Web(http.server.BaseHTTPRequestHandler):
    headers_given: ClassVar[dict[str, str]]

    def do_HEAD(self) -> None:
        self.send_response(200)
        for name, value in self.headers_given.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def web(headers: dict[str, str]) -> Iterator[str]:
    handler = type("Handler", (_Web,), {"headers_given": headers})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/iris.csv"
        server.shutdown()
        thread.join()


def test_a_file_of_the_web_is_told_by_what_its_server_says(telling: Telling) -> None:
    def told(headers: dict[str, str]) -> Content:
        with web(headers) as url:
            return telling.dataset(ds.DatasetDocument(type="file", sources=(ds.WebFile(url=url),)))

    assert not told({"ETag": '"1"'}).unknown
    assert told({"ETag": '"1"'}).volatile
    assert not told({"Last-Modified": "Thu, 26 Nov 2026 10:00:00 GMT", "Content-Length": "5"}).unknown
    assert "neither" in told({}).unknown


def made(store: MemoryStore, run: str, step: str, *, destination: str = "", owner: str = "") -> Made:
    prefix = f"runs/{run}/{step}/1-abc/out"
    stored = (file_of("a.txt", b"aa"), file_of("sub/b.txt", b"b"))
    for file, data in zip(stored, (b"aa", b"b"), strict=True):
        store.put(DATA, f"{prefix}/{file.path}", data)
        if destination:
            store.copy(DATA, f"{prefix}/{file.path}", f"{destination}/{file.path}", owner=owner, replace=True)
    output = OutputData(datastore=DATA, prefix=prefix, files=stored, destination=destination)
    return Made(owner=owner or f"{run}_{step}", outputs={"out": output})


def test_what_was_made_is_there_or_not(store: MemoryStore, telling: Telling) -> None:
    first, second, other = made(store, "r1", "one"), made(store, "r1", "two"), made(store, "r2", "one")
    assert telling.absent(first, second, other) == ("", "", "")
    del store.blobs[DATA]["runs/r1/two/1-abc/out/sub/b.txt"]
    store.put(DATA, "runs/r2/one/1-abc/out/a.txt", b"of another size")
    assert telling.absent(first, second, other) == (
        "",
        f"{DATA}/runs/r1/two/1-abc/out/sub/b.txt",
        f"{DATA}/runs/r2/one/1-abc/out/a.txt",
    )


def test_an_output_that_is_a_file_and_one_that_is_empty(store: MemoryStore, telling: Telling) -> None:
    store.put(DATA, "runs/r/s/1-a/model.pkl", b"m")
    one = OutputData(datastore=DATA, prefix="runs/r/s/1-a/model.pkl", is_file=True, files=(file_of("", b"m"),))
    none = OutputData(datastore=DATA, prefix="runs/r/s/1-a/none")
    found = Made(owner="r_s", outputs={"model": one, "none": none})
    assert telling.absent(found) == ("",)
    del store.blobs[DATA]["runs/r/s/1-a/model.pkl"]
    assert telling.absent(found) == (f"{DATA}/runs/r/s/1-a/model.pkl",)


def test_a_copy_that_another_run_has_replaced_is_not_there_as_it_was(store: MemoryStore, telling: Telling) -> None:
    first = made(store, "r1", "one", destination="models/latest", owner="r1_one")
    assert telling.absent(first) == ("",)
    made(store, "r2", "one", destination="models/latest", owner="r2_one")
    assert "models/latest/a.txt" in telling.absent(first)[0]


class _Counting(MemoryStore):
    listings = 0

    def list(self, container: str, prefix: str, *, owners: bool = False):  # type: ignore[no-untyped-def]
        self.listings += 1
        return super().list(container, prefix, owners=owners)


def test_the_outputs_of_one_run_are_looked_at_together() -> None:
    store = _Counting(DATA)
    run = tuple(made(store, "r1", f"s{number}") for number in range(50))
    assert Present(store, {DATA: DATA}).missing(run) == ("",) * 50
    assert store.listings == 1


def test_a_run_with_very_many_other_files_is_looked_at_step_by_step() -> None:
    store = _Counting(DATA)
    for number in range(6000):
        store.blobs[DATA][f"runs/r1/aaa/1-abc/out/{number:05d}"] = b""
    pair = (made(store, "r1", "one"), made(store, "r1", "two"))
    assert Present(store, {DATA: DATA}).missing(pair) == ("", "")
    assert store.listings == 3


def test_the_environment_is_told_by_what_is_installed(tmp_path: Path) -> None:
    def name(*packages: str) -> str:
        folder = tmp_path / "-".join(packages)
        for package in packages:
            (folder / f"{package}.dist-info").mkdir(parents=True, exist_ok=True)
        return environment_name([str(folder), str(tmp_path / "not there")])

    assert name("pandas-3.1.0") == name("Pandas-3.1.0")
    assert name("pandas-3.1.1") != name("pandas-3.1.0")

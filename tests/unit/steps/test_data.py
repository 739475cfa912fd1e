"""Datasets into a step, and outputs out of it, through whole attempts."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.core import dataset as ds
from orchestrator.core.definition import (
    DatasetSource,
    FromInput,
    FromOutput,
    FromParameter,
    Input,
    Literal,
    Output,
    Registration,
    StepSource,
    Text,
)
from orchestrator.core.job import InputData
from orchestrator.core.result import StepResult
from steps.memory_store import MemoryStore
from steps.worker import StepWorker
from tests.unit.steps.jobs import DATA, SYSTEM, file_of, job, perform, put_snapshot, settings, working

SHOW = """
import os, sys
path = sys.argv[1]
print(os.path.relpath(path, os.environ["HOME"]))
found = [path] if os.path.isfile(path) else [os.path.join(d, n) for d, _, names in os.walk(path) for n in names]
for file in sorted(found):
    print(os.path.relpath(file, path), open(file).read())
"""
ENVIRONMENT = """
import json, os
info = json.load(open(os.environ["MILLSTREAM_STEP_INFO"]))
print(json.dumps({"variables": dict(os.environ), "info": info}))
"""
TABLE = ds.DatasetView(type="tabular", format=ds.DelimitedFormat())


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(SYSTEM, DATA)


@pytest.fixture
def worker(store: MemoryStore, tmp_path: Path) -> Iterator[StepWorker]:
    with working(store, settings(tmp_path, web_bytes=1000, keep_work_dirs=True)) as worker:
        yield worker


def files(*paths: str, **fields: Any) -> ds.DatasetDocument:
    sources: tuple[Any, ...] = tuple(
        ds.WebFile(url=path) if path.startswith("http") else ds.DatastoreFiles(datastore=DATA, path=path)
        for path in paths
    )
    return ds.DatasetDocument(**{"type": "file", "sources": sources, **fields})


def saved(document: ds.DatasetDocument) -> InputData:
    return InputData(dataset_id=ds.address(document), dataset=document)


def show(
    worker: StepWorker, store: MemoryStore, data: InputData, script: str = SHOW, **port: Any
) -> tuple[StepResult, str]:
    made: dict[str, Any] = {"name": "data", "source": DatasetSource(id="0" * 64), **port}
    snapshot = put_snapshot(store, {"script.py": script})
    ports = (Input(**made),)
    result = perform(
        worker, job(snapshot, arguments=(FromInput(name="data"),), input_ports=ports, inputs={"data": data})
    )
    return result, store.blobs[SYSTEM][result.log].decode() if result.log else ""


def test_a_dataset_of_one_file_is_that_file(worker: StepWorker, store: MemoryStore) -> None:
    store.put(DATA, "in/a.csv", b"1")
    result, text = show(worker, store, saved(files("in/a.csv")))
    assert text == "inputs/data/a.csv\n. 1\n"
    assert (result.read["data"].files, result.read["data"].size) == (1, 1)


def test_a_dataset_is_a_folder_as_in_its_datastore(worker: StepWorker, store: MemoryStore) -> None:
    for name in ("in/a.csv", "in/sub/b.csv", "in/sub/c.txt", "other"):
        store.put(DATA, name, name.encode())
    assert (
        show(worker, store, saved(files("in/**/*.csv")))[1] == "inputs/data\na.csv in/a.csv\nsub/b.csv in/sub/b.csv\n"
    )
    first = files("in").then(ds.Take(count=1))
    assert show(worker, store, saved(first))[1] == "inputs/data\na.csv in/a.csv\n"
    placed = show(worker, store, saved(files("in/a.csv")), path_on_compute="put/here.csv", mode="download")[1]
    assert placed == "code/put/here.csv\n. in/a.csv\n"


def test_what_was_read_is_known_by_its_content(worker: StepWorker, store: MemoryStore) -> None:
    def read() -> str:
        return show(worker, store, saved(files("in")))[0].read["data"].fingerprint

    store.put(DATA, "in/a", b"1")
    first = read()
    assert read() == first
    store.put(DATA, "in/a", b"2")
    assert read() != first


def test_an_empty_dataset_is_an_empty_folder(worker: StepWorker, store: MemoryStore) -> None:
    result, text = show(worker, store, saved(files("in/*.csv")))
    assert result.error is None
    assert text == "[millstream] Input 'data': the dataset is empty, and so is its folder.\ninputs/data\n"


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (saved(files("none.csv")), "InputMissing", "none.csv"),
        (InputData(dataset_id="7" * 64), "InputMissing", "no dataset with the id"),
        (saved(files("in/a.zip", archive=ds.ZipArchive())), "InputUnusable", "climbs.txt"),
        (saved(files("in/no.zip", archive=ds.ZipArchive())), "InputUnusable", "no zip archive"),
        (
            saved(files("x", sources=(ds.DatastoreFiles(datastore="elsewhere", path="x"),))),
            "InvalidStep",
            "There is no datastore 'elsewhere'",
        ),
    ],
)
def test_a_dataset_that_cannot_be_brought(
    worker: StepWorker, store: MemoryStore, data: InputData, code: str, words: str
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../climbs.txt", "x")
    store.put(DATA, "in/a.zip", packed.getvalue())
    store.put(DATA, "in/no.zip", b"no archive")
    result, text = show(worker, store, data)
    assert result.error is not None
    assert (result.error.code, text) == (code, "")
    assert words in result.error.message


def test_entries_of_an_archive(worker: StepWorker, store: MemoryStore) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x/cat.jpg", "cat")
        archive.writestr("x/note.txt", "note")
    store.put(DATA, "in/a.zip", packed.getvalue())
    text = show(worker, store, saved(files("in/a.zip", archive=ds.ZipArchive(entry_glob="**/*.jpg"))))[1]
    assert text == "inputs/data\na.zip/x/cat.jpg cat\n"


@pytest.fixture
def web() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = b"x" * (2000 if self.path.endswith("large.txt") else 5)
            self.send_response(200 if "none" not in self.path else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_files_of_the_web(worker: StepWorker, store: MemoryStore, web: str) -> None:
    assert show(worker, store, saved(files(f"{web}/a/small.txt")))[1] == "inputs/data/small.txt\n. xxxxx\n"
    for name, code in (("large.txt", "InputUnusable"), ("none.txt", "InputMissing")):
        error = show(worker, store, saved(files(f"{web}/{name}")))[0].error
        assert error is not None
        assert error.code == code


def direct(worker: StepWorker, store: MemoryStore, data: InputData, **port: Any) -> Any:
    result, text = show(worker, store, data, ENVIRONMENT, mode="direct", **port)
    assert result.error is None, result.error
    return msgspec.json.decode(text)


def test_a_table_comes_with_its_files(worker: StepWorker, store: MemoryStore, web: str) -> None:
    store.put(DATA, "in/a.csv", b"a\n1\n")
    document = files("in/*.csv", f"{web}/b.csv", type="tabular", format=ds.DelimitedFormat())
    seen = direct(worker, store, saved(document))
    known = seen["info"]["datasets"]["data"]
    assert known["id"] == ds.address(document) == seen["info"]["inputs"]["data"]
    assert msgspec.convert(known["document"], ds.DatasetDocument) == document
    assert (Path(known["roots"][DATA]) / "in/a.csv").read_text() == "a\n1\n"
    assert Path(known["web"][f"{web}/b.csv"]).read_text() == "xxxxx"
    variables = seen["variables"]
    assert variables["data"] == variables["DATA"] == variables["AZURE_ML_INPUT_data"] == ds.address(document)
    assert variables["AZUREML_DATASET_ENVIRONMENT_VARS"] == "data:direct"


def test_an_upstream_output_read_as_a_table(worker: StepWorker, store: MemoryStore) -> None:
    store.put(DATA, "runs/x/o/a.csv", b"a\n1\n")
    data = InputData(datastore=DATA, path="runs/x/o", files=(file_of("a.csv", b"a\n1\n"),), view=TABLE)
    known = direct(worker, store, data, source=StepSource(step="s", output="o", view=TABLE))["info"]["datasets"]["data"]
    assert known["document"]["sources"] == [{"kind": "datastore", "datastore": DATA, "path": "runs/x/o/**"}]
    assert (Path(known["roots"][DATA]) / "runs/x/o/a.csv").is_file()


def test_an_upstream_output_as_files(worker: StepWorker, store: MemoryStore) -> None:
    contents = {"a.csv": b"1", "b.txt": b"2"}
    for name, content in contents.items():
        store.put(DATA, f"runs/x/o/{name}", content)
    kept = tuple(file_of(name, content) for name, content in contents.items())
    whole = ds.DatasetView(type="file")
    some = ds.DatasetView(type="file", pattern="*.csv")
    for view, expected in ((whole, "inputs/data\na.csv 1\nb.txt 2\n"), (some, "inputs/data/files\na.csv 1\n")):
        data = InputData(datastore=DATA, path="runs/x/o", files=kept, view=view)
        assert show(worker, store, data)[1] == expected
    empty = InputData(datastore=DATA, path="runs/x/o", files=(), view=whole)
    assert show(worker, store, empty)[1] == "inputs/data\n"


def test_a_dataset_named_like_a_variable_leaves_the_variable_alone(worker: StepWorker, store: MemoryStore) -> None:
    store.put(DATA, "in/a", b"1")
    ports = (Input(name="path", source=DatasetSource(id="0" * 64)),)
    it = job(put_snapshot(store, {"script.py": ENVIRONMENT}), input_ports=ports, inputs={"path": saved(files("in/a"))})
    result = perform(worker, it)
    assert result.log is not None
    variables = msgspec.json.decode(store.blobs[SYSTEM][result.log])["variables"]
    assert variables["path"].endswith("inputs/path/a")
    assert "/usr/bin" in variables["PATH"]


WRITE = """
import os, sys
for name in sys.argv[2:]:
    place = os.path.join(sys.argv[1], name)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    open(place, "w").write(name)
"""


def write(worker: StepWorker, store: MemoryStore, *names: str, script: str = WRITE, **port: Any) -> StepResult:
    it = job(
        put_snapshot(store, {"script.py": script}),
        arguments=(FromOutput(name="out"), *(Literal(value=name) for name in names)),
        outputs=(Output(name="out", create=True, **port),),
        parameters={"p": 3},
        owner=f"{len(store.blobs[DATA]):012d}",
    )
    return perform(worker, it)


def test_a_folder_that_is_there_may_stay_empty(worker: StepWorker, store: MemoryStore) -> None:
    result = write(worker, store, script="import os, sys\nassert os.listdir(sys.argv[1]) == []")
    assert result.error is None
    assert result.outputs["out"].files == ()


def test_variables_of_a_created_output(worker: StepWorker, store: MemoryStore) -> None:
    result = write(worker, store, script=ENVIRONMENT)
    assert result.log is not None
    variables = msgspec.json.decode(store.blobs[SYSTEM][result.log])["variables"]
    place = variables["AZUREML_DATAREFERENCE_out"]
    assert variables["AZURE_ML_OUTPUT_out"] == variables["out"] == variables["OUT"] == place
    assert variables["AZUREML_DATASET_FILE_OUTPUTS"] == "out"


def test_only_what_fits_a_pattern_is_kept(worker: StepWorker, store: MemoryStore) -> None:
    result = write(worker, store, "a.csv", "sub/b.csv", "c.txt", globs=("**/*.csv",))
    assert [file.path for file in result.outputs["out"].files] == ["a.csv", "sub/b.csv"]


def test_a_destination(worker: StepWorker, store: MemoryStore) -> None:
    parts = (Literal(value="kept/{run-id}/"), FromParameter(name="p"), Literal(value="/{output-name}/"))
    result = write(worker, store, "a", destination=parts)
    output = result.outputs["out"]
    assert output.destination == "kept/run1_train/3/out"
    assert store.blobs[DATA]["kept/run1_train/3/out/a"] == b"a" == store.blobs[DATA][f"{output.prefix}/a"]


def test_a_destination_that_is_taken(worker: StepWorker, store: MemoryStore) -> None:
    fields: dict[str, Any] = {"destination": (Literal(value="kept"),), "overwrite": False}
    store.put(DATA, "kept/b", b"somebody's")
    assert write(worker, store, "a", **fields).error is None
    assert write(worker, store, "a", **fields).error is None, "its own file is no obstacle"
    error = write(worker, store, "b", **fields).error
    assert error is not None
    assert error.code == "OutputUnusable"
    assert store.blobs[DATA]["kept/b"] == b"somebody's"
    assert write(worker, store, "b", destination=(Literal(value="kept"),)).error is None
    assert store.blobs[DATA]["kept/b"] == b"b"


def test_a_destination_that_a_parameter_makes_climb(worker: StepWorker, store: MemoryStore) -> None:
    it = job(
        put_snapshot(store, {"script.py": WRITE}),
        arguments=(FromOutput(name="out"), Literal(value="a")),
        outputs=(Output(name="out", create=True, destination=(Literal(value="x/"), FromParameter(name="p"))),),
        parameters={"p": "../../y"},
    )
    error = perform(worker, it).error
    assert error is not None
    assert error.code == "InvalidStep"
    assert store.blobs[DATA] == {}


def test_an_output_that_is_to_be_registered(worker: StepWorker, store: MemoryStore) -> None:
    result = write(worker, store, "a.csv", register=Registration(name="kept", tags={"a": "b"}, view=TABLE))
    (wish,) = result.datasets
    assert (wish.name, wish.output, wish.tags) == ("kept", "out", {"a": "b"})
    document = ds.decode(store.blobs[SYSTEM][f"datasets/{wish.id}.json"])
    assert document == TABLE.of(DATA, result.outputs["out"].prefix)


def test_a_failed_step_registers_and_copies_nothing(worker: StepWorker, store: MemoryStore) -> None:
    fields: dict[str, Any] = {"destination": (Literal(value="kept"),), "register": Registration(name="kept")}
    result = write(worker, store, "a", script=WRITE + "sys.exit(1)", **fields)
    assert result.error is not None
    assert (result.datasets, store.blobs[DATA]) == ((), {})


LINK = """
import json, os, sys
line = json.dumps({"op": "link", "name": "out", "dataset": json.loads(sys.argv[1])}) + "\\n"
open(os.environ["MILLSTREAM_SPOOL"], "a").write(line)
"""


@pytest.mark.parametrize("script", [LINK, ""])
def test_a_link(worker: StepWorker, store: MemoryStore, script: str) -> None:
    document = files("in/a")
    it = job(
        put_snapshot(store, {"script.py": script}),
        arguments=(Literal(value=ds.encode(document).decode()),),
        outputs=(Output(name="out", mode="link", register=Registration(name="linked")),),
    )
    result = perform(worker, it)
    if script:
        assert result.outputs["out"].dataset == ds.address(document) == result.datasets[0].id
        assert ds.decode(store.blobs[SYSTEM][f"datasets/{ds.address(document)}.json"]) == document
    else:
        assert result.error is not None
        assert result.error.code == "OutputNotWritten"


def test_an_argument_put_together(worker: StepWorker, store: MemoryStore) -> None:
    it = job(
        put_snapshot(store, {"script.py": "import sys\nprint(sys.argv[1])"}),
        arguments=(Text(parts=(Literal(value="--n="), FromParameter(name="p"), Literal(value=";"))),),
        parameters={"p": 3},
    )
    result = perform(worker, it)
    assert result.log is not None
    assert store.blobs[SYSTEM][result.log] == b"--n=3;\n"

"""Whole attempts on Azurite, with real processes."""

# ruff: noqa: E501
from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from azurerest import Account, Blobs, Call, Transport
from orchestrator.core.definition import FromInput, FromOutput, Input, Output, StepSource
from orchestrator.core.job import InputData, Job
from orchestrator.core.result import OutputData, StepResult
from steps.azure_store import AzureStore
from steps.worker import StepWorker
from tests.unit.steps.jobs import DATA, SYSTEM, file_of, job, perform, put_snapshot, settings, working
from tests.unit.steps.running import eventually, is_alive

OUT = (Output(name="out"),)
TO_OUT = (FromOutput(name="out"),)


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    return []


@pytest.fixture(scope="module")
def blobs(azurite_connection: str, calls: list[Call]) -> Iterator[Blobs]:
    transport = Transport(observer=calls.append)
    blobs = Blobs(Account.from_connection_string(azurite_connection), transport)
    for container in (SYSTEM, DATA):
        blobs.create_container(container)
    yield blobs
    transport.close()


@pytest.fixture(scope="module")
def store(blobs: Blobs) -> AzureStore:
    return AzureStore(blobs)


@pytest.fixture(scope="module")
def worker(store: AzureStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StepWorker]:
    with working(store, settings(tmp_path_factory.mktemp("cache"))) as worker:
        yield worker


def run(worker: StepWorker, store: AzureStore, source: str, **fields: object) -> StepResult:
    snapshot = put_snapshot(store, {"script.py": source})
    return perform(worker, job(snapshot, run=uuid.uuid4().hex, **fields))  # type: ignore[arg-type]


def text(blobs: Blobs, result: StepResult) -> str:
    assert result.log is not None
    return blobs.get(SYSTEM, result.log).data.decode()


def handed_on(data: OutputData) -> dict[str, InputData]:
    """The input that a next step gets of an output."""
    return {"data": InputData(datastore=data.datastore, path=data.prefix, is_file=data.is_file, files=data.files)}


PORTS = (Input(name="data", source=StepSource(step="up", output="out")),)


def test_data_goes_from_step_to_step(worker: StepWorker, store: AzureStore, blobs: Blobs) -> None:
    made = run(
        worker,
        store,
        "import os, sys\nos.makedirs(sys.argv[1] + '/d')\nopen(sys.argv[1] + '/d/ž', 'w').write('5')",
        arguments=TO_OUT,
        outputs=OUT,
    )
    assert made.error is None
    add = "import sys\nn = int(open(sys.argv[1] + '/d/ž').read())\nopen(sys.argv[2], 'w').write(str(n + 1))"
    both = (FromInput(name="data"), FromOutput(name="out"))
    added = run(
        worker, store, add, arguments=both, outputs=OUT, input_ports=PORTS, inputs=handed_on(made.outputs["out"])
    )
    assert added.error is None
    assert added.outputs["out"].is_file
    show = "import sys\nprint(open(sys.argv[1]).read())"
    shown = run(worker, store, show, arguments=both[:1], input_ports=PORTS, inputs=handed_on(added.outputs["out"]))
    assert text(blobs, shown) == "6\n"


def test_a_folder_of_many_files_and_a_large_one(worker: StepWorker, store: AzureStore, blobs: Blobs) -> None:
    source = (
        "import os, sys\nout = sys.argv[1]\nfor n in range(200):\n    os.makedirs(f'{out}/{n % 7}', exist_ok=True)\n"
        "    open(f'{out}/{n % 7}/{n}', 'w').write(str(n))\nopen(f'{out}/large', 'wb').write(os.urandom(20_000_000))"
    )
    made = run(worker, store, source, arguments=TO_OUT, outputs=OUT)
    out = made.outputs["out"]
    assert len(out.files) == 201
    assert file_of("3/3", b"3") in out.files
    stored = {item.name: item.size for item in blobs.list_all(DATA, out.prefix + "/")}
    assert stored == {f"{out.prefix}/{file.path}": file.size for file in out.files}
    count = "import os, sys\nprint(sum(len(f) for _, _, f in os.walk(sys.argv[1])), os.path.getsize(sys.argv[1] + '/large'))"
    counted = run(worker, store, count, arguments=(FromInput(name="data"),), input_ports=PORTS, inputs=handed_on(out))
    assert text(blobs, counted) == "201 20000000\n"


def test_an_input_changed_after_its_commit_is_refused(
    worker: StepWorker, store: AzureStore, blobs: Blobs, tmp_path: Path
) -> None:
    made = run(worker, store, "import sys\nopen(sys.argv[1], 'w').write('good')", arguments=TO_OUT, outputs=OUT)
    blobs.put(DATA, made.outputs["out"].prefix, b"evil")
    with working(store, settings(tmp_path)) as elsewhere:
        result = run(elsewhere, store, "", input_ports=PORTS, inputs=handed_on(made.outputs["out"]))
    assert result.error is not None
    assert result.error.code == "InputDamaged"


def test_nothing_travels_twice_to_a_node(
    worker: StepWorker, store: AzureStore, blobs: Blobs, calls: list[Call], tmp_path: Path
) -> None:
    """Neither what a step of this node wrote nor what one read, unless a script has changed it: bytes of data, counted."""
    source = "import os, sys\nos.mkdir(sys.argv[1])\nfor n in range(3):\n    open(f'{sys.argv[1]}/{n}', 'wb').write(os.urandom(3_000_000))"
    out = run(worker, store, source, arguments=TO_OUT, outputs=OUT).outputs["out"]
    spoil = "import glob, sys\nfor f in glob.glob(sys.argv[1] + '/*'):\n    open(f, 'r+b').write(b'spoilt')"
    read = "import glob, hashlib, sys\nfor f in sorted(glob.glob(sys.argv[1] + '/*')):\n    print(hashlib.sha256(open(f, 'rb').read()).hexdigest())"
    sums = "".join(f"{file.sha256}\n" for file in out.files)

    def received(worker: StepWorker, source: str) -> int:
        snapshot = put_snapshot(store, {"script.py": source})
        it = job(
            snapshot,
            run=uuid.uuid4().hex,
            arguments=(FromInput(name="data"),),
            input_ports=PORTS,
            inputs=handed_on(out),
        )
        calls.clear()
        result = perform(worker, it)
        assert result.error is None
        assert source != read or text(blobs, result) == sums
        return sum(call.received for call in calls if f"/{DATA}/" in call.path and call.verb == "GET")

    size = sum(file.size for file in out.files)
    assert [received(worker, script) for script in (read, spoil, read)] == [0, 0, 0]
    with working(store, settings(tmp_path)) as other:
        assert [received(other, script) for script in (spoil, read, read, spoil, read)] == [size, size, 0, 0, 0]
    with working(store, settings(tmp_path)) as restarted:
        assert received(restarted, read) == 0


def test_what_a_step_costs(worker: StepWorker, store: AzureStore, calls: list[Call]) -> None:
    """Transactions, with a warm cache: one for a short log, none for none, one an output file, one to read a file."""

    def cost(it: Job) -> list[str]:
        calls.clear()
        assert perform(worker, it).error is None
        return [f"{call.verb} {call.status}" for call in calls]

    silent = put_snapshot(store, {"script.py": ""})
    talking = put_snapshot(store, {"script.py": "import sys\nprint('x' * 60_000)\nopen(sys.argv[1], 'w').write('y')"})
    cost(job(silent)), cost(job(talking, arguments=TO_OUT, outputs=OUT))
    assert cost(job(silent)) == []
    assert cost(job(talking, arguments=TO_OUT, outputs=OUT)) == ["PUT 201", "PUT 201"]
    store.put(DATA, "one/file", b"1")
    one = {"data": InputData(datastore=DATA, path="one/file")}
    assert cost(job(silent, input_ports=PORTS, inputs=one)) == ["GET 206"]


def test_a_long_log_streams(worker: StepWorker, store: AzureStore, blobs: Blobs) -> None:
    source = (
        "import time\nfor n in range(6):\n    print('line', n, flush=True)\n    time.sleep(0.1)\nprint('x' * 100_000)"
    )
    result = run(worker, store, source)
    assert text(blobs, result) == "".join(f"line {n}\n" for n in range(6)) + "x" * 100_000 + "\n"
    assert result.log_bytes == len(text(blobs, result))
    assert result.log is not None
    assert blobs.head(SYSTEM, result.log).kind == "AppendBlob"


WORKER = """
import json, sys
from pathlib import Path
from azurerest import Account, Blobs, Transport
from steps.azure_store import AzureStore
from tests.unit.steps.jobs import job, perform, settings, working
connection, cache, snapshot = json.loads(sys.argv[1])
store = AzureStore(Blobs(Account.from_connection_string(connection), Transport()))
with working(store, settings(Path(cache))) as worker:
    perform(worker, job(snapshot))
"""


def test_a_killed_worker_leaves_no_process_and_its_folder_is_cleaned_up(
    store: AzureStore, azurite_connection: str, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    source = (
        "import os, subprocess, time\nchild = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"open({str(told)!r} + '.new', 'w').write(f'{{os.getpid()}} {{os.getppid()}} {{child.pid}}')\n"
        f"os.rename({str(told)!r} + '.new', {str(told)!r})\ntime.sleep(600)"
    )
    given = json.dumps([azurite_connection, str(tmp_path / "cache"), put_snapshot(store, {"script.py": source})])
    process = subprocess.Popen([sys.executable, "-c", WORKER, given], cwd=Path(__file__).parents[2])
    try:
        assert eventually(told.exists)
    finally:
        process.kill()
        process.wait()
    pids = [int(pid) for pid in told.read_text().split()]
    assert eventually(lambda: not any(map(is_alive, pids)))
    assert list((tmp_path / "cache" / "work").glob("*/*/code/script.py"))
    with working(store, settings(tmp_path / "cache")) as worker:
        assert not list((tmp_path / "cache" / "work").glob("*/*/code/script.py"))
        assert worker is not None


def test_steps_that_use_the_run_context(worker: StepWorker, store: AzureStore, blobs: Blobs) -> None:
    source = (
        "from millstream import Run\nrun = Run.get_context()\nrun.log('score', 0.5)\nrun.tag('k', 'v')\n"
        "open('plot.txt', 'w').write('plot')\nrun.upload_file('outputs/plot.txt', 'plot.txt')\n"
        "open('plot.txt', 'w').write('changed later')\nrun.register_model('m', 'outputs/plot.txt')\nprint(run.id)"
    )
    result = run(worker, store, source)
    assert result.error is None, result.error
    assert [(metric.name, metric.value) for metric in result.metrics] == [("score", 0.5)]
    assert result.tags == {"k": "v"}
    assert [(model.name, model.path) for model in result.models] == [("m", "outputs/plot.txt")]
    assert result.artifacts == (file_of("outputs/plot.txt", b"plot"),)
    assert blobs.get(SYSTEM, f"{result.artifact_prefix}/outputs/plot.txt").data == b"plot"
    assert text(blobs, result).endswith("_train\n")


def test_no_time_is_lost(worker: StepWorker, store: AzureStore) -> None:
    """No wait or poll hides in a short step. A generous bound: the machine may be busy."""
    it = job(put_snapshot(store, {"script.py": "print(1)"}))
    perform(worker, it)
    seconds = []
    for _ in range(7):
        begun = time.perf_counter()
        perform(worker, it)
        seconds.append(time.perf_counter() - begun)
    assert min(seconds) < 0.1

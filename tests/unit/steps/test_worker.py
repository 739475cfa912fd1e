"""Whole attempts: real processes, storage in memory."""

# ruff: noqa: E501

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import logs
from orchestrator.core.definition import FromInput, FromOutput, FromParameter, Input, Literal, Output, StepSource
from orchestrator.core.job import InputData, Job
from orchestrator.core.result import Metric, ModelRegistration, OutputData, StepResult
from orchestrator.engine.lease import Lease
from steps.memory_store import MemoryStore
from steps.store import StoreFailed
from steps.worker import StepWorker
from steps.zygote import tree
from tests.unit.steps.jobs import DATA, SYSTEM, file_of, job, lease_of, perform, put_snapshot, settings, working
from tests.unit.steps.running import eventually, is_alive

UPSTREAM = StepSource(step="up", output="o")
OUT = (Output(name="out"),)
TO_OUT = (FromOutput(name="out"),)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(SYSTEM, DATA)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def worker(store: MemoryStore, cache: Path) -> Iterator[StepWorker]:
    with working(store, settings(cache)) as worker:
        yield worker


def run(worker: StepWorker, store: MemoryStore, source: str, **fields: object) -> StepResult:
    """Perform a step whose source folder is one script."""
    return perform(worker, job(put_snapshot(store, {"script.py": source}), **fields))  # type: ignore[arg-type]


def failed(result: StepResult) -> tuple[str, str, bool]:
    assert result.error is not None, result
    assert result.outputs == {}
    return result.error.code, result.error.message, result.retryable


class Away(MemoryStore):
    """It takes no logs."""

    def put(self, container: str, name: str, data: bytes, **more: Any) -> None:
        if name.endswith("log.txt"):
            raise StoreFailed("away")
        super().put(container, name, data, **more)


def test_what_is_logged_of_an_attempt_names_it_on_whatever_thread(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, Any]] = []

    def keep(record: logging.LogRecord) -> bool:
        said.append((threading.current_thread().name, json.loads(logs.as_json(record))))
        return True

    monkeypatch.setattr(logging.getLogger("millstream.steps"), "filters", [keep])
    store = Away(SYSTEM, DATA)
    source = "import sys\nprint('a secret')\nopen('outputs/a', 'w').close()\nopen('outputs/b', 'w').close()\n"
    with working(store, settings(cache)) as worker:
        assert run(worker, store, source).error is None
    ids = {(line["run"], line["step"], line["attempt"], line["experiment"]) for _, line in said}
    assert ids == {("run1", "train", 1, "exp")}
    assert any(thread.startswith("millstream-transfer") for thread, _ in said)
    assert "secret" not in str(said)


def test_a_step_from_job_to_result(worker: StepWorker, store: MemoryStore) -> None:
    source = (
        "import os, sys, json\n"
        "name, given, out = sys.argv[1:]\n"
        "print(name, open(given).read(), os.getcwd() == os.path.dirname(os.path.abspath(__file__)))\n"
        "assert given == os.environ['AZUREML_DATAREFERENCE_data'] and out == os.environ['AZUREML_DATAREFERENCE_out']\n"
        "assert os.environ['AZUREML_RUN_ID'] == 'run1_train'\n"
        "os.makedirs(out + '/sub')\n"
        "open(out + '/a.txt', 'w').write('A')\nopen(out + '/sub/b.txt', 'w').write('BB')\n"
        "open('outputs/plot.svg', 'w').write('<svg/>')\nopen('logs/more.log', 'w').write('log')\n"
        "record = {'op': 'metric', 'name': 'n', 'kind': 'scalar', 'value': 1.5, 'at': 2.0}\n"
        "model = {'op': 'model', 'name': 'm', 'path': 'outputs/plot.svg'}\n"
        "open(os.environ['MILLSTREAM_SPOOL'], 'a').write(json.dumps(record) + '\\n' + json.dumps(model) + '\\n')\n"
        "info = json.load(open(os.environ['MILLSTREAM_STEP_INFO']))\n"
        "assert info['inputs'] == {'data': given} and info['outputs'] == {'out': out}, info\n"
    )
    store.put(DATA, "in/data.csv", b"1,2")
    result = run(
        worker,
        store,
        source,
        arguments=(FromParameter(name="p"), FromInput(name="data"), FromOutput(name="out")),
        parameters={"p": "x"},
        input_ports=(Input(name="data", source=UPSTREAM),),
        inputs={"data": InputData(datastore=DATA, path="in/data.csv")},
        outputs=OUT,
    )
    prefix = "runs/run1/train/1-0123456789ab"
    assert result.error is None, result.error
    files = (file_of("a.txt", b"A"), file_of("sub/b.txt", b"BB"))
    assert result.outputs == {"out": OutputData(datastore=DATA, prefix=f"{prefix}/out", files=files)}
    assert store.blobs[DATA] == {"in/data.csv": b"1,2", f"{prefix}/out/a.txt": b"A", f"{prefix}/out/sub/b.txt": b"BB"}
    assert result.artifact_prefix == f"{prefix}/artifacts"
    assert set(result.artifacts) == {file_of("outputs/plot.svg", b"<svg/>"), file_of("logs/more.log", b"log")}
    assert store.blobs[SYSTEM][f"{prefix}/artifacts/outputs/plot.svg"] == b"<svg/>"
    assert result.log == f"{prefix}/log.txt"
    assert store.blobs[SYSTEM][result.log] == b"x 1,2 True\n"
    assert result.log_bytes == 11
    assert result.metrics == (Metric(name="n", kind="scalar", value=1.5, at=2.0),)
    assert result.models == (ModelRegistration(name="m", path="outputs/plot.svg"),)
    assert (result.exit_code, result.retryable) == (0, True)
    assert result.started_at <= result.ended_at
    assert 0 < result.bare_seconds <= result.ended_at - result.started_at


def test_a_script_that_prints_nothing_and_writes_nothing_leaves_nothing(worker: StepWorker, store: MemoryStore) -> None:
    result = run(worker, store, "")
    assert result.error is None
    assert (result.log, result.log_bytes, result.artifacts, result.artifact_prefix) == (None, 0, (), "")
    assert not [name for name in store.blobs[SYSTEM] if name.startswith("runs/")]


# Outputs


@pytest.mark.parametrize("content", ["", "x" * 100_000])
def test_an_output_that_is_a_file(worker: StepWorker, store: MemoryStore, content: str) -> None:
    result = run(worker, store, f"import sys\nopen(sys.argv[1], 'w').write({content!r})", arguments=TO_OUT, outputs=OUT)
    (out,) = result.outputs.values()
    assert out.is_file
    assert out.files == (file_of("", content.encode()),)
    assert store.blobs[DATA][out.prefix] == content.encode()


def test_an_output_that_is_an_empty_folder(worker: StepWorker, store: MemoryStore) -> None:
    result = run(worker, store, "import os, sys\nos.makedirs(sys.argv[1])", arguments=TO_OUT, outputs=OUT)
    assert result.outputs["out"].files == ()
    assert not result.outputs["out"].is_file


def test_an_output_where_the_step_says(worker: StepWorker, store: MemoryStore) -> None:
    port = Output(name="out", mode="upload", path_on_compute="made/here")
    source = "import os\nassert os.environ['AZUREML_DATAREFERENCE_out'] == os.path.abspath('made/here')\nopen('made/here', 'w').close()"
    assert run(worker, store, source, outputs=(port,)).outputs["out"].is_file


def test_an_output_that_is_never_written(worker: StepWorker, store: MemoryStore) -> None:
    source = "import sys\nprint('forgot it')\nopen('outputs/still.txt', 'w').write('there')\n"
    result = run(worker, store, source, outputs=OUT)
    code, message, retryable = failed(result)
    assert code == "OutputNotWritten"
    assert "'out'" in message
    assert "/outputs/out" in message
    assert not retryable
    assert result.error is not None
    assert result.error.log_tail == "forgot it\n"
    assert [file.path for file in result.artifacts] == ["outputs/still.txt"]


def test_what_is_written_elsewhere_is_not_collected(worker: StepWorker, store: MemoryStore) -> None:
    source = (
        "import sys, os\nopen(sys.argv[1], 'w').close()\nopen(sys.argv[1] + '2', 'w').close()\nopen('x', 'w').close()"
    )
    result = run(worker, store, source, arguments=TO_OUT, outputs=OUT)
    assert list(store.blobs[DATA]) == [result.outputs["out"].prefix]


def test_links_and_other_things_in_outputs(worker: StepWorker, store: MemoryStore) -> None:
    source = (
        "import os, sys, socket\nout = sys.argv[1]\nos.makedirs(out + '/real')\nopen(out + '/real/f', 'w').write('x')\n"
        "os.symlink('real/f', out + '/inside')\nos.symlink('/proc/self/environ', out + '/environ')\n"
        "os.symlink('/etc/hostname', out + '/outside')\nos.symlink('real', out + '/folder')\nos.symlink('nowhere', out + '/broken')\n"
        "os.symlink('.', out + '/loop')\nos.mkfifo(out + '/fifo')\nos.symlink('/etc', 'outputs/etc')\n"
    )
    result = run(worker, store, source, arguments=TO_OUT, outputs=OUT)
    assert [file.path for file in result.outputs["out"].files] == ["inside", "real/f"]
    assert result.artifacts == ()
    assert result.log is not None
    text = store.blobs[SYSTEM][result.log].decode()
    for name in ("environ", "outside", "folder", "broken", "loop", "fifo", "etc"):
        assert f"'{name}' is not stored" in text, text


def test_an_output_that_is_itself_a_link_outside(worker: StepWorker, store: MemoryStore) -> None:
    result = run(worker, store, "import os, sys\nos.symlink('/etc', sys.argv[1])", arguments=TO_OUT, outputs=OUT)
    assert failed(result)[0] == "OutputUnusable"


@pytest.mark.parametrize("name", ["b'a\\\\b'", "b'a\\nb'", "b'\\xff'"])
def test_names_that_cannot_be_stored(worker: StepWorker, store: MemoryStore, name: str) -> None:
    source = (
        f"import os, sys\nos.makedirs(sys.argv[1])\nopen(os.path.join(os.fsencode(sys.argv[1]), {name}), 'w').close()"
    )
    result = run(worker, store, source, arguments=TO_OUT, outputs=OUT)
    code, message, retryable = failed(result)
    assert (code, retryable) == ("OutputUnusable", False)
    assert "'out'" in message
    artifacts = run(worker, store, source.replace("sys.argv[1]", "'outputs/sub'"))
    assert artifacts.error is None
    assert artifacts.artifacts == ()
    assert artifacts.log is not None


WITHOUT_PRIVILEGES = """
import ctypes, os, sys
from pathlib import Path
if os.getuid() == 0 and len(sys.argv) == 2:
    for override in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, override, 0, 0, 0)  # PR_CAPBSET_DROP, heeded at the next execution
    os.execv(sys.executable, [*sys.orig_argv, "again"])
from steps.memory_store import MemoryStore
from tests.unit.steps.jobs import DATA, SYSTEM, job, perform, put_snapshot, settings, working
from orchestrator.core.definition import FromOutput, Output
store = MemoryStore(SYSTEM, DATA)
source = (
    "import os, sys\\nos.makedirs(sys.argv[1] + '/sealed')\\nopen(sys.argv[1] + '/sealed/f', 'w').write('x')\\n"
    "os.chmod(sys.argv[1] + '/sealed/f', 0)\\nos.chmod(sys.argv[1] + '/sealed', 0)\\n"
    "open('outputs/a', 'w').write('y')\\nos.chmod('outputs/a', 0)\\nos.chmod('outputs', 0o500)\\n"
)
with working(store, settings(Path(sys.argv[1]))) as worker:
    it = job(put_snapshot(store, {"script.py": source}), arguments=(FromOutput(name="out"),), outputs=(Output(name="out"),))
    result = perform(worker, it)
    print(result.error, [file.path for file in result.outputs["out"].files], [file.path for file in result.artifacts])
print([path.parts[-3] for path in Path(sys.argv[1]).rglob("script.py")])
"""


def test_what_a_script_made_unreadable_is_stored_and_removed(tmp_path: Path) -> None:
    """Without the privilege of root to read everything."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PRIVILEGES, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout == "None ['sealed/f'] ['outputs/a']\n['snapshots']\n", done.stderr


def test_files_that_the_script_named(worker: StepWorker, store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "far").write_text("far")
    source = (
        "import json, os\nopen('outputs/x.txt', 'w').write('old')\nopen('here.txt', 'w').write('new')\n"
        f"for name, path in [('outputs/x.txt', os.path.abspath('here.txt')), ('a/far', {str(tmp_path / 'far')!r}),"
        " ('gone', '/no/such'), ('env', '/proc/self/environ'), ('../up', os.path.abspath('here.txt'))]:\n"
        "    open(os.environ['MILLSTREAM_SPOOL'], 'a').write(json.dumps({'op': 'file', 'name': name, 'path': path}) + '\\n')\n"
    )
    result = run(worker, store, source)
    assert {file.path: store.blobs[SYSTEM][f"{result.artifact_prefix}/{file.path}"] for file in result.artifacts} == {
        "outputs/x.txt": b"new",
        "a/far": b"far",
    }
    assert result.log is not None
    assert store.blobs[SYSTEM][result.log].count(b"[millstream]") == 3


# Inputs


def read_input(worker: StepWorker, store: MemoryStore, data: InputData, **port: object) -> tuple[StepResult, str]:
    source = (
        "import os, sys\npath = sys.argv[1]\n"
        "print(os.path.relpath(path, os.environ['HOME']), os.path.exists(path), os.path.isfile(path))\n"
        "for folder, folders, files in sorted(os.walk(path)):\n    for name in sorted(files):\n"
        "        print(os.path.relpath(os.path.join(folder, name), path), open(os.path.join(folder, name)).read())\n"
    )
    result = run(
        worker,
        store,
        source,
        arguments=(FromInput(name="data"),),
        input_ports=(Input(name="data", source=UPSTREAM, **port),),  # type: ignore[arg-type]
        inputs={"data": data},
    )
    return result, store.blobs[SYSTEM][result.log].decode() if result.log else ""


def test_a_folder_of_a_datastore(worker: StepWorker, store: MemoryStore) -> None:
    for name in ("d/a", "d/sub/b", "d2/no", "d.csv", "d/marker/"):
        store.put(DATA, name, name.encode())
    for path in ("d", "d/"):
        assert (
            read_input(worker, store, InputData(datastore=DATA, path=path))[1]
            == "inputs/data True False\na d/a\nsub/b d/sub/b\n"
        )


def test_a_whole_datastore(worker: StepWorker, store: MemoryStore) -> None:
    store.put(DATA, "a", b"1")
    assert read_input(worker, store, InputData(datastore=DATA, path=""))[1] == "inputs/data True False\na 1\n"


def test_a_file_of_a_datastore(worker: StepWorker, store: MemoryStore) -> None:
    store.put(DATA, "in/one.csv", b"1")
    assert (
        read_input(worker, store, InputData(datastore=DATA, path="in/one.csv"))[1] == "inputs/data/one.csv True True\n"
    )


def test_nothing_at_the_path_of_a_datastore(worker: StepWorker, store: MemoryStore) -> None:
    result, text = read_input(worker, store, InputData(datastore=DATA, path="none"))
    assert result.error is None
    assert text.startswith(
        "[millstream] Input 'data': there is nothing at workspaceblobstore/none; its path does not exist.\n"
    )
    assert text.endswith("inputs/data False False\n")


def test_committed_files_and_folders(worker: StepWorker, store: MemoryStore) -> None:
    store.put(DATA, "runs/x/o", b"file")
    store.put(DATA, "runs/x/p/a", b"in folder")
    store.put(DATA, "runs/x/p/later", b"not committed")
    one = InputData(datastore=DATA, path="runs/x/o", is_file=True, files=(file_of("", b"file"),))
    assert read_input(worker, store, one)[1] == "inputs/data/o True True\n"
    folder = InputData(datastore=DATA, path="runs/x/p", files=(file_of("a", b"in folder"),))
    assert read_input(worker, store, folder)[1] == "inputs/data True False\na in folder\n"
    empty = InputData(datastore=DATA, path="runs/x/q", files=())
    assert read_input(worker, store, empty)[1] == "inputs/data True False\n"


def test_an_input_where_the_step_says(worker: StepWorker, store: MemoryStore) -> None:
    store.put(DATA, "d/a", b"1")
    data = InputData(datastore=DATA, path="d")
    assert read_input(worker, store, data, path_on_compute="put/here")[1] == "code/put/here True False\na 1\n"
    code, message, retryable = failed(read_input(worker, store, data, path_on_compute="../out")[0])
    assert (code, retryable) == ("InvalidStep", False)
    assert "path_on_compute" in message


def test_inputs_that_are_gone_damaged_or_unusable(worker: StepWorker, store: MemoryStore) -> None:
    def code(data: InputData) -> tuple[str, bool]:
        result = read_input(worker, store, data)[0]
        return failed(result)[0], failed(result)[2]

    store.put(DATA, "x/a", b"1")
    store.put(DATA, "climb/../../up", b"1")
    store.put(DATA, "both/a", b"1")
    store.put(DATA, "both/a/b", b"1")
    gone = InputData(datastore=DATA, path="runs/x", files=(file_of("a", b"1"),))
    assert code(gone) == ("InputMissing", True)
    assert code(InputData(datastore=DATA, path="x", files=(file_of("a", b"2"),))) == ("InputDamaged", True)
    assert code(InputData(datastore=DATA, path="climb/")) == ("InputUnusable", False)
    assert code(InputData(datastore=DATA, path="x", files=(file_of("../a", b"1"),))) == ("InputUnusable", False)
    assert code(InputData(datastore=DATA, path="both/")) == ("InputUnusable", False)
    assert code(InputData(datastore="other", path="x")) == ("InvalidStep", False)
    del store.blobs[DATA]
    assert code(InputData(datastore=DATA, path="x/")) == ("InputMissing", True)


# Endings


@pytest.mark.parametrize("is_forked", [True, False])
def test_endings(store: MemoryStore, cache: Path, is_forked: bool) -> None:
    with working(store, settings(cache, fork_server=is_forked)) as worker:
        result = run(worker, store, "print('before')\n1 / 0\n")
        assert failed(result) == ("ScriptFailed", "The script ended with exit code 1.", True)
        assert result.exit_code == 1
        assert result.error is not None
        assert result.error.log_tail.startswith("before\nTraceback")
        assert result.error.log_tail.endswith("ZeroDivisionError: division by zero\n")
        result = run(worker, store, "import sys\nsys.exit('no data')")
        assert (failed(result)[0], result.exit_code) == ("ScriptFailed", 1)
        assert result.error is not None
        assert result.error.log_tail == "no data\n"
        result = run(worker, store, "import os\nos._exit(42)")
        assert failed(result)[1] == "The script ended with exit code 42."
        result = run(worker, store, "import os\nos.kill(os.getpid(), 9)")
        assert failed(result)[:2] == (
            "ScriptKilled",
            "The script was ended by SIGKILL. That is also what happens when the node runs out of memory.",
        )
        assert result.exit_code == -9
        result = run(worker, store, "import ctypes\nctypes.string_at(0)")
        assert failed(result)[1] == "The script was ended by SIGSEGV."
        result = run(worker, store, "import time\nprint('waiting', flush=True)\ntime.sleep(60)", timeout=0.5)
        assert failed(result) == ("TimedOut", "The script ran longer than it may, 0.5 s, and was ended.", True)
        assert result.error is not None
        assert result.error.log_tail == "waiting\n"


def test_what_a_failed_script_reported_is_kept(worker: StepWorker, store: MemoryStore) -> None:
    source = (
        'import os\nopen(os.environ[\'MILLSTREAM_SPOOL\'], \'a\').write(\'{"op": "tag", "key": "k", "value": "v"}\\n{half\')\n'
        "open('outputs/state', 'w').write('x')\nraise SystemExit(3)"
    )
    result = run(worker, store, source)
    assert result.tags == {"k": "v"}
    assert [file.path for file in result.artifacts] == ["outputs/state"]
    assert result.error is not None
    assert "line 2 is not understood" in result.error.log_tail


def test_missing_script_and_source(worker: StepWorker, store: MemoryStore) -> None:
    assert failed(run(worker, store, "", script="other.py")) == (
        "ScriptMissing",
        "There is no script 'other.py' in the step's source folder; at its root are: script.py.",
        False,
    )
    assert failed(run(worker, store, "", script="../script.py"))[0] == "InvalidStep"
    assert failed(perform(worker, job("0" * 64)))[::2] == ("SnapshotMissing", False)
    assert failed(perform(worker, job(None)))[::2] == ("SnapshotMissing", False)
    assert failed(run(worker, store, "", kind="magic"))[::2] == ("InvalidStep", False)


def test_an_interpreter_that_does_not_start(store: MemoryStore, cache: Path) -> None:
    with working(store, settings(cache, python="/bin/false")) as worker:
        assert failed(run(worker, store, ""))[::2] == ("StartFailed", True)


def test_a_store_that_fails(cache: Path) -> None:
    store = MemoryStore(SYSTEM)
    with working(store, settings(cache)) as worker:
        result = run(worker, store, "import sys\nopen(sys.argv[1], 'w')\nprint('x')", arguments=TO_OUT, outputs=OUT)
    assert failed(result)[::2] == ("StorageFailed", True)
    assert result.log is not None


def test_the_hosts_time_limit_counts_from_the_beginning(store: MemoryStore, cache: Path) -> None:
    with working(store, settings(cache, function_timeout_seconds=30.4)) as worker:
        result = run(worker, store, "import time\ntime.sleep(60)", timeout=50)
        assert failed(result)[0] == "TimedOut"
    with working(store, settings(cache, function_timeout_seconds=10.0)) as worker:
        assert "nothing is left for the script" in failed(run(worker, store, ""))[1]
    with working(store, settings(cache, function_timeout_seconds=None)) as worker:
        assert run(worker, store, "").error is None


# Output of scripts


def test_a_flood_of_output_is_cut(store: MemoryStore, cache: Path) -> None:
    source = "import sys\nfor n in range(60_000):\n    sys.stdout.write('x' * 99 + '\\n')\nprint('the end')\n"
    with working(store, settings(cache, log_bytes=1_000_000)) as worker:
        result = run(worker, store, source)
    assert result.error is None
    assert result.log is not None
    text = store.blobs[SYSTEM][result.log]
    assert 1_000_000 < len(text) < 1_010_000
    assert b"The log is cut here, after 1000000 bytes." in text
    assert text.endswith(b"x\nthe end\n")


def test_binary_and_unicode_output(worker: StepWorker, store: MemoryStore) -> None:
    result = run(worker, store, "import os\nprint('žluťoučký 🐎')\nos.write(1, bytes(range(256)))\nraise SystemExit(1)")
    assert result.log is not None
    assert store.blobs[SYSTEM][result.log] == "žluťoučký 🐎\n".encode() + bytes(range(256))
    assert result.error is not None
    assert "🐎" in result.error.log_tail
    assert "\ufffd" in result.error.log_tail


def test_the_log_grows_while_the_script_runs(worker: StepWorker, store: MemoryStore, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    it = job(
        put_snapshot(store, {"script.py": f"print('first', flush=True)\nopen({str(gate)!r}).read()\nprint('second')"})
    )
    results: list[StepResult] = []
    thread = threading.Thread(target=lambda: results.append(perform(worker, it)))
    thread.start()
    assert eventually(lambda: store.blobs[SYSTEM].get(f"{it.prefix}/log.txt") == b"first\n")
    gate.write_text("")
    thread.join()
    assert store.blobs[SYSTEM][f"{it.prefix}/log.txt"] == b"first\nsecond\n"
    assert results[0].log_bytes == 13


def test_a_process_outside_of_the_tree_that_holds_the_log_open(
    worker: StepWorker, store: MemoryStore, tmp_path: Path
) -> None:
    """A descriptor handed to a process that is not the script's does not keep the step from ending."""
    import socket

    address = str(tmp_path / "s")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    source = (
        "import socket\nc = socket.socket(socket.AF_UNIX)\n"
        f"c.connect({address!r})\nsocket.send_fds(c, [b'x'], [1])\nprint('done')"
    )
    result = run(worker, store, source)
    assert result.error is None
    assert result.log_bytes == 5
    listener.close()


# Stops


def watched_job(store: MemoryStore, tmp_path: Path) -> tuple[Job, Path]:
    """A job whose script tells its process id in a file and sleeps."""
    told = tmp_path / "pid"
    source = f"import os, time\nopen({str(told)!r} + '.new', 'w').write(str(os.getpid()))\nos.rename({str(told)!r} + '.new', {str(told)!r})\ntime.sleep(600)"
    return job(put_snapshot(store, {"script.py": source})), told


@pytest.mark.parametrize("why", ["lease", "cancel"])
def test_a_stopped_attempt_publishes_nothing_and_leaves_no_process(
    store: MemoryStore, tmp_path: Path, why: str
) -> None:
    it, told = watched_job(store, tmp_path)
    own = settings(tmp_path / "cache", heartbeat_seconds=0.05, cancel_check_seconds=0.05)

    def beat(_: Lease) -> bool:
        return not (why == "lease" and told.exists())

    def cancelled(run: str) -> bool:
        assert run == it.run
        return why == "cancel" and told.exists()

    before = set(tree.descendants(os.getpid()))
    worker = StepWorker(store, own, beat, cancelled)
    assert worker.perform(it, lease_of(it)) is None
    assert not is_alive(int(told.read_text()))
    worker.close()
    assert [path for path in (tmp_path / "cache" / "work").rglob("*") if path.name == "code"] == []
    assert eventually(lambda: not any(map(is_alive, set(tree.descendants(os.getpid())) - before)))
    assert [name for name in store.blobs[SYSTEM] if name.startswith("runs/")] == []


def test_a_lease_lost_after_the_script_publishes_nothing(store: MemoryStore, tmp_path: Path) -> None:
    lost = threading.Event()

    class SlowStore(MemoryStore):
        def put(self, container: str, name: str, data: bytes, *, content_type: str = "") -> None:
            if name.endswith("log.txt"):
                lost.wait(10)
            super().put(container, name, data)

    slow = SlowStore(SYSTEM, DATA)
    it = job(put_snapshot(slow, {"script.py": "print('x')"}))

    def beat(_: Lease) -> bool:
        threading.Timer(0.05, lost.set).start()
        return False

    worker = StepWorker(slow, settings(tmp_path, heartbeat_seconds=0.3), beat, lambda _: False)
    assert worker.perform(it, lease_of(it)) is None
    worker.close()


def test_a_short_step_costs_no_heartbeat(store: MemoryStore, cache: Path) -> None:
    calls: list[object] = []

    def note(what: object) -> bool:
        calls.append(what)
        return True

    worker = StepWorker(store, settings(cache), note, note)
    it = job(put_snapshot(store, {"script.py": "print(1)"}))
    assert worker.perform(it, lease_of(it)) is not None
    worker.close()
    assert calls == []


# Surroundings


def test_the_child_sees_no_secret(store: MemoryStore, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in its own environment nor in that of its parents up to the zygote, nor as an open descriptor.

    The worker's own /proc/<pid>/environ is readable for the same user; see steps/worker.py.
    """
    monkeypatch.setenv("AzureWebJobsStorage", "AccountKey=c2VjcmV0c2VjcmV0")
    source = (
        "import os, sys\nprint(dict(os.environ))\npid = os.getpid()\nfor _ in range(3):\n"
        "    print(open(f'/proc/{pid}/environ').read(), open(f'/proc/{pid}/cmdline').read())\n"
        "    pid = open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[1]\n"
        "print([os.readlink(f'/proc/self/fd/{fd}') for fd in sorted(os.listdir('/proc/self/fd'))[:-1]])\n"
    )
    for is_forked in (True, False):
        with working(store, settings(cache, fork_server=is_forked, environment={"PATH": os.environ["PATH"]})) as worker:
            result = run(worker, store, source)
        assert result.error is None, result.error
        assert result.log is not None
        text = store.blobs[SYSTEM][result.log].decode()
        assert "AZUREML_RUN_ID" in text
        assert "c2VjcmV0" not in text
        assert "AzureWebJobsStorage" not in text
        descriptors = text.splitlines()[-1]
        assert descriptors.startswith("['/dev/null', 'pipe:")
        assert descriptors.count("'") == 6


def test_millstream_is_importable_and_the_rooms_of_the_service_are_not(worker: StepWorker, store: MemoryStore) -> None:
    source = (
        "import importlib.util as u\nprint([bool(u.find_spec(n)) for n in ('millstream', 'orchestrator')])\n"
        "print([bool(u.find_spec(n)) for n in ('steps', 'azurerest', 'devhost', 'function_app')])"
    )
    result = run(worker, store, source)
    assert result.log is not None
    assert store.blobs[SYSTEM][result.log] == b"[True, True]\n[False, False, False, False]\n"


def test_arguments_and_variables_arrive_as_they_are(worker: StepWorker, store: MemoryStore) -> None:
    nasty = "a b'\"$HOME`id`;\n\u017e|&"
    source = "import sys, os\nprint(sys.argv[1:] == [os.environ['NASTY'], ''], len(sys.argv[1]))"
    arguments = (Literal(value=nasty), Literal(value=""))
    result = run(worker, store, source, arguments=arguments, environment={"NASTY": Literal(value=nasty)})
    assert result.log is not None
    assert store.blobs[SYSTEM][result.log].decode() == f"True {len(nasty)}\n"


def test_what_a_script_changes_in_its_folder_is_its_own(worker: StepWorker, store: MemoryStore) -> None:
    source = "print(open('data').read())\nopen('data', 'w').write('changed')\nopen('script.py', 'a').write('1/0')"
    snapshot = put_snapshot(store, {"script.py": source, "data": "original"})
    for owner in ("a", "b"):
        result = perform(worker, job(snapshot, owner=owner))
        assert result.error is None
        assert result.log is not None
        assert store.blobs[SYSTEM][result.log] == b"original\n"


def test_folders_are_gone_afterwards_unless_kept(store: MemoryStore, tmp_path: Path) -> None:
    for keep in (False, True):
        with working(store, settings(tmp_path, keep_work_dirs=keep)) as worker:
            run(worker, store, "import os\nos.mkdir('sealed', 0)\nraise SystemExit(1)")
        left = list((tmp_path / "work").rglob("script.py"))
        assert len(left) == keep


def test_many_attempts_at_once(worker: StepWorker, store: MemoryStore) -> None:
    source = "import sys, os\nos.makedirs(sys.argv[1])\nfor n in range(3):\n    open(f'{sys.argv[1]}/{n}', 'w').write(sys.argv[2])\nprint(sys.argv[2])"
    snapshot = put_snapshot(store, {"script.py": source})
    results: dict[int, StepResult] = {}

    def work(number: int) -> None:
        arguments = (FromOutput(name="out"), Literal(value=str(number)))
        it = job(snapshot, step_id=f"s{number}", arguments=arguments, outputs=OUT)
        results[number] = perform(worker, it)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, result in results.items():
        assert result.error is None
        assert result.log is not None
        assert store.blobs[SYSTEM][result.log] == f"{number}\n".encode()
        assert result.outputs["out"].files == tuple(file_of(str(n), str(number).encode()) for n in range(3))
    assert len(results) == 24


def test_a_script_that_kills_its_keeper(worker: StepWorker, store: MemoryStore) -> None:
    result = run(worker, store, "import os, time\nprint('x', flush=True)\nos.kill(os.getppid(), 9)\ntime.sleep(60)")
    assert failed(result)[0] == "ScriptKilled"
    assert result.error is not None
    assert "watches over the script was killed" in result.error.message
    assert run(worker, store, "print('next')").error is None


HOSTILE = {
    "print('fine')": None,
    "1 / 0": "ScriptFailed",
    "import time\ntime.sleep(600)": "TimedOut",
    "print('x' * 300_000)": None,
    "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)": None,
    "import subprocess\nsubprocess.Popen(['sleep', '600'])": None,
    "import os\nos.kill(os.getpid(), 9)": "ScriptKilled",
    "import os, time\nos.kill(os.getppid(), 9)\ntime.sleep(600)": "ScriptKilled",
    "import os\nstat = open(f'/proc/{os.getppid()}/stat').read()\nos.kill(int(stat.rpartition(')')[2].split()[1]), 9)": None,
}


def test_hostile_scripts_at_once_harm_only_themselves(store: MemoryStore, cache: Path) -> None:
    """Among them are killers of the keeper and of the zygote. Every attempt ends as its own script deserves."""
    snapshots = {source: put_snapshot(store, {"script.py": source}) for source in HOSTILE}
    ended: list[tuple[str, str | None]] = []
    before = set(tree.descendants(os.getpid()))
    with working(store, settings(cache)) as worker:
        perform(worker, job(snapshots["print('fine')"]))
        descriptors = len(os.listdir("/proc/self/fd"))

        def work(number: int) -> None:
            sources = list(HOSTILE)
            for source in sources[number:] + sources[:number]:
                result = perform(worker, job(snapshots[source], timeout=0.4, owner=f"o{number}"))
                ended.append((source, result.error.code if result.error else None))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(len(HOSTILE))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(ended, key=str) == sorted([*HOSTILE.items()] * len(HOSTILE), key=str)
        assert eventually(lambda: len(os.listdir("/proc/self/fd")) <= descriptors)
    assert eventually(lambda: not any(map(is_alive, set(tree.descendants(os.getpid())) - before)))


def test_the_interpreter_is_the_workers(worker: StepWorker, store: MemoryStore) -> None:
    result = run(worker, store, "import sys, shutil\nprint(sys.executable)\nprint(shutil.which('python'))")
    assert result.log is not None
    here = str(Path(sys.executable).with_name("python"))
    assert store.blobs[SYSTEM][result.log].decode().splitlines() == [sys.executable, here]

"""A group of mini-batches in real processes, from a real worker, with storage in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator.core.definition import Argument, Literal, Output
from orchestrator.core.kinds.parallel_run import VERDICTS
from orchestrator.core.result import OutputData, StepResult
from steps.memory_store import MemoryStore
from steps.parallel import plan, verdicts
from steps.parallel.group import ROWS_FILE, VERDICTS_FILE
from steps.parallel.plan import Group, Item, MiniBatch
from steps.parallel.verdicts import Verdict
from steps.worker import StepWorker
from tests.unit.steps.jobs import DATA, SYSTEM, job, perform, put_snapshot, settings, working

GROUP = "runs/run1/score/1-abc/groups/0000.json"
PORTS = (Output(name="out", create=True), Output(name=VERDICTS, create=True))
NAMES = (
    "import os\n"
    "def run(mini_batch):\n"
    "    return [os.path.basename(path) + '=' + open(path).read() for path in mini_batch]\n"
)


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


def files_group(store: MemoryStore, batches: int, size: int = 2) -> Group:
    """Files f0, f1, ... whose content is their number."""
    made = []
    for index in range(batches):
        names = [f"f{index * size + place}" for place in range(size)]
        for name in names:
            store.put(DATA, f"in/{name}", name[1:].encode())
        items = tuple(Item(path=name, blob=f"in/{name}", datastore=DATA) for name in names)
        made.append(MiniBatch(index=index, items=size, files=items))
    return Group(number=0, port="data", batches=tuple(made))


def run(
    worker: StepWorker,
    store: MemoryStore,
    source: str,
    group: Group,
    arguments: tuple[Argument, ...] = (),
    **changes: Any,
) -> StepResult:
    store.put(SYSTEM, GROUP, plan.encode(group))
    given = {"entry_script": "score.py", "inputs": ("data",), "output": "out", "group": GROUP} | changes
    made = job(put_snapshot(store, {"score.py": source}), outputs=PORTS, arguments=arguments)
    step = msgspec.structs.replace(made.step, kind="mini_batches", settings={"process_count_per_node": 2} | given)
    return perform(worker, msgspec.structs.replace(made, step=step))


def read(store: MemoryStore, output: OutputData, name: str) -> str:
    container = DATA if output.datastore == DATA else SYSTEM
    return store.blobs[container][f"{output.prefix}/{name}"].decode()


def log_of(store: MemoryStore, result: StepResult) -> str:
    assert result.log is not None
    return store.blobs[SYSTEM][result.log].decode()


def rows(store: MemoryStore, result: StepResult) -> list[str]:
    assert result.error is None, result.error
    return read(store, result.outputs[VERDICTS], ROWS_FILE).splitlines()


def told(store: MemoryStore, result: StepResult) -> tuple[Verdict, ...]:
    assert result.error is None, result.error
    return verdicts.decode(read(store, result.outputs[VERDICTS], VERDICTS_FILE).encode()).verdicts


def test_rows_are_in_order_and_every_mini_batch_is_counted_once(worker: StepWorker, store: MemoryStore) -> None:
    result = run(worker, store, NAMES, files_group(store, 20), process_count_per_node=3)
    assert rows(store, result) == [f"f{number}={number}" for number in range(40)]
    found = told(store, result)
    assert [(it.index, it.items, it.returned, it.tries) for it in found] == [(n, 2, 2, 1) for n in range(20)]


def test_init_is_called_once_a_process_and_sees_the_arguments(worker: StepWorker, store: MemoryStore) -> None:
    source = (
        "import argparse, os\n"
        "def init():\n"
        "    global model\n"
        "    parser = argparse.ArgumentParser()\n"
        "    parser.add_argument('--model')\n"
        "    model = parser.parse_known_args()[0].model\n"
        "    print('init', model)\n"
        "def run(mini_batch):\n"
        "    open(os.path.join(os.environ['AZUREML_BI_OUTPUT_PATH'], os.path.basename(mini_batch[0])), 'w').close()\n"
        "    return [model] * len(mini_batch)\n"
        "def shutdown():\n"
        "    print('shut down')\n"
    )
    arguments = (Literal(value="--model"), Literal(value="m1"))
    result = run(worker, store, source, files_group(store, 6), arguments, process_count_per_node=1)
    assert rows(store, result) == ["m1"] * 12
    text = log_of(store, result)
    assert text.count("init m1") == 1
    assert text.count("shut down") == 1
    assert [file.path for file in result.outputs["out"].files] == ["f0", "f10", "f2", "f4", "f6", "f8"]


def test_only_the_bad_mini_batch_is_tried_again(worker: StepWorker, store: MemoryStore) -> None:
    source = (
        "import os\n"
        "def run(mini_batch):\n"
        "    name = os.path.basename(mini_batch[0])\n"
        "    print('run', name)\n"
        "    if name == 'f2':\n"
        "        raise ValueError('f2 is bad')\n"
        "    if name == 'f4' and not os.path.exists('seen'):\n"
        "        open('seen', 'w').close()\n"
        "        raise OSError('not yet')\n"
        "    return mini_batch\n"
    )
    result = run(worker, store, source, files_group(store, 4), run_max_try=3)
    found = {it.index: it for it in told(store, result)}
    assert {index: it.tries for index, it in found.items()} == {0: 1, 1: 3, 2: 2, 3: 1}
    assert [it.error for it in found.values()] == ["", "ValueError: f2 is bad", "", ""]
    text = log_of(store, result)
    assert {name: text.count(f"run {name}\n") for name in ("f0", "f2", "f4", "f6")} == {
        "f0": 1,
        "f2": 3,
        "f4": 2,
        "f6": 1,
    }
    assert "Mini-batch 1, try 1 of 3: ValueError: f2 is bad" in text
    assert "Mini-batch 1, after 3 tries: ValueError: f2 is bad" in text
    assert [file.path for file in result.artifacts] != []


def test_a_process_that_dies_or_hangs_costs_its_mini_batch_a_try_and_no_other(
    worker: StepWorker, store: MemoryStore
) -> None:
    source = (
        "import os, time\n"
        "def run(mini_batch):\n"
        "    name = os.path.basename(mini_batch[0])\n"
        "    if name == 'f2':\n"
        "        os.kill(os.getpid(), 9)\n"
        "    if name == 'f6':\n"
        "        time.sleep(600)\n"
        "    return mini_batch\n"
    )
    result = run(worker, store, source, files_group(store, 6), run_max_try=2, run_invocation_timeout=0.5)
    found = told(store, result)
    assert [bool(it.error) for it in found] == [False, True, False, True, False, False]
    assert found[1].error == "The process was ended by SIGKILL."
    assert found[3].error == "run() took longer than 0.5 s (run_invocation_timeout)."
    assert [it.tries for it in found] == [1, 2, 1, 2, 1, 1]


def test_too_many_failures_fail_the_step_with_the_first_errors(worker: StepWorker, store: MemoryStore) -> None:
    source = "def run(mini_batch):\n    raise ValueError('no ' + mini_batch[0][-2:])\n"
    result = run(
        worker, store, source, files_group(store, 4), error_threshold=3, run_max_try=1, process_count_per_node=1
    )
    assert result.error is not None
    assert result.error.code == "TooManyFailed"
    assert "4 of 4 items failed; error_threshold allows 3.\nMini-batch" in result.error.message
    assert "after 1 try: ValueError: no f" in result.error.message
    assert not result.retryable
    # Another group of the same step does not even begin.
    again = run(worker, store, NAMES, files_group(store, 4), error_threshold=3)
    assert again.error is not None
    assert again.error.message == result.error.message
    assert again.bare_seconds == 0


def test_a_script_that_does_not_start_fails_the_step(worker: StepWorker, store: MemoryStore) -> None:
    for source, words in (
        ("def init():\n    raise RuntimeError('no model')\ndef run(b):\n    return b\n", "RuntimeError: no model"),
        ("def init():\n    pass\n", "TypeError: score.py has no function run(mini_batch)"),
        ("import os\nos._exit(3)\n", "The process ended with exit code 3 while it was starting."),
    ):
        result = run(worker, store, source, files_group(store, 3))
        del store.blobs[SYSTEM][GROUP.replace("0000", "given-up")]
        assert result.error is not None
        assert result.error.code == "InitFailed"
        assert words in result.error.message


def test_a_file_that_is_gone_costs_only_its_mini_batch(worker: StepWorker, store: MemoryStore) -> None:
    group = files_group(store, 3)
    del store.blobs[DATA]["in/f2"]
    result = run(worker, store, NAMES, group)
    found = told(store, result)
    assert [bool(it.error) for it in found] == [False, True, False]
    assert "in/f2" in found[1].error
    assert rows(store, result) == ["f0=0", "f1=1", "f4=4", "f5=5"]


def test_what_run_returns_must_have_a_length(worker: StepWorker, store: MemoryStore) -> None:
    result = run(worker, store, "def run(b):\n    return None\n", files_group(store, 1), run_max_try=1)
    assert told(store, result)[0].error == "TypeError: run() must return a list or a DataFrame, not NoneType"


def test_rows_of_tables_are_frames_and_come_out_with_blanks_between_values(
    worker: StepWorker, store: MemoryStore
) -> None:
    table = pa.table({"city": ["a", "a", "b"], "n": [1, 2, 3]})
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema) as writer:
        writer.write_table(table.slice(0, 2))
        writer.write_table(table.slice(2, 1))
    name = GROUP.replace(".json", ".parquet")
    store.put(SYSTEM, name, sink.getvalue())
    batches = tuple(MiniBatch(index=n, items=2 - n, row_group=n, key={"city": "ab"[n]}) for n in range(2))
    source = (
        "def run(rows, mini_batch_context):\n"
        "    print(mini_batch_context.minibatch_index, mini_batch_context.partition_key_value)\n"
        "    rows['n'] = rows['n'] * 10\n"
        "    return rows\n"
    )
    result = run(worker, store, source, Group(number=0, port="data", batches=batches, rows=name))
    assert rows(store, result) == ["a 10", "a 20", "b 30"]
    assert "1 {'city': 'b'}" in log_of(store, result)


def test_the_context_has_the_files_as_a_dataset(worker: StepWorker, store: MemoryStore) -> None:
    source = "def run(batch, context):\n    return [str(path) for path in context.dataset.to_path()]\n"
    assert rows(store, run(worker, store, source, files_group(store, 1))) == ["/f0", "/f1"]


def test_summary_only_keeps_no_rows(worker: StepWorker, store: MemoryStore) -> None:
    result = run(worker, store, NAMES, files_group(store, 2), output_action="summary_only")
    assert [it.returned for it in told(store, result)] == [2, 2]
    assert [file.path for file in result.outputs[VERDICTS].files] == [VERDICTS_FILE]

"""Commands, MPI and R: whole attempts with real programs, storage in memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from orchestrator.core.definition import FromParameter, Literal
from orchestrator.core.job import Job
from orchestrator.core.result import StepResult
from steps.memory_store import MemoryStore
from steps.worker import StepWorker
from tests.unit.steps.jobs import DATA, SYSTEM, job, perform, put_snapshot, settings, working

MPIRUN = pytest.mark.skipif(shutil.which("mpirun") is None, reason="no mpirun: apt-get install openmpi-bin")
RSCRIPT = pytest.mark.skipif(shutil.which("Rscript") is None, reason="no Rscript: apt-get install r-base-core")


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


def of_kind(
    store: MemoryStore,
    kind: str,
    given: Mapping[str, object],
    *arguments: str,
    files: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Job:
    made = job(put_snapshot(store, dict(files or {"x": "x"})), kind=kind, timeout=timeout)
    words = tuple(Literal(value=word) for word in arguments)
    return msgspec.structs.replace(made, step=msgspec.structs.replace(made.step, settings=dict(given), arguments=words))


def log_of(store: MemoryStore, result: StepResult) -> str:
    return bytes(store.blobs[SYSTEM][str(result.log)]).decode() if result.log else ""


def failure(result: StepResult) -> tuple[str, str]:
    assert result.error is not None
    return result.error.code, result.error.message


def test_a_command_gets_its_arguments_as_they_are(worker: StepWorker, store: MemoryStore) -> None:
    result = perform(worker, of_kind(store, "command", {}, "printf", "%s,", "a b", "$HOME", "*", "; echo x"))
    assert log_of(store, result) == "a b,$HOME,*,; echo x,"
    assert result.exit_code == 0


def test_a_text_is_read_by_a_shell_and_values_are_not(worker: StepWorker, store: MemoryStore) -> None:
    it = of_kind(store, "command", {"shell": 'echo "${1}" | tr a-z A-Z; pwd | grep -c code'})
    it = msgspec.structs.replace(it, parameters={"word": "x; touch y $(touch z)"})
    step = msgspec.structs.replace(it.step, arguments=(FromParameter(name="word"),))
    result = perform(worker, msgspec.structs.replace(it, step=step))
    assert log_of(store, result) == "X; TOUCH Y $(TOUCH Z)\n1\n"


def test_python_is_the_worker_s_and_reports_like_a_script(worker: StepWorker, store: MemoryStore) -> None:
    source = "from azureml.core import Run; Run.get_context().log('x', 2)"
    result = perform(worker, of_kind(store, "command", {}, "python", "a.py", files={"a.py": source}))
    assert result.error is None
    assert [metric.name for metric in result.metrics] == ["x"]


@pytest.mark.parametrize(
    ("given", "arguments", "code", "words"),
    [
        ({}, (), "InvalidStep", "no command"),
        ({}, ("no-such-program",), "ScriptMissing", "no-such-program"),
        ({}, ("./missing.sh",), "ScriptMissing", "missing.sh"),
        ({}, ("false",), "ScriptFailed", "exit code 1"),
        ({"shell": "exit 7"}, (), "ScriptFailed", "exit code 7"),
    ],
)
def test_what_is_wrong_with_a_command_is_said(
    worker: StepWorker, store: MemoryStore, given: dict[str, object], arguments: tuple[str, ...], code: str, words: str
) -> None:
    found, message = failure(perform(worker, of_kind(store, "command", given, *arguments)))
    assert found == code
    assert words in message


RANKS = """
import os, sys
sys.stdout.write(f"{os.environ['OMPI_COMM_WORLD_RANK']} of {os.environ['OMPI_COMM_WORLD_SIZE']} {sys.argv[1:]}\\n")
"""


@MPIRUN
def test_mpi_runs_all_processes_here(worker: StepWorker, store: MemoryStore) -> None:
    given = {"script": "a.py", "node_count": 3, "process_count_per_node": 1}
    result = perform(worker, of_kind(store, "mpi", given, "a b", files={"a.py": RANKS}))
    first, *rest = log_of(store, result).splitlines()
    assert first == "[millstream] MPI: all 3 processes run on this node."
    assert sorted(rest) == [f"{rank} of 3 ['a b']" for rank in range(3)]


@MPIRUN
def test_a_trial_of_a_search_may_run_by_mpi(worker: StepWorker, store: MemoryStore) -> None:
    given = {"script": "a.py", "node_count": 1, "process_count_per_node": 2, "hyperparameters": {"rate": 1}}
    result = perform(worker, of_kind(store, "hyperdrive_trial", given, "--rate", "1", files={"a.py": RANKS}))
    assert sorted(log_of(store, result).splitlines()) == [f"{rank} of 2 ['--rate', '1']" for rank in range(2)]


@MPIRUN
def test_a_rank_that_fails_fails_the_step(worker: StepWorker, store: MemoryStore) -> None:
    source = "import os, sys, time\nif os.environ['OMPI_COMM_WORLD_RANK'] == '1': sys.exit(3)\ntime.sleep(60)"
    given = {"script": "a.py", "process_count_per_node": 2}
    code, _ = failure(perform(worker, of_kind(store, "mpi", given, files={"a.py": source})))
    assert code == "ScriptFailed"


@MPIRUN
def test_processes_of_mpi_end_with_the_time_of_the_step(worker: StepWorker, store: MemoryStore) -> None:
    source = "import os, sys, time; sys.stdout.write(f' {os.getpid()} '); time.sleep(60)"
    given = {"script": "a.py", "process_count_per_node": 2}
    result = perform(worker, of_kind(store, "mpi", given, files={"a.py": source}, timeout=2.0))
    assert failure(result)[0] == "TimedOut"
    pids = [int(line) for line in log_of(store, result).split() if line.isdigit()]
    assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


R = 'args <- commandArgs(trailingOnly = TRUE)\ncat(toupper(args[1]), Sys.getenv("AZUREML_RUN_ID"), "\\n")'


@RSCRIPT
def test_a_script_of_r(worker: StepWorker, store: MemoryStore) -> None:
    given = {"script": "a.R", "environment": {"r": {"names": ["stats"]}}}
    result = perform(worker, of_kind(store, "r_script", given, "a b", files={"a.R": R}))
    assert log_of(store, result).endswith("A B run1_train \n")
    assert result.error is None


@RSCRIPT
def test_packages_of_r_that_are_not_there_are_named(worker: StepWorker, store: MemoryStore) -> None:
    given = {"script": "a.R", "environment": {"r": {"names": ["stats", "no.such.package"]}}}
    code, message = failure(perform(worker, of_kind(store, "r_script", given, files={"a.R": R})))
    assert code == "EnvironmentImpossible"
    assert "no.such.package" in message and "stats" not in message


@pytest.mark.parametrize(("kind", "words"), [("mpi", "no mpirun"), ("r_script", "no Rscript")])
def test_a_node_without_the_program_says_so(store: MemoryStore, tmp_path: Path, kind: str, words: str) -> None:
    with working(store, settings(tmp_path, environment={"PATH": os.devnull})) as worker:
        result = perform(worker, of_kind(store, kind, {"script": "a"}, files={"a": ""}))
    code, message = failure(result)
    assert code == "StartFailed"
    assert words in message and "install" in message


@pytest.mark.parametrize("kind", ["mpi", "r_script"])
def test_a_script_that_is_not_there_is_named(worker: StepWorker, store: MemoryStore, kind: str) -> None:
    code, message = failure(perform(worker, of_kind(store, kind, {"script": "no.file"})))
    assert code == "ScriptMissing"
    assert "no.file" in message

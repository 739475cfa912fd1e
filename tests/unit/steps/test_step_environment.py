"""Steps in environments of their own, made by a real uv: whole attempts, storage in memory."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.core.definition import DatasetSource, Input, Literal
from orchestrator.core.job import Job
from orchestrator.core.result import StepResult
from orchestrator.engine.lease import Performed
from steps import step_environment
from steps.memory_store import MemoryStore
from steps.settings import VenvSettings, WorkerSettings
from steps.venv_maker import configuration
from steps.worker import StepWorker
from tests.unit.steps.jobs import DATA, SYSTEM, job, lease_of, perform, put_snapshot, settings, working
from tests.unit.steps.running import eventually, is_alive
from tests.wheels import wheel

ROOT = Path(__file__).parents[3]
SHOW = """
import sys, os, millstream, millfirst
print(millfirst.VERSION, sys.prefix == os.environ["VIRTUAL_ENV"], sys.argv[1:], os.environ["MODE"])
millstream.Run.get_context().log("x", 1)
try:
    import pytest
except ImportError:
    print("nothing else is here")
"""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages beside those of the registry, which has what our own client needs."""
    folder = tmp_path_factory.mktemp("index")
    wheel(folder, "millfirst", "1.0")
    wheel(folder, "millfirst", "2.0")
    wheel(folder, "millsecond", "1.0")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(SYSTEM, DATA)


def equipped(
    cache: Path, index: Path, variables: Mapping[str, str] | None = None, *, timeout: float = 120.0
) -> WorkerSettings:
    found = {**configuration(os.environ), "UV_FIND_LINKS": str(index), **(variables or {})}
    return settings(cache, venvs=VenvSettings(configuration=found, timeout=timeout))


@pytest.fixture
def worker(store: MemoryStore, cache: Path, index: Path) -> Iterator[StepWorker]:
    with working(store, equipped(cache, index)) as worker:
        yield worker


def asking(store: MemoryStore, *lines: str, source: str = "import os, millfirst; print(millfirst.VERSION)") -> Job:
    """A job whose step asks for these lines of a requirements file."""
    made = job(put_snapshot(store, {"script.py": source}), arguments=(Literal(value="a b"),))
    made.step.environment["MODE"] = Literal(value="fast")
    made.step.settings["environment"] = {"name": "training", "conda": {"dependencies": [{"pip": list(lines)}]}}
    return made


def log_of(store: MemoryStore, result: StepResult) -> str:
    assert result.log is not None
    return bytes(store.blobs[SYSTEM][result.log]).decode()


def test_a_step_has_the_packages_it_asks_for_and_the_client(worker: StepWorker, store: MemoryStore) -> None:
    result = perform(worker, asking(store, "Millfirst==1.0", source=SHOW))
    lines = log_of(store, result).splitlines()
    assert result.error is None, lines
    assert "Environment training (" in lines[0] and lines[0].endswith("): being made of millfirst==1.0.")
    assert "): made in " in lines[1] and lines[1].endswith(f" 4 packages, Python {sys.version.split()[0]}.")
    assert lines[2:] == ["1.0 True ['a b'] fast", "nothing else is here"]
    assert [metric.name for metric in result.metrics] == ["x"]


def test_one_that_is_there_is_found_whatever_its_name(worker: StepWorker, store: MemoryStore) -> None:
    perform(worker, asking(store, "millfirst==1.0"))
    again = asking(store, "millfirst == 1.0")
    again.step.settings["environment"]["name"] = "other"
    lines = log_of(store, perform(worker, again)).splitlines()
    assert "Environment other (" in lines[0] and "): found; 4 packages" in lines[0]


def test_what_is_kept_needs_no_index(store: MemoryStore, cache: Path, index: Path, tmp_path: Path) -> None:
    with working(store, equipped(cache, index)) as worker:
        perform(worker, asking(store, "millfirst==1.0", "millsecond"))
    gone = equipped(cache, tmp_path, {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"})
    with working(store, gone) as worker:
        found = perform(worker, asking(store, "millfirst==1.0", "millsecond"))
        assert found.error is None
        made = perform(worker, asking(store, "millsecond==1.0", source="import millsecond; print(millsecond.VERSION)"))
    assert made.error is not None  # a folder of wheels is no index: uv keeps nothing of it
    assert made.error.code in ("EnvironmentFailed", "EnvironmentImpossible")


def test_two_packages_of_the_registry_and_again_without_it(store: MemoryStore, tmp_path: Path) -> None:
    source = "import toolz, iniconfig; print(toolz.__version__)"
    asked = ("toolz==1.0.0", "iniconfig==2.1.0")
    with working(store, equipped(tmp_path, tmp_path)) as worker:
        first = perform(worker, asking(store, *asked, source=source))
        assert log_of(store, first).endswith("\n1.0.0\n")
    (made,) = (path for path in (tmp_path / "environments").iterdir() if (path / "bin").is_dir())
    made.rename(tmp_path / "away")
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    offline = equipped(tmp_path, tmp_path, {**proxies, "NO_PROXY": "", "no_proxy": "", "UV_HTTP_RETRIES": "0"})
    with working(store, offline) as worker:
        again = perform(worker, asking(store, *asked, source=source))
        assert again.error is None
        assert "): made in " in log_of(store, again)
        loose = perform(worker, asking(store, "toolz", source="import toolz; print(toolz.__version__)"))
        assert "The index of packages did not answer" in log_of(store, loose)


def test_a_notebook_s_kernel_is_in_the_environment_and_has_what_it_needs(
    worker: StepWorker, store: MemoryStore
) -> None:
    source = "import os, sys, millfirst\nprint(millfirst.VERSION, sys.prefix == os.environ['VIRTUAL_ENV'])"
    cell: dict[str, Any] = {
        "cell_type": "code",
        "source": source,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    book = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    it = job(put_snapshot(store, {"a.ipynb": json.dumps(book)}), kind="notebook")
    wished = {"conda": {"dependencies": [{"pip": ["millfirst==1.0"]}]}}
    it.step.settings.clear()
    it.step.settings.update(notebook="a.ipynb", environment=wished)
    result = perform(worker, it)
    log = log_of(store, result)
    assert result.error is None, log
    assert "being made of ipykernel, millfirst==1.0, nbclient." in log
    assert log.endswith("\n1.0 True\n")


def test_what_cannot_be_installed_together_is_a_failure_in_the_resolver_s_words(
    worker: StepWorker, store: MemoryStore, cache: Path
) -> None:
    result = perform(worker, asking(store, "millfirst==3.0"))
    assert result.error is not None
    assert (result.error.code, result.retryable) == ("EnvironmentImpossible", False)
    assert "there is no version of millfirst==3.0" in result.error.message
    assert "Change the packages" in result.error.message
    assert not list((cache / "environments").glob("draft-*"))


def test_an_index_that_does_not_answer_is_another_failure_and_shows_no_password(
    store: MemoryStore, tmp_path: Path, index: Path
) -> None:
    away = equipped(tmp_path, index, {"UV_DEFAULT_INDEX": "http://me:hush@127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"})
    with working(store, away) as worker:
        result = perform(worker, asking(store, "millfirst", "millthird"))
    assert result.error is not None
    assert (result.error.code, result.retryable) == ("EnvironmentFailed", True)
    assert "127.0.0.1:9" in result.error.message
    assert "hush" not in result.error.message + log_of(store, result)
    assert "hush" not in repr(away)


def test_a_package_without_a_wheel_needs_a_permit(worker: StepWorker, store: MemoryStore, index: Path) -> None:
    (index / "millthird-1.0.tar.gz").write_bytes(b"")
    result = perform(worker, asking(store, "millthird==1.0"))
    assert result.error is not None
    assert "MILLSTREAM_ENVIRONMENTS_SOURCES" in result.error.message


def test_without_packages_the_step_runs_in_the_worker_s_own(worker: StepWorker, store: MemoryStore) -> None:
    it = asking(store, "azureml-defaults", source="import pytest, sys; print(sys.executable)")
    it.step.settings["environment"]["conda"]["dependencies"].append("python=3.8")
    it.step.settings["environment"]["image"] = "image:1"
    lines = log_of(store, perform(worker, it)).splitlines()
    assert (
        lines[0]
        == "[millstream] Environment training: no packages of Python are asked for; the step runs in the worker's own."
    )
    assert "conda python=3.8 is left out" in lines[1]
    assert "azureml-defaults is left out" in lines[2]
    assert "containers" in lines[3]
    assert lines[4:] == [sys.executable]


def test_settings_that_make_no_sense_are_the_step_s_failure(worker: StepWorker, store: MemoryStore) -> None:
    for wrong in ({"conda": {"dependencies": [{"pip": ["-r x"]}]}}, {"nonsense": 1}):
        it = asking(store)
        it.step.settings["environment"] = wrong
        result = perform(worker, it)
        assert result.error is not None
        assert result.error.code == "InvalidStep"


@pytest.fixture
def silence() -> Iterator[str]:
    """An index that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/simple"


def test_a_stop_ends_what_is_being_made(store: MemoryStore, tmp_path: Path, index: Path, silence: str) -> None:
    given = equipped(tmp_path, index, {"UV_DEFAULT_INDEX": silence})
    over = threading.Event()
    worker = StepWorker(
        store, settings(tmp_path, venvs=given.venvs, cancel_check_seconds=0.1), lambda _: True, lambda _: over.is_set()
    )
    it = asking(store, "millthird")
    results: list[Performed] = []
    thread = threading.Thread(target=lambda: results.append(worker.perform(it, lease_of(it))))
    thread.start()
    assert eventually(lambda: bool(_uvs(tmp_path)))
    (uv,) = _uvs(tmp_path)
    over.set()
    thread.join(20)
    assert results == [None]
    assert not is_alive(uv)
    assert not list((tmp_path / "environments").glob("draft-*"))
    worker.close()


def test_making_one_takes_no_longer_than_it_may(store: MemoryStore, tmp_path: Path, index: Path, silence: str) -> None:
    with working(store, equipped(tmp_path, index, {"UV_DEFAULT_INDEX": silence}, timeout=0.7)) as worker:
        result = perform(worker, asking(store, "millthird"))
    assert result.error is not None
    assert "not made within 0.7 s" in result.error.message


WORKER = """
import os, sys
from pathlib import Path
from steps.memory_store import MemoryStore
from tests.unit.steps.jobs import DATA, SYSTEM, perform, working
from tests.unit.steps.test_step_environment import asking, equipped
store = MemoryStore(SYSTEM, DATA)
with working(store, equipped(Path(sys.argv[1]), Path(sys.argv[2]), {"UV_DEFAULT_INDEX": sys.argv[3]})) as worker:
    perform(worker, asking(store, "millfirst==1.0"))
"""


def test_a_worker_that_is_killed_leaves_nothing_that_counts(
    store: MemoryStore, tmp_path: Path, index: Path, silence: str
) -> None:
    dying = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), str(index), silence], cwd=ROOT)
    folder = tmp_path / "environments"
    assert eventually(lambda: bool(list(folder.glob("draft-*/requirements.in"))), 30)
    assert eventually(lambda: bool(_uvs(tmp_path)))
    uvs = _uvs(tmp_path)
    dying.send_signal(signal.SIGKILL)
    dying.wait()
    assert eventually(lambda: not any(map(is_alive, uvs)))
    with working(store, equipped(tmp_path, index)) as worker:
        result = perform(worker, asking(store, "millfirst==1.0"))
    assert result.error is None
    assert "): made in " in log_of(store, result)
    assert not list(folder.glob("draft-*"))


def _uvs(cache: Path) -> list[int]:
    """The processes of uv that install into environments of this folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"install" in words and any(str(cache).encode() in word for word in words):
                found.append(int(process.name))
    return found


def test_the_name_for_reuse_is_that_of_what_is_installed(store: MemoryStore) -> None:
    def name(**environment: object) -> str:
        step = asking(store).step
        step.settings["environment"] = environment
        return step_environment.identity(step, "the worker's")[0]

    assert name() == name(name="x") == name(conda={"dependencies": ["python=3.8"]}) == "the worker's"
    pandas = {"dependencies": [{"pip": ["pandas"]}]}
    assert name(conda=pandas) == name(conda={"dependencies": ["pandas"]}, name="x")
    assert len({name(), name(conda=pandas), name(image="a"), name(conda=pandas, image="a"), name(dockerfile="a")}) == 5


def test_steps_that_read_datasets_get_what_that_takes(store: MemoryStore) -> None:
    port = Input(name="x", source=DatasetSource(id="0" * 64), mode="direct")
    plain = asking(store, "toolz").step
    reading = msgspec.structs.replace(plain, inputs=(port,))
    batches = msgspec.structs.replace(plain, kind="mini_batches", settings={**plain.settings, "rows": True})
    asked = [step_environment.identity(step, "own")[1] for step in (plain, reading, batches)]
    assert asked == [("toolz",), *[("pandas", "pyarrow", "toolz")] * 2]


def test_uv_is_told_of_indexes_and_of_nothing_else() -> None:
    given = {"UV_INDEX_URL": "a", "UV_CACHE_DIR": "b", "https_proxy": "c", "AzureWebJobsStorage": "d", "HOME": "e"}
    assert configuration(given) == {"UV_INDEX_URL": "a", "https_proxy": "c", "HOME": "e"}

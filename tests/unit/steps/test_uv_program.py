"""Workers that have no uv bring it: from a stand-in for an index over HTTP, and from the registry of this machine."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from orchestrator.core.result import StepError
from steps import uv_program
from steps.memory_store import MemoryStore
from steps.settings import VenvSettings, WorkerSettings
from steps.uv_program import variables
from steps.venv_maker import configuration
from tests import wheels
from tests.unit.millstream.loopback import Loopback
from tests.unit.steps.jobs import DATA, SYSTEM, perform, settings, working
from tests.unit.steps.running import eventually, is_alive
from tests.unit.steps.test_step_environment import asking, log_of

REAL = uv_program.installed()
PINNED = uv_program.PINNED
ROOT = Path(__file__).parents[3]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(SYSTEM, DATA)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """An index that has a uv, which is the real one under another roof; beside the worker there is none."""
    program = f'#!/bin/sh\nexec {REAL} "$@"\n'
    made = wheels.wheel(tmp_path / "index", "uv", "0.0.1", program=program)
    pinned = tmp_path / "uv.txt"
    pinned.write_text(wheels.pin(made))
    monkeypatch.setattr(uv_program, "PINNED", pinned)
    monkeypatch.setattr(uv_program, "installed", lambda: None)
    wheels.wheel(tmp_path / "links", "millfirst")
    with wheels.index(tmp_path / "index") as server:
        yield server


def equipped(folder: Path, address: str, **more: str | None) -> WorkerSettings:
    """The uv of a worker is brought from the index at this address; the rest comes from where it always does."""
    found = {name: value for name, value in configuration(os.environ).items() if not name.startswith("PIP_")}
    found |= {"PIP_INDEX_URL": f"{address}/simple", "PIP_RETRIES": "0", "UV_FIND_LINKS": str(folder / "links")}
    return settings(folder, venvs=VenvSettings(configuration=found, timeout=120.0, **more))  # type: ignore[arg-type]


def wheels_sent(index: Loopback) -> int:
    return sum(asked.path.startswith("/files/") for asked in index.asked)


def failed(store: MemoryStore, given: WorkerSettings) -> StepError:
    with working(store, given) as worker:
        error = perform(worker, asking(store, "millfirst==1.0")).error
    assert error is not None
    assert not list((given.cache_dir / "environments").glob("draft-*"))
    return error


def test_it_is_brought_once_and_makes_environments(store: MemoryStore, index: Loopback, tmp_path: Path) -> None:
    logs = []
    with working(store, equipped(tmp_path, index.url)) as worker:
        for lines in (("millfirst==1.0",), ("millfirst",)):
            result = perform(worker, asking(store, *lines))
            logs.append(log_of(store, result))
            assert result.error is None, logs
    assert "uv, which makes it, was brought in " in logs[0]
    assert "was brought" not in logs[1] and "): made in " in logs[1]
    assert wheels_sent(index) == 1
    (brought,) = (tmp_path / "environments").glob("uv-*/")
    assert [path.relative_to(brought).as_posix() for path in brought.rglob("*")] == ["bin", "bin/uv"]
    assert stat.S_IMODE((brought / "bin" / "uv").stat().st_mode) == 0o755


def test_workers_that_need_it_at_a_time_bring_it_once(store: MemoryStore, index: Loopback, tmp_path: Path) -> None:
    given = equipped(tmp_path, index.url)
    errors = []

    def work(line: str) -> None:
        with working(store, given) as worker:
            errors.append(perform(worker, asking(store, line)).error)

    threads = [threading.Thread(target=work, args=(line,)) for line in ("millfirst==1.0", "millfirst")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert errors == [None, None]
    assert wheels_sent(index) == 1


WORKER = """
import sys
from pathlib import Path
from steps import uv_program
from steps.memory_store import MemoryStore
from tests.unit.steps.jobs import DATA, SYSTEM, perform, working
from tests.unit.steps.running import eventually, is_alive
from tests.unit.steps.test_step_environment import asking
from tests.unit.steps.test_uv_program import equipped
uv_program.installed, uv_program.PINNED = lambda: None, Path(sys.argv[1]) / "uv.txt"
store = MemoryStore(SYSTEM, DATA)
with working(store, equipped(Path(sys.argv[1]), sys.argv[2])) as worker:
    perform(worker, asking(store, "millfirst==1.0"))
"""


def test_a_worker_that_is_killed_while_it_brings_it_leaves_nothing_that_counts(
    store: MemoryStore, index: Loopback, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silence = f"http://127.0.0.1:{silent.getsockname()[1]}"
        dying = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), silence], cwd=ROOT)
        silent.settimeout(60)
        connection, _ = silent.accept()
        pips = _pips(tmp_path)
        assert pips
        dying.kill()
        dying.wait()
        assert eventually(lambda: not any(map(is_alive, pips)))
        connection.close()
    assert list((tmp_path / "environments").glob("draft-uv-*"))
    with working(store, equipped(tmp_path, index.url)) as worker:
        assert perform(worker, asking(store, "millfirst==1.0")).error is None
    assert not list((tmp_path / "environments").glob("draft-*"))
    assert wheels_sent(index) == 1


def _pips(folder: Path) -> list[int]:
    """The processes that bring something to the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = path.read_bytes()
            if b"download" in command and str(folder).encode() in command:
                found.append(int(path.parent.name))
    return found


def test_another_content_than_the_pinned_one_is_not_taken(store: MemoryStore, index: Loopback, tmp_path: Path) -> None:
    wheels.wheel(tmp_path / "index", "uv", "0.0.1", program="#!/bin/sh\nexit 0\n")
    error = failed(store, equipped(tmp_path, index.url))
    assert (error.code, "DO NOT MATCH THE HASHES" in error.message) == ("EnvironmentFailed", True)
    assert not list((tmp_path / "environments").glob("uv-*/"))


def test_an_index_that_cannot_be_reached_is_told_with_what_to_do(
    store: MemoryStore, index: Loopback, tmp_path: Path
) -> None:
    error = failed(store, equipped(tmp_path, "http://me:hush@127.0.0.1:9"))
    assert error.code == "EnvironmentFailed"
    assert all(word in error.message for word in ("MILLSTREAM_UV", "PIP_INDEX_URL", "millstream[environments]"))
    assert "hush" not in error.message


def test_the_one_that_is_named_is_taken(store: MemoryStore, index: Loopback, tmp_path: Path) -> None:
    with working(store, equipped(tmp_path, index.url, uv=REAL)) as worker:
        assert perform(worker, asking(store, "millfirst==1.0")).error is None
    assert index.asked == []
    error = failed(store, equipped(tmp_path / "other", index.url, uv="/nowhere/uv"))
    assert "MILLSTREAM_UV names /nowhere/uv" in error.message


def test_the_registry_has_the_pinned_one(store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uv_program, "installed", lambda: None)
    given = settings(tmp_path, venvs=VenvSettings(configuration=configuration(os.environ), timeout=110.0))
    with working(store, given) as worker:
        source = "import iniconfig; print('there')"
        result = perform(worker, asking(store, "iniconfig==2.1.0", source=source))
        assert result.error is None, log_of(store, result)
    (program,) = (tmp_path / "environments").glob("uv-*/bin/uv")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.split()[1] == PINNED.read_text().split()[0].removeprefix("uv==")


def test_a_worker_without_pip_uses_the_one_that_python_brings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(uv_program, "find_spec", lambda name: None if name == "pip" else find_spec(name))
    command = uv_program.download("python3", PINNED, tmp_path)
    assert command is not None
    assert command[2].endswith(".whl/pip")


def test_a_python_without_either_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As Debian's, whose ensurepip is a package of its own."""
    monkeypatch.setattr(uv_program, "find_spec", lambda _: None)
    assert uv_program.download("python3", PINNED, tmp_path) is None


def test_pip_is_told_of_the_indexes_of_uv() -> None:
    given = {
        "UV_DEFAULT_INDEX": "own=https://a.test/simple",
        "UV_INDEX": "b=https://b.test/simple https://c.test/simple",
        "UV_FIND_LINKS": "/x,/y",
        "PIP_FIND_LINKS": "/z",
        "PIP_INDEX_URL": "https://other.test",
        "UV_OFFLINE": "1",
        "HTTPS_PROXY": "http://proxy.test",
    }
    assert variables(given) == {
        "PIP_INDEX_URL": "https://a.test/simple",
        "PIP_EXTRA_INDEX_URL": "https://b.test/simple https://c.test/simple",
        "PIP_FIND_LINKS": "/x /y /z",
        "PIP_NO_INDEX": "1",
        "HTTPS_PROXY": "http://proxy.test",
    }

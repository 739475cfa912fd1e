from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from orchestrator.core.result import File
from steps.failures import InputDamaged, InputMissing, InputUnusable, Stopped, StorageFailed
from steps.memory_store import MemoryStore
from steps.stop import Stop, StopReason
from steps.store import Listed
from steps.transfer import Fetch, Pool, Push, fetch, fetch_all, push, push_all
from tests.unit.steps.jobs import file_of


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(4)
    yield pool
    pool.close()


def item(target: Path, expected: File | None = None, name: str = "blob") -> Fetch:
    return Fetch(container="c", name=name, target=target, expected=expected)


def test_files_go_up_and_come_down_equal(tmp_path: Path, pool: Pool) -> None:
    store = MemoryStore("c")
    contents = {f"folder {n}/file{n}": os.urandom(n * 1000) for n in range(50)}
    sources = []
    for name, data in contents.items():
        path = tmp_path / "up" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        sources.append(Push(container="c", name=f"p/{name}", source=path, path=name))
    stored = push_all(pool, store, sources, Stop())
    assert stored == [file_of(name, data) for name, data in contents.items()]
    down = [
        item(tmp_path / "down" / name, expected=file, name=f"p/{name}")
        for name, file in zip(contents, stored, strict=True)
    ]
    fetch_all(pool, store, down, Stop())
    assert {name: (tmp_path / "down" / name).read_bytes() for name in contents} == contents


@pytest.mark.parametrize(
    "expected", [file_of("x", b"other"), File(path="x", size=4, sha256=file_of("x", b"data!").sha256)]
)
def test_a_damaged_input_is_refused_and_not_left(tmp_path: Path, expected: File) -> None:
    store = MemoryStore("c")
    store.put("c", "blob", b"data!")
    with pytest.raises(InputDamaged, match="not what its step committed"):
        fetch(store, item(tmp_path / "x", expected), Stop())
    assert list(tmp_path.iterdir()) == []


def test_a_missing_blob(tmp_path: Path) -> None:
    with pytest.raises(InputMissing):
        fetch(MemoryStore("c"), item(tmp_path / "x"), Stop())
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    store = MemoryStore("c")
    store.put("c", "blob", b"x")
    fetch(store, item(tmp_path / "a"), Stop())
    for target in (tmp_path / "a" / "b", tmp_path / "a"):
        with pytest.raises(InputUnusable, match="file in one place and a folder in another"):
            fetch(store, item(target), Stop())


ON_A_SMALL_DISK = """
import subprocess, sys
from pathlib import Path
from typing import BinaryIO
from steps.failures import DiskFull
from steps.memory_store import MemoryStore
from steps.stop import Stop
from steps.transfer import Fetch, fetch
disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=65536", "small", disk], check=True)
store = MemoryStore("c")
store.put("c", "blob", bytes(1_000_000))
try:
    fetch(store, Fetch(container="c", name="blob", target=disk / "x"), Stop())
except DiskFull as failure:
    print(failure.message, list(disk.iterdir()))
"""


def test_a_full_disk(tmp_path: Path) -> None:
    inside = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a small disk of his own")
    done = subprocess.run(
        [*inside, sys.executable, "-c", ON_A_SMALL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout == "'x' could not be written: the disk of this node is full. []\n", done.stderr


def test_a_stop_ends_transfers(tmp_path: Path, pool: Pool) -> None:
    stop = Stop()
    stop.request(StopReason.LEASE_LOST)
    with pytest.raises(Stopped):
        fetch_all(pool, MemoryStore("c"), [item(tmp_path / str(n)) for n in range(3)], stop)
    with pytest.raises(Stopped):
        push(MemoryStore("c"), Push(container="c", name="n", source=tmp_path / "none", path=""), stop)


def test_a_stop_breaks_off_a_transfer_on_the_way(tmp_path: Path) -> None:
    stop = Stop()

    class Stopping(MemoryStore):
        def download(self, container: str, name: str, sink: BinaryIO) -> Listed:
            sink.write(b"first part")
            stop.request(StopReason.RUN_CANCELLED)
            sink.write(b"second part")
            raise AssertionError("nobody stopped it")

    with pytest.raises(Stopped):
        fetch(Stopping("c"), item(tmp_path / "x"), stop)
    assert list(tmp_path.iterdir()) == []


def test_storage_that_fails(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(StorageFailed, match="could not be stored"):
        push(MemoryStore(), Push(container="none", name="n", source=tmp_path / "x", path="x"), Stop())


def test_map_keeps_order_bounds_what_waits_and_raises_the_first_error(pool: Pool) -> None:
    assert pool.map(lambda number: number * 2, range(100)) == list(range(0, 200, 2))
    assert pool.map(str, []) == []
    begun: list[int] = []
    lock = threading.Lock()

    def fail(number: int) -> None:
        with lock:
            begun.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        pool.map(fail, range(1000))
    assert len(begun) < 20

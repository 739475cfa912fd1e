from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import zipfile
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest

from steps.failures import SnapshotDamaged, SnapshotMissing, StepFailure
from steps.memory_store import MemoryStore
from steps.snapshots import Snapshots, address
from steps.store import Listed
from tests.unit.steps.jobs import SYSTEM, archive, file_of, put_snapshot

FILES = {"script.py": b"print(1)\n", "pkg/__init__.py": b"", "pkg/deep/data.bin": bytes(range(256)) * 100}


class CountingStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__(SYSTEM)
        self.downloads = 0

    def download(self, container: str, name: str, sink: BinaryIO) -> Listed:
        self.downloads += 1
        return super().download(container, name, sink)


def cache(
    store: MemoryStore, folder: Path, *, cache_bytes: int = 10**9, most_bytes: int = 10**7, most_files: int = 100
) -> Snapshots:
    return Snapshots(store, SYSTEM, folder, cache_bytes=cache_bytes, most_bytes=most_bytes, most_files=most_files)


def copy(snapshots: Snapshots, snapshot: str, target: Path) -> dict[str, bytes]:
    target.mkdir()
    snapshots.copy_to(snapshot, target)
    return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


def test_the_address_is_that_of_the_contract() -> None:
    """sha256 over [{"path","sha256","size"}...] sorted by path, as compact JSON."""
    import hashlib

    empty = hashlib.sha256(b"").hexdigest()
    text = f'[{{"path":"a","sha256":"{empty}","size":0}},{{"path":"b/ž","sha256":"{empty}","size":0}}]'
    assert address([file_of("b/ž", b""), file_of("a", b"")]) == hashlib.sha256(text.encode()).hexdigest()


def test_a_snapshot_is_fetched_once_and_copied_privately(tmp_path: Path) -> None:
    store = CountingStore()
    snapshot = put_snapshot(store, FILES)
    snapshots = cache(store, tmp_path / "cache")
    assert copy(snapshots, snapshot, tmp_path / "one") == FILES
    (tmp_path / "one" / "script.py").write_bytes(b"changed")
    (tmp_path / "one" / "pkg" / "more").write_bytes(b"more")
    assert copy(snapshots, snapshot, tmp_path / "two") == FILES
    assert copy(cache(store, tmp_path / "cache"), snapshot, tmp_path / "three") == FILES
    assert store.downloads == 1


def test_many_threads_fetch_once(tmp_path: Path) -> None:
    store = CountingStore()
    snapshot = put_snapshot(store, FILES)
    caches = [cache(store, tmp_path / "cache"), cache(store, tmp_path / "cache")]
    copied: list[dict[str, bytes]] = []
    threads = [
        threading.Thread(target=lambda n=n: copied.append(copy(caches[n % 2], snapshot, tmp_path / str(n))))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert copied == [FILES] * 12
    assert store.downloads == 1


def test_two_processes_fetch_once(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tests.unit.steps import test_snapshots as t\n"
        "store = t.CountingStore()\nsnapshot = t.put_snapshot(store, t.FILES)\n"
        "t.copy(t.cache(store, Path(sys.argv[1])), snapshot, Path(sys.argv[2]))\nprint(store.downloads)\n"
    )
    arguments = [[sys.executable, "-c", code, str(tmp_path / "cache"), str(tmp_path / str(n))] for n in range(3)]
    running = [subprocess.Popen(a, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) for a in arguments]
    said = sorted(process.communicate()[0] for process in running)
    assert said == [b"0\n", b"0\n", b"1\n"]


def test_the_longest_unused_is_evicted(tmp_path: Path) -> None:
    store = CountingStore()
    ids = [put_snapshot(store, {"data": bytes([n]) * 1000}) for n in range(4)]
    snapshots = cache(store, tmp_path / "cache", cache_bytes=2500)
    for n, snapshot in enumerate(ids[:2]):
        copy(snapshots, snapshot, tmp_path / f"a{n}")
        os.utime(tmp_path / "cache" / snapshot, (n, n))
    copy(snapshots, ids[0], tmp_path / "used again")
    copy(snapshots, ids[2], tmp_path / "b")
    there = {path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()}
    assert there == {ids[0], ids[2]}
    copy(snapshots, ids[1], tmp_path / "c")
    assert store.downloads == 4


def test_a_snapshot_larger_than_the_cache_still_works(tmp_path: Path) -> None:
    store = CountingStore()
    snapshots = cache(store, tmp_path / "cache", cache_bytes=1)
    assert copy(snapshots, put_snapshot(store, FILES), tmp_path / "x") == FILES


def test_executable_files_stay_so(tmp_path: Path) -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        entry = zipfile.ZipInfo("run.sh")
        entry.external_attr = 0o755 << 16
        target.writestr(entry, b"#!/bin/sh\n")
    store = MemoryStore(SYSTEM)
    snapshot = address([file_of("run.sh", b"#!/bin/sh\n")])
    store.put(SYSTEM, f"snapshots/{snapshot}.zip", packed.getvalue())
    copy(cache(store, tmp_path / "cache"), snapshot, tmp_path / "x")
    assert stat.S_IMODE((tmp_path / "x" / "run.sh").stat().st_mode) & 0o111


def refused(tmp_path: Path, packed: bytes, files: dict[str, bytes]) -> StepFailure:
    store = MemoryStore(SYSTEM)
    snapshot = address([file_of(name, data) for name, data in files.items()])
    store.put(SYSTEM, f"snapshots/{snapshot}.zip", packed)
    (tmp_path / "x").mkdir(parents=True)
    with pytest.raises(SnapshotDamaged) as caught:
        cache(store, tmp_path / "cache").copy_to(snapshot, tmp_path / "x")
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []
    assert [path for path in tmp_path.iterdir() if path.name not in ("x", "cache")] == []
    return caught.value


@pytest.mark.parametrize("name", ["../out", "/abs", "a/../../out", "a\\b", "a\nb"])
def test_names_that_climb_out_are_refused(tmp_path: Path, name: str) -> None:
    refused(tmp_path, archive({name: b"x"}), {name: b"x"})


def test_archives_that_are_not_what_they_should_be(tmp_path: Path) -> None:
    good = archive(FILES)
    broken = bytearray(good)
    broken[60:90] = bytes(30)
    double = BytesIO()
    with zipfile.ZipFile(double, "w") as target, pytest.warns(UserWarning, match="Duplicate"):
        target.writestr("a", b"1")
        target.writestr("a", b"2")
    cases = {
        "no zip": b"not a zip",
        "cut": good[:-30],
        "damaged": bytes(broken),
        "other content": archive(FILES | {"script.py": b"print(2)\n"}),
        "more files": archive(FILES | {"more": b""}),
        "fewer files": archive({"script.py": FILES["script.py"]}),
        "twice": double.getvalue(),
        "file and folder": archive({"a": b"", "a/b": b""}),
    }
    for name, packed in cases.items():
        refused(tmp_path / name, packed, FILES)


def test_limits_hold_while_unpacking(tmp_path: Path) -> None:
    store = MemoryStore(SYSTEM)
    large = put_snapshot(store, {"zeros": bytes(2_000_000)})
    many = put_snapshot(store, {str(n): b"" for n in range(11)})
    snapshots = cache(store, tmp_path / "cache", most_bytes=1_000_000, most_files=10)
    (tmp_path / "x").mkdir()
    for snapshot in (large, many):
        with pytest.raises(SnapshotDamaged, match="more than"):
            snapshots.copy_to(snapshot, tmp_path / "x")


@pytest.mark.parametrize("snapshot", ["0" * 64, "../../etc", ""])
def test_a_missing_snapshot(tmp_path: Path, snapshot: str) -> None:
    with pytest.raises(SnapshotMissing):
        cache(MemoryStore(SYSTEM), tmp_path / "cache").copy_to(snapshot, tmp_path)

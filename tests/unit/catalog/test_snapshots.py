"""Snapshots: named by their content, stored once, refused when they would harm."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from orchestrator.adapters.memory import MemoryWorld
from orchestrator.adapters.memory_files import MemoryFiles
from orchestrator.catalog import snapshots
from orchestrator.catalog.snapshots import ManifestEntry, SnapshotLimits
from orchestrator.core.definition import Definition, Step
from orchestrator.core.errors import Conflict, InvalidDefinition, InvalidRequest, TooLarge, UnknownThing, UserError
from orchestrator.engine.memory import Recent
from orchestrator.files import SYSTEM, FileSize

LIMITS = SnapshotLimits(files=5, bytes=1000, url_seconds=60)
SUM = hashlib.sha256(b"").hexdigest()


def entry(path: str, size: int = 1, sha256: str = SUM) -> ManifestEntry:
    return ManifestEntry(path=path, sha256=sha256, size=size)


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


@pytest.fixture
def files(world: MemoryWorld) -> MemoryFiles:
    files = MemoryFiles(world.account)
    files.install(world)
    return files


def test_the_id_is_the_sum_of_the_sorted_manifest(world: MemoryWorld, files: MemoryFiles) -> None:
    made = world.run(snapshots.register([entry("b.py"), entry("a.py")], LIMITS))
    manifest = msgspec.json.encode(
        [{"path": "a.py", "sha256": SUM, "size": 1}, {"path": "b.py", "sha256": SUM, "size": 1}]
    )
    assert made.id == hashlib.sha256(manifest).hexdigest()
    assert world.account.blobs[f"snapshots/{made.id}.json"] == manifest


def test_what_is_stored_is_not_sent_again(world: MemoryWorld, files: MemoryFiles) -> None:
    first = world.run(snapshots.register([entry("a.py")], LIMITS))
    assert first.upload is not None
    assert first.upload.headers["If-None-Match"] == "*"
    files.put(SYSTEM, f"snapshots/{first.id}.zip", b"zip")
    world.run(snapshots.complete(first.id, LIMITS))
    assert world.run(snapshots.register([entry("a.py")], LIMITS)).upload is None


@pytest.mark.parametrize(
    ("manifest", "error", "field"),
    [
        ([], InvalidRequest, "files"),
        ([entry("../x")], InvalidRequest, "files[0].path"),
        ([entry("a"), entry("/etc/passwd")], InvalidRequest, "files[1].path"),
        ([entry("a\\b")], InvalidRequest, "files[0].path"),
        ([entry("a\x00b")], InvalidRequest, "files[0].path"),
        ([entry("C:/x")], InvalidRequest, "files[0].path"),
        ([entry("a", sha256="AB" * 32)], InvalidRequest, "files[0].sha256"),
        ([entry("a", size=-1)], InvalidRequest, "files[0].size"),
        ([entry("a"), entry("a")], InvalidRequest, "files[1].path"),
        ([entry("a/b"), entry("a")], InvalidRequest, "files[1].path"),
        ([entry("a"), entry("a/b/c")], InvalidRequest, "files[0].path"),
        ([entry(f"f{n}") for n in range(6)], TooLarge, "files"),
        ([entry("small"), entry("large.bin", size=1000)], TooLarge, "files"),
    ],
)
def test_a_harmful_manifest_is_refused(
    world: MemoryWorld, files: MemoryFiles, manifest: list[ManifestEntry], error: type[UserError], field: str
) -> None:
    with pytest.raises(error) as caught:
        world.run(snapshots.register(manifest, LIMITS))
    assert caught.value.field == field
    assert world.account.blobs == {}


def test_the_largest_file_is_named(world: MemoryWorld, files: MemoryFiles) -> None:
    with pytest.raises(TooLarge, match=r"large\.bin"):
        world.run(snapshots.register([entry("small"), entry("large.bin", size=1000)], LIMITS))


@pytest.mark.parametrize(("data", "error"), [(None, UnknownThing), (b"", Conflict), (b"x" * 1001, TooLarge)])
def test_an_upload_is_looked_at(
    world: MemoryWorld, files: MemoryFiles, data: bytes | None, error: type[UserError]
) -> None:
    made = world.run(snapshots.register([entry("a.py")], LIMITS))
    if data is not None:
        files.put(SYSTEM, f"snapshots/{made.id}.zip", data)
    with pytest.raises(error):
        world.run(snapshots.complete(made.id, LIMITS))


@pytest.mark.parametrize("wanted", ["", "x", "../../secret", "AB" * 32])
def test_what_is_no_id_is_not_looked_up(world: MemoryWorld, wanted: str) -> None:
    with pytest.raises(UnknownThing):
        world.run(snapshots.complete(wanted, LIMITS))


def test_every_step_without_its_source_is_named(world: MemoryWorld, files: MemoryFiles) -> None:
    there, missing = "a" * 64, "b" * 64
    files.put(SYSTEM, f"snapshots/{there}.zip", b"zip")
    steps = [
        Step(id=f"s{n}", name="s", kind="python_script", snapshot=s) for n, s in enumerate((there, missing, missing))
    ]
    definition = Definition(name="x", steps=(*steps, Step(id="none", name="none", kind="other")))
    with pytest.raises(InvalidDefinition) as caught:
        world.run(snapshots.check_uploaded(definition, Recent(8)))
    assert [problem.field for problem in caught.value.problems] == ["steps[1].snapshot", "steps[2].snapshot"]


def test_storage_is_asked_once_for_a_snapshot_that_is_there(world: MemoryWorld, files: MemoryFiles) -> None:
    asked: list[str] = []

    def size(effect: FileSize) -> int | None:
        asked.append(effect.name)
        return files.size(effect)

    world.register(FileSize, size)
    files.put(SYSTEM, f"snapshots/{'a' * 64}.zip", b"zip")
    step = Step(id="a", name="a", kind="python_script", snapshot="a" * 64)
    seen: snapshots.Seen = Recent(8)
    for _ in range(3):
        world.run(snapshots.check_uploaded(Definition(name="x", steps=(step, step)), seen))
    assert len(asked) == 1


def test_the_sources_can_be_read_once_they_are_there(world: MemoryWorld, files: MemoryFiles) -> None:
    made = world.run(snapshots.register([entry("a.py")], LIMITS))
    for wanted in (made.id, "f" * 64, "no-id"):
        with pytest.raises(UnknownThing, match="snapshot"):
            world.run(snapshots.sources(wanted, url_seconds=60))
    files.put(SYSTEM, snapshots.zip_name(made.id), b"zip")
    found = world.run(snapshots.sources(made.id, url_seconds=60))
    assert (found.id, found.size) == (made.id, 3)
    assert made.id in found.url

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steps.objects import Objects
from tests.unit.steps.jobs import file_of
from tests.unit.steps.running import eventually

DATA = b"content" * 1000
FILE = file_of("x", DATA)


@pytest.fixture
def objects(tmp_path: Path) -> Iterator[Objects]:
    objects = Objects(tmp_path / "objects", limit=1_000_000)
    yield objects
    objects.close()


def check() -> None:
    """Nothing asks to stop."""


def given(tmp_path: Path, objects: Objects, data: bytes = DATA) -> Path:
    """A content that is in the cache; where it lies there."""
    file = file_of("x", data)
    source = tmp_path / "given"
    source.write_bytes(data)
    objects.take(source, file)
    assert not source.exists()
    return tmp_path / "objects" / file.sha256[:2] / file.sha256


def test_what_is_taken_in_is_given_as_a_copy_of_its_own(tmp_path: Path, objects: Objects) -> None:
    assert not objects.copy_to(tmp_path / "none", FILE, check)
    place = given(tmp_path, objects)
    assert objects.copy_to(tmp_path / "one", FILE, check)
    (tmp_path / "one").write_bytes(b"spoilt")
    assert objects.copy_to(tmp_path / "two", FILE, check)
    assert (tmp_path / "two").read_bytes() == place.read_bytes() == DATA
    assert not (tmp_path / "none").exists()


def test_a_content_that_was_changed_in_the_cache_is_not_given(tmp_path: Path, objects: Objects) -> None:
    place = given(tmp_path, objects)
    place.write_bytes(DATA[:-1] + b"?")
    assert not objects.copy_to(tmp_path / "one", FILE, check)
    assert not place.exists()
    disguises: list[Callable[[], None]] = [
        lambda: os.mkfifo(place),
        lambda: place.symlink_to("/etc/passwd"),
        place.mkdir,
    ]
    for disguise in disguises:
        disguise()
        assert not objects.copy_to(tmp_path / "one", FILE, check)
        place.rmdir() if place.is_dir() and not place.is_symlink() else place.unlink(missing_ok=True)
    assert not (tmp_path / "one").exists()


def test_what_was_lent_comes_back_unless_it_was_changed(tmp_path: Path, objects: Objects) -> None:
    folder = tmp_path / "attempt"
    folder.mkdir()
    files = {name: file_of(name, name.encode()) for name in ("kept", "written", "replaced", "removed", "linked")}
    for name, file in files.items():
        (folder / name).write_bytes(name.encode())
        objects.lend(folder / name, file)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(DATA)
    objects.lend(elsewhere, FILE)
    status = (folder / "written").stat()
    (folder / "written").write_bytes(b"WRITTEN")
    os.utime(folder / "written", ns=(status.st_atime_ns, status.st_mtime_ns))
    (folder / "new").write_bytes(b"replaced")
    (folder / "new").rename(folder / "replaced")
    (folder / "removed").unlink()
    (folder / "more").hardlink_to(folder / "linked")
    objects.take_back(folder)
    got = [name for name, file in files.items() if objects.copy_to(tmp_path / name, file, check)]
    assert got == ["kept"]
    assert elsewhere.read_bytes() == DATA


def test_what_another_attempt_has_just_brought_is_given(tmp_path: Path, objects: Objects) -> None:
    lent = tmp_path / "lent"
    lent.write_bytes(DATA)
    objects.lend(lent, FILE)
    assert objects.copy_to(tmp_path / "one", FILE, check)
    lent.write_bytes(b"spoilt")
    assert not objects.copy_to(tmp_path / "two", FILE, check)
    assert lent.read_bytes() == b"spoilt"


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    objects = Objects(tmp_path / "objects", limit=100_000_000)
    sizes = [bytes([number]) * 200_000 for number in range(8)]
    places = []
    for age, data in enumerate(sizes):
        places.append(given(tmp_path, objects, data))
        os.utime(places[-1], (age, age))
    assert objects.copy_to(tmp_path / "used", file_of("x", sizes[0]), check)
    objects.close()
    objects = Objects(tmp_path / "objects", limit=1_000_000)
    objects.trim()
    left = [number for number, place in enumerate(places) if place.exists()]
    assert left == [0, 5, 6, 7]
    assert objects.make_room()
    assert not any(place.exists() for place in places)
    assert not objects.make_room()
    objects.close()


def test_the_cache_trims_itself(tmp_path: Path, objects: Objects) -> None:
    for number in range(30):
        given(tmp_path, objects, bytes([number]) * 200_000)

    def used() -> int:
        return sum(path.stat().st_size for path in (tmp_path / "objects").rglob("*") if path.is_file())

    assert eventually(lambda: used() <= 1_000_000 * 17 // 16 + 200_000)


IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from steps.objects import Objects
from tests.unit.steps.jobs import file_of
folder, who = Path(sys.argv[1]), sys.argv[2]
objects = Objects(folder / "objects", limit=300_000)
for turn in range(300):
    data = bytes([turn % 10]) * 50_000
    source = folder / f"{who}-{turn}"
    if objects.copy_to(source, file_of("x", data), lambda: None):
        assert source.read_bytes() == data
    else:
        source.write_bytes(data)
    objects.take(source, file_of("x", data))
    source.unlink(missing_ok=True)
objects.close()
print("well")
"""


def test_processes_share_a_cache(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", IN_ANOTHER_PROCESS, tmp_path, str(who)], cwd=root, stdout=subprocess.PIPE
        )
        for who in range(3)
    ]
    assert [process.communicate(timeout=60)[0] for process in started] == [b"well\n"] * 3

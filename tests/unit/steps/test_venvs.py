"""Where environments are kept: made once, whole or not at all, and removed when there are too many of them."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from steps.failures import EnvironmentFailed
from steps.venvs import Venvs, size_of
from tests.unit.steps.running import eventually

LARGE = 10**15
ROOT = Path(__file__).parents[3]
BODY = b"x" * 100_000

MAKER = """
import sys, time
from pathlib import Path
from steps.venvs import Venvs
def make(place):
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python").symlink_to(sys.executable)
    print("making", flush=True)
    time.sleep(60)
with Venvs(Path(sys.argv[1]), most_bytes=10**15).using("k", make, lambda: None):
    pass
"""


def make(place: Path) -> None:
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python").symlink_to(sys.executable)
    (place / "body").write_bytes(BODY)


def never() -> None:
    raise AssertionError("nobody else makes it")


def use(venvs: Venvs, key: str, making: Callable[[Path], None] = make) -> bool:
    """Whether it had to be made."""
    with venvs.using(key, making, never) as venv:
        assert Path(venv.python).exists()
        return venv.made_in is not None


def test_it_is_made_once_and_found_then(tmp_path: Path) -> None:
    venvs = Venvs(tmp_path, most_bytes=LARGE)
    assert use(venvs, "k")
    assert not use(venvs, "k", lambda _: never())
    assert not use(Venvs(tmp_path, most_bytes=LARGE), "k", lambda _: never())


def test_of_two_at_once_one_makes_it_and_the_other_waits(tmp_path: Path) -> None:
    venvs = Venvs(tmp_path, most_bytes=LARGE)
    go, waited = threading.Event(), threading.Event()
    made: list[bool] = []

    def slowly(place: Path) -> None:
        assert waited.wait(30)
        make(place)

    def one() -> None:
        go.set()
        with venvs.using("k", slowly, never) as venv:
            made.append(venv.made_in is not None)

    thread = threading.Thread(target=one)
    thread.start()
    assert go.wait(30)
    assert eventually(lambda: (tmp_path / "k.lock").exists())
    while not eventually(lambda: _is_locked(tmp_path / "k.lock"), 0.1):
        pass
    with Venvs(tmp_path, most_bytes=LARGE).using("k", lambda _: never(), waited.set) as venv:
        assert venv.made_in is None
    thread.join()
    assert made == [True]


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_who_waits_may_give_up(tmp_path: Path) -> None:
    venvs = Venvs(tmp_path, most_bytes=LARGE)

    def give_up() -> None:
        raise EnvironmentFailed("enough")

    def meanwhile(place: Path) -> None:
        with pytest.raises(EnvironmentFailed), Venvs(tmp_path, most_bytes=LARGE).using("k", make, give_up):
            pass
        make(place)

    assert use(venvs, "k", meanwhile)


def test_what_fails_leaves_nothing_that_counts(tmp_path: Path) -> None:
    venvs = Venvs(tmp_path, most_bytes=LARGE)

    def fail(place: Path) -> None:
        make(place)
        raise EnvironmentFailed("no")

    with pytest.raises(EnvironmentFailed), venvs.using("k", fail, never):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["k.lock", "uv.lock"]
    assert use(venvs, "k")


def test_the_next_one_makes_what_a_killed_one_was_making(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", MAKER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"making\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert [path.name for path in tmp_path.glob("draft-*")] == [f"draft-k-{process.pid}"]
    assert use(Venvs(tmp_path, most_bytes=LARGE), "k")
    assert (tmp_path / "k" / "body").read_bytes() == BODY
    assert not list(tmp_path.glob("draft-*"))


def test_one_whose_interpreter_is_gone_is_made_again(tmp_path: Path) -> None:
    venvs = Venvs(tmp_path, most_bytes=LARGE)
    use(venvs, "k")
    (tmp_path / "k" / "bin" / "python").unlink()
    (tmp_path / "k" / "bin" / "python").symlink_to(tmp_path / "gone")
    assert use(venvs, "k")


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    venvs = Venvs(tmp_path, most_bytes=250_000)
    for age, key in ((30, "a"), (20, "b")):
        use(venvs, key)
        os.utime(tmp_path / f"{key}.lock", (time.time() - age,) * 2)
    use(venvs, "a")
    use(venvs, "c")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["a", "c"]


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    venvs = Venvs(tmp_path, most_bytes=150_000)
    with venvs.using("a", make, never):
        use(venvs, "b")
        assert (tmp_path / "a").is_dir()
    use(venvs, "c")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["c"]


def test_half_of_a_small_disk_is_the_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steps.venvs.shutil.disk_usage", lambda _: SimpleNamespace(total=300_000))
    venvs = Venvs(tmp_path, most_bytes=LARGE)
    use(venvs, "a")
    use(venvs, "b")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["b"]


def test_uv_s_own_cache_goes_before_any_environment(tmp_path: Path) -> None:
    venvs = Venvs(tmp_path, most_bytes=250_000)
    use(venvs, "a")
    (tmp_path / "uv").mkdir()
    (tmp_path / "uv" / "wheel").write_bytes(BODY)
    use(venvs, "b")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["a", "b"]


def test_what_a_dead_maker_left_goes_with_the_next_cleaning(tmp_path: Path) -> None:
    make(tmp_path / "draft-z-1")
    use(Venvs(tmp_path, most_bytes=150_000), "a")
    assert not (tmp_path / "draft-z-1").exists()


def test_a_file_of_several_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BODY)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert len(BODY) <= size_of(tmp_path) < 2 * len(BODY)

"""The parent of a worker: it gives back what a dead one held, goes on in its place, and passes signals on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.devhost.harness import ROOT, eventually
from worker.supervisor import Holding, _listen

PROGRAM = """
import json, os, pathlib, signal, sys, threading, time
from worker.supervisor import Holding, Notes, Supervisor

folder = pathlib.Path(sys.argv[1])

def held(receipt):
    return Holding(queue="q", message="m", receipt=receipt)

def release(holding, delay):
    with (folder / "released").open("a") as file:
        print(json.dumps([holding.receipt, delay]), file=file)

def tell(text):
    with (folder / "told").open("a") as file:
        print(text, file=file)

def work(notes, seconds):
    lives = len((folder / "lives").read_text().split()) if (folder / "lives").exists() else 0
    with (folder / "lives").open("a") as file:
        print(os.getpid(), file=file)
    {work}

supervisor = Supervisor(work, release, once={once}, failure_delay=5.0, say=tell)
{before}
sys.exit(supervisor.run())
"""
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"


class Supervised:
    """A supervisor in a process of its own. `work`: what each worker does, `lives` counting those before it."""

    def __init__(self, folder: Path, work: str, *, once: bool = True, before: str = "") -> None:
        self.folder = folder
        program = PROGRAM.replace("{work}", work.replace("\n", "\n    ")).replace("{once}", str(once))
        line = [sys.executable, "-c", program.replace("{before}", before), str(folder)]
        self.process = subprocess.Popen(line, cwd=ROOT)

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def released(self) -> list[tuple[str, float]]:
        return [tuple(json.loads(line)) for line in self.lines("released")]

    def ended(self) -> int:
        return self.process.wait(30)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Supervised]]:
    made: list[Supervised] = []
    yield made
    for it in made:
        if it.process.poll() is None:
            it.process.kill()
            it.process.wait()


def test_a_dead_workers_message_is_shown_at_once_and_the_next_one_takes_its_place(tmp_path: Path) -> None:
    work = f'notes.write(held("old"))\nnotes.write(held("new"))\nif lives < 2:\n    {KILLED}\nreturn 0'
    it = Supervised(tmp_path, work)
    assert it.ended() == 0
    assert it.released() == [("new", 0.0), ("new", 0.0)], "by the last receipt"
    assert it.lines("told") == ["the worker was killed by signal 9"] * 2
    assert len(set(it.lines("lives"))) == 3


def test_a_worker_that_dies_without_a_step_is_not_started_again(tmp_path: Path) -> None:
    it = Supervised(tmp_path, f'notes.write(held("done"))\nnotes.write(None)\n{KILLED}')
    assert it.ended() == 1
    assert (it.released(), len(it.lines("lives"))) == ([], 1)


def test_nor_is_one_that_had_its_time(tmp_path: Path) -> None:
    """The next execution has all of it."""
    late = "supervisor._began -= 1000.0"
    it = Supervised(tmp_path, f'notes.write(held("r"))\n{KILLED}', before=late)
    assert it.ended() == 1
    assert (it.released(), len(it.lines("lives"))) == ([("r", 0.0)], 1)


def test_a_worker_that_fails_shows_its_message_a_little_later(tmp_path: Path) -> None:
    it = Supervised(tmp_path, 'notes.write(held("r"))\nraise RuntimeError("a fault of ours")')
    assert it.ended() == 1
    assert (it.released(), len(it.lines("lives"))) == ([("r", 5.0)], 1)


def test_a_signal_is_passed_on_and_a_worker_that_dies_of_it_gives_back(
    started: list[Supervised], tmp_path: Path
) -> None:
    started.append(it := Supervised(tmp_path, 'notes.write(held("r"))\ntime.sleep(60)', once=False))
    eventually(lambda: it.lines("lives"), 20.0)
    it.process.send_signal(signal.SIGTERM)
    assert it.ended() == 0
    assert len(it.lines("lives")) == 1


def test_the_worker_dies_with_its_supervisor(started: list[Supervised], tmp_path: Path) -> None:
    started.append(it := Supervised(tmp_path, 'notes.write(held("r"))\ntime.sleep(60)'))
    (worker,) = eventually(lambda: it.lines("lives"), 20.0)
    it.process.kill()
    it.ended()
    eventually(lambda: not is_alive(int(worker)), 20.0)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("written", "held"),
    [
        (b"", None),
        (b'["q", "m", "r"]\n', Holding(queue="q", message="m", receipt="r")),
        (b'["q", "m", "r"]\n["q", "m", "s"]\n["q", "m", ', Holding(queue="q", message="m", receipt="s")),
        (b'["q", "m", "r"]\nnull\n', None),
    ],
)
def test_the_last_whole_note_counts(written: bytes, held: Holding | None) -> None:
    source, sink = os.pipe()
    os.write(sink, written)
    os.close(sink)
    assert _listen(source) == held


def test_its_modules_are_few() -> None:
    """What outlives the worker is small: of the service it has the process trees only."""
    program = "import sys, worker.__main__; print(*(name for name in sys.modules if name.startswith('orchestrator')))"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []

"""scripts/_setup in a small clone of its own, which needs two packages only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bootstrap import entry

ROOT = Path(__file__).resolve().parents[3]
_SHOW = """#!/usr/bin/env bash
source "$(dirname -- "${BASH_SOURCE[0]}")/_setup"
"$PYTHON_BIN" -c 'import h11, sys; print(sys.prefix)'
"""
_CLIENT = """
def main(arguments):
    print(*arguments)
    return 3
"""


class Clone:
    """What a set-up needs of a clone, in a folder with a space in its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir(parents=True)
        for name in ("_setup", "bootstrap.py"):
            shutil.copy(ROOT / "scripts" / name, folder / "scripts" / name)
        lock = (ROOT / "requirements-dev.txt").read_text()
        (folder / "requirements-dev.txt").write_text(entry("uv", lock) + entry("h11", lock))
        (folder / "millstream").mkdir()
        (folder / "millstream" / "__init__.py").touch()
        (folder / "millstream" / "cli.py").write_text(_CLIENT)
        # The downloads of the real clone; everything else is its own.
        (ROOT / ".cache").mkdir(exist_ok=True)
        (folder / ".cache").symlink_to(ROOT / ".cache")

    def show(self, **environment: str) -> subprocess.CompletedProcess[str]:
        script = self.folder / "scripts" / "show"
        script.write_text(_SHOW)
        return subprocess.run(
            ["bash", str(script)],
            env={"PATH": os.environ["PATH"], "PYTHON": sys.executable, **_network(), **environment},
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "a clone")


def test_it_sets_up_once_and_anew_where_it_must(clone: Clone, tmp_path: Path) -> None:
    """Without a home folder, too."""
    first = clone.show()
    assert first.returncode == 0, first.stderr
    assert "setting up" in first.stdout
    prefix = clone.folder / ".venv"
    assert first.stdout.splitlines()[-1] == str(prefix)
    assert clone.show().stdout.splitlines() == [str(prefix)]

    asked = subprocess.run([prefix / "bin" / "millstream", "runs", "a b"], capture_output=True, text=True, check=False)
    assert (asked.returncode, asked.stdout) == (3, "runs a b\n"), asked.stderr

    (prefix / "stamp").unlink()  # as after an interruption
    repaired = clone.show()
    assert "setting up" in repaired.stdout, repaired.stderr

    moved = Path(shutil.move(clone.folder, tmp_path / "elsewhere"))
    clone.folder = moved
    again = clone.show()
    assert "setting up" in again.stdout, again.stderr
    assert again.stdout.splitlines()[-1] == str(moved / ".venv")


def test_a_python_that_will_not_do_is_named(clone: Clone) -> None:
    answer = clone.show(PYTHON="/nowhere/python3")
    assert answer.returncode == 1
    assert "/nowhere/python3" in answer.stderr
    assert not (clone.folder / ".venv").exists()


def test_without_any_python_it_says_what_to_install(clone: Clone, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "cat", "cksum", "dirname", "sed"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    answer = clone.show(PATH=str(programs), PYTHON="")
    assert answer.returncode == 1
    assert "No Python 3.11 or newer" in answer.stderr
    assert "apt install" in answer.stderr


def test_a_package_that_cannot_be_had_stops_it_with_the_words_of_the_installer(clone: Clone) -> None:
    lock = clone.folder / "requirements-dev.txt"
    lock.write_text(lock.read_text().replace("h11==0.16.0", "h11==0.16.99"))
    answer = clone.show()
    assert answer.returncode == 1
    assert "h11" in answer.stderr
    assert not (clone.folder / ".venv" / "stamp").exists()


def _network() -> dict[str, str]:
    """How this machine reaches the registries, where it takes settings to do so."""
    return {
        name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "UV_", "http", "HTTP"))
    }

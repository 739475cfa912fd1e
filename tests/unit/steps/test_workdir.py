from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from steps.workdir import WorkFolder, remove_tree
from tests.unit.steps.running import eventually

HOLD = (
    "import sys\nfrom pathlib import Path\nfrom steps.workdir import WorkFolder\n"
    "work = WorkFolder(Path(sys.argv[1]), keep=len(sys.argv) > 2)\n"
    "print(work.make('a').root, flush=True)\nsys.stdin.read()\n"
)


def hold(parent: Path, *arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
    """Another process with a work folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(parent), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().decode().strip())


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_folders_are_made_and_removed(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path, keep=False)
    first, second = work.make("run-step"), work.make("run-step")
    assert first.root != second.root
    assert first.code.is_dir()
    assert first.temporary.is_dir()
    (first.code / "sealed").mkdir(mode=0o000)
    work.remove(first)
    assert eventually(lambda: not first.root.exists())
    work.close()
    assert not second.root.exists()


def test_what_a_dead_worker_left_is_removed_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    process, folder = hold(tmp_path)
    WorkFolder(tmp_path, keep=False).close()
    assert folder.is_dir()
    kill(process)
    WorkFolder(tmp_path, keep=False).close()
    assert not folder.exists()


def test_what_is_to_be_kept_is_kept(tmp_path: Path) -> None:
    process, folder = hold(tmp_path, "keep")
    kill(process)
    work = WorkFolder(tmp_path, keep=True)
    folders = work.make("x")
    work.remove(folders)
    work.close()
    assert folder.is_dir()
    assert folders.root.is_dir()


def test_links_are_removed_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    (tmp_path / "tree").mkdir()
    os.symlink(tmp_path / "precious", tmp_path / "tree" / "link")
    remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
    assert (tmp_path / "precious" / "file").exists()

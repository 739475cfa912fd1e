"""Makes .venv from requirements-dev.txt; scripts/_setup calls it when the stamp in .venv is missing or stale.

The stamp is written last, so an interrupted run is repaired by the next one, and a lock lets two scripts start at once.
Needs nothing but the standard library.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shlex
import subprocess
import sys
import time
import venv
from pathlib import Path

LOCK = "requirements-dev.txt"
# What `pip install millstream` would bring: the client, and the part of the service that it shares.
CLIENT = ("millstream", "orchestrator")
# A shell starts it, because the line after #! may hold no space and a clone's path may; Python sees a string there.
_COMMAND = """\
#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
import sys
from millstream.cli import main
sys.exit(main(sys.argv[1:]))
"""


def main(root: Path, stamp: str) -> int:
    """Exit code 0 when .venv is complete, 1 with the failing command's words otherwise."""
    cache = root / ".cache"
    cache.mkdir(exist_ok=True)
    with (cache / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _current(root) == stamp:
            return 0
        started = time.monotonic()
        print("setting up .venv (once) ...", flush=True)
        _build(root, _environment(cache), keep=_same_place(_current(root), stamp))
        _link(root)
        (root / ".venv" / "stamp").write_text(stamp + "\n")
        print(f"setting up .venv took {time.monotonic() - started:.0f} s", flush=True)
    return 0


def _current(root: Path) -> str | None:
    path = root / ".venv" / "stamp"
    return path.read_text().rstrip("\n") if path.is_file() else None


def _same_place(current: str | None, wanted: str) -> bool:
    """Whether only the lock changed: then packages are exchanged, the environment stays."""
    return current is not None and current.splitlines()[:2] == wanted.splitlines()[:2]


def _build(root: Path, environment: dict[str, str], *, keep: bool) -> None:
    folder = root / ".venv"
    python = folder / "bin" / "python"
    (folder / "stamp").unlink(missing_ok=True)
    if not (keep and _runs(python)):
        # An environment that was moved or half made is not worth mending: begin from nothing.
        venv.create(folder, clear=True, symlinks=True, with_pip=True)
    only_uv = folder / "uv.txt"
    only_uv.write_text(entry("uv", (root / LOCK).read_text()))
    pip = [
        str(python),
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
    ]
    uv = [str(python), "-I", "-m", "uv", "pip", "sync", "--quiet", "--require-hashes", "--python", str(python)]
    # uv takes seconds where pip takes a minute; pip knows registries and certificates that only pip is configured for.
    if _call([*pip, str(only_uv)], root, environment) and _call([*uv, LOCK], root, environment):
        return
    print("uv could not install the packages; trying pip ...", file=sys.stderr, flush=True)
    if not _call([*pip, LOCK], root, environment):
        sys.exit(f"the packages of {LOCK} could not be installed: see the lines above")


def _link(root: Path) -> None:
    """Make the client importable from any folder, and its command callable, as those of an installed package are."""
    (packages,) = (root / ".venv" / "lib").glob("python3.*/site-packages")
    for name in CLIENT:
        link = packages / name
        link.unlink(missing_ok=True)
        link.symlink_to(root / name)
    command = root / ".venv" / "bin" / "millstream"
    command.write_text(_COMMAND.format(python=shlex.quote(str(root / ".venv" / "bin" / "python"))))
    command.chmod(0o755)


def entry(package: str, lock: str) -> str:
    """The lines of one package: its pin and the hashes indented below it."""
    lines = iter(lock.splitlines(keepends=True))
    first = next(line for line in lines if line.startswith(f"{package}=="))
    return "".join([first, *itertools.takewhile(lambda line: line.startswith(" "), lines)])


def _runs(python: Path) -> bool:
    try:
        return subprocess.run([python, "-I", "-c", "import pip"], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def _call(command: list[str], root: Path, environment: dict[str, str]) -> bool:
    """Whether the command succeeded; its words are shown only when it did not."""
    answer = subprocess.run(
        command,
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        print(answer.stdout.strip(), file=sys.stderr, flush=True)
    return answer.returncode == 0


def _environment(cache: Path) -> dict[str, str]:
    # No byte code at install: compiling all of it costs 18 s, and each process writes what it imports the first time.
    return {
        **os.environ,
        "PIP_CACHE_DIR": str(cache / "pip"),
        "UV_CACHE_DIR": str(cache / "uv"),
        "UV_PYTHON_DOWNLOADS": "never",
    }


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
    except KeyboardInterrupt:
        sys.exit("set-up interrupted: the next run repairs it")

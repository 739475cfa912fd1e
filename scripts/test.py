"""All checks, one after another, each with its heading and its time; the exit code is 0 when all passed.

Every check runs even when one before it failed, so that one look shows all there is to mend.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from devhost.azurite import ensure_installed

ROOT = Path(__file__).resolve().parent.parent
_BIN = Path(sys.executable).parent


class Check(NamedTuple):
    """One tool run. `command` is run from the clone's root."""

    name: str
    command: list[str]


def checks(arguments: list[str]) -> list[Check]:
    """What is run. Tests that are named take the place of all others, and of the checks that read all of the code."""
    tests = Check("tests", [sys.executable, "-m", "pytest", *(arguments or ["--durations=10"])])
    if any(not argument.startswith("-") for argument in arguments):
        return [tests]
    return [
        Check("lint", [str(_BIN / "ruff"), "check", "."]),
        Check("format", [str(_BIN / "ruff"), "format", "--check", "."]),
        Check("types", [sys.executable, "-m", "mypy", "."]),
        Check("rooms", [str(_BIN / "lint-imports")]),
        tests,
    ]


def main(arguments: list[str]) -> int:
    """Run them. Returns 0 when all passed, else 1."""
    # Here, because a slow network must not count against the first test that needs it.
    ensure_installed(say=lambda text: print(text, flush=True))
    results = [_run(check) for check in checks(arguments)]
    print(f"\n{'-' * 60}")
    for name, passed, seconds in results:
        print(f"{'ok' if passed else 'FAILED':<8}{name:<10}{seconds:6.1f} s")
    return 0 if all(passed for _, passed, _ in results) else 1


def _run(check: Check) -> tuple[str, bool, float]:
    print(f"\n== {check.name} {'=' * (56 - len(check.name))}", flush=True)
    started = time.monotonic()
    # A width for machines without a terminal, where tools would fold their lines at 80.
    environment = {"COLUMNS": "120", **os.environ}
    code = subprocess.run(check.command, cwd=ROOT, env=environment, check=False).returncode
    return check.name, code == 0, time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

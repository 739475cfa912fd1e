"""All checks, each with its heading and its time; the exit code is 0 when all passed.

Every check runs even when one before it failed, so that one look shows all there is to mend. The tests that look at
real processes from outside mostly wait, so they run beside all others.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from devhost.azurite import ensure_installed

ROOT = Path(__file__).resolve().parent.parent
_BIN = Path(sys.executable).parent


LOCAL = ("tests/e2e/devhost", "tests/e2e/local")
PATIENT = ("tests/e2e/test_host_kills.py", "tests/e2e/test_schedules.py")
"""They mostly wait, so they go where there is time."""
OUTSIDE = ("tests/conformance", "tests/contract", "tests/docs", *LOCAL, *PATIENT)
STEPS = "tests/e2e/steps"
SERVICE = ("tests/e2e", *(f"--ignore={place}" for place in (*LOCAL, *PATIENT, STEPS)))
INSIDE = ("tests/architecture", "tests/infra", "tests/simulation", "tests/unit")


class Check(NamedTuple):
    """One tool run. `command` is run from the clone's root; one that is `beside` runs while the others do."""

    name: str
    command: list[str]
    beside: bool = False


class Result(NamedTuple):
    name: str
    passed: bool
    seconds: float


def checks(arguments: list[str]) -> list[Check]:
    """What is run. Tests that are named take the place of all others, and of the checks that read all of the code."""
    pytest = [sys.executable, "-m", "pytest", *(arguments or ["--durations=10"])]
    if any(not argument.startswith("-") for argument in arguments):
        return [Check("tests", pytest)]
    return [
        Check("lint", [str(_BIN / "ruff"), "check", "."]),
        Check("format", [str(_BIN / "ruff"), "format", "--check", "."]),
        Check("types", [sys.executable, "-m", "mypy", "."]),
        Check("rooms", [str(_BIN / "lint-imports")]),
        Check("inside", [*pytest, *INSIDE]),
        Check("outside", [*pytest, *OUTSIDE], beside=True),
        Check("service", [*pytest, *SERVICE], beside=True),
        Check("steps", [*pytest, STEPS], beside=True),
    ]


def main(arguments: list[str]) -> int:
    """Run them. Returns 0 when all passed, else 1."""
    # Here, because a slow network must not count against the first test that needs it.
    ensure_installed(say=lambda text: print(text, flush=True))
    results = _run_all(checks(arguments))
    print(f"\n{'-' * 60}")
    for name, passed, seconds in results:
        print(f"{'ok' if passed else 'FAILED':<8}{name:<10}{seconds:6.1f} s")
    return 0 if all(result.passed for result in results) else 1


def _run_all(wanted: list[Check]) -> list[Result]:
    """In their order; those that run beside others come last, and their words with them."""
    started = [Started(check) for check in wanted if check.beside]
    try:
        results = [_run(check) for check in wanted if not check.beside]
        return results + [one.finish() for one in started]
    finally:
        for one in started:
            one.stop()


class Started:
    """A check that runs beside others; what it says is kept."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._began = time.monotonic()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        self._process = subprocess.Popen(
            check.command, cwd=ROOT, env=_environment(), stdout=self._output, stderr=subprocess.STDOUT
        )

    def finish(self) -> Result:
        """Wait for its end, and show what it has said."""
        code = self._process.wait()
        took = time.monotonic() - self._began
        _head(self._check)
        self._output.seek(0)
        sys.stdout.write(self._output.read().decode("utf-8", "replace"))
        return Result(self._check.name, code == 0, took)

    def stop(self) -> None:
        """It is not wanted any more."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
        self._output.close()


def _run(check: Check) -> Result:
    _head(check)
    started = time.monotonic()
    code = subprocess.run(check.command, cwd=ROOT, env=_environment(), check=False).returncode
    return Result(check.name, code == 0, time.monotonic() - started)


def _head(check: Check) -> None:
    print(f"\n== {check.name} {'=' * (56 - len(check.name))}", flush=True)


def _environment() -> dict[str, str]:
    # A width for machines without a terminal, where tools would fold their lines at 80.
    return {"COLUMNS": "120", **os.environ}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

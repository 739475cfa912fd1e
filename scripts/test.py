"""All checks, each with its heading and its time; the exit code is 0 when all passed.

Every check runs even when one before it failed, so that one look shows all there is to mend. As many as WIDTH run at a
time, in their order: those that take longest come first, and whoever is done makes room for the next one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from devhost.azurite import ensure_installed

ROOT = Path(__file__).resolve().parent.parent
_BIN = Path(sys.executable).parent

WIDTH = 4
"""More than there may be cores: the tests that look at real processes from outside mostly wait."""

LOCAL = ("tests/e2e/devhost", "tests/e2e/local")
PATIENT = ("tests/e2e/test_host_kills.py", "tests/e2e/test_schedules.py")
"""They mostly wait, so they go where there is time."""
OUTSIDE = ("tests/conformance", "tests/contract", "tests/docs", *LOCAL, *PATIENT)
STEPS = "tests/e2e/steps"
SERVICE = ("tests/e2e", *(f"--ignore={place}" for place in (*LOCAL, *PATIENT, STEPS)))
INSIDE = ("tests/architecture", "tests/infra", "tests/unit")
SIMULATION = "tests/simulation"


class Check(NamedTuple):
    """One tool run. `command` is run from the clone's root."""

    name: str
    command: list[str]


class Result(NamedTuple):
    """`said`: all that the tool printed, if it was not shown at once."""

    name: str
    passed: bool
    seconds: float
    said: str = ""


def checks(arguments: list[str]) -> list[Check]:
    """What is run. Tests that are named take the place of all others, and of the checks that read all of the code."""
    pytest = [sys.executable, "-m", "pytest", *(arguments or ["--durations=10"])]
    if any(not argument.startswith("-") for argument in arguments):
        return [Check("tests", pytest)]
    return [
        Check("lint", [str(_BIN / "ruff"), "check", "."]),
        Check("format", [str(_BIN / "ruff"), "format", "--check", "."]),
        Check("rooms", [str(_BIN / "lint-imports")]),
        Check("outside", [*pytest, *OUTSIDE]),
        Check("service", [*pytest, *SERVICE]),
        Check("steps", [*pytest, STEPS]),
        Check("types", [sys.executable, "-m", "mypy", "."]),
        Check("inside", [*pytest, *INSIDE]),
        Check("simulation", [*pytest, SIMULATION]),
    ]


def main(arguments: list[str]) -> int:
    """Run them. Returns 0 when all passed, else 1."""
    # Here, because a slow network must not count against the first test that needs it.
    ensure_installed(say=lambda text: print(text, flush=True))
    results = _run_all(checks(arguments))
    print(f"\n{'-' * 60}")
    for result in results:
        print(f"{'ok' if result.passed else 'FAILED':<8}{result.name:<11}{result.seconds:6.1f} s")
    return 0 if all(result.passed for result in results) else 1


def _run_all(wanted: list[Check]) -> list[Result]:
    """In their order. Of several, each is shown when it has ended; one alone shows what it does while it does it."""
    if len(wanted) == 1:
        _head(wanted[0].name)
        return [_alone(wanted[0])]
    running = Running()
    with ThreadPoolExecutor(WIDTH) as slots:
        begun = [slots.submit(running.run, check) for check in wanted]
        try:
            for ended in as_completed(begun):
                result = ended.result()
                _head(result.name)
                print(result.said, end="", flush=True)
        except BaseException:
            slots.shutdown(wait=False, cancel_futures=True)
            running.stop()
            raise
    return [one.result() for one in begun]


class Running:
    """The tools that run beside each other; what they print is kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stopped = False

    def run(self, check: Check) -> Result:
        """Run one to its end."""
        began = time.monotonic()
        with tempfile.TemporaryFile() as output:
            with self._lock:
                if self._stopped:
                    return Result(check.name, False, 0.0)
                process = subprocess.Popen(
                    check.command, cwd=ROOT, env=_environment(), stdout=output, stderr=subprocess.STDOUT
                )
                self._processes.append(process)
            code = process.wait()
            output.seek(0)
            said = output.read().decode("utf-8", "replace")
        return Result(check.name, code == 0, time.monotonic() - began, said)

    def stop(self) -> None:
        """They are not wanted any more."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)


def _alone(check: Check) -> Result:
    began = time.monotonic()
    code = subprocess.run(check.command, cwd=ROOT, env=_environment(), check=False).returncode
    return Result(check.name, code == 0, time.monotonic() - began)


def _head(name: str) -> None:
    print(f"\n== {name} {'=' * (56 - len(name))}", flush=True)


def _environment() -> dict[str, str]:
    # A width for machines without a terminal, where tools would fold their lines at 80.
    return {"COLUMNS": "120", **os.environ}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

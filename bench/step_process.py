"""What the process of a step costs: a prepared process beside a fresh interpreter beside plain `python script.py`.

    python -m bench.step_process [--runs 60] [--gap 0.01] [--parts]

Prints, for some scripts, the median milliseconds from the decision to start until the end is known, and for the first
line of user code until it runs. The ways take turns, so that ratios hold on a busy machine. --parts adds where the time
of a whole attempt goes (StepWorker.perform with storage in memory). `gap` is the pause between two processes, as a
chain of steps has it; with 0 the next prepared process is not ready yet.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from steps.fork_server import Command, ForkServer
from steps.memory_store import MemoryStore
from tests.unit.steps.jobs import DATA, SYSTEM, job, perform, put_snapshot, settings, working

SCRIPTS = {
    "nothing": "pass",
    "usual imports": "import argparse, csv, json, logging, os, pathlib, pickle, random, subprocess, sys",
    "an exception": "1 / 0",
    "numpy": "import numpy",
}
MARK = "import time, os\nos.write(1, b'%f\\n' % time.monotonic())\n"
ENVIRONMENT = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "HOME": "/nonexistent"}


def by_server(server: ForkServer, folder: Path, *, fresh: bool) -> bytes:
    """Run the script to the end of its tree; what it printed."""
    source, sink = os.pipe()
    command = Command(
        command=(sys.executable, "script.py"),
        folder=folder,
        environment=ENVIRONMENT,
        timeout=60,
        grace=1,
        script="script.py",
        fresh=fresh,
    )
    child = server.start(command, sink)
    os.close(sink)
    while child.hear() is None:
        pass
    child.close()
    said = os.read(source, 65536)
    os.close(source)
    return said


def plainly(folder: Path) -> bytes:
    done = subprocess.run([sys.executable, "script.py"], cwd=folder, env=ENVIRONMENT, capture_output=True)
    return done.stdout


def turns(ways: dict[str, Callable[[], bytes]], runs: int, gap: float) -> dict[str, tuple[float, float]]:
    """Median milliseconds (whole, until user code) of each way."""
    whole: dict[str, list[float]] = {name: [] for name in ways}
    until: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            time.sleep(gap)
            begun = time.monotonic()
            said = way()
            whole[name].append((time.monotonic() - begun) * 1000)
            until[name].append((float(said.split(b"\n")[0]) - begun) * 1000)
    return {name: (statistics.median(whole[name]), statistics.median(until[name])) for name in ways}


def parts(runs: int, folder: Path) -> None:
    store = MemoryStore(SYSTEM, DATA)
    it = job(put_snapshot(store, {"script.py": "print(1)"}))
    with working(store, settings(folder)) as worker:
        perform(worker, it)
        times = []
        bare = []
        profile = cProfile.Profile()
        for _ in range(runs):
            time.sleep(0.01)
            begun = time.perf_counter()
            result = perform(worker, it)
            times.append((time.perf_counter() - begun) * 1000)
            bare.append(result.bare_seconds * 1000)
        for _ in range(runs):
            profile.runcall(perform, worker, it)
    print(f"\na whole attempt {statistics.median(times):.2f} ms, of which the process {statistics.median(bare):.2f} ms")
    pstats.Stats(profile).sort_stats("tottime").print_stats(18)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--gap", type=float, default=0.01)
    parser.add_argument("--parts", action="store_true")
    given = parser.parse_args()
    server = ForkServer(sys.executable, ENVIRONMENT)
    print(f"{'script':16}{'prepared':>20}{'fresh':>20}{'plain':>20}   ms: whole (until user code)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, source in SCRIPTS.items():
            (folder / "script.py").write_text(MARK + source)
            ways: dict[str, Callable[[], bytes]] = {
                "prepared": lambda: by_server(server, folder, fresh=False),
                "fresh": lambda: by_server(server, folder, fresh=True),
                "plain": lambda: plainly(folder),
            }
            turns(ways, 3, 0)
            medians = turns(ways, given.runs, given.gap)
            print(f"{title:16}" + "".join(f"{f'{a:.1f} ({b:.1f})':>20}" for a, b in medians.values()))
        server.close()
        if given.parts:
            parts(given.runs, folder / "cache")


if __name__ == "__main__":
    main()

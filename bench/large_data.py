"""Many small files and one large one from a step's output to the next step's input, through the whole service.

    python -m bench.large_data [--files 20000] [--megabytes 2000] [--two-nodes]

A step writes the files, a second one reads them all, on the same node: what it is brought comes from the node's own
disk. With --two-nodes the node's cache is emptied before the second step, as if it ran elsewhere. Prints the seconds of
each, the most memory that a process of the service had, and the time and size of the pages that list the outputs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devhost.azurite import Azurite as OnDisk
from tests.azurite import Azurite
from tests.service import Service, arguments, from_step, running_service, script_step

WRITE = """
import os, sys
out, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.mkdir(out)
for n in range(count):
    if n % 1000 == 0:
        os.mkdir(f"{out}/{n // 1000:03d}")
    with open(f"{out}/{n // 1000:03d}/{n:06d}.txt", "w") as file:
        file.write(str(n) * 20)
block = os.urandom(1 << 20)
with open(f"{out}/large", "wb") as file:
    for at in range(0, size, len(block)):
        file.write(at.to_bytes(8, "big") + block[8 : min(len(block), size - at)])
"""
READ = """
import os, sys
found = [os.path.join(folder, name) for folder, _, names in os.walk(sys.argv[1]) for name in names]
total = 0
for path in found:
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            total += len(data)
print(len(found), total)
"""
SLOWEST = 3600.0


def memory_of_tree(pid: int) -> int:
    """The most bytes that `pid` or a process below it has had in memory."""
    parents: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(status.parent.name))
    most, todo = 0, [pid]
    while todo:
        one = todo.pop()
        todo += parents.get(one, [])
        try:
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
        except OSError:
            continue
        most = max([most, *(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))])
    return most


def pass_on(service: Service, files: int, size: int, *, forget: Path | None = None) -> dict[str, Any]:
    """Write, then read in a run of its own step; what it took. forget: a cache to be emptied in between."""
    snapshot = service.upload({"write.py": WRITE, "read.py": READ})
    gate = Path(tempfile.mkdtemp(prefix="bulk-gate-")) / "open"
    wait = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]):\n    time.sleep(0.05)\n"
    waiting = service.upload({"wait.py": wait})
    run = service.submit(
        [
            script_step(
                "write",
                snapshot,
                "write.py",
                arguments=arguments(("output", "data"), str(files), str(size)),
                outputs=[{"name": "data"}],
                allow_reuse=False,
            ),
            script_step("gate", waiting, "wait.py", arguments=arguments(str(gate)), run_after=["write"]),
            script_step(
                "read",
                snapshot,
                "read.py",
                arguments=arguments(("input", "data")),
                inputs=[from_step("data", "write", "data")],
                run_after=["gate"],
                allow_reuse=False,
            ),
        ]
    )
    deadline = time.monotonic() + SLOWEST
    while service.steps(run)["gate"]["status"] != "Running":
        if service.ask("GET", f"runs/{run}")["status"] != "Running" or time.monotonic() > deadline:
            raise SystemExit(f"the first step failed: {service.steps(run)['write']}")
        time.sleep(0.1)
    if forget is not None:
        for path in forget.glob("*/*"):
            path.unlink()
    gate.touch()
    done = service.wait(run, SLOWEST)
    gate.unlink()
    gate.parent.rmdir()
    steps = service.steps(run)
    listed, times, sizes = list_outputs(service, run)
    return {
        "status": done["status"],
        "write": steps["write"]["ended_at"] - steps["write"]["started_at"],
        "read": steps["read"]["ended_at"] - steps["read"]["started_at"],
        "log": service.log(run, "read").splitlines(),
        "listed": listed,
        "list pages": len(times),
        "list seconds": sum(times),
        "page seconds": max(times),
        "page bytes": max(sizes),
        "memory": memory_of_tree(service.host.process.pid),
    }


def list_outputs(service: Service, run: str) -> tuple[int, list[float], list[int]]:
    """How many files all pages list; the seconds and bytes of each page."""
    listed, times, sizes = 0, [], []
    continuation: str | None = ""
    while continuation is not None:
        begun = time.perf_counter()
        reply = service.call("GET", f"runs/{run}/outputs" + (f"?continuation={continuation}" if continuation else ""))
        times.append(time.perf_counter() - begun)
        sizes.append(len(reply.body))
        page = reply.json()
        listed += sum(len(out["files"]) for step in page["steps"].values() for out in step["outputs"].values())
        continuation = page["continuation"]
    return listed, times, sizes


@contextmanager
def on_disk(folder: Path) -> Iterator[Azurite]:
    with OnDisk.start(location=folder) as running:
        yield Azurite(*running.endpoints, running.process.pid, folder / "no.log", running.connection_string)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--megabytes", type=int, default=2000)
    parser.add_argument("--two-nodes", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bulk-") as name, on_disk(Path(name) / "azurite") as azurite:
        folder = Path(name) / "service"
        folder.mkdir()
        with running_service(azurite, folder) as service:
            forget = folder / "cache" / "objects" if options.two_nodes else None
            for what, value in pass_on(service, options.files, options.megabytes * 1_000_000, forget=forget).items():
                print(f"{what:14}{value}", flush=True)


if __name__ == "__main__":
    main()

"""What orchestration costs: whole runs through the real service, every step in a process of its own.

    python -m bench.orchestration [--repeat 3] [--counts] [--trace]

The service is the function app in the local host on Azurite, all on this machine; a client starts each run by HTTP and
follows it by HTTP. The steps run a script that does nothing, so all the time is overhead.

Prints, for each shape, the median wall time, steps a second and milliseconds of overhead a step. --counts adds storage
transactions a step, from Azurite's own log of requests (in a pass of its own: the log costs time). --trace adds where
the milliseconds of a chain's step go.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.azurite import Azurite, running_azurite
from tests.service import Service, running_service, script_step

TRACED = Path(__file__).resolve().parent / "traced"
Steps = list[dict[str, Any]]


class Shape(NamedTuple):
    """`runs` at once, each of `steps` (given the snapshot to run)."""

    name: str
    runs: int
    steps: Callable[[str], Steps]


def _step(name: str, snapshot: str, after: Sequence[str]) -> dict[str, Any]:
    # It is to run each time: what reuse costs, bench/reuse.py tells.
    return script_step(name, snapshot, run_after=list(after), allow_reuse=False)


def chain(length: int) -> Callable[[str], Steps]:
    return lambda snapshot: [_step(f"s{i}", snapshot, [f"s{i - 1}"] if i else []) for i in range(length)]


def fan(width: int) -> Callable[[str], Steps]:
    def steps(snapshot: str) -> Steps:
        middle = [f"m{i}" for i in range(width)]
        return [
            _step("first", snapshot, []),
            *(_step(name, snapshot, ["first"]) for name in middle),
            _step("last", snapshot, middle),
        ]

    return steps


SHAPES = (
    Shape("chain of 50", 1, chain(50)),
    Shape("1 -> 100 -> 1", 1, fan(100)),
    Shape("20 chains of 5 at once", 20, chain(5)),
    Shape("chain of 20", 1, chain(20)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, help="timed runs of each shape, after one to warm up")
    parser.add_argument("--counts", action="store_true", help="count storage transactions, too")
    parser.add_argument("--trace", action="store_true", help="show where the time of a step goes, too")
    options = parser.parse_args()
    print(f"{'shape':24} {'wall s':>8} {'steps/s':>8} {'ms/step':>8}   min .. max s")
    with stack() as (service, _, _):
        snapshot = service.upload({"step.py": ""})
        for shape in SHAPES:
            times = [timed(service, shape, snapshot) for _ in range(options.repeat + 1)][1:]
            size = shape.runs * len(shape.steps(snapshot))
            wall = statistics.median(times)
            row = f"{shape.name:24} {wall:8.3f} {size / wall:8.0f} {1000 * wall / size:8.1f}"
            print(f"{row}   {min(times):.3f} .. {max(times):.3f}", flush=True)
    if options.counts:
        show_counts()
    if options.trace:
        show_trace()


@contextmanager
def stack(
    *, silent: bool = True, app: Path | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[tuple[Service, Azurite, Path]]:
    """Azurite and the service, for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, running_azurite(silent=silent) as azurite:
        place = Path(folder)
        with running_service(azurite, place, settings, app=app) as service:
            yield service, azurite, place


def timed(service: Service, shape: Shape, snapshot: str) -> float:
    """Seconds from the first request to the last answer."""
    steps = shape.steps(snapshot)
    began = time.perf_counter()

    def one(_: int) -> None:
        ended = service.wait(service.submit(steps), 120.0)
        assert ended["status"] == "Completed", (ended, service.steps(ended["id"]))

    with ThreadPoolExecutor(shape.runs) as pool:
        list(pool.map(one, range(shape.runs)))
    return time.perf_counter() - began


REQUEST = re.compile(r'"(GET|PUT|POST|DELETE|MERGE|PATCH|HEAD) (\S+) HTTP')


def show_counts() -> None:
    """Transactions a step by kind: what Azurite logged during a run that nobody watched."""
    print(f"\n{'storage transactions a step':24}")
    with stack(silent=False) as (service, azurite, _):
        snapshot = service.upload({"step.py": ""})
        service.wait(service.submit(chain(3)(snapshot)))
        for shape in SHAPES:
            steps = shape.steps(snapshot)
            mark = azurite.log.stat().st_size
            runs = [service.submit(steps) for _ in range(shape.runs)]
            settle(service, runs)
            lines = azurite.log.read_bytes()[mark:].decode(errors="replace")
            counts = Counter(kind_of(verb, path) for verb, path in REQUEST.findall(lines))
            show_row(shape, counts, shape.runs * len(steps))


def settle(service: Service, runs: Sequence[str]) -> None:
    """Wait for the runs with few requests: they count, too."""
    for run in runs:
        while service.ask("GET", f"runs/{run}")["status"] == "Running":
            time.sleep(1.0)


def kind_of(verb: str, path: str) -> str:
    """What a request does, in the words of the protocol."""
    where = path.split("?")[0]
    if "/messages/" in where:
        return "queue delete" if verb == "DELETE" else "queue renew"
    if where.endswith("/messages"):
        return "queue put" if verb == "POST" else "queue receive"
    if "$batch" in where:
        return "commit"
    if "(" in where or where.endswith(("/runs", "/index", "/catalog")):
        return "table read" if verb == "GET" else "claim, index"
    return f"blob {'read' if verb in ('GET', 'HEAD') else 'write'}"


def show_row(shape: Shape, counts: Counter[str], size: int) -> None:
    receives = counts.pop("queue receive", 0)
    parts = ", ".join(f"{kind} {count / size:.2f}" for kind, count in sorted(counts.items()) if count / size >= 0.005)
    print(f"{shape.name:24} {sum(counts.values()) / size:5.2f} + {receives / size:.2f} receives   ({parts})")


def show_trace() -> None:
    """The median step of a chain, part by part, in milliseconds."""
    length = 50
    with tempfile.TemporaryDirectory(prefix="trace-") as folder:
        trace = Path(folder) / "trace.jsonl"
        with stack(app=TRACED, settings={"TRACE_FILE": str(trace)}) as (service, _, _):
            snapshot = service.upload({"step.py": ""})
            service.wait(service.submit(chain(5)(snapshot)))
            run = service.submit(chain(length)(snapshot))
            service.wait(run)
            bare = [step["bare_seconds"] for step in service.steps(run).values() if "bare_seconds" in step]
        effects = [json.loads(line) for line in trace.read_text().splitlines()]
    parts = parts_of([effect for effect in effects if effect["pk"] == run or effect["detail"].startswith(run)])
    print(f"\nwhere a step's time goes (chain of {length}, median ms)")
    for name, values in parts.items():
        print(f"  {name:46} {1000 * statistics.median(values):6.2f}")
    if bare:
        print(f"  {'  of that, the life of the process of the script':46} {1000 * statistics.median(bare):6.2f}")
    print(f"  {'sum':46} {sum(1000 * statistics.median(values) for values in parts.values()):6.2f}")


def parts_of(effects: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Split each step at its effects: claim, script, commit, and what lies between them."""
    claims = sorted((e for e in effects if e["detail"].startswith("Insert c|")), key=lambda e: e["began"])
    performs = sorted((e for e in effects if e["kind"] == "Perform"), key=lambda e: e["began"])
    commits = sorted((e for e in effects if e["detail"].startswith("Merge h")), key=lambda e: e["began"])
    took: dict[str, list[float]] = {
        "claim (1 write)": [c["ended"] - c["began"] for c in claims],
        "between claim and worker": [p["began"] - c["ended"] for c, p in zip(claims, performs, strict=False)],
        "worker: folder, script, log, outputs": [p["ended"] - p["began"] for p in performs],
        "between worker and commit": [h["began"] - p["ended"] for p, h in zip(performs, commits, strict=False)],
        "commit of claim and head (1 transaction)": [h["ended"] - h["began"] for h in commits],
        "to the next claim: host, put, receive, host": [
            c["began"] - h["ended"] for h, c in zip(commits, claims[1:], strict=False)
        ],
    }
    return took


if __name__ == "__main__":
    main()

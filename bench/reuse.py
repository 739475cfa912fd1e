"""What a run costs in which nothing has changed, and one in which a step in the middle has.

    python -m bench.reuse [--repeat 5]

The service is the function app in the local host on Azurite, all on this machine. A first run makes everything, in a
process a step; then the same pipeline is started again and again, and followed by HTTP. Prints the median wall time of
a run and, from Azurite's own log of requests (in a pass of its own), storage transactions a step, receives apart.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from typing import Any

from bench.orchestration import REQUEST, kind_of, settle, show_row, stack
from bench.orchestration import Shape as Row
from tests.service import Service, arguments, from_step, script_step

COPY = "import pathlib, sys\npathlib.Path(sys.argv[1]).write_text(''.join(sys.argv[2:3]) + 'x')\n"
SHAPES = {"chain of 50": 50, "10 wide, 5 deep": 10, "chain of 200": 200}


def chain(snapshot: str, length: int, changed: str = "") -> list[dict[str, Any]]:
    """Each step reads what the one before has written; the one in the middle is given `changed`, too."""
    return [_step(i, snapshot, [i - 1] if i else [], changed if i == length // 2 else "") for i in range(length)]


def layers(snapshot: str, width: int, depth: int) -> list[dict[str, Any]]:
    return [
        _step(i, snapshot, list(range((i // width - 1) * width, (i // width) * width)) if i >= width else [], "")
        for i in range(width * depth)
    ]


def _step(number: int, snapshot: str, above: list[int], given: str) -> dict[str, Any]:
    return script_step(
        f"s{number}",
        snapshot,
        arguments=arguments(("output", "o"), given),
        inputs=[from_step(f"i{parent}", f"s{parent}", "o") for parent in above],
        outputs=[{"name": "o"}],
    )


def steps_of(name: str, snapshot: str) -> list[dict[str, Any]]:
    return layers(snapshot, 10, 5) if "wide" in name else chain(snapshot, SHAPES[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="timed runs of each shape")
    repeat = parser.parse_args().repeat
    print(f"{'all reused':24} {'wall s':>8} {'ms/step':>8}   min .. max s   (the first run, s)")
    with stack() as (service, _, _):
        snapshot = service.upload({"step.py": COPY})
        for name in SHAPES:
            steps = steps_of(name, snapshot)
            first = timed(service, steps, reused=False)
            times = [timed(service, steps) for _ in range(repeat)]
            wall = statistics.median(times)
            row = f"{name:24} {wall:8.3f} {1000 * wall / len(steps):8.1f}"
            print(f"{row}   {min(times):.3f} .. {max(times):.3f}   ({first:.2f})", flush=True)
        timed(service, chain(snapshot, 50), reused=True)
        times = [timed(service, chain(snapshot, 50, f"v{n}"), reused=False) for n in range(repeat)]
        print(
            f"{'one step of 50 changed':24} {statistics.median(times):8.3f}            cut off by equal bytes after it"
        )
    show_counts()


def timed(service: Service, steps: list[dict[str, Any]], *, reused: bool = True) -> float:
    """Seconds from the request to the answer that says that the run has ended."""
    began = time.perf_counter()
    ended = service.wait(service.submit(steps), 120.0)
    took = time.perf_counter() - began
    assert ended["status"] == "Completed", ended
    if reused:
        actions = Counter(step["decision"]["action"] for step in service.steps(ended["id"]).values())
        assert actions == {"reuse": len(steps)}, actions
    return took


def show_counts() -> None:
    """Transactions a step by kind: what Azurite logged during a run that nobody watched."""
    print(f"\n{'transactions a step':24}")
    with stack(silent=False) as (service, azurite, _):
        snapshot = service.upload({"step.py": COPY})
        for name in SHAPES:
            steps = steps_of(name, snapshot)
            for what in ("made", "reused"):
                mark = azurite.log.stat().st_size
                settle(service, [service.submit(steps)])
                lines = azurite.log.read_bytes()[mark:].decode(errors="replace")
                counts = Counter(kind_of(verb, path) for verb, path in REQUEST.findall(lines))
                show_row(Row(f"{name}, {what}", 1, lambda _: []), counts, len(steps))


if __name__ == "__main__":
    main()

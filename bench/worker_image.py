"""The worker's image: its size, and how long it takes until a worker in it is ready to ask for a message.

    scripts/worker-image && python -m bench.worker_image [--image localhost/millstream-worker:latest] [--repeat 5]
        [--command "podman --runtime runc"] [--options "--ulimit nofile=4096:4096"]

Prints the median wall time of a container that does nothing, of one whose worker comes up and ends, and of a worker
that comes up as a process of this machine.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

MEBIBYTE = 1024 * 1024
# What a worker loads before it asks for a message. Its supervisor, which `python -m worker` begins with, loads little.
READY = ("-c", "import worker.consuming")


def median_seconds(line: Sequence[str], repeat: int) -> float:
    """Of a command that must succeed, after one run that does not count."""
    took = []
    for _ in range(repeat + 1):
        began = time.monotonic()
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        took.append(time.monotonic() - began)
    return statistics.median(took[1:])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--image", default="localhost/millstream-worker:latest")
    parser.add_argument("--command", default="podman", help="what runs containers")
    parser.add_argument("--options", default="--network host", help="of its run")
    parser.add_argument("--repeat", type=int, default=5)
    asked = parser.parse_args()
    command, options = shlex.split(asked.command), shlex.split(asked.options)
    inspect = [*command, "image", "inspect", "--format", "{{.Size}}", asked.image]
    size = int(subprocess.run(inspect, check=True, capture_output=True, text=True).stdout)
    run = [*command, "run", "--rm", "--read-only", *options]
    nothing = median_seconds([*run, "--entrypoint", "/bin/true", asked.image], asked.repeat)
    worker = median_seconds([*run, "--entrypoint", "python3", asked.image, *READY], asked.repeat)
    process = median_seconds([sys.executable, *READY], asked.repeat)
    print(f"image                                {size / MEBIBYTE:8.0f} MiB")
    print(f"container that does nothing          {nothing:8.2f} s")
    print(f"container whose worker comes up      {worker:8.2f} s")
    print(f"worker that comes up as a process    {process:8.2f} s")


if __name__ == "__main__":
    main()

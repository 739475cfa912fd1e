"""From the upload of a blob to the first step running: the real service, a schedule that waits for data.

    python -m bench.data_change [--uploads 30] [--scan 10 0.5]

The service is the function app in the local host on Azurite, with a blob trigger that lists the container, all on this
machine. `--scan` gives the seconds between two listings: 10 as in production, and shorter, as the knob of the local
host allows. Each blob starts a run. Uploads come at random moments of the interval. The step's script says when it
began, by the same clock.

Prints p50, p95 and the worst, in seconds, and what of it lies between the notice and the step.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from azurerest import Account, Blobs, Transport
from tests.azurite import running_azurite
from tests.service import Service, running_service, script_step

STORE, CONTAINER = "reactive", "reactivedata"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uploads", type=int, default=30, help="blobs to upload, one after the other")
    parser.add_argument("--scan", type=float, nargs="+", default=[10.0, 0.5], help="seconds between two listings")
    options = parser.parse_args()
    print(f"{'listing every':16} {'p50 s':>8} {'p95 s':>8} {'worst':>8}   {'of that, from the run on: p50 s':>32}")
    for scan in options.scan:
        whole, own = measured(scan, options.uploads)
        row = f"{f'{scan:g} s':16} {statistics.median(whole):8.2f} {p95(whole):8.2f} {max(whole):8.2f}"
        print(f"{row}   {statistics.median(own):32.2f}", flush=True)


def measured(scan: float, uploads: int) -> tuple[list[float], list[float]]:
    """For each upload the seconds until its step ran, and those of them since its run was submitted."""
    settings = {
        "MILLSTREAM_DATASTORES": json.dumps({STORE: CONTAINER}),
        "MILLSTREAM_BLOB_EVENTS": "polling",
        "DEVHOST_BLOB_SCAN_SECONDS": str(scan),
    }
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        running_azurite() as azurite,
        closing(Transport()) as transport,
        running_service(azurite, Path(folder), settings) as service,
    ):
        blobs = Blobs(Account.from_connection_string(azurite.connection), transport)
        blobs.create_container(CONTAINER)
        return series(service, blobs, watch(service), scan, uploads)


def watch(service: Service) -> str:
    """A schedule on a pipeline whose only step says when it began."""
    snapshot = service.upload({"step.py": "import time; print(time.time())"})
    default = {"kind": "datapath", "datastore": STORE, "path": "nothing"}
    definition = {
        "name": "reactive",
        "parameters": [{"name": "where", "type": "datapath", "default": default}],
        "steps": [
            script_step("s", snapshot, inputs=[{"name": "data", "source": {"kind": "parameter", "name": "where"}}])
        ],
    }
    change = {"datastore": STORE, "path": "in", "data_path_parameter_name": "where"}
    body: dict[str, Any] = {"name": "reactive", "experiment_name": "reactive", "data_change": change}
    body["pipeline_id"] = service.ask("POST", "pipelines", {"definition": definition})["id"]
    return str(service.ask("POST", "schedules", body)["id"])


def series(service: Service, blobs: Blobs, schedule: str, scan: float, uploads: int) -> tuple[list[float], list[float]]:
    chance = random.Random(1)
    whole, own = [], []
    for number in range(uploads + 1):
        time.sleep(chance.uniform(0, scan))
        uploaded = time.time()
        blobs.put(CONTAINER, f"in/{number}.csv", b"1,2,3")
        run = next_run(service, schedule, number)
        ended = service.wait(run)
        began = float(service.log(run, "s"))
        if number:  # the first one starts processes that are there afterwards
            whole.append(began - uploaded)
            own.append(began - ended["submitted_at"])
    return whole, own


def next_run(service: Service, schedule: str, before: int) -> str:
    while True:
        runs = service.ask("GET", f"schedules/{schedule}/runs")["runs"]
        if len(runs) > before:
            return str(runs[0]["run_id"])
        time.sleep(0.1)


def p95(values: list[float]) -> float:
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


if __name__ == "__main__":
    main()

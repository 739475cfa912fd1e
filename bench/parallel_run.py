"""A ParallelRunStep over many files while its workers are killed: is every mini-batch counted once, and how long is it?

    python -m bench.parallel_run [--files 10000] [--size 10] [--nodes 4] [--kills 3]

The service is the function app in the local host on Azurite, all on this machine, with short leases. A worker is killed
with SIGKILL when a share of the groups has ended. Prints the seconds, the attempts of the groups, and whether each file
is in the result exactly once; ends with 1 if not.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from azurerest import Account, Blobs, Transport
from millstream import (
    DataPath,
    Dataset,
    ParallelRunConfig,
    ParallelRunStep,
    Pipeline,
    PipelineData,
    PipelineRun,
    Workspace,
)
from tests.azurite import running_azurite
from tests.service import QUICK, TOKEN, Service, running_service

CONTAINER, FOLDER = "workspaceblobstore", "many"
SCRIPT = """
import os
def run(mini_batch):
    return [os.path.basename(path) + "=" + open(path).read() for path in mini_batch]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000, help="files to process")
    parser.add_argument("--size", type=int, default=10, help="files of a mini-batch")
    parser.add_argument("--nodes", type=int, default=4, help="groups of mini-batches at once")
    parser.add_argument("--kills", type=int, default=3, help="workers to kill")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        running_azurite() as azurite,
        closing(Transport()) as transport,
        running_service(azurite, Path(folder) / "service", QUICK) as service,
    ):
        workspace = Workspace(url=service.url, token=TOKEN)
        upload(Blobs(Account.from_connection_string(azurite.connection), transport), options.files)
        begun = time.monotonic()
        run = submit(workspace, Path(folder), options.size, options.nodes)
        killed = kill_workers(service, run, options.kills)
        run.wait_for_completion(show_output=False)
        seconds = time.monotonic() - begun
        sys.exit(0 if judged(service, run, Path(folder), options.files, seconds, killed) else 1)


def upload(blobs: Blobs, count: int) -> None:
    blobs.create_container(CONTAINER)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: blobs.put(CONTAINER, f"{FOLDER}/f{n:06}", str(n).encode()), range(count)))


def submit(workspace: Workspace, folder: Path, size: int, nodes: int) -> PipelineRun:
    source = folder / "source"
    source.mkdir()
    (source / "score.py").write_text(SCRIPT)
    config = ParallelRunConfig(
        environment=None,
        entry_script="score.py",
        error_threshold=0,
        output_action="append_row",
        compute_target=None,
        node_count=nodes,
        process_count_per_node=1,
        mini_batch_size=size,
        source_directory=source,
    )
    files = Dataset.File.from_files(DataPath(workspace.get_default_datastore(), FOLDER)).as_named_input("files")
    step = ParallelRunStep("score", config, [files], PipelineData("score", is_directory=True))
    return Pipeline(workspace, steps=[step]).submit("parallel")


def groups_of(service: Service, run: PipelineRun) -> dict[str, dict[str, Any]]:
    """None, while a worker is dead and nobody answers."""
    reply = service.call("GET", f"runs?parent_run={run.id}")
    children = reply.json()["runs"] if reply.status == 200 else []
    reply = service.call("GET", f"runs/{children[0]['id']}/steps") if children else reply
    return {step["id"]: step for step in reply.json()["steps"]} if children and reply.status == 200 else {}


def kill_workers(service: Service, run: PipelineRun, kills: int) -> int:
    """One when each of `kills` equal shares of the groups has ended; how many there were in time."""
    for number in range(1, kills + 1):
        while True:
            groups = groups_of(service, run)
            ended = sum(group["status"] == "Completed" for group in groups.values())
            if groups and ended >= number * len(groups) / (kills + 1):
                break
            if groups and ended == len(groups):
                return number - 1
            time.sleep(0.1)
        os.kill(service.host.ready["worker_pid"], signal.SIGKILL)
    while service.call("GET", "health").status != 200:
        time.sleep(0.1)
    return kills


def judged(service: Service, run: PipelineRun, folder: Path, files: int, seconds: float, killed: int) -> bool:
    step = run.find_step_run("score")[0]
    step.get_output_data("score").download(str(folder / "got"))
    (path,) = (path for path in (folder / "got").rglob("parallel_run_step.txt"))
    lines = path.read_text().splitlines()
    once = lines == [f"f{number:06}={number}" for number in range(files)]
    groups = groups_of(service, run)
    attempts = Counter(group["attempt"] for group in groups.values())
    print(step.get_stdout_log().strip())
    print(f"{files:,} files in {seconds:.1f} s, {len(groups)} groups, {killed} workers killed")
    print("attempts of the groups:", ", ".join(f"{count} x {attempt}" for attempt, count in sorted(attempts.items())))
    print("every file once, in order" if once else f"WRONG: {len(lines):,} lines, {len(set(lines)):,} different")
    return once and run.get_status() == "Completed"


if __name__ == "__main__":
    main()

"""Steps on computes of their own: executions as processes of this machine, which a real driver starts."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from azurerest.account import Account
from azurerest.tables import Tables
from azurerest.transport import Transport
from millstream import AmlCompute, ComputeTarget, Workspace
from millstream.exceptions import ComputeTargetException
from tests.azurite import Azurite
from tests.driver import RunningDriver, running_driver
from tests.e2e.devhost.harness import eventually
from tests.service import QUICK, TOKEN, Service, running_service, script_step

SETTINGS = {**QUICK, "MILLSTREAM_EXECUTIONS": "local", "MILLSTREAM_WORKER_VISIBILITY_SECONDS": "3"}
MOST = 8
STEPS = int(os.environ.get("MILLSTREAM_CONTAINER_STEPS", "40"))

SCRIPTS = {
    "tells.py": "import os, sys\nprint('here', os.getppid())\n",
    "waits.py": "import pathlib, sys, time\nprint('waiting', flush=True)\nopen(sys.argv[1], 'a').write('begun\\n')\n"
    "while not pathlib.Path(sys.argv[2]).exists():\n    time.sleep(0.02)\nprint('went on')\n",
    "sleeps.py": "import time\nprint('waiting', flush=True)\ntime.sleep(600)\n",
}


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("computes"), SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def snapshot(service: Service) -> str:
    return service.upload(SCRIPTS)


@pytest.fixture
def driver(service: Service, tmp_path: Path) -> Iterator[RunningDriver]:
    with running_driver(service.settings, tmp_path) as running:
        yield running


def make(service: Service, name: str, kind: str = "container", most: int = MOST) -> str:
    service.ask("PUT", f"computes/{name}", {"kind": kind, "executions": {"most": most}})
    return name


@pytest.mark.timeout(300)
def test_many_steps_never_have_more_than_eight_executions(
    service: Service, driver: RunningDriver, snapshot: str
) -> None:
    compute = make(service, "cluster")
    steps = [
        script_step(f"s{number}", snapshot, "tells.py", compute=compute, allow_reuse=False) for number in range(STEPS)
    ]
    seen: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            seen.append(len(driver.executions(compute)))
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run = service.submit(steps)
        done = service.wait(run, 280.0)
    finally:
        ended.set()
        watcher.join()
    assert (done["status"], done["steps_done"]) == ("Completed", STEPS), driver.log()
    assert max(seen) == MOST, "they run side by side, and never more than there may be"
    attempts = {step["attempt"] for step in service.steps(run).values()}
    assert attempts == {1}


def test_a_worker_that_is_killed_costs_one_redelivery(
    service: Service, driver: RunningDriver, snapshot: str, tmp_path: Path
) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    begun.touch()
    arguments = [{"kind": "literal", "value": str(path)} for path in (begun, go)]
    compute = make(service, "killed")
    run = service.submit([script_step("s", snapshot, "waits.py", compute=compute, arguments=arguments)])
    eventually(lambda: begun.read_text(), 30.0, driver.log)
    (worker,) = driver.executions(compute)
    os.kill(worker, signal.SIGKILL)
    go.touch()
    assert service.wait(run)["status"] == "Completed"
    assert service.steps(run)["s"]["attempt"] == 2
    assert begun.read_text() == "begun\nbegun\n"
    assert "ended with -9" in driver.log()


def test_a_worker_that_is_asked_to_end_gives_its_step_back_at_once(
    azurite: Azurite, service: Service, driver: RunningDriver, snapshot: str, tmp_path: Path
) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    begun.touch()
    arguments = [{"kind": "literal", "value": str(path)} for path in (begun, go)]
    compute = make(service, "asked")
    run = service.submit([script_step("s", snapshot, "waits.py", compute=compute, arguments=arguments)])
    eventually(lambda: begun.read_text(), 30.0, driver.log)
    (worker,) = driver.executions(compute)
    os.kill(worker, signal.SIGTERM)
    eventually(lambda: worker not in driver.executions(compute), 10.0)
    go.touch()
    assert service.wait(run)["status"] == "Completed"
    assert service.steps(run)["s"]["attempt"] == 2
    assert "ended with" not in driver.log(), "it ended well"
    claim = Tables(Account.from_connection_string(azurite.connection), Transport()).get("runs", run, "c|000000")
    assert claim is not None
    assert (claim.props["releases"], claim.props["crashes"]) == (1, 0), "nobody is charged"


def test_the_executions_of_a_cancelled_run_end(service: Service, driver: RunningDriver, snapshot: str) -> None:
    compute = make(service, "cancelled")
    run = service.submit([script_step(f"s{n}", snapshot, "sleeps.py", compute=compute) for n in range(3)])
    eventually(lambda: all("waiting" in service.log(run, f"s{n}") for n in range(3)), 30.0, driver.log)
    assert len(driver.executions(compute)) == 3
    service.ask("POST", f"runs/{run}/cancel")
    eventually(lambda: not driver.executions(compute), 15.0, driver.log)


def test_a_pool_of_processes_serves_many_steps(service: Service, driver: RunningDriver, snapshot: str) -> None:
    compute = make(service, "pool", kind="process", most=2)
    run = service.submit([script_step(f"s{n}", snapshot, "tells.py", compute=compute) for n in range(10)])
    assert service.wait(run)["status"] == "Completed", driver.log()
    pool = driver.executions(compute)
    assert 1 <= len(pool) <= 2, "they wait for more"


def test_an_urgent_step_overtakes_those_that_wait_for_one_worker(
    service: Service, driver: RunningDriver, snapshot: str, tmp_path: Path
) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    begun.touch()
    arguments = [{"kind": "literal", "value": str(path)} for path in (begun, go)]
    compute = make(service, "ahead", kind="process", most=1)
    service.submit([script_step("s", snapshot, "waits.py", compute=compute, arguments=arguments)])
    eventually(lambda: begun.read_text(), 30.0, driver.log)
    crowd = service.submit([script_step(f"s{n}", snapshot, "tells.py", compute=compute) for n in range(200)])
    eventually(lambda: service.ask("GET", f"computes/{compute}/status")["waiting"] >= 200, 60.0, driver.log)
    urgent = service.submit([script_step("hurry", snapshot, "tells.py", compute=compute, priority=1)])
    go.touch()
    assert service.wait(urgent)["status"] == "Completed", driver.log()
    passed = service.steps(urgent)["hurry"]["started_at"]
    ordinary = service.steps(crowd).values()
    assert sum(1 for step in ordinary if step["started_at"] and step["started_at"] < passed) <= 50
    service.ask("POST", f"runs/{crowd}/cancel")


def test_steps_of_functions_and_of_computes_feed_each_other(
    service: Service, driver: RunningDriver, snapshot: str
) -> None:
    compute = make(service, "mixed")
    chain = [
        script_step(
            f"s{n}", snapshot, "tells.py", compute=compute if n % 2 else "function", run_after=[f"s{n - 1}"] * (n > 0)
        )
        for n in range(4)
    ]
    run = service.submit(chain)
    assert service.wait(run)["status"] == "Completed", driver.log()


def test_v1_drivers_get_or_create_a_container_compute(service: Service, driver: RunningDriver, snapshot: str) -> None:
    workspace = Workspace(url=service.url, token=TOKEN)
    with pytest.raises(ComputeTargetException, match="ComputeTargetNotFound"):
        ComputeTarget(workspace, "nightly-cluster")
    asked = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", min_nodes=0, max_nodes=3)
    cluster = ComputeTarget.create(workspace, "nightly-cluster", asked)
    cluster.wait_for_completion(show_output=True)
    assert isinstance(cluster, AmlCompute)
    assert cluster.kind == "container"
    assert service.ask("GET", "computes/nightly-cluster")["executions"] == {"most": 3, "cpu": 2.0, "memory_gib": 4.0}
    assert workspace.compute_targets["nightly-cluster"].name == "nightly-cluster"
    cluster.update(max_nodes=2)
    run = service.submit([script_step(f"s{n}", snapshot, "sleeps.py", compute="nightly-cluster") for n in range(3)])
    eventually(lambda: cluster.get_status().current_node_count == 2, 60.0, driver.log)
    seen = service.ask("GET", "computes/nightly-cluster/status")
    assert (seen["most"], seen["running"], seen["runs_in"]) == (2, 2, "worker processes")
    service.ask("POST", f"runs/{run}/cancel")
    eventually(lambda: cluster.get_status().current_node_count == 0, 60.0, driver.log)

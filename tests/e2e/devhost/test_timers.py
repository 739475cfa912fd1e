"""Timer triggers of a real host: the schedule, the one host that keeps it, and what was missed."""

from __future__ import annotations

import json
import time

import pytest

from azurerest.blobs import Blobs
from devhost.ncrontab import parse_schedule
from tests.e2e.devhost.conftest import StartHost
from tests.e2e.devhost.harness import RunningHost, eventually

HOSTS = "azure-webjobs-hosts"
NEVER = {"FAST": "0 0 5 1 1 *"}


def status_name(host_id: str, function: str) -> str:
    return f"timers/{host_id}/Host.Functions.{function}/status"


def store(blobs: Blobs, host_id: str, function: str, last: float, following: float) -> None:
    def text(moment: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(moment))

    document = {"Last": text(last), "Next": text(following), "LastUpdated": text(last)}
    blobs.create_container(HOSTS)
    blobs.put(HOSTS, status_name(host_id, function), json.dumps(document).encode())


@pytest.fixture
def identity(name: str) -> str:
    return f"timers-{name}"


def test_a_fast_timer_keeps_time_and_survives_failures(start_host: StartHost, identity: str, blobs: Blobs) -> None:
    host = start_host("timers", FAST="* * * * * *", AzureFunctionsWebHost__hostid=identity)
    events = host.wait_events("fast", 3)
    assert all(abs(event["time"] - round(event["time"])) < 0.4 for event in events[:3])
    assert [event["past_due"] for event in events[:3]] == [False] * 3
    # Faster than a minute: no status is kept, and none is seen.
    assert events[0]["status"] == {}
    assert not blobs.exists(HOSTS, status_name(identity, "fast"))


def test_the_start_and_the_status(start_host: StartHost, identity: str, blobs: Blobs) -> None:
    host = start_host("timers", **NEVER, AzureFunctionsWebHost__hostid=identity)
    (event,) = host.wait_events("starting", 1)
    assert event["past_due"] is False
    assert event["status"]["Last"].startswith("0001-01-01")
    eventually(lambda: blobs.exists(HOSTS, status_name(identity, "nightly")), 5, host.log)
    assert not host.events("nightly")
    assert host.admin("POST", "/admin/functions/nightly", b"{}").status == 202
    host.wait_events("nightly", 1)


def test_a_retry_policy(start_host: StartHost, identity: str) -> None:
    host = start_host("timers", **NEVER, AzureFunctionsWebHost__hostid=identity)
    events = host.wait_events("retried", 3)
    assert [(event["count"], event["limit"]) for event in events] == [(0, 0), (1, 2), (2, 2)]
    assert "RuntimeError: always" in events[2]["error"]


def test_what_was_missed_is_made_up_once(start_host: StartHost, identity: str, blobs: Blobs) -> None:
    schedule = parse_schedule("0 0 3 * * *", where="test")
    last = schedule.next_after(time.time() - 5 * 86400)
    store(blobs, identity, "nightly", last, schedule.next_after(last))
    host = start_host("timers", **NEVER, AzureFunctionsWebHost__hostid=identity)
    (event,) = host.wait_events("nightly", 1)
    assert event["past_due"] is True
    stored = eventually(
        lambda: [
            found
            for found in [json.loads(blobs.get(HOSTS, status_name(identity, "nightly")).data)]
            if found["Last"] > event["status"]["Last"]
        ],
        5,
        host.log,
    )
    assert stored[0]["Next"] > stored[0]["Last"]
    assert host.terminate() == 0
    again = start_host("timers", **NEVER, AzureFunctionsWebHost__hostid=identity)
    again.wait_events("starting", 2)
    assert len(again.events("nightly")) == 1


def test_a_changed_schedule_is_not_past_due(start_host: StartHost, identity: str, blobs: Blobs) -> None:
    now = time.time()
    store(blobs, identity, "nightly", now - 86400, now - 3600)  # no 03:00:00: of another schedule
    host = start_host("timers", **NEVER, AzureFunctionsWebHost__hostid=identity)
    eventually(
        lambda: json.loads(blobs.get(HOSTS, status_name(identity, "nightly")).data)["Last"].startswith("0001"),
        5,
        host.log,
    )
    host.wait_events("starting", 1)
    assert not host.events("nightly")


def test_one_host_in_all_keeps_a_timer(start_host: StartHost, identity: str) -> None:
    settings = {"FAST": "* * * * * *", "AzureFunctionsWebHost__hostid": identity, "DEVHOST_LOCK_RETRY_SECONDS": "0.2"}
    first = start_host("timers", **settings)
    first.wait_events("fast", 1)
    second = start_host("timers", **settings)
    first.wait_events("fast", 3)
    pids = {event["pid"] for event in first.events("fast")}
    assert pids == {first.process.pid}
    assert first.terminate() == 0
    eventually(lambda: _holder(second) == second.process.pid, 10, second.log)


def test_a_lock_of_a_dead_process_can_be_broken(start_host: StartHost, identity: str) -> None:
    settings = {"FAST": "* * * * * *", "AzureFunctionsWebHost__hostid": identity, "DEVHOST_LOCK_RETRY_SECONDS": "0.2"}
    first = start_host("timers", **settings)
    first.wait_events("fast", 1)
    first.kill()
    second = start_host("timers", **settings, DEVHOST_BREAK_DEAD_LOCKS="1")
    eventually(lambda: _holder(second) == second.process.pid, 10, second.log)


def _holder(host: RunningHost) -> int:
    return int(host.events("fast")[-1]["pid"])

"""Queue triggers of a real host: delivery, hops, poison, and what every kind of death does to a message."""

from __future__ import annotations

import itertools
import json
import signal
import statistics
import time
from typing import Any

import pytest

from azurerest.account import Account
from azurerest.queues import Queues
from azurerest.transport import Transport
from tests.e2e.devhost.conftest import StartHost
from tests.e2e.devhost.harness import RunningHost, eventually, process_lives


def task(do: str, identity: str = "a", **more: Any) -> bytes:
    return json.dumps({"do": do, "id": identity, **more}).encode()


def names(name: str) -> dict[str, str]:
    return {key.upper(): f"{name}-{key}" for key in ("in", "out", "hops", "fan", "retried")}


def bodies(queues: Queues, queue: str) -> list[bytes]:
    return [message.body for message in queues.receive(queue, 32, 1)]


@pytest.fixture
def host(start_host: StartHost, name: str, queues: Queues) -> RunningHost:
    queues.create(f"{name}-in")
    return start_host("queues", "--workers-threads", "8", **names(name))


def starts(host: RunningHost, identity: str) -> list[dict[str, Any]]:
    return [event for event in host.events("start") if event["id"] == identity]


def wait_starts(host: RunningHost, identity: str, count: int, seconds: float = 15) -> list[dict[str, Any]]:
    eventually(lambda: len(starts(host, identity)) >= count, seconds, host.log)
    return starts(host, identity)


def test_a_message_runs_once_and_is_deleted(host: RunningHost, name: str, queues: Queues) -> None:
    put = queues.put(f"{name}-in", task("ok"))
    host.wait_events("end", 1)
    (start,) = host.events("start")
    assert (start["dequeue"], start["message"]) == (1, put.id)
    eventually(lambda: queues.approximate_count(f"{name}-in") == 0, 5, host.log)
    assert bodies(queues, f"{name}-out") == [task("ok")]


def test_a_request_puts_a_message(host: RunningHost) -> None:
    assert host.request("POST", "/api/put", task("ok", "from-http")).body == b"put"
    assert host.wait_events("end", 1)[0]["id"] == "from-http"


def test_hops_do_not_wait_for_a_poll(host: RunningHost, name: str, queues: Queues) -> None:
    queues.create(f"{name}-hops")
    queues.put(f"{name}-hops", b"40")
    events = host.wait_events("hop", 41)
    times = [event["clock"] for event in events]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    # Polling alone would take 100 ms a hop and more.
    assert statistics.median(gaps) < 0.05


def test_lists_and_expressions(host: RunningHost, name: str, queues: Queues) -> None:
    queues.create(f"{name}-fan")
    document = '{"b": [1, "ü"], "a": null}'
    fan = {"target": f"{name}-T1", "many": ["x", document], "one": '[{"k": 1}, "two", 3]'}
    queues.put(f"{name}-fan", json.dumps(fan))
    eventually(lambda: (_count(queues, f"{name}-t1"), _count(queues, f"{name}-out")) == (3, 2), 15, host.log)
    assert sorted(bodies(queues, f"{name}-out")) == sorted([b"x", document.encode()])
    assert sorted(bodies(queues, f"{name}-t1")) == [b"3", b"two", b'{\n  "k": 1\n}']


def _count(queues: Queues, queue: str) -> int:
    queues.create(queue)
    return queues.approximate_count(queue)


def test_a_failure_is_released_at_once_then_poisoned(host: RunningHost, name: str, queues: Queues) -> None:
    queues.put(f"{name}-in", task("fail"))
    begun = time.monotonic()
    eventually(lambda: _count(queues, f"{name}-in-poison") == 1, 15, host.log)
    assert [event["dequeue"] for event in host.events("start")] == [1, 2, 3]
    assert time.monotonic() - begun < 10
    assert bodies(queues, f"{name}-in-poison") == [task("fail")]
    eventually(lambda: queues.approximate_count(f"{name}-in") == 0, 5, host.log)


def test_a_text_that_is_not_base64_is_poisoned_unread(
    host: RunningHost, name: str, queues: Queues, account: Account
) -> None:
    raw = Queues(account, Transport(), base64=False)
    raw.put(f"{name}-in", "not base64!")
    eventually(lambda: _count(queues, f"{name}-in-poison") == 1, 15, host.log)
    assert [message.body for message in raw.receive(f"{name}-in-poison")] == [b"not base64!"]
    assert not host.events("start")


def test_a_retry_policy_is_ignored_as_on_azure(host: RunningHost, name: str, queues: Queues) -> None:
    queues.create(f"{name}-retried")
    queues.put(f"{name}-retried", b"x")
    eventually(lambda: _count(queues, f"{name}-retried-poison") == 1, 15, host.log)
    assert [(event["dequeue"], event["count"]) for event in host.events("retried")] == [(1, 0), (2, 0), (3, 0)]
    assert "function retried: its retry policy is ignored" in host.log()


@pytest.mark.parametrize("how", ["exit-once", "sysexit-once"])
def test_a_worker_crash_releases_everything_at_once(host: RunningHost, name: str, queues: Queues, how: str) -> None:
    queues.put(f"{name}-in", task("sleep-once", "neighbour", seconds=60))
    before = wait_starts(host, "neighbour", 1)[0]
    worker = host.ready["worker_pid"]
    queues.put(f"{name}-in", task(how, "culprit"))
    for identity in ("culprit", "neighbour"):
        assert [event["dequeue"] for event in wait_starts(host, identity, 2)] == [1, 2]
    again = starts(host, "neighbour")[1]
    assert again["pid"] != before["pid"]
    # The lease is ten minutes: they came back because their failure released them.
    host.wait_events("end", 2)
    assert not process_lives(worker)
    eventually(lambda: host.ready["worker_pid"] == again["pid"], 5, host.log)
    assert "the worker process ended" in host.log()


def test_a_killed_host_leaves_no_worker_and_its_message_comes_back_when_the_lease_ends(
    start_host: StartHost, name: str, queues: Queues
) -> None:
    queues.create(f"{name}-in")
    settings = {**names(name), "DEVHOST_QUEUE_LEASE_SECONDS": "3"}
    host = start_host("queues", **settings)
    worker = host.ready["worker_pid"]
    queues.put(f"{name}-in", task("sleep-once", seconds=60))
    first = wait_starts(host, "a", 1)[0]
    host.kill()
    eventually(lambda: not process_lives(worker), 5)
    other = start_host("queues", **settings)
    again = wait_starts(other, "a", 2)[1]
    assert (first["dequeue"], again["dequeue"]) == (1, 2)
    # Not before the lease of 3 s ended (received just before the first start, in whole seconds of the service).
    assert again["time"] - first["time"] > 1.5


def test_a_long_function_keeps_its_message(start_host: StartHost, name: str, queues: Queues) -> None:
    queues.create(f"{name}-in")
    knobs = {"DEVHOST_QUEUE_LEASE_SECONDS": "1", "DEVHOST_RENEW_SECONDS": "0.4"}
    host = start_host("queues", **names(name), **knobs)
    queues.put(f"{name}-in", task("sleep", seconds=2.2))
    host.wait_events("end", 1)
    eventually(lambda: queues.approximate_count(f"{name}-in") == 0, 5, host.log)
    assert len(host.events("start")) == 1


def test_a_timeout_kills_the_neighbours_and_nobody_releases_them(
    start_host: StartHost, name: str, queues: Queues
) -> None:
    queues.create(f"{name}-in")
    knobs = {"DEVHOST_QUEUE_LEASE_SECONDS": "1", "DEVHOST_RENEW_SECONDS": "0.4"}
    host = start_host("queues", **names(name), **knobs)  # functionTimeout is 3 s
    queues.put(f"{name}-in", task("sleep-once", "late", seconds=60))
    late = wait_starts(host, "late", 1)[0]
    # Late enough that a slow poll and a slow start of the new worker do not reach the ghost's own timeout.
    eventually(lambda: time.time() - late["time"] > 2.4, 5)
    queues.put(f"{name}-in", task("sleep-once", "ghost", seconds=60))
    ghost = wait_starts(host, "ghost", 1)[0]
    late_again = wait_starts(host, "late", 2)[1]
    # The worker is new, the ghost died with the old one ...
    assert late_again["pid"] != ghost["pid"]
    assert len(starts(host, "ghost")) == 1
    ghost_again = wait_starts(host, "ghost", 2)[1]
    # ... yet its message stays hidden, renewed, until its own timeout.
    assert ghost_again["time"] - ghost["time"] > 2.7
    assert ghost_again["time"] - late_again["time"] > 0.7
    assert (late_again["dequeue"], ghost_again["dequeue"]) == (2, 2)
    assert late_again["pid"] == ghost_again["pid"]
    assert "FunctionTimedOut" in host.log()


def test_sigterm_drains(host: RunningHost, name: str, queues: Queues) -> None:
    worker = host.ready["worker_pid"]
    queues.put(f"{name}-in", task("sleep", "running", seconds=1.5))
    wait_starts(host, "running", 1)
    host.process.send_signal(signal.SIGTERM)
    eventually(lambda: "draining" in host.log(), 5, host.log)
    queues.put(f"{name}-in", task("ok", "later"))
    assert host.process.wait(15) == 0
    assert [event["id"] for event in host.events("end")] == ["running"]
    # The finished one is deleted, the later one was not taken.
    assert [json.loads(body)["id"] for body in bodies(queues, f"{name}-in")] == ["later"]
    assert not process_lives(worker)


def test_what_outlives_the_drain_is_cut_off_and_stays_leased(start_host: StartHost, name: str, queues: Queues) -> None:
    queues.create(f"{name}-in")
    host = start_host("queues", **names(name), DEVHOST_DRAIN_SECONDS="0.5")
    queues.put(f"{name}-in", task("sleep", seconds=60))
    wait_starts(host, "a", 1)
    assert host.terminate() == 1
    assert bodies(queues, f"{name}-in") == []
    assert queues.approximate_count(f"{name}-in") == 1


def test_a_second_signal_ends_at_once(host: RunningHost, name: str, queues: Queues) -> None:
    worker = host.ready["worker_pid"]
    queues.put(f"{name}-in", task("sleep", seconds=60))
    wait_starts(host, "a", 1)
    host.process.send_signal(signal.SIGINT)
    eventually(lambda: "draining" in host.log(), 5, host.log)
    begun = time.monotonic()
    host.process.send_signal(signal.SIGINT)
    assert host.process.wait(5) == 130
    assert time.monotonic() - begun < 2
    eventually(lambda: not process_lives(worker), 5)


def test_drain_by_request(host: RunningHost, name: str, queues: Queues) -> None:
    assert host.admin("GET", "/admin/host/drain/status").json()["state"] == "Disabled"
    queues.put(f"{name}-in", task("sleep", seconds=1))
    wait_starts(host, "a", 1)
    assert host.admin("POST", "/admin/host/drain").status == 202
    assert host.admin("GET", "/admin/host/drain/status").json() == {"state": "InProgress", "outstandingInvocations": 1}
    assert host.request("POST", "/api/put", task("ok")).status == 503
    host.wait_events("end", 1)
    eventually(lambda: host.admin("GET", "/admin/host/drain/status").json()["state"] == "Completed", 5, host.log)
    assert host.terminate() == 0


def test_a_function_by_hand(host: RunningHost) -> None:
    body = json.dumps({"input": task("ok", "by-hand").decode()}).encode()
    assert host.admin("POST", "/admin/functions/work", body).status == 202
    assert host.wait_events("end", 1)[0]["id"] == "by-hand"


def test_no_more_messages_are_taken_than_there_is_room_for(host: RunningHost, name: str, queues: Queues) -> None:
    for number in range(20):
        queues.put(f"{name}-in", task("sleep", str(number), seconds=0.6))
    host.wait_events("start", 8)  # eight threads
    left = len(bodies(queues, f"{name}-in"))
    # batchSize 8 + newBatchThreshold 4 are taken at most.
    assert left >= 8
    host.wait_events("end", 20, 20)

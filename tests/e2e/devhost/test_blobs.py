"""Blob triggers of a real host: scan, receipts, changes, poison, and the Event Grid webhook."""

from __future__ import annotations

import json
from typing import Any

import pytest

from azurerest.blobs import Blobs
from azurerest.queues import Queues
from tests.e2e.devhost.conftest import StartHost
from tests.e2e.devhost.harness import RunningHost, eventually

QUICK = {"DEVHOST_BLOB_SCAN_SECONDS": "0.2"}


@pytest.fixture
def host(start_host: StartHost, name: str, blobs: Blobs) -> RunningHost:
    blobs.create_container(name)
    return start_host("blobs", BOX=name, **QUICK)


def event(url: str, kind: str = "Microsoft.Storage.BlobCreated", **data: Any) -> bytes:
    return json.dumps([{"eventType": kind, "data": {"url": url, **data}}]).encode()


def hook(host: RunningHost, function: str, body: bytes, key: str | None = None) -> tuple[int, bytes]:
    code = host.ready["blobs_extension_key"] if key is None else key
    path = f"/runtime/webhooks/blobs?functionName=Host.Functions.{function}&code={code}"
    answer = host.request("POST", path, body)
    return answer.status, answer.body


def test_a_blob_fires_once_with_its_facts(host: RunningHost, name: str, blobs: Blobs) -> None:
    blobs.put(name, "raw/a/ü.csv", b"1,2", metadata={"owner": "me"})
    blobs.put(name, "raw/a.CSV", b"other case")
    (seen,) = host.wait_events("copy", 1)
    assert seen["name"] == f"{name}/raw/a/ü.csv"
    assert seen["text"] == "1,2"
    assert seen["length"] == 3
    assert seen["meta"] == {"owner": "me"}
    assert seen["uri"] == blobs.url(name, "raw/a/ü.csv")
    eventually(lambda: list(blobs.list_all(name, "done/a/ü.")), 5, host.log)
    blobs.put(name, "raw/b.csv", b"second")
    assert [one["text"] for one in host.wait_events("copy", 2)] == ["1,2", "second"]


def test_a_changed_blob_fires_again(host: RunningHost, name: str, blobs: Blobs) -> None:
    blobs.put(name, "raw/a.csv", b"old")
    host.wait_events("copy", 1)
    blobs.put(name, "raw/a.csv", b"new")
    assert [one["text"] for one in host.wait_events("copy", 2)] == ["old", "new"]


def test_receipts_outlive_the_host(start_host: StartHost, host: RunningHost, name: str, blobs: Blobs) -> None:
    blobs.put(name, "raw/a.csv", b"first")
    host.wait_events("copy", 1)
    assert host.terminate() == 0
    blobs.put(name, "raw/b.csv", b"while down")
    again = start_host("blobs", BOX=name, **QUICK)
    blobs.put(name, "raw/c.csv", b"third")
    assert sorted(one["text"] for one in again.wait_events("copy", 3)) == ["first", "third", "while down"]
    receipts = list(blobs.list_all("azure-webjobs-hosts", f"blobreceipts/{again.ready['host_id']}/"))
    assert len(receipts) == 3
    assert {blobs.head("azure-webjobs-hosts", one.name).metadata["completed"] for one in receipts} == {"True"}


def test_only_one_of_two_hosts_scans(start_host: StartHost, host: RunningHost, name: str, blobs: Blobs) -> None:
    start_host("blobs", BOX=name, **QUICK)
    for number in range(5):
        blobs.put(name, f"raw/{number}.csv", str(number).encode())
    texts = [one["text"] for one in host.wait_events("copy", 5)]
    assert sorted(texts) == ["0", "1", "2", "3", "4"]


def test_a_failing_blob_goes_to_the_poison_queue(host: RunningHost, name: str, blobs: Blobs, queues: Queues) -> None:
    blobs.put(name, "bad/x", b"broken")
    queues.create("webjobs-blobtrigger-poison")

    def notices() -> list[dict[str, Any]]:
        found = [json.loads(message.body) for message in queues.peek("webjobs-blobtrigger-poison", 32)]
        return [notice for notice in found if notice["ContainerName"] == name]

    (notice,) = eventually(notices, 15, host.log)
    assert (notice["BlobName"], notice["FunctionId"]) == ("bad/x", "Host.Functions.bad")
    assert notice["ETag"] == blobs.head(name, "bad/x").etag
    assert len(host.events("bad")) == 2


def test_the_webhook_feeds_event_grid_functions(host: RunningHost, name: str, blobs: Blobs) -> None:
    blobs.put(name, "grid/a", b"by event")
    blobs.put(name, "raw/marker.csv", b"scanned")
    host.wait_events("copy", 1)
    assert not host.events("grid")
    assert hook(host, "grid", event(blobs.url(name, "grid/a")))[0] == 202
    (seen,) = host.wait_events("grid", 1)
    assert (seen["name"], seen["text"]) == (f"{name}/grid/a", "by event")


def test_what_the_webhook_refuses(host: RunningHost, name: str, blobs: Blobs) -> None:
    good = event(blobs.url(name, "grid/a"))
    assert hook(host, "grid", good, key="wrong")[0] == 401
    assert hook(host, "grid", good, key=host.ready["host_key"])[0] == 401
    assert hook(host, "absent", good)[0] == 404
    assert hook(host, "grid", b"not json")[0] == 400
    assert hook(host, "grid", b"[1]")[0] == 400
    assert host.request("GET", "/runtime/webhooks/blobs").status == 404
    # Blobs that are gone or not meant are accepted and dropped.
    blobs.put(name, "elsewhere/a", b"x")
    for path in ("grid/absent", "elsewhere/a"):
        assert hook(host, "grid", event(blobs.url(name, path)))[0] == 202
    assert hook(host, "grid", event(blobs.url(name, "grid/a"), "Microsoft.Storage.BlobDeleted"))[0] == 202
    assert not host.events("grid")


def test_the_webhook_validates_a_subscription(host: RunningHost) -> None:
    body = event("", "Microsoft.EventGrid.SubscriptionValidationEvent", validationCode="abc")
    status, answer = hook(host, "grid", body)
    assert (status, json.loads(answer)) == (200, {"validationResponse": "abc"})


def test_the_scanner_can_stand_in_for_event_grid(start_host: StartHost, name: str, blobs: Blobs) -> None:
    blobs.create_container(name)
    host = start_host("blobs", BOX=name, **QUICK, DEVHOST_EVENTGRID_POLLING="1")
    blobs.put(name, "grid/a", b"by scan")
    assert host.wait_events("grid", 1)[0]["text"] == "by scan"


def test_a_blob_by_hand(host: RunningHost, name: str, blobs: Blobs) -> None:
    blobs.put(name, "grid/a", b"by hand")
    body = json.dumps({"input": f"{name}/grid/a"}).encode()
    assert host.admin("POST", "/admin/functions/grid", body).status == 202
    assert host.wait_events("grid", 1)[0]["text"] == "by hand"

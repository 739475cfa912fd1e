"""Limits, over the real host: what is over them is told when to come back, and the client does."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from millstream import Workspace
from millstream.errors import TooManyRequests
from tests.azurite import Azurite
from tests.service import TOKEN, Service, running_service, script_step

SETTINGS = {
    "MILLSTREAM_REQUEST_RATE": "5",
    "MILLSTREAM_REFUSAL_RATE": "0.2",
    "MILLSTREAM_MOST_RUNS_EACH": "1",
}


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("service"), SETTINGS) as service:
        yield service


@pytest.fixture(scope="module")
def workspace(service: Service) -> Workspace:
    return Workspace(url=service.url, token=TOKEN)


def test_a_run_over_the_quota_is_refused_at_once_and_started_when_there_is_room(
    service: Service, workspace: Workspace
) -> None:
    snapshot = service.upload({"wait.py": "import time; time.sleep(300)"})
    wish = {
        "experiment_name": "limits",
        "definition": {"name": "waits", "steps": [script_step("wait", snapshot, "wait.py")]},
        "run_id": "first",
    }
    first = workspace.api.start_run(wish)
    began = time.monotonic()
    with pytest.raises(TooManyRequests, match='"key" has 1 runs that are not finished') as refused:
        workspace.api.start_run({**wish, "run_id": "second"})
    assert time.monotonic() - began < 20, "a minute is more than it waits by itself"
    assert (refused.value.code, refused.value.status) == ("QuotaExceeded", 429)
    assert first.id in refused.value.message
    assert workspace.api.start_run(wish).id == first.id
    workspace.api.cancel("first")
    assert workspace.api.start_run({**wish, "run_id": "second"}).status == "Running"
    workspace.api.cancel("second")


def test_who_has_no_token_is_told_so_a_few_times_and_then_to_wait(service: Service) -> None:
    tried = [service.call("GET", "runs", token="wrong") for _ in range(4)]
    assert (tried[0].status, tried[-1].status) == (401, 429)
    assert int(tried[-1].headers["retry-after"]) >= 1
    assert service.call("GET", "runs").status == 200, "whoever has the token is served, at the same address"


def exhaust(service: Service) -> None:
    """Ask until there is no more to be had at once."""
    for _ in range(500):
        reply = service.call("GET", "runs")
        if reply.status == 429:
            assert reply.headers["retry-after"] == "1"
            assert reply.json()["error"]["code"] == "TooManyRequests"
            return
        assert reply.status == 200
    raise AssertionError("nobody was told to wait")


def test_who_asks_too_fast_is_told_to_wait_and_the_client_does(service: Service, workspace: Workspace) -> None:
    exhaust(service)
    assert service.call("GET", "health", token=None).status == 200
    assert workspace.api.workspace().name, "it waits for as long as it is told to, and asks again"

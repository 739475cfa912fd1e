"""What a running service tells of itself: the lines of its log, and how it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from azurerest.account import Account
from azurerest.queues import Queues
from azurerest.transport import Transport
from tests.azurite import Azurite
from tests.e2e.devhost.harness import RunningHost, eventually
from tests.service import RUN_TOKEN_KEY, TOKEN, Service, arguments, script_step

PLACE = {"MILLSTREAM_QUEUE": "operations-steps", "MILLSTREAM_CHANGES_QUEUE": "operations-changes"}
SECRET = "s3cret-value"


class Talkative(Service):
    """A service whose host prints all lines, not warnings alone."""

    def _start(self) -> RunningHost:
        return RunningHost(self._app, self.folder, self.settings).wait_ready()

    def said(self) -> list[dict[str, Any]]:
        """The objects among the lines so far."""
        parts = (line.partition("{") for line in self.host.log().splitlines() if "  millstream." in line)
        return [json.loads(brace + rest) for _, brace, rest in parts if brace]


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talkative]:
    made = Talkative(azurite, tmp_path_factory.mktemp("operations"), {"MILLSTREAM_LOG_FORM": "json", **PLACE})
    yield made
    made.close()


def run(service: Service) -> str:
    """A run of two steps, ended; its id."""
    snapshot = service.upload({"step.py": f"print('{SECRET}')\n"})
    first = script_step("first", snapshot, arguments=arguments(SECRET, ("parameter", "p")))
    parameters = [{"name": "p", "type": "string", "default": SECRET}]
    steps = [first, script_step("second", snapshot, run_after=["first"])]
    started = service.submit(steps, parameters=parameters, tags={"t": SECRET})
    assert service.wait(started)["status"] == "Completed"
    return started


def test_every_line_of_a_step_says_whose_it_is_and_none_has_a_value(service: Talkative) -> None:
    anew, again = run(service), run(service)
    eventually(lambda: [it for it in service.said() if it.get("event") == "run_ended" and it["run"] == again] != [], 20)
    ended = [it for it in service.said() if it.get("event") == "step_ended"]
    assert [(it["run"], it["step"], it["verdict"], it["reused"]) for it in ended] == [
        (anew, "first", "done", False),
        (anew, "second", "done", False),
        (again, "first", "done", True),
        (again, "second", "done", True),
    ]
    assert [it["position"] for it in ended[:2]] == [0, 1]  # the delivery's, beside the event's own facts
    assert all(it["ran_ms"] > 0 and it["waited_ms"] >= 0 for it in ended[:2])
    for text in (SECRET, TOKEN, RUN_TOKEN_KEY):
        assert text not in service.host.log()


def test_a_message_of_a_newer_version_waits_and_is_no_poison(service: Talkative, azurite: Azurite) -> None:
    transport = Transport()
    queues = Queues(Account.from_connection_string(azurite.connection), transport)
    newer = json.dumps({"run": "r", "definition": "d", "position": 0, "queue": "q", "v": 99})
    queues.create(PLACE["MILLSTREAM_QUEUE"])
    queues.put(PLACE["MILLSTREAM_QUEUE"], newer)
    eventually(lambda: [it for it in service.said() if "left to a newer" in it.get("text", "")] != [], 20)
    # The host deletes what it delivered when the function has put it back.
    eventually(lambda: _line(service, PLACE["MILLSTREAM_QUEUE"])["messages"] == 1, 20)
    assert _line(service, f"{PLACE['MILLSTREAM_QUEUE']}-poison")["messages"] == 0
    transport.close()


def _line(service: Service, queue: str) -> dict[str, Any]:
    found: dict[str, Any] = next(it for it in service.ask("GET", "health/queues")["queues"] if it["queue"] == queue)
    return found


def test_health_tells_anybody_how_far_the_service_lags_and_no_more(service: Talkative) -> None:
    assert service.host.admin("POST", "/admin/functions/sweep", b'{"input": ""}').status == 202
    swept = eventually(lambda: service.call("GET", "health", token=None).json()["lag"]["sweep"] is not None, 20)
    assert swept
    told = service.call("GET", "health", token=None).json()
    assert set(told) == {"status", "version", "rows", "storage", "time", "sign_in", "lag"}
    assert 0 <= told["lag"]["sweep"] < 90
    assert service.call("GET", "health/queues", token=None).status == 401

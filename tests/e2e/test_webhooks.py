"""Webhooks on the real service: a real server is told of the ends of runs, and checks who is calling."""

from __future__ import annotations

import base64
import hmac
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from millstream import Pipeline, PythonScriptStep, Workspace
from tests.azurite import Azurite
from tests.e2e.devhost.harness import ROOT, eventually
from tests.service import QUICK, TOKEN, Service, running_service, script_step
from tests.unit.millstream.loopback import Answer, Asked, Loopback, loopback

pytestmark = pytest.mark.azurite

SETTINGS = {
    **QUICK,
    "MILLSTREAM_WEBHOOK_KEYS": "a-key-of-at-least-32-characters-or-more",
    "MILLSTREAM_WEBHOOK_PRIVATE": "true",
    "MILLSTREAM_WEBHOOK_DELAYS": "1,1,1",
    "MILLSTREAM_WEBHOOK_PATIENCE_SECONDS": "2",
}


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("webhooks"), SETTINGS) as running:
        yield running


class Receiver:
    """A receiver as one would write it: it verifies the signature before it believes anything."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.secret = ""
        self.told: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.hold = threading.Event()
        self.hold.set()
        self.server: Loopback

    def answer(self, asked: Asked) -> Answer:
        self.ids.append(asked.headers["webhook-id"])
        self.hold.wait(30)
        if self.secret:
            self._verify(asked)
        status = self.statuses.pop(0) if self.statuses else 204
        if status < 300:
            self.told.append(json.loads(asked.body))
        return Answer(status=status)

    def _verify(self, asked: Asked) -> None:
        timestamp = asked.headers["webhook-timestamp"]
        assert abs(time.time() - int(timestamp)) < 60
        content = f"{asked.headers['webhook-id']}.{timestamp}.".encode() + asked.body
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        digest = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
        assert f"v1,{digest}" in asked.headers["webhook-signature"].split()


@pytest.fixture
def receiving() -> Iterator[Callable[..., Receiver]]:
    servers = []

    def start(*statuses: int) -> Receiver:
        receiver = Receiver(*statuses)
        context = loopback(receiver.answer)
        receiver.server = context.__enter__()
        servers.append((context, receiver))
        return receiver

    yield start
    for context, receiver in servers:
        receiver.hold.set()
        context.__exit__(None, None, None)


def notices(service: Service, run: str) -> dict[str, dict[str, Any]]:
    return {notice["webhook"]: notice for notice in service.ask("GET", f"runs/{run}/notices")["notices"]}


def all_settled(service: Service, run: str) -> bool:
    found = notices(service, run)
    return bool(found) and all(notice["state"] != "waiting" for notice in found.values())


def test_registered_ones_and_those_of_the_run_are_told(
    service: Service, receiving: Callable[..., Receiver], tmp_path: Path
) -> None:
    everything, failures, own = receiving(), receiving(), receiving()

    def command(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "millstream", *arguments],
            cwd=ROOT,
            env={"PATH": "", "MILLSTREAM_ENDPOINT": service.url, "MILLSTREAM_TOKEN": TOKEN},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout

    made = command("webhooks", "set", "everything", f"{everything.server.url}/a?token=t")
    assert made.startswith(f"everything is told at {everything.server.url}/a?...\n")
    everything.secret = made.split()[-1]
    command("webhooks", "set", "failures", failures.server.url, "--event", "run.failed")
    assert [line.split()[0] for line in command("webhooks", "list").splitlines()[1:]] == ["everything", "failures"]
    (tmp_path / "main.py").write_text("print('done')")
    workspace = Workspace(url=service.url, token=TOKEN)
    step = PythonScriptStep("main.py", source_directory=str(tmp_path), allow_reuse=False)
    run = Pipeline(workspace, steps=[step]).submit("told", tags={"k": "v"}, notify=[own.server.url])
    run.wait_for_completion(show_output=False)
    eventually(lambda: all_settled(service, run.id), seconds=60)
    (told,) = everything.told
    assert (told["type"], told["data"]["run"]["id"]) == ("run.completed", run.id)
    assert (told["data"]["run"]["status"], told["data"]["run"]["tags"]) == ("Completed", {"k": "v"})
    assert [(step["name"], step["status"], step["error"]) for step in told["data"]["steps"]] == [
        ("main.py", "Completed", None)
    ]
    assert len(own.told) == 1
    assert failures.told == []
    assert {notice.state for notice in run.get_notices()} == {"delivered"}
    assert [hook.url for hook in run.webhooks] == [own.server.url]
    shown = command("runs", "notices", run.id).splitlines()
    assert len(shown) == 3
    assert "everything" in shown[-1]
    for name in ("everything", "failures"):
        command("webhooks", "remove", name)


def test_one_that_refuses_is_called_until_it_takes_it(service: Service, receiving: Callable[..., Receiver]) -> None:
    stubborn, hopeless = receiving(500, 429), receiving(*[503] * 10)
    snapshot = service.upload({"step.py": "raise SystemExit('no luck')"})
    hooks = [{"url": stubborn.server.url, "events": ["run.failed"]}, {"url": hopeless.server.url}]
    body = {
        "experiment_name": "refused",
        "definition": {"name": "x", "steps": [script_step("a", snapshot)]},
        "notify": hooks,
    }
    made = service.ask("POST", "runs", body)
    stubborn.secret = made["notify"][0]["secret"]
    service.wait(made["id"])
    eventually(lambda: all_settled(service, made["id"]), seconds=60)
    found = notices(service, made["id"])
    first, second = (found[hook["id"]] for hook in made["notify"])
    assert (first["state"], first["attempts"], first["status"]) == ("delivered", 3, 204)
    assert (second["state"], second["attempts"], second["status"]) == ("given up", 4, 503)
    assert len(set(stubborn.ids)) == 1
    (told,) = stubborn.told
    assert told["type"] == "run.failed"
    assert told["data"]["steps"][0]["error"]


def test_a_host_that_is_killed_during_a_call_makes_it_again(
    service: Service, receiving: Callable[..., Receiver]
) -> None:
    receiver = receiving()
    receiver.hold.clear()
    snapshot = service.upload({"step.py": "print('done')"})
    run = service.submit([script_step("a", snapshot)], notify=[{"url": receiver.server.url}])
    service.wait(run)
    eventually(lambda: bool(receiver.ids), seconds=60)
    service.kill()
    receiver.hold.set()
    service.restart()
    eventually(lambda: all_settled(service, run), seconds=90)
    (notice,) = notices(service, run).values()
    assert notice["state"] == "delivered"
    assert set(receiver.ids) == {notice["message_id"]}
    assert notice["attempts"] >= 2


def test_a_secret_is_in_no_log(service: Service) -> None:
    log = service.host.log()
    assert SETTINGS["MILLSTREAM_WEBHOOK_KEYS"] not in log
    assert "whsec_" not in log

"""Container Apps jobs, against a stand-in of the Resource Manager and of the app's identity over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from azurerest.tokens import managed_identity
from orchestrator.adapters.container_apps import RESOURCE, VERSION, ContainerApps
from orchestrator.adapters.memory import MemoryWorld
from orchestrator.catalog.dispatch import dispatch
from orchestrator.core.compute import Compute, Executions
from orchestrator.core.errors import Unavailable
from orchestrator.executions import Backlog, CountMessages

GROUP = "/subscriptions/0000/resourceGroups/rg-mill"
CPU = Compute(name="cpu", kind="container", created_at=0.0, executions=Executions(most=8))


class StandIn(ThreadingHTTPServer):
    """Speaks the REST contract of Microsoft.App/jobs, two executions a page, and that of the identity endpoint."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.executions: dict[str, str] = {}
        self.calls: list[str] = []
        self.tokens = 0
        self.elsewhere = ""

    @property
    def variables(self) -> dict[str, str]:
        return {"IDENTITY_ENDPOINT": f"{self.url}/msi/token", "IDENTITY_HEADER": "a-header"}


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def log_message(self, format: str, *arguments: Any) -> None:
        del format, arguments

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/msi/token":
            assert self.headers["X-IDENTITY-HEADER"] == "a-header"
            assert query == {"resource": RESOURCE, "api-version": "2019-08-01", "client_id": "the-client"}
            self.server.tokens += 1
            self._answer(200, {"access_token": "a-token", "expires_on": "4102444800"})
            return
        if not self._allowed(query):
            return
        assert url.path == f"{GROUP}/providers/Microsoft.App/jobs/job-cpu/executions"
        first = int(query.get("skip", "0"))
        names = sorted(self.server.executions)
        page: dict[str, Any] = {
            "value": [
                {"name": name, "properties": {"status": self.server.executions[name]}}
                for name in names[first : first + 2]
            ]
        }
        if first + 2 < len(names):
            base = self.server.elsewhere or self.server.url
            page["nextLink"] = f"{base}{url.path}?api-version={VERSION}&skip={first + 2}"
        self._answer(200, page)

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        if not self._allowed({name: values[0] for name, values in parse_qs(url.query).items()}):
            return
        *_, job, what = url.path.split("/")
        if what == "start" and job == "job-cpu":
            name = f"job-cpu-{len(self.server.executions):03d}"
            self.server.executions[name] = "Running"
            self._answer(202, {"id": f"{url.path}/{name}", "name": name}, {"Location": f"{self.server.url}/later"})
        elif what == "stop" and job in self.server.executions:
            self.server.executions[job] = "Stopped"
            self._answer(202, None)
        else:
            self._answer(404, {"error": {"code": "ResourceNotFound"}})

    def _allowed(self, query: dict[str, str]) -> bool:
        self.server.calls.append(f"{self.command} {urlsplit(self.path).path.rpartition('/jobs/')[2]}")
        if self.headers["Authorization"] != "Bearer a-token" or query.get("api-version") != VERSION:
            self._answer(401, {"error": {"code": "AuthenticationFailed"}})
            return False
        return True

    def _answer(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def arm() -> Iterator[StandIn]:
    with StandIn() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def apps(arm: StandIn) -> ContainerApps:
    token = managed_identity(arm.variables, resource=RESOURCE, client="the-client")
    return ContainerApps(arm.url, GROUP, token)


def test_executions_are_started_listed_and_stopped(arm: StandIn) -> None:
    own = apps(arm)
    names = [own.start(CPU) for _ in range(5)]
    assert own.listed(CPU) == tuple(names), "over three pages"
    own.stop(CPU, names[0])
    own.stop(CPU, "job-cpu-999")
    assert own.listed(CPU) == tuple(names[1:])
    arm.executions[names[1]] = "Succeeded"
    arm.executions[names[2]] = "Failed"
    assert own.listed(CPU) == tuple(names[3:])
    assert arm.tokens == 1, "a token is kept until it ends"


def test_the_dispatcher_starts_no_more_than_there_may_be(arm: StandIn) -> None:
    world = MemoryWorld()
    world.register(CountMessages, lambda _: Backlog(total=100, visible=32))
    apps(arm).install(world)
    started = [len(world.run(dispatch((CPU,), "steps", lambda _: "job")).started) for _ in range(3)]
    assert started == [8, 0, 0]
    arm.executions["job-cpu-003"] = "Succeeded"
    assert world.run(dispatch((CPU,), "steps", lambda _: "job")).started == ("job-cpu-008",)


def test_a_job_may_have_another_name(arm: StandIn) -> None:
    other = Compute(name="x", kind="container", created_at=0.0, executions=Executions(job="job-cpu"))
    assert apps(arm).start(other) == "job-cpu-000"


@pytest.mark.parametrize("name", ["../x", "a b", "", "x" * 200])
def test_what_is_no_name_of_an_execution_is_not_sent(arm: StandIn, name: str) -> None:
    apps(arm).stop(CPU, name)
    assert arm.calls == []


def test_the_token_goes_nowhere_else(arm: StandIn) -> None:
    own = apps(arm)
    for _ in range(3):
        own.start(CPU)
    arm.elsewhere = "http://localhost:1"
    with pytest.raises(Unavailable, match="elsewhere"):
        own.listed(CPU)


def test_what_cannot_be_done_now_is_said(arm: StandIn) -> None:
    missing = Compute(name="missing", kind="container", created_at=0.0)
    with pytest.raises(Unavailable, match="404 to POST job-missing/start"):
        apps(arm).start(missing)
    with pytest.raises(Unavailable, match="identity"):
        ContainerApps(arm.url, GROUP, None).start(CPU)
    with pytest.raises(Unavailable, match="did not answer"):
        ContainerApps("http://127.0.0.1:9", GROUP, lambda: ("t", 4e9)).start(CPU)

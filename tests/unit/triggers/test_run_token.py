"""What the script of a step may do with its run token, and for how long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.core.message import Delivery
from orchestrator.core.run_token import RunToken, sign
from orchestrator.core.states import ClaimState
from orchestrator.engine.rows import RUNS, claim_key, claim_props, read_claim
from orchestrator.engine.script_calls import may_call
from orchestrator.engine.take import take
from orchestrator.ports import Commit, Get, Merge
from orchestrator.triggers import rights
from orchestrator.triggers.api import ROUTES
from orchestrator.triggers.auth import RunTokenAuthorizer, TokenAuthorizer
from orchestrator.triggers.routes import Route
from tests.unit.triggers.calling import Api, definition

KEY = b"k" * 40
DOCUMENT = Path(__file__).parents[3] / "docs" / "in-a-step.md"
ALLOWED = rights.CATALOG | rights.REGISTERING | rights.OWN_RUN


class Stage:
    """A service with a run whose first step is being executed, and the token of its script."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.api = Api()
        self.authorizer = RunTokenAuthorizer(
            TokenAuthorizer(self.api.settings.token_digests),
            KEY,
            lambda token: self.api.world.run(may_call(self.api.memory, token)),
            clock=lambda: self.now,
        )
        self.api.dispatcher._authorizer = self.authorizer
        self.run = self.start()
        taken = self.api.world.run(take(self.api.memory, self.run, 0, Delivery(message_id="m", count=1)))
        assert taken.lease is not None
        self.owner = taken.lease.claim.owner
        self.claims = RunToken(run=self.run, step="a", position=0, attempt=1, owner=self.owner, expires_at=2000)
        self.token = sign(self.claims, KEY)

    def start(self) -> str:
        made = self.api.call("POST", "runs", {"experiment_name": "e", "definition": definition()})
        return str(made.json["id"])

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        return self.api.call(method, path, body, token=token or self.token)

    def settle(self, state: ClaimState) -> None:
        """The attempt ends."""
        (row,) = (self.api.world.run(iter(Get(table=RUNS, pk=self.run, rk=claim_key(0)))),)
        assert row is not None
        ended = claim_props(replace(read_claim(row), state=state))
        write = Merge(rk=row.rk, props=ended, etag=row.etag)
        self.api.world.run(iter(Commit(table=RUNS, pk=self.run, writes=(write,))))


@pytest.fixture
def stage() -> Iterator[Stage]:
    yield Stage()


def test_it_reads_the_catalog_and_its_own_run(stage: Stage) -> None:
    for path in (
        "workspace",
        "datasets",
        "models",
        "experiments",
        "datastores/workspaceblobstore/files",
        f"runs/{stage.run}",
        f"runs/{stage.run}/steps",
        f"runs/{stage.run}/metrics",
        f"runs/{stage.run}/outputs",
    ):
        assert stage.call("GET", path).status == 200, path


def test_it_tags_its_own_run_and_no_other(stage: Stage) -> None:
    assert stage.call("PATCH", f"runs/{stage.run}", {"tags": {"a": "1"}}).json["tags"] == {"a": "1"}
    other = stage.start()
    for method, path in (("PATCH", f"runs/{other}"), ("GET", f"runs/{other}"), ("GET", f"runs/{other}/outputs")):
        refused = stage.call(method, path, {"tags": {"a": "1"}} if method == "PATCH" else None)
        assert (refused.status, refused.json["error"]["field"]) == (403, "run_id")


def test_it_sees_the_files_of_its_own_run_and_no_other(stage: Stage) -> None:
    place = "subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/artifacts"
    for container, status in ((f"dcid.{stage.run}_a", 200), (f"dcid.{stage.run}", 200), (f"dcid.{stage.start()}", 403)):
        assert stage.call("GET", f"artifact/v2.0/{place}/ExperimentRun/{container}").status == status


@pytest.mark.parametrize("route", [r for r in ROUTES if r.role and r.name not in ALLOWED], ids=lambda r: r.name)
def test_it_may_do_nothing_else(stage: Stage, route: Route) -> None:
    named = dict.fromkeys(route.parameters, "x") | {"run_id": stage.run, "step_id": "a"}
    refused = stage.call(route.method, route.address.format(**named), b"{}")
    assert (refused.status, refused.json["error"]["code"]) == (403, "Forbidden")


def test_the_rights_are_routes_that_exist() -> None:
    assert {route.name for route in ROUTES} >= ALLOWED
    named = {route.name: set(route.parameters) for route in ROUTES}
    assert all({"run_id", "container"} & named[name] for name in rights.OWN_RUN)
    assert not any("run_id" in named[name] for name in rights.CATALOG | rights.REGISTERING)


def test_it_expires(stage: Stage) -> None:
    stage.now = 2000.0
    refused = stage.call("GET", "workspace")
    assert (refused.status, refused.json["error"]["code"]) == (401, "Unauthorized")


@pytest.mark.parametrize("state", [ClaimState.DONE, ClaimState.FAILED, ClaimState.RETRYING])
def test_it_ends_with_its_attempt(stage: Stage, state: ClaimState) -> None:
    stage.settle(state)
    assert stage.call("GET", "workspace").status == 401


def test_it_ends_when_another_takes_the_step_over(stage: Stage) -> None:
    late = Delivery(message_id="m", count=2)
    taken = stage.api.world.run(take(stage.api.memory, stage.run, 0, late))
    assert taken.lease is not None
    assert stage.call("GET", "workspace").status == 401


def test_it_ends_with_its_run(stage: Stage) -> None:
    assert stage.api.call("POST", f"runs/{stage.run}/cancel").status == 200
    assert stage.call("GET", f"runs/{stage.run}").status == 401


@pytest.mark.parametrize("change", [{"run": "other"}, {"position": 1}, {"owner": "000000000000"}])
def test_one_for_what_is_not_running_is_refused(stage: Stage, change: dict[str, Any]) -> None:
    token = sign(msgspec.structs.replace(stage.claims, **change), KEY)
    assert stage.call("GET", "workspace", token=token).status == 401


def test_without_a_key_none_is_accepted(stage: Stage) -> None:
    stage.api.dispatcher._authorizer = RunTokenAuthorizer(
        TokenAuthorizer(stage.api.settings.token_digests), b"", lambda _: True
    )
    assert stage.call("GET", "workspace", token=sign(stage.claims, b"")).status == 401


def test_the_document_names_every_right() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    routes = {route.name: f"{route.method} /api/{route.path}" for route in ROUTES}
    for name in sorted(ALLOWED - {name for name in ALLOWED if "wire" in name}):
        path = re.sub(r"\{\w+\}", "...", routes[name])
        assert f"`{path}`" in text, path

"""Whose a run is: it is recorded and shown, and a Submitter changes none but their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from orchestrator.catalog.repeats import earlier
from orchestrator.catalog.submissions import Submission
from orchestrator.triggers.api import ROUTES
from orchestrator.triggers.auth import Principal, Role
from orchestrator.triggers.routes import Route
from tests.unit.triggers.calling import Api, definition

ANN, BOB = "ann", "bob"
DRAFT = "5b1c0c9e-6a0b-4c1e-9a63-1d0f2b8f7a11"
CHANGING = [route for route in ROUTES if route.changes_run]
LEFT_ALONE = {
    "resubmit_run": "makes a run of its own",
    "rerun_run": "makes a run of its own",
    "register_step_model": "reads what the step has made",
}
"""Routes below a run that do not change it, and what they do."""


class Named:
    """Takes name and role of the caller from a header, as an authorizer for Entra ID does from a token."""

    def authorize(self, headers: Mapping[str, str]) -> Principal:
        name, _, role = headers["x-caller"].partition("/")
        return Principal(name=name, roles=frozenset({Role[role]}))


@pytest.fixture(scope="module")
def api() -> Api:
    return Api(authorizer=Named())


def by(name: str, role: Role) -> dict[str, str]:
    return {"x-caller": f"{name}/{role.name}"}


def start(api: Api, run_id: str, caller: dict[str, str]) -> Any:
    body = {"experiment_name": "e", "definition": definition(), "run_id": run_id}
    return api.call("POST", "runs", body, headers=caller).json


def change(api: Api, route: Route, run: str, caller: dict[str, str]) -> Any:
    parts = dict.fromkeys(route.parameters, "x") | {"run_id": run, "container": f"dcid.{run}", "step_id": "a"}
    parts |= {
        "subscription_id": api.settings.subscription_id,
        "resource_group": api.settings.resource_group,
        "workspace": api.settings.workspace,
    }
    return api.call(route.method, route.address.format(**parts), b"{}", headers=caller)


@pytest.mark.parametrize("route", CHANGING, ids=lambda route: route.name)
@pytest.mark.parametrize("role", [Role.SUBMITTER, Role.OPERATOR, Role.OWNER], ids=lambda role: role.name)
@pytest.mark.parametrize("caller", [ANN, BOB])
def test_a_submitter_changes_only_their_own_runs(api: Api, route: Route, role: Role, caller: str) -> None:
    start(api, "anns", by(ANN, Role.SUBMITTER))
    made = change(api, route, "anns", by(caller, role))
    assert (made.status == 403) == (role is Role.SUBMITTER and caller == BOB)
    if made.status == 403:
        assert made.json["error"]["field"] == "run_id"
        assert '"ann"' in made.json["error"]["message"]


@pytest.mark.parametrize("route", [r for r in CHANGING if r.group.startswith("wire")], ids=lambda route: route.name)
def test_the_step_of_a_run_is_its_starters_too(api: Api, route: Route) -> None:
    start(api, "anns", by(ANN, Role.SUBMITTER))
    assert change(api, route, "anns_a", by(BOB, Role.SUBMITTER)).status == 403
    assert change(api, route, "anns_a", by(ANN, Role.SUBMITTER)).status != 403


def test_every_route_that_writes_below_a_run_asks_whose_it_is() -> None:
    writing = {
        route.name
        for route in ROUTES
        if route.role is Role.SUBMITTER and {"run_id", "container"} & set(route.parameters) and route.method != "GET"
    }
    assert writing == {route.name for route in CHANGING} | LEFT_ALONE.keys()


def test_a_run_of_which_nothing_is_recorded_needs_an_operator(api: Api) -> None:
    start(api, "anns", by(ANN, Role.SUBMITTER))
    wish = Submission(experiment="e", earlier=api.world.run(earlier("anns")), run_id="nobodys")
    api.world.run(api.service.submitter.submit(wish))
    for name, role, status in (("", Role.SUBMITTER, 403), (ANN, Role.SUBMITTER, 403), (ANN, Role.OPERATOR, 200)):
        assert api.call("POST", "runs/nobodys/cancel", {}, headers=by(name, role)).status == status


def test_who_starts_a_run_is_recorded_however_it_is_started(api: Api) -> None:
    ann, bob = by(ANN, Role.SUBMITTER), by(BOB, Role.SUBMITTER)
    first = start(api, "first", ann)
    assert first["started_by"] == ANN
    assert api.call("GET", "runs/first", headers=bob).json["started_by"] == ANN
    assert start(api, "first", bob)["started_by"] == ANN, "whoever asks again finds the run of who asked first"
    pipeline = api.call("POST", "pipelines", {"definition": definition()}, headers=ann).json["id"]
    old = api.call("POST", f"PipelineRuns/PipelineSubmit/{pipeline}", {"ExperimentName": "e"}, headers=bob).json["Id"]
    again = api.call("POST", "runs/first/resubmit", {}, headers=bob).json["id"]
    api.call("POST", "runs/first/cancel", {}, headers=ann)
    rest = api.call("POST", "runs/first/rerun", {}, headers=bob).json["id"]
    draft = api.call("POST", "drafts", {"id": DRAFT, "run_id": "first"}, headers=ann).json["id"]
    drafted = api.call("POST", f"drafts/{draft}/runs", {}, headers=bob).json["id"]
    for run in (old, again, rest, drafted):
        assert api.call("GET", f"runs/{run}", headers=ann).json["started_by"] == BOB
    mine = api.call("GET", "runs?started_by=me", headers=bob).json["runs"]
    assert {line["id"] for line in mine} == {old, again, rest, drafted}
    assert {line["started_by"] for line in api.call("GET", "runs?started_by=ann", headers=bob).json["runs"]} == {ANN}


def test_the_runs_of_a_schedule_are_of_who_changed_it_last(api: Api) -> None:
    ann, bob = by(ANN, Role.SUBMITTER), by(BOB, Role.SUBMITTER)
    pipeline = api.call("POST", "pipelines", {"definition": definition()}, headers=ann).json["id"]
    at_once = {"frequency": "Day", "interval": 1}
    wish = {"name": "s", "experiment_name": "e", "pipeline_id": pipeline, "recurrence": at_once}
    made = api.call("POST", "schedules", wish, headers=ann).json
    assert (made["owner"], api.call("GET", f"runs/{made['last_run_id']}", headers=bob).json["started_by"]) == (ANN, ANN)
    same = api.call("PATCH", f"schedules/{made['id']}", {"name": "s"}, headers=bob).json
    assert (same["owner"], same["etag"]) == (ANN, made["etag"]), "what changes nothing makes nobody the owner"
    changed = api.call("PATCH", f"schedules/{made['id']}", {"recurrence": {**at_once, "interval": 2}}, headers=bob).json
    assert changed["owner"] == BOB
    period = {"start": made["created_at"] - 3 * 86_400, "end": made["created_at"] - 86_400}
    wish = {"name": "t", "experiment_name": "e", "pipeline_id": pipeline, "cron": {"expression": "0 * * * *"}}
    other = api.call("POST", "schedules", wish, headers=ann).json
    filled = api.call("POST", f"schedules/{other['id']}/backfill", period, headers=bob).json["occurrences"]
    assert filled
    assert {api.call("GET", f"runs/{one['run_id']}", headers=bob).json["started_by"] for one in filled} == {ANN}

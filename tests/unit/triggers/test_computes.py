"""Computes over HTTP: made, listed, asked for by steps, removed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.triggers.calling import Api, Called, definition


@pytest.fixture
def api() -> Api:
    return Api()


def start_on(api: Api, compute: str) -> Called:
    wanted: dict[str, Any] = definition()
    wanted["steps"] = [{**step, "compute": compute} for step in wanted["steps"]]
    return api.call("POST", "runs", {"experiment_name": "e", "definition": wanted})


def test_one_that_was_made_can_be_named_by_steps(api: Api) -> None:
    refused = start_on(api, "cpu-cluster")
    assert (refused.status, refused.json["error"]["code"]) == (400, "InvalidDefinition")
    assert refused.json["error"]["problems"][0]["code"] == "UnknownCompute"
    made = api.call("PUT", "computes/cpu-cluster", {"settings": {"max_nodes": 4}})
    assert made.status == 201
    assert start_on(api, "cpu-cluster").status == 202


def test_it_is_among_the_computes_of_the_workspace(api: Api) -> None:
    api.call("PUT", "computes/cpu", {"kind": "function"})
    computes = api.call("GET", "workspace").json["computes"]
    assert {compute["name"]: compute["kind"] for compute in computes} == {"cpu": "function", "function": "function"}


def test_made_again_it_is_the_same(api: Api) -> None:
    first = api.call("PUT", "computes/cpu", {"settings": {"max_nodes": 1}})
    second = api.call("PUT", "computes/cpu", {"settings": {"max_nodes": 2}})
    assert (first.status, second.status) == (201, 200)
    assert api.call("GET", "computes/cpu").json == second.json
    assert api.call("GET", "computes").json == {"computes": [second.json], "continuation": None}


def test_one_that_was_removed_is_unknown(api: Api) -> None:
    api.call("PUT", "computes/cpu", {})
    assert api.call("DELETE", "computes/cpu").status == 200
    assert api.call("GET", "computes/cpu").status == 404
    assert api.call("DELETE", "computes/cpu").status == 404
    assert start_on(api, "cpu").status == 400


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("computes/function", {}, 409, "name"),
        ("computes/cpu", {"kind": "aks"}, 400, "kind"),
        ("computes/cpu", {"size": 1}, 400, "size"),
        ("computes/a%20b", {}, 400, "name"),
        ("computes/cpu", {"settings": {"x": "y" * 9000}}, 413, "settings"),
    ],
)
def test_what_cannot_be_made(api: Api, path: str, body: dict[str, Any], status: int, field: str) -> None:
    refused = api.call("PUT", path, body)
    assert refused.status == status
    assert refused.json["error"]["field"] == field


LOCAL = {"MILLSTREAM_EXECUTIONS": "local"}
EIGHT = {"kind": "container", "executions": {"most": 8, "cpu": 1.0, "memory_gib": 2.0}}


def test_the_steps_of_a_container_compute_go_by_a_queue_of_its_own() -> None:
    api = Api(LOCAL)
    made = api.call("PUT", "computes/cpu-cluster", EIGHT)
    assert (made.status, made.json["executions"]["most"]) == (201, 8)
    assert {message.queue for message in start_on(api, "cpu-cluster").messages} == {"millstream-steps-on-cpu-cluster"}
    assert {message.queue for message in start_on(api, "function").messages} == {"millstream-steps"}


def test_a_compute_that_does_not_exist_is_refused_with_what_may_be_meant() -> None:
    api = Api(LOCAL)
    api.call("PUT", "computes/cpu-cluster", EIGHT)
    problem = start_on(api, "cpu_cluster").json["error"]["problems"][0]
    assert (problem["code"], problem["field"]) == ("UnknownCompute", "steps[0].compute")
    assert 'Did you mean "cpu-cluster"?' in problem["fix"]


@pytest.mark.parametrize(("compute", "most"), [("function", 1770), ("slow", 7170)])
def test_a_step_cannot_ask_for_more_time_than_its_compute_has(compute: str, most: int) -> None:
    api = Api(LOCAL)
    api.call("PUT", "computes/slow", {"kind": "process", "executions": {"timeout_seconds": 7200}})
    wanted: dict[str, Any] = definition()
    for seconds, status in ((most, 202), (most + 1, 400)):
        wanted["steps"] = [{**step, "compute": compute, "timeout_seconds": seconds} for step in wanted["steps"]]
        answer = api.call("POST", "runs", {"experiment_name": "e", "definition": wanted})
        assert answer.status == status
    assert {problem["code"] for problem in answer.json["error"]["problems"]} == {"TimeoutTooLong"}
    assert f"after {most:,} s".replace(",", "") in answer.json["error"]["problems"][0]["message"]


def test_a_job_in_an_attached_workspace_may_take_days() -> None:
    api = Api(LOCAL)
    api.call("PUT", "computes/spark", {"kind": "function", "settings": {"attached": "Databricks"}})
    wanted: dict[str, Any] = definition()
    wanted["steps"] = [{**step, "compute": "spark", "timeout_seconds": 86_400} for step in wanted["steps"]]
    assert api.call("POST", "runs", {"experiment_name": "e", "definition": wanted}).status == 202


def test_its_kind_stays_what_it_is() -> None:
    api = Api(LOCAL)
    api.call("PUT", "computes/cpu", EIGHT)
    refused = api.call("PUT", "computes/cpu", {"kind": "function"})
    assert (refused.status, refused.json["error"]["field"]) == (409, "kind")


def test_a_service_that_starts_no_executions_has_no_such_computes(api: Api) -> None:
    refused = api.call("PUT", "computes/cpu", EIGHT)
    assert (refused.status, refused.json["error"]["field"]) == (400, "kind")
    assert "MILLSTREAM_EXECUTIONS" in refused.json["error"]["message"]


def test_sizes_that_there_are_not_are_refused() -> None:
    refused = Api(LOCAL).call("PUT", "computes/cpu", {"kind": "container", "executions": {"cpu": 3.1}})
    assert (refused.status, refused.json["error"]["field"]) == (400, "executions.cpu")


def test_a_compute_says_what_it_is_doing() -> None:
    api = Api(LOCAL)
    api.call("PUT", "computes/cpu", EIGHT)
    assert api.call("GET", "computes/cpu/status").json == {
        "name": "cpu",
        "kind": "container",
        "queue": "millstream-steps-on-cpu",
        "most": 8,
        "running": 0,
        "waiting": 0,
        "runs_in": "",
    }
    function = api.call("GET", "computes/function/status").json
    assert (function["queue"], function["runs_in"]) == ("millstream-steps", "the Functions app")
    assert api.call("GET", "computes/none/status").status == 404

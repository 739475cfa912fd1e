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

"""Tags, properties and metrics that are given to steps and runs from outside."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core.message import Delivery
from orchestrator.engine.take import take
from tests.unit.triggers.calling import Api, definition


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def run(api: Api) -> str:
    return str(api.call("POST", "runs", {"experiment_name": "e", "definition": definition()}).json["id"])


def _value(id_: str, name: str, value: Any, at: float = 1.0, kind: str = "scalar") -> dict[str, Any]:
    return {"id": id_, "name": name, "kind": kind, "value": value, "at": at}


def test_a_step_is_tagged_before_while_and_after(api: Api, run: str) -> None:
    path = f"runs/{run}/steps/a"
    assert api.call("PATCH", path, {"tags": {"a": "1", "b": "2"}}).json["tags"] == {"a": "1", "b": "2"}
    api.world.run(take(api.memory, run, 0, Delivery(message_id="m", count=1)))
    assert api.call("PATCH", path, {"tags": {"a": None}, "properties": {"p": "1"}}).json["tags"] == {"b": "2"}
    api.world.run(take(api.memory, run, 0, Delivery(message_id="m", count=2)))
    seen = api.call("GET", path).json
    assert (seen["tags"], seen["properties"]) == ({"b": "2"}, {"p": "1"})
    assert api.call("GET", f"runs/{run}/steps").json["steps"][0]["tags"] == {"b": "2"}


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("steps/a", {"properties": {"p": "2"}}, 409, "properties.p"),
        ("steps/a", {"tags": {"": "2"}}, 400, "tags"),
        ("steps/a", {"labels": {}}, 400, "labels"),
        ("steps/z", {"tags": {}}, 404, "step_id"),
        ("steps/a", {"tags": {"t": "x" * 30_000}}, 413, "tags"),
    ],
)
def test_bad_tags_are_refused(api: Api, run: str, path: str, body: Any, status: int, field: str) -> None:
    api.call("PATCH", f"runs/{run}/steps/a", {"properties": {"p": "1"}})
    refused = api.call("PATCH", f"runs/{run}/{path}", body)
    assert (refused.status, refused.json["error"]["field"]) == (status, field)
    assert api.call("GET", f"runs/{run}/steps/a").json["tags"] == {}


def test_values_are_logged_on_steps_and_on_the_run_once(api: Api, run: str) -> None:
    late = {"metrics": [_value("2", "x", 2, at=5.0)]}
    early = {"metrics": [_value("1", "x", 1, at=4.0), _value("3", "r", {"c": 1}, kind="row")]}
    for body in (late, early, late):
        assert api.call("POST", f"runs/{run}/steps/a/metrics", body).status == 200
    api.call("POST", f"runs/{run}/metrics", {"metrics": [_value("1", "whole", [1, 2], kind="list")]})
    seen = api.call("GET", f"runs/{run}/metrics").json
    assert list(seen["steps"]) == ["a"]
    assert [(one["name"], one["value"]) for one in seen["steps"]["a"]] == [("r", {"c": 1}), ("x", 1), ("x", 2)]
    assert [(one["name"], one["value"]) for one in seen["run"]] == [("whole", [1, 2])]


@pytest.mark.parametrize(
    ("path", "value", "status"),
    [
        ("steps/z/metrics", _value("1", "x", 1), 404),
        ("steps/a/metrics", _value("a/b", "x", 1), 400),
        ("metrics", _value("1", "x", 1, kind="picture"), 400),
        ("metrics", _value("1", "x", 1, at=-1.0), 400),
    ],
)
def test_bad_values_are_refused(api: Api, run: str, path: str, value: Any, status: int) -> None:
    assert api.call("POST", f"runs/{run}/{path}", {"metrics": [value]}).status == status
    seen = api.call("GET", f"runs/{run}/metrics").json
    assert (seen["steps"], seen["run"]) == ({}, [])
    assert api.call("POST", "runs/none/metrics", {"metrics": []}).status == 404

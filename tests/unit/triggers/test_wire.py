"""The routes that a real azureml-core calls inside a step, asked as it asks."""

from __future__ import annotations

import json
import math
import uuid
from typing import Any

import pytest

from millstream.metrics import fold
from orchestrator.core.message import Delivery
from orchestrator.engine.take import take
from tests.unit.triggers.test_run_token import Stage

WORKSPACE = "subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


def _run(id_: str) -> str:
    return f"history/v1.0/{WORKSPACE}/experimentids/e/runs/{id_}"


def _batch(id_: str) -> str:
    return f"metric/v2.0/{WORKSPACE}/runs/{id_}/batch"


def _value(data: dict[str, Any], second: int = 0, **more: Any) -> dict[str, Any]:
    return {"metricId": str(uuid.uuid4()), "createdUtc": f"2026-01-31T12:00:{second:02d}.000001Z", "data": data, **more}


def _metric(name: str, kind: str, *values: dict[str, Any]) -> dict[str, Any]:
    columns = {column: "double" for value in values for column in value["data"]}
    return {"name": name, "columns": columns, "value": values, "properties": {"uxMetricType": f"azureml.v1.{kind}"}}


@pytest.fixture
def stage() -> Stage:
    return Stage()


def _shown(stage: Stage) -> dict[str, Any]:
    steps = stage.api.call("GET", f"runs/{stage.run}/metrics").json["steps"]
    return fold(record for records in steps.values() for record in records)


def test_services_are_where_the_request_went(stage: Stage) -> None:
    found = stage.api.call("GET", "discovery", token=None)
    assert found.status == 200
    assert set(found.json.values()) == {"http://host:1/api"}
    assert {"api", "history", "experimentation", "hyperdrive", "modelmanagement", "studio"} <= set(found.json)


def test_the_run_of_a_step(stage: Stage) -> None:
    seen = stage.call("GET", _run(f"{stage.run}_a")).json
    assert (seen["runId"], seen["rootRunId"], seen["parentRunId"]) == (f"{stage.run}_a", stage.run, stage.run)
    assert (seen["runType"], seen["dataContainerId"]) == ("azureml.StepRun", f"dcid.{stage.run}_a")
    assert seen["status"] == "Running"
    parent = stage.call("GET", _run(stage.run)).json
    assert (parent["runId"], parent["runType"], parent["parentRunId"]) == (stage.run, "azureml.PipelineRun", None)


def test_tags_and_properties_are_seen_at_once(stage: Stage) -> None:
    id_ = f"{stage.run}_a"
    stage.call("PATCH", _run(id_), {"runId": id_, "tags": {"quality": "good", "draft": "1"}})
    stage.call("PATCH", _run(id_), {"runId": id_, "properties": {"seed": "17"}, "displayName": "x"})
    changed = stage.call("PATCH", _run(id_), {"tags": {"draft": None}})
    assert (changed.json["tags"], changed.json["properties"]) == ({"quality": "good"}, {"seed": "17"})
    refused = stage.call("PATCH", _run(id_), {"properties": {"seed": "18"}})
    assert (refused.status, refused.json["error"]["field"]) == (409, "properties.seed")
    for path in (f"runs/{stage.run}/steps/a", f"runs/{stage.run}/steps"):
        view = stage.api.call("GET", path).json
        step = view if "tags" in view else view["steps"][0]
        assert (step["tags"], step["properties"]) == ({"quality": "good"}, {"seed": "17"})
    assert stage.api.call("GET", f"runs/{stage.run}").json["tags"] == {}


def test_tags_are_removed(stage: Stage) -> None:
    id_ = f"{stage.run}_a"
    stage.call("PATCH", _run(id_), {"tags": {"quality": "good", "draft": "1"}})
    by_name = f"history/v1.0/{WORKSPACE}/experiments/e/runs/{id_}"
    for _ in range(2):
        assert stage.call("DELETE", f"{by_name}/tags", ["draft"]).json["tags"] == {"quality": "good"}


def test_the_run_of_the_pipeline_is_tagged(stage: Stage) -> None:
    assert stage.call("PATCH", _run(stage.run), {"tags": {"from": "a step"}}).status == 200
    assert stage.api.call("GET", f"runs/{stage.run}").json["tags"] == {"from": "a step"}


def test_metrics_add_up_as_ours_do(stage: Stage) -> None:
    body: dict[str, Any] = {
        "values": [
            _metric("rmse", "scalar", _value({"rmse": 1.5}, 1, step=3)),
            _metric("rmse", "scalar", _value({"rmse": 1.25}, 2)),
            _metric("name", "scalar", _value({"name": "text"}, 3)),
            _metric("losses", "list", *(_value({"losses": value}, 4) for value in (3, 2, 1))),
            _metric("row", "table", _value({"a": 1, "b": "x"}, 5)),
            _metric("row", "table", _value({"a": 2, "b": "y"}, 6)),
        ],
        "reportErrors": True,
    }
    assert stage.call("POST", _batch(f"{stage.run}_a"), body).status == 200
    expected = {
        "rmse": [1.5, 1.25],
        "name": "text",
        "losses": [3, 2, 1],
        "row": {"a": [1, 2], "b": ["x", "y"]},
    }
    assert _shown(stage) == expected
    # The answer was lost: the same values come again, in another batch, and are the same values.
    stage.call("POST", _batch(f"{stage.run}_a"), {"values": body["values"][2:]})
    stage.call("POST", _batch(f"{stage.run}_a"), {"values": body["values"][:2]})
    assert _shown(stage) == expected
    assert (
        stage.call("GET", f"history/v1.0/{WORKSPACE}/experiments/e/runs/{stage.run}_a/metricsingest/wait").status == 200
    )


def test_what_json_cannot_say_is_said_as_python_does(stage: Stage) -> None:
    values = [_value({"n": math.nan}, 1), _value({"n": -math.inf}, 2)]
    body = json.dumps({"values": [_metric("n", "scalar", *values)]}).encode()
    assert b"NaN" in body
    assert stage.call("POST", _batch(f"{stage.run}_a"), body).status == 200
    not_a_number, minus_infinity = _shown(stage)["n"]
    assert math.isnan(not_a_number)
    assert minus_infinity == -math.inf


def test_long_lists_and_large_values_are_kept_in_order(stage: Stage) -> None:
    values = [_value({"long": number}) for number in range(450)]
    stage.call("POST", _batch(f"{stage.run}_a"), {"values": [_metric("long", "list", *values)]})
    stage.call("POST", _batch(f"{stage.run}_a"), {"values": [_metric("big", "scalar", _value({"big": "x" * 40_000}))]})
    shown = _shown(stage)
    assert shown["long"] == list(range(450))
    assert len(shown["big"]) == 40_000


def test_what_is_logged_on_the_parent_is_kept_with_the_step(stage: Stage) -> None:
    stage.call("POST", _batch(stage.run), {"values": [_metric("x", "scalar", _value({"x": 5}))]})
    assert list(stage.api.call("GET", f"runs/{stage.run}/metrics").json["steps"]) == ["a"]
    assert _shown(stage) == {"x": 5}


def test_another_step_and_another_run_are_out_of_reach(stage: Stage) -> None:
    for id_ in (f"{stage.run}_b", f"{stage.start()}_a", "nobody"):
        for method, path in (("GET", _run(id_)), ("PATCH", _run(id_)), ("POST", _batch(id_))):
            body: dict[str, Any] = {"values": []} if method == "POST" else {}
            assert stage.call(method, path, body if method != "GET" else None).status == 403


def test_an_owner_may_do_it_too_for_a_step_that_runs(stage: Stage) -> None:
    body = {"values": [_metric("x", "scalar", _value({"x": 5}))]}
    assert stage.api.call("POST", _batch(f"{stage.run}_a"), body).status == 200
    assert stage.api.call("POST", _batch(f"{stage.run}_b"), body).status == 409
    assert stage.api.call("POST", _batch(f"{stage.run}_c"), body).status == 404
    assert stage.api.call("POST", _batch("nobody_a"), body).status == 404
    assert _shown(stage) == {"x": 5}


def test_metrics_of_an_attempt_that_was_taken_over_are_gone(stage: Stage) -> None:
    stage.call("POST", _batch(f"{stage.run}_a"), {"values": [_metric("x", "scalar", _value({"x": 5}))]})
    stage.call("PATCH", _run(f"{stage.run}_a"), {"tags": {"t": "1"}})
    stage.api.world.run(take(stage.api.memory, stage.run, 0, Delivery(message_id="m", count=2)))
    assert _shown(stage) == {}
    assert stage.api.call("GET", f"runs/{stage.run}/steps/a").json["tags"] == {}


@pytest.mark.parametrize(
    "value",
    [
        {"metricId": "a/b", "createdUtc": "2026-01-31T12:00:00Z", "data": {"x": 1}},
        {"metricId": "", "createdUtc": "2026-01-31T12:00:00Z", "data": {"x": 1}},
        {"metricId": "a", "createdUtc": "yesterday", "data": {"x": 1}},
        {"metricId": "a", "createdUtc": "2026-01-31T12:00:00", "data": {"x": 1}},
        {"metricId": "a", "createdUtc": "2026-01-31T12:00:00Z", "data": [1]},
        {"metricId": "a", "createdUtc": "2026-01-31T12:00:00Z"},
    ],
)
def test_bad_values_are_refused(stage: Stage, value: dict[str, Any]) -> None:
    body = {"values": [{"name": "x", "value": [value]}]}
    refused = stage.call("POST", _batch(f"{stage.run}_a"), body)
    assert refused.status == 400
    assert "values" in refused.json["error"]["field"]
    assert _shown(stage) == {}

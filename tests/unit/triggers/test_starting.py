"""Starting runs: by definition, by published pipeline, in the casing of version 1; again and again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.triggers.calling import Api, Called, definition


@pytest.fixture
def api() -> Api:
    return Api()


def start(api: Api, *, headers: dict[str, str] | None = None, **changes: Any) -> Called:
    body = {"experiment_name": "e", "definition": definition(), **changes}
    return api.call("POST", "runs", {k: v for k, v in body.items() if v is not None}, headers=headers)


def publish(api: Api, **changes: Any) -> str:
    pipeline: str = api.call("POST", "pipelines", {"definition": definition(), **changes}).json["id"]
    return pipeline


def test_a_run_is_accepted_with_its_first_messages(api: Api) -> None:
    made = start(api, parameters={"rate": 1, "other": 2}, tags={"k": "v"}, description="d")
    run = made.json
    assert made.status == 202
    assert [message.position for message in made.messages] == [0]
    assert (run["status"], run["parameters"], run["tags"], run["steps_total"]) == (
        "Running",
        {"rate": 1.0},
        {"k": "v"},
        2,
    )
    assert len(run["warnings"]) == 1
    assert "other" in run["warnings"][0]
    assert api.call("GET", f"runs/{run['id']}").json == {**run, "warnings": []}
    assert [entry["name"] for entry in api.call("GET", "experiments").json["experiments"]] == ["e"]


def test_runs_have_ids_of_their_own(api: Api) -> None:
    assert start(api).json["id"] != start(api).json["id"]


def test_a_chosen_id_makes_the_start_repeatable(api: Api) -> None:
    first, second = start(api, run_id="mine"), start(api, run_id="mine")
    assert (first.status, second.status) == (202, 200)
    assert first.json["id"] == second.json["id"] == "mine"
    # The first call's message may have been lost with its answer, so the step is set going again.
    assert [message.position for message in second.messages] == [0]


def test_an_idempotency_key_makes_the_start_repeatable(api: Api) -> None:
    pipeline = publish(api)
    key = {"Idempotency-Key": "k1"}
    by_pipeline = [start(api, definition=None, pipeline_id=pipeline, headers=key) for _ in range(2)]
    assert [made.status for made in by_pipeline] == [202, 200]
    assert by_pipeline[0].json["id"] == by_pipeline[1].json["id"]
    # The same run by the route of version 1.
    again = api.call("POST", f"PipelineRuns/PipelineSubmit/{pipeline}", {"ExperimentName": "e"}, headers=key)
    assert again.json["Id"] == by_pipeline[0].json["id"]
    other = start(api, headers=key)
    assert other.status == 202
    assert other.json["id"] != by_pipeline[0].json["id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"experiment_name": "other"},
        {"parameters": {"rate": 0.25}},
        {"definition": definition(name="other")},
        {"continue_on_step_failure": True},
    ],
)
def test_a_repeated_start_of_something_else_is_refused(api: Api, changes: dict[str, Any]) -> None:
    start(api, run_id="mine")
    made = start(api, run_id="mine", **changes)
    assert (made.status, made.json["error"]["code"], made.json["error"]["field"]) == (409, "Conflict", "run_id")
    assert made.messages == ()
    assert [entry["name"] for entry in api.call("GET", "experiments").json["experiments"]] == ["e"]


@pytest.mark.parametrize("key", ["", "x" * 257, "a\x7fb"])
def test_a_key_is_a_short_text(api: Api, key: str) -> None:
    made = start(api, headers={"Idempotency-Key": key})
    assert (made.status, made.json["error"]["field"]) == (400, "Idempotency-Key")


def test_publishing_is_idempotent(api: Api) -> None:
    body = {"definition": definition(), "version": "1"}
    first, second = api.call("POST", "pipelines", body), api.call("POST", "pipelines", body)
    assert (first.status, first.json["created"]) == (201, True)
    assert (second.status, second.json["created"]) == (200, False)
    assert first.json["id"] == second.json["id"]
    assert first.json["endpoint"] == f"http://host:1/api/PipelineRuns/PipelineSubmit/{first.json['id']}"


def test_the_endpoint_begins_with_the_public_url() -> None:
    api = Api({"MILLSTREAM_PUBLIC_URL": "https://front.example/base/"})
    made = api.call("POST", "pipelines", {"definition": definition()})
    assert made.json["endpoint"].startswith("https://front.example/base/api/PipelineRuns/PipelineSubmit/")


def test_a_published_pipeline_can_be_looked_at(api: Api) -> None:
    pipeline = publish(api, name="shown")
    made = api.call("GET", f"pipelines/{pipeline}").json
    assert (made["name"], made["steps_total"], made["definition"]) == ("shown", 2, None)
    assert made["parameters"] == [{"name": "rate", "type": "float", "default": 0.5}]
    whole = api.call("GET", f"pipelines/{pipeline}?definition=true").json["definition"]
    assert whole["steps"] == definition()["steps"]
    assert [entry["name"] for entry in api.call("GET", "pipelines?name=shown").json["pipelines"]] == ["shown"]
    assert api.call("GET", "pipelines?name=hidden").json["pipelines"] == []


@pytest.mark.parametrize(
    ("published", "asked", "kept"), [(True, None, True), (True, False, False), (False, True, True)]
)
def test_keep_going_is_the_pipelines_unless_the_run_says_otherwise(
    api: Api, published: bool, asked: bool | None, kept: bool
) -> None:
    pipeline = publish(api, continue_on_step_failure=published)
    made = start(api, definition=None, pipeline_id=pipeline, continue_on_step_failure=asked)
    assert made.json["continue_on_step_failure"] is kept


def test_version_1_is_answered_in_its_own_casing(api: Api) -> None:
    pipeline = publish(api)
    body = {
        "ExperimentName": "e",
        "ParameterAssignments": {"rate": "0.25", "1": "united"},
        "Description": "d",
        "RunSource": "SDK",
        "RunType": "HTTP",
        "DataPathAssignments": {"p": {"DataStoreName": "d", "RelativePath": "r"}},
        "ContinueRunOnStepFailure": None,
        "EnableNotification": False,
        "StepTags": {"a": "b"},
        "ScheduleId": None,
        "tags": {"k": "v"},
        "Properties": None,
    }
    made = api.call("POST", f"PipelineRuns/PipelineSubmit/{pipeline}", body)
    run = made.json
    assert made.status == 200
    assert [message.run for message in made.messages] == [run["Id"]]
    assert run["Status"]["StatusCode"] == "Running"
    assert run["Status"]["EndTime"] is None
    assert run["Status"]["CreationTime"].endswith("+00:00")
    assert (run["PipelineId"], run["RunHistoryExperimentName"], run["TotalRunSteps"]) == (pipeline, "e", 2)
    assert (run["ParameterAssignments"], run["tags"]) == ({"rate": "0.25"}, {"k": "v"})
    assert run["Properties"] == {"runSource": "SDK", "runType": "HTTP"}
    assert run["HasWarnings"] is True
    assert len(run["Warnings"]) == 2
    assert api.call("GET", f"runs/{run['Id']}").json["source"] == "SDK"


def test_version_1_reports_the_end(api: Api) -> None:
    pipeline = publish(api)
    key = {"Idempotency-Key": "k"}
    path = f"PipelineRuns/PipelineSubmit/{pipeline}"
    run = api.call("POST", path, {"ExperimentName": "e"}, headers=key).json["Id"]
    api.call("POST", f"runs/{run}/cancel")
    again = api.call("POST", path, {"ExperimentName": "e"}, headers=key).json
    assert (again["Id"], again["Status"]["StatusCode"]) == (run, "Canceled")
    assert again["Status"]["EndTime"] is not None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ExperimentName": "e", "ParameterAssignments": {"rate": []}}, "ParameterAssignments.rate"),
        ({"ExperimentName": "e", "ParameterAssignments": []}, "ParameterAssignments"),
        ({"ExperimentName": "a b"}, "ExperimentName"),
        ({"ExperimentName": "e", "ContinueRunOnStepFailure": "yes"}, "ContinueRunOnStepFailure"),
        ({"ExperimentName": "e", "tags": {"a": "x" * 30_000}}, "ParameterAssignments"),
        ({"Experimentname": "e"}, "ExperimentName"),
    ],
)
def test_version_1_names_fields_as_the_caller_does(api: Api, body: dict[str, Any], field: str) -> None:
    made = api.call("POST", f"PipelineRuns/PipelineSubmit/{publish(api)}", body)
    assert made.json["error"]["field"] == field


def test_a_run_can_be_tagged_and_cancelled(api: Api) -> None:
    run = start(api, tags={"a": "1"}).json["id"]
    assert api.call("PATCH", f"runs/{run}", {"tags": {"a": None, "b": "2"}}).json["tags"] == {"b": "2"}
    for _ in range(2):
        made = api.call("POST", f"runs/{run}/cancel")
        assert (made.status, made.json["status"]) == (200, "Canceled")
    assert {step["status"] for step in api.call("GET", f"runs/{run}/steps").json["steps"]} == {"Canceled"}
    assert [entry["id"] for entry in api.call("GET", "runs?status=Canceled").json["runs"]] == [run]


def test_a_run_over_a_quota_is_refused_until_there_is_room() -> None:
    api = Api({"MILLSTREAM_MOST_RUNS_EACH": "1"})
    pipeline = publish(api)
    first = start(api, run_id="first")
    refused = start(api, run_id="second")
    assert (refused.status, refused.json["error"]["code"]) == (429, "QuotaExceeded")
    assert refused.headers["Retry-After"] == "60"
    said = refused.json["error"]["message"]
    assert '"key" has 1 runs that are not finished, of at most 1 (MILLSTREAM_MOST_RUNS_EACH): "first"' in said
    old = api.call("POST", f"PipelineRuns/PipelineSubmit/{pipeline}", {"ExperimentName": "e"})
    assert (old.status, old.json["Error"]["Code"]) == (429, "QuotaExceeded")
    assert start(api, run_id="first").status == 200
    assert api.call("GET", "runs").json["runs"][0]["id"] == first.json["id"]
    api.call("POST", "runs/first/cancel")
    assert start(api, run_id="second").status == 202


def test_a_pipeline_of_more_steps_than_a_run_may_have_is_refused() -> None:
    refused = start(Api({"MILLSTREAM_RUN_STEPS": "1"}))
    assert (refused.status, refused.json["error"]["field"]) == (413, "definition")
    assert "MILLSTREAM_RUN_STEPS" in refused.json["error"]["message"]

"""Pipeline drafts over HTTP: made, changed, tried, published, removed."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from orchestrator.ports import Commit, Unanswered
from tests.unit.triggers.calling import Api, Called, definition

NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def api() -> Api:
    return Api()


def make(api: Api, **changes: Any) -> Called:
    wish = {"id": str(uuid.uuid4()), "definition": definition(), "experiment_name": "trials", **changes}
    return api.call("POST", "drafts", {name: value for name, value in wish.items() if value is not None})


def problem(made: Called) -> tuple[int, str, str | None]:
    return made.status, made.json["error"]["code"], made.json["error"]["field"]


def test_made_twice_it_is_the_same(api: Api) -> None:
    wish = {"id": str(uuid.uuid4()), "parameters": {"rate": "0.25", "other": 1}, "tags": {"a": "b"}}
    first, second = make(api, **wish), make(api, **wish)
    assert (first.status, second.status) == (201, 200)
    assert {**first.json, "warnings": []} == {**second.json, "warnings": []}
    assert (first.json["name"], first.json["parameters"]) == ("pair", {"rate": 0.25})
    assert any('"other"' in text for text in first.json["warnings"])
    assert problem(make(api, **{**wish, "tags": {}})) == (409, "Conflict", "id")
    whole = api.call("GET", f"drafts/{wish['id']}?definition=true").json
    assert whole["definition"]["steps"] == definition()["steps"]
    assert whole["definition"]["parameters"] == definition()["parameters"]


@pytest.mark.parametrize("applied", [True, False])
def test_a_lost_answer_makes_no_second_one(api: Api, applied: bool) -> None:
    commit, left = api.world.account.tables.commit, [True]

    def lose(effect: Commit) -> Any:
        if effect.pk == "draft" and left:
            left.clear()
            if applied:
                commit(effect)
            raise Unanswered("no answer")
        return commit(effect)

    api.world.register(Commit, lose)
    id_ = str(uuid.uuid4())
    assert make(api, id=id_).status == (201 if applied else 503)
    assert make(api, id=id_).status == (200 if applied else 201)
    assert len(api.call("GET", "drafts").json["drafts"]) == 1


def test_changed_it_keeps_the_rest(api: Api) -> None:
    draft = make(api, parameters={"rate": 1}, tags={"a": "b"}).json
    path = f"drafts/{draft['id']}"
    changed = api.call("PATCH", path, {"name": "other", "description": "d", "parameters": {"rate": 2}}).json
    assert changed == {**draft, "name": "other", "description": "d", "parameters": {"rate": 2.0}}
    other = definition(parameters=[{"name": "rate", "type": "string", "default": "x"}])
    assert api.call("PATCH", path, {"definition": other}).json["parameters"] == {"rate": "2.0"}
    assert problem(api.call("PATCH", path, {"parameters": {"rate": []}})) == (400, "InvalidRequest", "parameters.rate")
    assert problem(api.call("PATCH", path, {"experiment_name": "a b"})) == (400, "InvalidRequest", "experiment_name")
    assert problem(api.call("PATCH", path, {"tags": {"t": "x" * 30_000}})) == (413, "TooLarge", "parameters")


def test_tried_it_starts_runs_with_what_it_is_given(api: Api) -> None:
    draft = make(api, parameters={"rate": 0.25}, tags={"a": "b"}, continue_on_step_failure=True, name="mine").json
    path = f"drafts/{draft['id']}/runs"
    run = api.call("POST", path, {"run_id": "r1", "parent_run": "p"})
    assert run.status == 202
    assert len(run.messages) == 1
    shown = api.call("GET", "runs/r1").json
    assert (shown["experiment"], shown["parameters"], shown["tags"]) == ("trials", {"rate": 0.25}, {"a": "b"})
    assert (shown["continue_on_step_failure"], shown["pipeline_name"]) == (True, "mine")
    assert shown["properties"] == {"azureml.pipelinedraftid": draft["id"]}
    assert api.call("POST", path, {"run_id": "r1", "parent_run": "p"}).status == 200
    assert api.call("GET", f"drafts/{draft['id']}").json["last_run_id"] == "r1"


def test_published_its_values_are_the_defaults(api: Api) -> None:
    draft = make(api, parameters={"rate": 0.25}, name="mine").json
    path = f"drafts/{draft['id']}/publish"
    first, second = api.call("POST", path, {"version": "1"}), api.call("POST", path, {"version": "1"})
    assert (first.status, second.status, first.json["id"]) == (201, 200, second.json["id"])
    shown = api.call("GET", f"pipelines/{first.json['id']}").json
    assert (shown["name"], shown["parameters"][0]["default"]) == ("mine", 0.25)


def test_copies_of_a_pipeline_a_run_and_a_draft(api: Api) -> None:
    pipeline = api.call("POST", "pipelines", {"definition": definition(), "name": "kept"}).json["id"]
    of_pipeline = make(api, definition=None, pipeline_id=pipeline).json
    assert (of_pipeline["name"], of_pipeline["pipeline_id"]) == ("kept", pipeline)
    wish = {"experiment_name": "e", "pipeline_id": pipeline, "parameters": {"rate": 2}, "run_id": "r1"}
    api.call("POST", "runs", wish)
    of_run = make(api, definition=None, run_id="r1", experiment_name=None).json
    assert (of_run["run_id"], of_run["experiment_name"], of_run["parameters"]) == ("r1", "e", {"rate": 2.0})
    of_draft = make(api, definition=None, draft_id=of_run["id"], experiment_name="other", name="third").json
    assert (of_draft["draft_id"], of_draft["run_id"], of_draft["parameters"]) == (of_run["id"], None, {"rate": 2.0})
    assert (of_draft["name"], of_draft["experiment_name"]) == ("third", "other")


def test_listed_by_tag_and_removed(api: Api) -> None:
    first, second = make(api, tags={"a": "1"}).json, make(api, tags={"a": "2", "b": "3"}).json

    def ids(query: str) -> set[str]:
        return {entry["id"] for entry in api.call("GET", f"drafts?{query}").json["drafts"]}

    assert ids("") == {first["id"], second["id"]}
    assert ids("tag=a=2") == ids("tag=b") == {second["id"]}
    assert api.call("DELETE", f"drafts/{first['id']}").status == 200
    assert problem(api.call("DELETE", f"drafts/{first['id']}")) == (404, "NotFound", "draft_id")
    assert ids("tag=a") == {second["id"]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": "mine"}, (400, "InvalidRequest", "id")),
        ({"definition": None}, (400, "InvalidRequest", "definition")),
        ({"pipeline_id": NOBODY}, (400, "InvalidRequest", "definition")),
        ({"definition": None, "pipeline_id": NOBODY}, (404, "NotFound", "pipeline_id")),
        ({"definition": None, "run_id": "nobody"}, (404, "NotFound", "run_id")),
        ({"definition": None, "draft_id": NOBODY}, (404, "NotFound", "draft_id")),
        ({"experiment_name": None}, (400, "InvalidRequest", "experiment_name")),
        ({"name": ""}, (400, "InvalidRequest", "name")),
        ({"parameters": {"rate": "fast"}}, (400, "InvalidRequest", "parameters.rate")),
        ({"definition": definition(steps=[])}, (400, "InvalidDefinition", "steps")),
    ],
)
def test_what_cannot_be_a_draft(api: Api, changes: dict[str, Any], expected: tuple[int, str, str]) -> None:
    assert problem(make(api, **changes)) == expected
    assert api.call("GET", "drafts").json["drafts"] == []


@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("PATCH", ""), ("POST", "/runs"), ("POST", "/publish")])
def test_one_that_is_not_there(api: Api, method: str, rest: str) -> None:
    body: dict[str, Any] | None = None if method == "GET" else {}
    assert problem(api.call(method, f"drafts/{NOBODY}{rest}", body)) == (404, "NotFound", "draft_id")

"""Runs once more: resubmitted, and rerun where they failed."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core import run as runs
from orchestrator.core.run import RunInfo
from orchestrator.engine.rows import INFO, RUNS
from orchestrator.ports import Get
from tests.unit.triggers.calling import Api, Called, definition

PARAMETERS = [
    {"name": "rate", "type": "float", "default": 0.5},
    {
        "name": "where",
        "type": "datapath",
        "default": {"kind": "datapath", "datastore": "workspaceblobstore", "path": "a"},
    },
]


@pytest.fixture
def api() -> Api:
    return Api()


def start(api: Api, **changes: Any) -> str:
    body = {
        "experiment_name": "e",
        "definition": definition(parameters=PARAMETERS),
        "parameters": {"rate": 2, "where": {"kind": "datapath", "datastore": "workspaceblobstore", "path": "b"}},
        "tags": {"k": "v", "n": "1"},
        "properties": {"p": "1"},
        "description": "d",
        "continue_on_step_failure": True,
        **changes,
    }
    run: str = api.call("POST", "runs", body).json["id"]
    return run


def repeat(api: Api, how: str, run: str, headers: dict[str, str] | None = None, **changes: Any) -> Called:
    return api.call("POST", f"runs/{run}/{how}", changes, headers=headers)


def info(api: Api, run: str) -> RunInfo:
    row = api.world.run(_info(run))
    assert row is not None
    return runs.decode(str(row.props["info"]))


def _info(run: str):  # type: ignore[no-untyped-def]
    return (yield from Get(table=RUNS, pk=run, rk=INFO))


def test_resubmitted_it_is_a_new_run_of_the_same(api: Api) -> None:
    first = start(api)
    made = repeat(api, "resubmit", first)
    assert made.status == 202
    assert [message.position for message in made.messages] == [0]
    before, after = api.call("GET", f"runs/{first}").json, made.json
    same = ("experiment", "definition", "parameters", "tags", "description", "continue_on_step_failure", "steps_total")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after["id"] != first
    assert after["properties"] == {"millstream.resubmit_of": first}
    assert after["rerun_of"] is None
    listed = api.call("GET", f"runs?property=millstream.resubmit_of={first}").json["runs"]
    assert [line["id"] for line in listed] == [after["id"]]


def test_a_resubmission_may_differ(api: Api) -> None:
    made = repeat(
        api,
        "resubmit",
        start(api),
        experiment_name="other",
        parameters={"rate": 3},
        tags={"n": "2", "k": None, "new": "x"},
        properties={"q": "2"},
        description="again",
        continue_on_step_failure=False,
    ).json
    assert (made["experiment"], made["description"], made["continue_on_step_failure"]) == ("other", "again", False)
    assert made["parameters"] == {
        "rate": 3.0,
        "where": {"kind": "datapath", "datastore": "workspaceblobstore", "path": "b"},
    }
    assert made["tags"] == {"n": "2", "new": "x"}
    assert made["properties"]["q"] == "2"


def test_a_run_of_a_published_pipeline_stays_one(api: Api) -> None:
    pipeline = api.call("POST", "pipelines", {"definition": definition(), "name": "Published"}).json["id"]
    first = api.call("POST", "runs", {"experiment_name": "e", "pipeline_id": pipeline}).json["id"]
    made = repeat(api, "resubmit", first).json
    assert (made["pipeline_id"], made["pipeline_name"]) == (pipeline, "Published")


@pytest.mark.parametrize("how", ["resubmit", "rerun"])
def test_sent_again_it_finds_the_run_that_it_made(api: Api, how: str) -> None:
    first, other = start(api), start(api)
    for run in (first, other):
        api.call("POST", f"runs/{run}/cancel")
    key = {"Idempotency-Key": "monday"}
    made = [repeat(api, how, first, key) for _ in range(2)]
    assert [answer.status for answer in made] == [202, 200]
    assert made[0].json["id"] == made[1].json["id"]
    assert repeat(api, how, other, key).json["id"] != made[0].json["id"], "the key belongs to the run that is repeated"
    named = [repeat(api, how, first, run_id=f"chosen-{how}") for _ in range(2)]
    assert [(answer.status, answer.json["id"]) for answer in named] == [(202, f"chosen-{how}"), (200, f"chosen-{how}")]


def test_a_rerun_says_whose_steps_it_keeps(api: Api) -> None:
    first = start(api)
    api.call("POST", f"runs/{first}/cancel")
    made = repeat(api, "rerun", first, tags={"n": "2"})
    assert made.status == 202
    assert (made.json["rerun_of"], made.json["tags"]) == (first, {"k": "v", "n": "2"})
    assert made.json["parameters"]["rate"] == 2.0
    assert info(api, made.json["id"]).rerun_of == first
    (line,) = [run for run in api.call("GET", "runs").json["runs"] if run["rerun_of"]]
    assert (line["id"], line["rerun_of"]) == (made.json["id"], first)


def test_what_goes_on_is_not_rerun(api: Api) -> None:
    refused = repeat(api, "rerun", start(api))
    assert (refused.status, refused.json["error"]["field"]) == (409, "run_id")
    assert "has not ended" in refused.json["error"]["message"]


def test_a_rerun_takes_no_other_parameters(api: Api) -> None:
    run = start(api)
    api.call("POST", f"runs/{run}/cancel")
    refused = repeat(api, "rerun", run, parameters={"rate": 9})
    assert (refused.status, refused.json["error"]["field"]) == (400, "parameters")


@pytest.mark.parametrize("how", ["resubmit", "rerun"])
@pytest.mark.parametrize("run", ["none", "a b"])
def test_an_unknown_run_is_not_repeated(api: Api, how: str, run: str) -> None:
    refused = repeat(api, how, run)
    assert (refused.status, refused.json["error"]["field"]) == (404, "run_id")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"parameters": {"rate": "much"}}, "parameters.rate"),
        ({"experiment_name": "a b"}, "experiment_name"),
        ({"experiment_name": ""}, "experiment_name"),
        ({"run_id": "/"}, "run_id"),
        ({"tags": {"x": 1}}, "tags[...]"),
        ({"definition": {}}, "definition"),
    ],
)
def test_a_wrong_change_is_named(api: Api, change: dict[str, Any], field: str) -> None:
    refused = repeat(api, "resubmit", start(api), **change)
    assert (refused.status, refused.json["error"]["field"]) == (400, field)


def test_the_list_is_narrowed_by_the_query(api: Api) -> None:
    first = start(api, source="sdk", parent_run="p1", tags={"a": "1=2", "b": ""})
    second = start(api, tags={"a": "1"}, experiment_name="f")

    def found(query: str) -> set[str]:
        """In no order: both may have been submitted in the same millisecond."""
        return {line["id"] for line in api.call("GET", f"runs?{query}").json["runs"]}

    assert found("tag=a") == {second, first}
    assert found("tag=a%3D1%3D2") == {first}
    assert found("tag=a&tag=b") == {first}
    assert found("source=sdk") == {first}
    assert found("parent_run=p1") == {first}
    assert found("property=p%3D1&experiment=f") == {second}
    moment = api.call("GET", f"runs/{second}").json["submitted_at"]
    assert found(f"submitted_after={moment + 1}") == set()
    assert found(f"submitted_before={moment + 1}") == {second, first}


@pytest.mark.parametrize("query", ["tag=%3Dx", "submitted_after=soon", "submitted_before=nan", "submitted_after=-1"])
def test_a_wrong_filter_is_named(api: Api, query: str) -> None:
    refused = api.call("GET", f"runs?{query}")
    assert (refused.status, refused.json["error"]["field"]) == (400, query.partition("=")[0])

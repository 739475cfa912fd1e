"""From request to answer: what is wrong is named, what is broken is logged, and every error looks alike."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import logs
from orchestrator.adapters.memory import ManualClock, MemoryAccount, MemoryWorld
from orchestrator.core import stored
from orchestrator.core.errors import Broken, Unavailable
from orchestrator.engine.health import KEPT_FOR, note_swept
from orchestrator.ports import Get, Query, Unanswered
from orchestrator.version import VERSION
from tests.unit.triggers.calling import TOKEN, Api, definition


@pytest.fixture
def api() -> Api:
    return Api()


def start(**changes: Any) -> dict[str, Any]:
    return {"experiment_name": "e", "definition": definition(), **changes}


def cyclic() -> dict[str, Any]:
    pipeline = definition()
    pipeline["steps"][0]["run_after"] = ["b"]
    return pipeline


def spoiled(*place: Any, value: Any) -> dict[str, Any]:
    """A start request whose definition has `value` at `place`."""
    body = start()
    at: Any = body["definition"]
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    return body


BAD = [
    ("POST", "runs", b"", 400, "InvalidRequest", "body"),
    ("POST", "runs", b"{", 400, "InvalidRequest", "body"),
    ("POST", "runs", b'{"experiment_name": "\xff"}', 400, "InvalidRequest", "body"),
    ("POST", "runs", b"[]", 400, "InvalidRequest", "body"),
    ("POST", "runs", b"null", 400, "InvalidRequest", "body"),
    ("POST", "runs", b'{"definition": ' + b"[" * 100_000, 400, "InvalidRequest", "definition"),
    ("POST", "runs", b'{"experiment_name":"e","parameters":{"a":' + b"[" * 100_000, 400, "InvalidRequest", "body"),
    ("POST", "runs", {}, 400, "InvalidRequest", "experiment_name"),
    ("POST", "runs", {"experiment_name": "e"}, 400, "InvalidRequest", "definition"),
    ("POST", "runs", start(pipeline_id="x"), 400, "InvalidRequest", "definition"),
    ("POST", "runs", start(experiment_name="a b"), 400, "InvalidRequest", "experiment_name"),
    ("POST", "runs", start(experiment_name=7), 400, "InvalidRequest", "experiment_name"),
    ("POST", "runs", start(expriment=7), 400, "InvalidRequest", "expriment"),
    ("POST", "runs", start(run_id="a/b"), 400, "InvalidRequest", "run_id"),
    ("POST", "runs", start(tags={"a": 1}), 400, "InvalidRequest", "tags[...]"),
    ("POST", "runs", start(parameters={"rate": "fast"}), 400, "InvalidRequest", "parameters.rate"),
    ("POST", "runs", start(parameters={"rate": [1]}), 400, "InvalidRequest", "parameters.rate"),
    ("POST", "runs", start(parameters={"rate": None}), 400, "InvalidRequest", "parameters.rate"),
    ("POST", "runs", start(tags={"a": "x" * 30_000}), 413, "TooLarge", "parameters"),
    ("POST", "runs", spoiled("bogus", value=1), 400, "InvalidRequest", "definition.bogus"),
    ("POST", "runs", spoiled("steps", 1, "bogus", value=1), 400, "InvalidRequest", "definition.steps[1].bogus"),
    ("POST", "runs", spoiled("steps", 0, "id", value=1), 400, "InvalidRequest", "definition.steps[0].id"),
    ("POST", "runs", spoiled("steps", 1, "kind", value="x"), 400, "InvalidDefinition", "steps[1].kind"),
    ("POST", "runs", spoiled("steps", 1, "compute", value="x"), 400, "InvalidDefinition", "steps[1].compute"),
    ("POST", "runs", spoiled("steps", 1, "snapshot", value="b" * 64), 400, "InvalidDefinition", "steps[1].snapshot"),
    ("POST", "runs", start(definition=cyclic()), 400, "InvalidDefinition", "steps[0]"),
    ("POST", "pipelines", {"definition": cyclic()}, 400, "InvalidDefinition", "steps[0]"),
    ("POST", "pipelines", {"definition": definition(), "nmae": "x"}, 400, "InvalidRequest", "nmae"),
    ("GET", "pipelines/x", None, 404, "NotFound", "pipeline_id"),
    ("POST", "PipelineRuns/PipelineSubmit/x", {"ExperimentName": "e"}, 404, "NotFound", "pipeline_id"),
    ("POST", "PipelineRuns/PipelineSubmit/x", {}, 400, "InvalidRequest", "ExperimentName"),
    ("POST", "PipelineRuns/PipelineSubmit/x", {"ExperimentName": "a b"}, 400, "InvalidRequest", "ExperimentName"),
    ("POST", "runs", {"experiment_name": "e", "pipeline_id": "x"}, 404, "NotFound", "pipeline_id"),
    ("GET", "runs/x", None, 404, "NotFound", "run_id"),
    ("POST", "runs/x/cancel", None, 404, "NotFound", "run_id"),
    ("POST", "runs/a%20b/cancel", None, 404, "NotFound", "run_id"),
    ("PATCH", "runs/x", {"tags": {}}, 404, "NotFound", "run_id"),
    ("PATCH", "runs/x", {"tags": {"": "x"}}, 400, "InvalidRequest", "tags"),
    ("GET", "runs?limit=0", None, 400, "InvalidRequest", "limit"),
    ("GET", "runs?limit=ten", None, 400, "InvalidRequest", "limit"),
    ("GET", "runs?status=Done", None, 400, "InvalidRequest", "status"),
    ("GET", "runs?status=null", None, 400, "InvalidRequest", "status"),
    ("GET", "models/x?version=null", None, 400, "InvalidRequest", "version"),
    ("GET", "datastores/workspaceblobstore/files?continuation=*", None, 400, "InvalidRequest", "continuation"),
    ("GET", "datastores/workspaceblobstore/files?continuation=AAE", None, 400, "InvalidRequest", "continuation"),
    ("GET", "runs?expriment=e", None, 400, "InvalidRequest", "expriment"),
    ("GET", "runs?continuation=x", None, 400, "InvalidRequest", "continuation"),
    ("GET", "runs/x/steps/y/log?offset=1.5", None, 400, "InvalidRequest", "offset"),
    ("GET", "datastores/none/files", None, 404, "NotFound", "name"),
    (
        "POST",
        "snapshots",
        {"files": [{"path": "../x", "sha256": "a" * 64, "size": 1}]},
        400,
        "InvalidRequest",
        "files[0].path",
    ),
    ("GET", "models/none", None, 404, "NotFound", "name"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code", "field"), BAD)
def test_bad_input_is_answered_with_the_field(
    api: Api, method: str, path: str, body: Any, status: int, code: str, field: str
) -> None:
    made = api.call(method, path, body)
    error = made.json["error"]
    assert (made.status, error["code"], error["field"]) == (status, code, field)
    assert error["message"]
    assert made.messages == ()
    assert not [name for name in api.world.account.blobs if name.startswith("definitions/")]


def test_every_problem_of_a_definition_is_listed(api: Api) -> None:
    pipeline = cyclic()
    pipeline["steps"][1]["compute"] = "cluster"
    error = api.call("POST", "runs", start(definition=pipeline)).json["error"]
    assert {problem["code"] for problem in error["problems"]} == {"Cycle", "UnknownCompute"}
    assert all(problem["fix"] for problem in error["problems"])


def test_an_unknown_field_is_answered_with_a_near_miss(api: Api) -> None:
    assert 'Did you mean "experiment"' in api.call("GET", "runs?expriment=e").json["error"]["message"]


@pytest.mark.parametrize(("path", "most"), [("runs", 4096), ("pipelines", 4096), ("snapshots", 512)])
def test_a_body_has_a_limit(path: str, most: int) -> None:
    api = Api({"MILLSTREAM_DEFINITION_BYTES": "4096", "MILLSTREAM_BODY_BYTES": "512"})
    assert api.call("POST", path, b" " * most).json["error"]["code"] == "InvalidRequest"
    made = api.call("POST", path, b" " * (most + 1))
    assert (made.status, made.json["error"]["field"]) == (413, "body")


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "json"])
def test_a_body_must_be_json(api: Api, kind: str) -> None:
    made = api.call("POST", "runs", start(), headers={"Content-Type": kind})
    assert (made.status, made.json["error"]["code"]) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"])
def test_json_goes_by_several_names(api: Api, kind: str) -> None:
    assert api.call("POST", "runs", start(), headers={"Content-Type": kind}).status == 202


def test_a_key_of_the_host_in_the_query_is_left_alone(api: Api) -> None:
    assert api.call("GET", "runs?code=abc&clientid=default").status == 200


def boom(_: object) -> None:
    raise RuntimeError("the secret reason")


def broken(_: object) -> None:
    raise Broken("the secret reason")


@pytest.mark.parametrize("fault", [boom, broken])
def test_a_fault_of_ours_is_logged_and_not_shown(
    api: Api, caplog: pytest.LogCaptureFixture, fault: Callable[[object], None]
) -> None:
    api.world.register(Query, fault)
    with caplog.at_level(logging.ERROR):
        made = api.call("GET", "runs")
    error = made.json["error"]
    assert (made.status, error["code"], error["field"]) == (500, "InternalError", None)
    assert "secret" not in made.text.decode()
    assert error["incident"] in caplog.text
    assert error["incident"] == made.headers["X-Request-Id"]
    assert "the secret reason" in caplog.text


def test_what_is_logged_of_a_request_has_its_id_its_caller_and_its_run(api: Api) -> None:
    seen: list[dict[str, Any]] = []

    def look(_: object) -> None:
        seen.append(json.loads(logs.as_json(logging.makeLogRecord({"msg": "looking"}))))
        raise Unavailable("storage is away")

    api.world.register(Get, look)
    api.world.register(Query, look)
    run = "11111111-2222-3333-4444-555555555555"
    made = api.call("GET", f"runs/{run}")
    again = api.call("GET", "models/iris", headers={"X-Request-Id": "the caller's own\n"})
    assert {name: seen[0][name] for name in ("request", "route", "caller", "run")} == {
        "request": made.headers["X-Request-Id"],
        "route": "get_run",
        "caller": "key",
        "run": run,
    }
    assert TOKEN not in str(seen)
    assert "run" not in seen[-1]
    assert re.fullmatch("[0-9a-f]{12}", again.headers["X-Request-Id"])
    assert again.headers["X-Request-Id"] != made.headers["X-Request-Id"]


@pytest.mark.parametrize("error", [Unavailable("storage is away"), Unanswered("no answer")])
def test_storage_that_does_not_answer_is_the_callers_to_retry(api: Api, error: Exception) -> None:
    def away(_: Get) -> None:
        raise error

    api.world.register(Get, away)
    made = api.call("GET", "models/iris")
    assert made.status == 503
    assert made.headers["Retry-After"] == "1"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def timed(clock: ManualClock) -> Api:
    return Api(world=MemoryWorld(MemoryAccount(server_now=clock.now), clock=clock.clock()))


def test_health_says_what_runs_and_how_far_it_lags(timed: Api, clock: ManualClock) -> None:
    fresh = timed.call("GET", "health", token=None).json
    assert (fresh["status"], fresh["version"], fresh["rows"]) == ("ok", VERSION, stored.generation())
    assert fresh["lag"] == {"steps": 0.0, "sweep": None}
    timed.world.run(note_swept())
    timed.world.account.queues.put(timed.settings.queue, "a secret body")
    clock.advance(90)
    made = timed.call("GET", "health", token=None)
    assert made.json["lag"] == {"steps": 90.0, "sweep": 90.0}
    assert made.json["time"] == clock.now()
    assert "secret" not in made.text.decode()
    assert timed.settings.queue not in made.text.decode()


def test_health_asks_storage_every_few_seconds_at_most(timed: Api, clock: ManualClock) -> None:
    asked = list[object]()

    def count(it: object) -> None:
        asked.append(it)

    timed.world.register(Get, count)
    for _ in range(50):
        clock.advance(KEPT_FOR / 60)
        assert timed.call("GET", "health", token=None).status == 200
    assert len(asked) == 1
    clock.advance(KEPT_FOR)
    timed.call("GET", "health", token=None)
    assert len(asked) == 2


def test_health_says_when_storage_is_away_and_when_it_is_back(timed: Api, clock: ManualClock) -> None:
    def away(_: Get) -> None:
        raise Unavailable("away")

    timed.world.register(Get, away)
    made = timed.call("GET", "health", token=None)
    assert (made.status, made.json["status"], made.json["storage"]) == (503, "unavailable", "unreachable")
    assert made.json["lag"] is None
    timed.world.register(Get, timed.world.account.tables.get)
    clock.advance(KEPT_FOR + 1)
    assert timed.call("GET", "health", token=None).status == 200


def test_queues_are_for_readers(timed: Api, clock: ManualClock) -> None:
    assert timed.call("GET", "health/queues", token=None).status == 401
    timed.world.account.queues.put("millstream-steps", "a secret body")
    timed.world.account.queues.put("millstream-steps-poison", "x")
    clock.advance(7)
    made = timed.call("GET", "health/queues")
    found = {it["queue"]: (it["messages"], it["age_seconds"]) for it in made.json["queues"]}
    own = (*timed.settings.step_queues, timed.settings.changes_queue)
    assert set(found) == {*own, *(f"{queue}-poison" for queue in own)}
    assert {queue: what for queue, what in found.items() if what != (0, 0.0)} == {
        "millstream-steps": (1, 7.0),
        "millstream-steps-poison": (1, 7.0),
    }
    assert "secret" not in made.text.decode()


def test_no_answer_is_to_be_kept_or_guessed_at(api: Api) -> None:
    for made in (api.call("GET", "runs"), api.call("GET", "runs/x"), api.call("GET", "runs", token=None)):
        assert made.headers["Cache-Control"] == "no-store"
        assert made.headers["X-Content-Type-Options"] == "nosniff"

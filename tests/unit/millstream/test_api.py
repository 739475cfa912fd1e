"""What the client makes of the service's answers, good and bad."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from millstream.api import Api, error_of
from millstream.errors import (
    Conflict,
    InvalidDefinition,
    InvalidRequest,
    MillstreamError,
    ServiceFault,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnknownThing,
    UserError,
)
from millstream.transport import Response, Transport
from tests.unit.millstream.loopback import Answer, Asked, Loopback, loopback


def as_json(document: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(document).encode())


class Scripted:
    """An Api at a real server; `answers` maps "METHOD /path?query" to what is answered."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.server: Loopback

    def answer(self, asked: Asked) -> Answer:
        return self.answers[f"{asked.method} {asked.path}"]

    @property
    def api(self) -> Api:
        return Api(self.server.url + "/", lambda: {"Authorization": "Bearer t"}, Transport())


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    made = Scripted()
    with loopback(made.answer) as made.server:
        yield made


def test_a_call_carries_the_token_and_json_and_gives_a_value(scripted: Scripted) -> None:
    scripted.answers["POST /api/runs"] = as_json({"id": "r", "experiment": "e", "status": "Running", "news": 1}, 202)
    view = scripted.api.start_run({"run_id": "r", "experiment_name": "e"})
    assert (view.id, view.status, view.ended) == ("r", "Running", False)
    (asked,) = scripted.server.asked
    assert asked.headers["authorization"] == "Bearer t"
    assert asked.headers["content-type"] == "application/json"
    assert json.loads(asked.body) == {"run_id": "r", "experiment_name": "e"}


def test_lists_are_read_page_by_page_as_far_as_they_are_wanted(scripted: Scripted) -> None:
    line = {"experiment": "e", "status": "Completed"}
    pages = {
        "GET /api/runs?experiment=e": {"runs": [{"id": "1", **line}], "continuation": "x y"},
        "GET /api/runs?experiment=e&continuation=x+y": {"runs": [], "continuation": "z"},
        "GET /api/runs?experiment=e&continuation=z": {"runs": [{"id": "2", **line}], "continuation": None},
    }
    scripted.answers |= {request: as_json(page) for request, page in pages.items()}
    runs = scripted.api.runs(experiment="e", status=None)
    assert next(runs).id == "1"
    assert len(scripted.server.asked) == 1
    assert [run.id for run in runs] == ["2"]


def test_names_are_one_part_of_the_path(scripted: Scripted) -> None:
    scripted.answers["GET /api/runs/a%2F..%2Fb"] = as_json({"id": "r", "experiment": "e", "status": "Failed"})
    assert scripted.api.run("a/../b").ended


def test_a_log_is_read_from_an_offset(scripted: Scripted) -> None:
    headers = {"Millstream-Log-Next": "9", "Millstream-Log-Complete": "true", "Millstream-Log-Attempt": "2"}
    scripted.answers["GET /api/runs/r/steps/s/log?offset=4"] = Answer(200, b"hello", headers)
    part = scripted.api.log("r", "s", 4)
    assert (part.data, part.next, part.complete, part.attempt) == (b"hello", 9, True, 2)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "InvalidRequest", InvalidRequest),
        (400, "BadRequest", InvalidRequest),
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Unauthorized),
        (404, "NotFound", UnknownThing),
        (409, "Conflict", Conflict),
        (413, "TooLarge", TooLarge),
        (415, "UnsupportedMediaType", UserError),
        (418, "Teapot", UserError),
        (500, "InternalError", ServiceFault),
        (503, "Unavailable", Unavailable),
    ],
)
def test_an_error_has_the_kind_code_words_and_field_of_the_answer(
    status: int, code: str, kind: type[MillstreamError]
) -> None:
    body = json.dumps({"error": {"code": code, "message": "do this", "field": "steps[2]"}}).encode()
    error = error_of(Response(status, {}, body), "GET http://x/api/y")
    assert type(error) is kind
    assert (str(error), error.code, error.field, error.status) == ("do this", code, "steps[2]", status)
    assert error.__notes__ == [f"GET http://x/api/y -> {status} {code}, field steps[2]"]


def test_the_problems_of_a_definition_come_along() -> None:
    problem = {"code": "Cycle", "field": "steps[0]", "message": "a circle.", "fix": "cut it.", "severity": "error"}
    body = {"error": {"code": "InvalidDefinition", "message": "m", "field": "steps[0]", "problems": [problem]}}
    error = error_of(Response(400, {}, json.dumps(body).encode()), "POST x")
    assert isinstance(error, InvalidDefinition)
    assert [(p.code, p.fix) for p in error.problems] == [("Cycle", "cut it.")]
    assert "a circle. cut it." in str(error)


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"\xff", b"{}", b"[1]"])
def test_an_answer_that_is_not_the_services_is_shown_as_it_is(body: bytes) -> None:
    error = error_of(Response(502, {}, body), "GET http://x")
    assert isinstance(error, Unavailable)
    assert error.code == "Http502"
    assert str(error)


def test_a_refusal_without_words_is_the_hosts() -> None:
    error = error_of(Response(401, {}, b""), "GET http://x")
    assert isinstance(error, Unauthorized)
    assert "MILLSTREAM_FUNCTIONS_KEY" in str(error)


def test_a_good_answer_that_makes_no_sense_is_a_fault(scripted: Scripted) -> None:
    scripted.answers["GET /api/runs/r"] = Answer(200, b"<html>Welcome</html>")
    with pytest.raises(ServiceFault, match="Is the URL that of Millstream"):
        scripted.api.run("r")


def test_no_token_shows_in_an_error(scripted: Scripted) -> None:
    scripted.answers["GET /api/runs/r"] = as_json({"error": {"code": "Unauthorized", "message": "no"}}, 401)
    with pytest.raises(Unauthorized) as caught:
        scripted.api.run("r")
    assert "Bearer" not in f"{caught.value}{caught.value.__notes__}{caught.value!r}"

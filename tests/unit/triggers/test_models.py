"""Models over HTTP: files that no step has made become versions of a model."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from orchestrator.files import SYSTEM
from tests.unit.triggers.calling import Api, Called, definition

DATA = b"a model"


@pytest.fixture
def api() -> Api:
    return Api()


def manifest(*paths: str) -> list[dict[str, Any]]:
    return [{"path": path, "sha256": hashlib.sha256(DATA).hexdigest(), "size": len(DATA)} for path in paths]


def upload(api: Api, *paths: str) -> str:
    """Ask where the files go, and put them there."""
    made = api.call("POST", "models/uploads", {"files": manifest(*paths)}).json
    for file in made["files"]:
        assert file["upload"]["method"] == "PUT"
        api.files.put(SYSTEM, f"models/files/{made['id']}/{file['path']}", DATA)
    return str(made["id"])


def register(api: Api, *paths: str, **changes: Any) -> Called:
    body = {"name": "iris", "path": paths[0], "files": manifest(*paths), "request_id": "r1", **changes}
    return api.call("POST", "models", body)


def test_an_uploaded_file_becomes_a_version(api: Api) -> None:
    upload(api, "model.pkl")
    made = register(api, "model.pkl", tags={"a": "b"}, description="d")
    assert made.status == 200
    assert (made.json["id"], made.json["run_id"], made.json["tags"]) == ("iris:1", "", {"a": "b"})
    assert [(file["path"], file["size"]) for file in made.json["files"]] == [("model.pkl", 7)]
    assert api.call("GET", "models/iris").json["description"] == "d"


def test_the_same_wish_makes_one_version_and_another_one_the_next(api: Api) -> None:
    upload(api, "model.pkl")
    versions = [register(api, "model.pkl", request_id=request).json["version"] for request in ("r1", "r1", "r2")]
    assert versions == [1, 1, 2]


def test_a_folder_is_a_model(api: Api) -> None:
    upload(api, "net/a.bin", "net/sub/b.bin")
    made = register(api, "net/a.bin", "net/sub/b.bin", path="net")
    assert [file["path"] for file in made.json["files"]] == ["net/a.bin", "net/sub/b.bin"]


def test_what_is_stored_is_not_asked_for_again(api: Api) -> None:
    upload(api, "model.pkl")
    again = api.call("POST", "models/uploads", {"files": manifest("model.pkl")}).json
    assert again["files"] == [{"path": "model.pkl", "upload": None}]


def test_what_was_not_uploaded_is_no_model(api: Api) -> None:
    refused = register(api, "model.pkl")
    assert (refused.status, refused.json["error"]["field"]) == (409, "files")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"path": "other"}, "path"),
        ({"path": "../x"}, "path"),
        ({"files": []}, "path"),
        ({"files": [*manifest("model.pkl"), *manifest("../x")]}, "files[1].path"),
        ({"files": [*manifest("model.pkl"), *manifest("model.pkl")]}, "files"),
        ({"files": [{**manifest("model.pkl")[0], "sha256": "x"}]}, "files[0].sha256"),
        ({"files": [{**manifest("model.pkl")[0], "size": -1}]}, "files[0].size"),
        ({"request_id": ""}, "request_id"),
    ],
)
def test_what_cannot_be_registered(api: Api, changes: dict[str, Any], field: str) -> None:
    refused = register(api, "model.pkl", **changes)
    assert (refused.status, refused.json["error"]["field"]) == (400, field)


def test_a_model_has_not_too_many_files(api: Api) -> None:
    refused = api.call("POST", "models/uploads", {"files": manifest(*map(str, range(1001)))})
    assert refused.status == 413


def test_the_definition_of_a_run_can_be_published(api: Api) -> None:
    run = api.call("POST", "runs", {"experiment_name": "e", "definition": definition()}).json["id"]
    found = api.call("GET", f"runs/{run}/definition")
    assert found.status == 200
    assert api.call("POST", "pipelines", {"definition": found.json}).status == 201
    assert api.call("GET", "runs/none/definition").status == 404


def test_properties_are_added_to_a_run(api: Api) -> None:
    run = api.call("POST", "runs", {"experiment_name": "e", "definition": definition()}).json["id"]
    assert api.call("PATCH", f"runs/{run}", {"properties": {"a": "1"}}).json["properties"] == {"a": "1"}
    assert api.call("PATCH", f"runs/{run}", {"properties": {"a": "2"}}).status == 409
    assert api.call("PATCH", f"runs/{run}", {"properties": {"": "2"}}).json["error"]["field"] == "properties"


def test_a_step_that_has_not_succeeded_has_no_models(api: Api) -> None:
    run = api.call("POST", "runs", {"experiment_name": "e", "definition": definition()}).json["id"]
    step = definition()["steps"][0]["id"]
    body = {"name": "iris", "path": "outputs/x", "request_id": "r1"}
    assert api.call("POST", f"runs/{run}/steps/{step}/models", body).json["error"]["field"] == "step_id"
    assert api.call("POST", f"runs/{run}/steps/none/models", body).status == 404
    assert api.call("POST", f"runs/{run}/steps/{step}/models", {**body, "path": "../x"}).status == 400

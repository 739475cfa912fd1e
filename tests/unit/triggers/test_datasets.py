"""The routes of datasets: what they answer, and what they refuse by name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.triggers.calling import Api

SOURCE = {"kind": "datastore", "datastore": "workspaceblobstore", "path": "raw/*.csv"}
DOCUMENT = {"type": "tabular", "sources": [SOURCE], "format": {"kind": "delimited"}}


def document(count: int) -> dict[str, Any]:
    return {**DOCUMENT, "operations": [{"op": "take", "count": count}]}


def test_saving_registering_finding_changing_and_forgetting() -> None:
    api = Api()
    saved = api.call("POST", "datasets", {"document": document(1)})
    assert (saved.status, saved.json["name"], saved.json["version"]) == (200, None, None)
    wish = {"document": document(1), "name": "my data", "description": "d", "tags": {"a": "1"}}
    made = api.call("POST", "datasets", wish)
    assert (made.status, made.json["version"], made.json["created"]) == (201, 1, True)
    assert made.json["id"] == saved.json["id"]
    assert api.call("POST", "datasets", wish).status == 200
    taken = api.call("POST", "datasets", {**wish, "document": document(2)})
    assert (taken.status, taken.json["error"]["field"]) == (409, "name")
    second = api.call("POST", "datasets", {**wish, "document": document(2), "create_new_version": True})
    assert (second.status, second.json["version"]) == (201, 2)

    assert api.call("GET", "datasets/my data").json["document"]["operations"] == [{"op": "take", "count": 2}]
    assert api.call("GET", "datasets/my data?version=1").json["id"] == saved.json["id"]
    assert api.call("GET", f"datasets/by-id/{saved.json['id']}").json["document"] == saved.json["document"]
    assert [line["version"] for line in api.call("GET", "datasets").json["datasets"]] == [2]
    assert [line["version"] for line in api.call("GET", "datasets?name=my data").json["datasets"]] == [2, 1]
    changed = api.call("PATCH", "datasets/my data", {"tags": {"a": None, "b": "2"}, "version": 1})
    assert (changed.json["tags"], changed.json["description"]) == ({"b": "2"}, "d")
    assert api.call("DELETE", "datasets/my data").json == {"versions": 2}
    assert api.call("GET", "datasets/my data").status == 404
    assert api.call("GET", f"datasets/by-id/{saved.json['id']}").status == 200


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "document"),
        ({"document": {**DOCUMENT, "more": 1}}, 400, "document.more"),
        ({"document": {**DOCUMENT, "sources": []}}, 400, "dataset.sources"),
        ({"document": {**DOCUMENT, "sources": [{**SOURCE, "path": "../x"}]}}, 400, "dataset.sources[0].path"),
        ({"document": {**DOCUMENT, "sources": [{**SOURCE, "datastore": "x"}]}}, 400, "dataset.sources[0].datastore"),
        ({"document": DOCUMENT, "name": "a/b"}, 400, "name"),
        ({"document": DOCUMENT, "create_new_version": True}, 400, "name"),
        ({"document": DOCUMENT, "name": "a", "description": "x" * 5000}, 413, "description"),
    ],
)
def test_bad_datasets_are_refused_by_name(body: dict[str, Any], status: int, field: str) -> None:
    answer = Api().call("POST", "datasets", body)
    assert (answer.status, answer.json["error"]["field"]) == (status, field)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "datasets/none"), ("GET", "datasets/by-id/" + "0" * 64), ("GET", "datasets/by-id/x")],
)
def test_what_is_not_there(method: str, path: str) -> None:
    assert Api().call(method, path).status == 404


def test_files_are_located_by_their_paths() -> None:
    api = Api()
    for path in ("raw/a.csv", "raw/b.csv", "raw/b.csv.old"):
        api.files.put("workspaceblobstore", path, b"12")
    answer = api.call("POST", "datastores/workspaceblobstore/locate", {"paths": ["raw/b.csv", "raw/c.csv", "raw"]})
    first, *others = answer.json["files"]
    assert (first["path"], first["size"], first["url"]) == ("raw/b.csv", 2, "memory://workspaceblobstore/raw/b.csv")
    assert others == [None, None]
    assert api.call("POST", "datastores/workspaceblobstore/locate", {"paths": []}).json == {"files": []}
    assert api.call("POST", "datastores/none/locate", {"paths": []}).status == 404
    climbing = api.call("POST", "datastores/workspaceblobstore/locate", {"paths": ["a", "../b"]})
    assert climbing.json["error"]["field"] == "paths[1]"


def test_files_are_located_among_very_many() -> None:
    api = Api()
    for number in range(5010):
        api.files.put("workspaceblobstore", f"raw/{number:05}", b"1")
    answer = api.call("POST", "datastores/workspaceblobstore/locate", {"paths": ["raw/05005", "raw/x", "raw/00001"]})
    assert [file and file["path"] for file in answer.json["files"]] == ["raw/05005", None, "raw/00001"]
    assert api.call("POST", "datastores/workspaceblobstore/locate", {"paths": ["x"] * 1001}).status == 413

"""Datastores over HTTP: what is answered, and that no answer holds a secret."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.unit.triggers.calling import Api, definition

LAKE = {
    "type": "AzureBlob",
    "auth": "account_key",
    "account": "lakeaccount",
    "container": "raw",
    "endpoint": "https://lakeaccount.blob.core.windows.net/",
    "secret": "c2VjcmV0",
}
SALES = {"type": "Sql", "auth": "none", "url": "sqlite:////data/sales.db"}


@pytest.fixture
def api() -> Api:
    return Api({"MILLSTREAM_SECRET_KEYS": base64.b64encode(b"k" * 32).decode()})


def test_one_is_registered_shown_and_forgotten(api: Api) -> None:
    made = api.call("PUT", "datastores/lake", LAKE)
    assert made.status == 201
    assert made.json["endpoint"] == "https://lakeaccount.blob.core.windows.net"
    assert api.call("PUT", "datastores/lake", LAKE).status == 200
    assert api.call("GET", "datastores/lake").json == made.json
    assert api.call("GET", "datastores").json == {"datastores": [made.json], "continuation": None}
    workspace = api.call("GET", "workspace").json
    assert {"name": "lake", "type": "AzureBlob", "container": "raw"} in workspace["datastores"]
    assert api.call("DELETE", "datastores/lake").status == 200
    assert api.call("GET", "datastores/lake").status == 404


def test_no_answer_holds_the_secret(api: Api) -> None:
    answers = [
        api.call("PUT", "datastores/lake", LAKE),
        api.call("PUT", "datastores/lake", {**LAKE, "container": "other"}),
        api.call("PUT", "datastores/lake", {**LAKE, "auth": "c2VjcmV0-is-no-auth"}),
        api.call("PUT", "datastores/pond", {**LAKE, "account": "?"}),
        api.call("PUT", "datastores/pond", {**LAKE, "secret": ["c2VjcmV0"]}),
        api.call("GET", "datastores"),
        api.call("GET", "workspace"),
        api.call("DELETE", "datastores/lake"),
    ]
    assert [answer.status for answer in answers] == [201, 409, 400, 400, 400, 200, 200, 200]
    for answer in answers:
        assert b"sealed" not in answer.text
        assert b"c2VjcmV0" not in answer.text.replace(b"c2VjcmV0-is-no-auth", b"")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({**LAKE, "container": "x"}, 400, "container"),
        ({**LAKE, "secret": ""}, 400, "secret"),
        ({**LAKE, "sekret": "x"}, 400, "sekret"),
        ({**LAKE, "type": "AzureQueue"}, 400, "type"),
        ({**SALES, "url": "postgresql://me:pw@host/db"}, 400, "url"),
    ],
)
def test_what_is_wrong_is_named(api: Api, body: dict[str, Any], status: int, field: str) -> None:
    refused = api.call("PUT", "datastores/lake", body)
    assert (refused.status, refused.json["error"]["field"]) == (status, field)


def test_without_a_key_only_what_has_no_secret_is_registered() -> None:
    api = Api()
    refused = api.call("PUT", "datastores/lake", LAKE)
    assert refused.status == 400
    assert "MILLSTREAM_SECRET_KEYS" in refused.json["error"]["message"]
    assert api.call("PUT", "datastores/sales", SALES).status == 201


def test_the_default_is_chosen(api: Api) -> None:
    api.call("PUT", "datastores/lake", LAKE)
    assert api.call("PUT", "workspace/default-datastore", {"name": "lake"}).json == {"name": "lake"}
    assert api.call("GET", "workspace").json["default_datastore"] == "lake"
    assert api.call("PUT", "workspace/default-datastore", {"name": "pond"}).status == 404
    assert api.call("DELETE", "datastores/lake").status == 409


def test_pipelines_and_datasets_may_name_it(api: Api) -> None:
    steps = definition()["steps"]
    steps[0]["outputs"] = [{"name": "out", "datastore": "lake"}]
    body = {"experiment_name": "e", "definition": definition(steps=steps)}
    refused = api.call("POST", "runs", body)
    assert refused.json["error"]["problems"][0]["code"] == "UnknownDatastore"
    api.call("PUT", "datastores/lake", LAKE)
    assert api.call("POST", "runs", body).status == 202
    api.call("PUT", "datastores/sales", SALES)
    for source, status in (
        ({"kind": "datastore", "datastore": "lake", "path": ""}, 200),
        ({"kind": "datastore", "datastore": "pond", "path": ""}, 400),
    ):
        assert api.call("POST", "datasets", {"document": {"type": "file", "sources": [source]}}).status == status
    query = {"kind": "sql", "datastore": "sales", "query": "select 1"}
    assert api.call("POST", "datasets", {"document": {"type": "tabular", "sources": [query]}}).status == 200


def test_files_of_one_go_by_signed_urls(api: Api) -> None:
    api.call("PUT", "datastores/lake", LAKE)
    asked = {"files": [{"path": "a.csv", "size": 1}], "overwrite": True}
    answer = api.call("POST", "datastores/lake/uploads", asked)
    assert answer.status == 200
    assert answer.json["files"][0]["upload"]["url"].startswith("memory://lake@")
    api.call("PUT", "datastores/sales", SALES)
    assert api.call("GET", "datastores/sales/files").status == 400

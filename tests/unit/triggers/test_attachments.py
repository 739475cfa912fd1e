"""Attached workspaces over HTTP: no answer holds a secret."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.unit.triggers.calling import Api

WISH = {"type": "Databricks", "url": "https://adb-1.7.azuredatabricks.net/", "secret": "dapi0123"}


@pytest.fixture
def api() -> Api:
    return Api({"MILLSTREAM_SECRET_KEYS": base64.b64encode(b"k" * 32).decode()})


def test_attached_listed_and_detached(api: Api) -> None:
    made = api.call("PUT", "attachments/spark", WISH)
    assert made.status == 201
    assert made.json["url"] == "https://adb-1.7.azuredatabricks.net"
    assert api.call("PUT", "attachments/spark", WISH).status == 200
    assert api.call("GET", "attachments/spark").json == made.json
    assert api.call("GET", "attachments").json == {"attachments": [made.json], "continuation": None}
    assert "dapi0123" not in str(made.json) and not {"secret", "sealed"} & made.json.keys()
    assert api.call("DELETE", "attachments/spark").status == 200
    assert api.call("GET", "attachments/spark").status == 404


@pytest.mark.parametrize(
    ("path", "changes", "field"),
    [
        ("attachments/a%20b", {}, "name"),
        ("attachments/spark", {"type": "HDInsight"}, "type"),
        ("attachments/spark", {"url": "http://example.org"}, "url"),
        ("attachments/spark", {"secret": ""}, "secret"),
        ("attachments/spark", {"token": "x"}, "token"),
    ],
)
def test_bad_wishes_are_answered_with_the_field(api: Api, path: str, changes: dict[str, Any], field: str) -> None:
    answer = api.call("PUT", path, {**WISH, **changes})
    assert answer.status == 400
    assert answer.json["error"]["field"] == field

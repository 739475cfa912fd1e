"""Environments kept by name, over HTTP: versions that are registered once."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.ports import Commit, Unanswered
from tests.unit.triggers.calling import Api, Called


@pytest.fixture
def api() -> Api:
    return Api()


def document(*lines: str, **more: Any) -> dict[str, Any]:
    return {"conda": {"name": "x", "dependencies": ["python=3.11", {"pip": list(lines)}]}, **more}


def register(api: Api, *lines: str, name: str = "training", **more: Any) -> Called:
    return api.call("POST", "environments", {"name": name, "document": document(*lines), **more})


def test_the_same_again_is_the_same_version_and_another_is_the_next(api: Api) -> None:
    first, again, second = register(api, "a==1"), register(api, "a==1"), register(api, "a==2")
    assert [(it.status, it.json["version"], it.json["created"]) for it in (first, again, second)] == [
        (201, "1", True),
        (200, "1", False),
        (201, "2", True),
    ]
    back = register(api, "a==1")
    assert (back.status, back.json["version"]) == (201, "3")
    latest = api.call("GET", "environments/training").json
    assert (latest["version"], latest["holds"], latest["versions_total"]) == ("3", document("a==1"), 3)
    assert api.call("GET", "environments/training?version=2").json["holds"] == document("a==2")
    listed = api.call("GET", "environments/training/versions?limit=2").json
    assert [it["version"] for it in listed["versions"]] == ["1", "2"]
    rest = api.call("GET", f"environments/training/versions?continuation={listed['continuation']}").json
    assert [it["version"] for it in rest["versions"]] == ["3"]


def test_a_version_of_its_own_stays_what_it_is(api: Api) -> None:
    assert register(api, "a", version="1.0").json["version"] == "1.0"
    assert register(api, "b").json["version"] == "2"
    assert register(api, "a", version="1.0").status == 200
    refused = register(api, "b", version="1.0")
    assert (refused.status, refused.json["error"]["field"]) == (409, "version")


def test_the_list_has_the_last_version_of_each(api: Api) -> None:
    register(api, "a")
    register(api, "b")
    register(api, "c", name="Other one")
    found = api.call("GET", "environments").json["environments"]
    assert {it["name"]: (it["version"], it["holds"]) for it in found} == {
        "training": ("2", document("b")),
        "Other one": ("1", document("c")),
    }
    assert api.call("GET", "environments/Other one").status == 200


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "AzureML-Minimal"}, "name"),
        ({"name": "microsoft.x"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": ""}, "name"),
        ({"version": "1 2"}, "version"),
        ({"document": {"conda": {"dependencies": [{"pip": ["-r x"]}]}}}, "document.conda.dependencies"),
        ({"document": {"conda": {"dependencies": [{"pip": ["a @ https://me:pw@b.test/a.whl"]}]}}}, None),
        ({"document": {"variables": {"A B": "x"}}}, "document.variables"),
        ({"document": {"variables": {"MILLSTREAM_TOKEN": "x"}}}, "document.variables"),
        ({"document": {"nonsense": 1}}, "document.nonsense"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_field(api: Api, wrong: dict[str, Any], field: str | None) -> None:
    answer = api.call("POST", "environments", {"name": "e", "document": document("a"), **wrong})
    assert answer.status == 400
    error = answer.json["error"]
    assert field in (None, error["field"], *(it["field"] for it in error.get("problems") or ()))
    assert "pw" not in answer.text.decode().replace("password", "")
    assert api.call("GET", "environments").json["environments"] == []


@pytest.mark.parametrize("path", ["environments/none", "environments/training?version=9", "environments/none/versions"])
def test_what_is_not_there_is_404(api: Api, path: str) -> None:
    register(api, "a")
    assert api.call("GET", path).status == 404


def test_a_lost_answer_makes_no_second_version(api: Api) -> None:
    done = api.world.account.tables.commit
    left = iter([True, True])

    def lost(effect: Commit) -> Any:
        made = done(effect)
        if next(left, False):
            raise Unanswered("perhaps")
        return made

    api.world.register(Commit, lost)
    first = register(api, "a")
    assert (first.status, first.json["version"], first.json["created"]) == (201, "1", True)
    assert api.call("GET", "environments/training").json["versions_total"] == 1

"""Modules over HTTP: names, versions that are published once, the default."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.catalog.modules import ModuleVersion
from orchestrator.core.module import default_of
from orchestrator.ports import Commit, Unanswered
from tests.unit.triggers.calling import SNAPSHOT, Api, Called

NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def api() -> Api:
    return Api()


def document(script: str = "sum.py", **more: Any) -> dict[str, Any]:
    return {
        "kind": "python_script",
        "snapshot": SNAPSHOT,
        "settings": {"script": script},
        "arguments": [{"kind": "input", "name": "numbers"}, {"kind": "output", "name": "sum"}],
        "inputs": [{"name": "numbers"}],
        "outputs": [{"name": "sum"}],
        "parameters": [{"name": "start", "default": 0}],
        **more,
    }


def made(api: Api, name: str = "sum", description: str = "d") -> str:
    return str(api.call("POST", "modules", {"name": name, "description": description}).json["id"])


def publish(api: Api, module: str, script: str = "sum.py", **more: Any) -> Called:
    return api.call("POST", f"modules/{module}/versions", {"document": document(script), **more})


class TestModules:
    def test_made_once_and_found_again(self, api: Api) -> None:
        first = api.call("POST", "modules", {"name": "sum", "description": "d"})
        again = api.call("POST", "modules", {"name": "sum", "description": "d"})
        assert (first.status, again.status) == (201, 200)
        assert again.json == {**first.json, "created": False}
        assert api.call("GET", f"modules/{first.json['id']}").json["name"] == "sum"
        assert [it["id"] for it in api.call("GET", "modules?name=sum").json["modules"]] == [first.json["id"]]

    def test_a_name_that_is_taken_is_refused(self, api: Api) -> None:
        made(api)
        other = api.call("POST", "modules", {"name": "sum", "description": "another"})
        assert (other.status, other.json["error"]["field"]) == (409, "name")
        second = made(api, "product")
        renamed = api.call("PATCH", f"modules/{second}", {"name": "sum"})
        assert (renamed.status, renamed.json["error"]["field"]) == (409, "name")

    def test_renamed_the_old_name_is_free(self, api: Api) -> None:
        first = made(api)
        assert api.call("PATCH", f"modules/{first}", {"name": "total"}).json["name"] == "total"
        assert made(api) != first

    def test_disabled_and_enabled(self, api: Api) -> None:
        first = made(api)
        api.call("PATCH", f"modules/{first}", {"status": "Disabled"})
        assert api.call("GET", "modules?active_only=true").json["modules"] == []
        assert [it["status"] for it in api.call("GET", "modules").json["modules"]] == ["Disabled"]
        assert api.call("PATCH", f"modules/{first}", {"status": "gone"}).status == 400

    @pytest.mark.parametrize("path", [f"modules/{NOBODY}", "modules/x", f"module-versions/{NOBODY}"])
    def test_there_is_none(self, api: Api, path: str) -> None:
        assert api.call("GET", path).status == 404


class TestVersions:
    def test_a_version_holds_what_was_published(self, api: Api) -> None:
        module = made(api)
        answer = publish(api, module, version="1", default=True, description="first")
        assert (answer.status, answer.json["version"], answer.json["added"]) == (201, "1", True)
        found = api.call("GET", f"module-versions/{answer.json['id']}").json
        assert found["holds"]["settings"] == {"script": "sum.py"}
        assert api.call("GET", f"modules/{module}").json["default_version"] == "1"

    def test_published_again_it_is_found(self, api: Api) -> None:
        module = made(api)
        first, again = publish(api, module, version="1"), publish(api, module, version="1", default=True)
        assert (again.status, again.json["id"], again.json["added"]) == (200, first.json["id"], False)
        assert api.call("GET", f"modules/{module}").json["default_version"] == "1"
        unnamed, once_more = publish(api, module, "b.py"), publish(api, module, "b.py")
        assert (unnamed.json["version"], once_more.status, once_more.json["version"]) == ("2", 200, "2")

    def test_a_version_is_not_changed(self, api: Api) -> None:
        module = made(api)
        publish(api, module, version="1")
        other = publish(api, module, "b.py", version="1")
        assert (other.status, other.json["error"]["field"]) == (409, "version")

    def test_numbers_that_are_taken_are_passed_over(self, api: Api) -> None:
        module = made(api)
        publish(api, module, version="2")
        assert publish(api, module, "b.py").json["version"] == "3"
        listed = api.call("GET", f"modules/{module}/versions").json["versions"]
        assert [it["version"] for it in listed] == ["2", "3"]

    def test_a_default_that_is_no_version_is_refused(self, api: Api) -> None:
        refused = api.call("PATCH", f"modules/{made(api)}", {"default_version": "7"})
        assert (refused.status, refused.json["error"]["field"]) == (404, "default_version")

    def test_status_and_description_change(self, api: Api) -> None:
        version = publish(api, made(api)).json["id"]
        changed = api.call("PATCH", f"module-versions/{version}", {"status": "Deprecated", "description": "old"})
        assert (changed.json["status"], changed.json["description"]) == ("Deprecated", "old")
        assert api.call("GET", f"module-versions/{version}").json["status"] == "Deprecated"

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"kind": "nothing"}, "document.kind"),
            ({"settings": {}}, "document.settings"),
            ({"settings": {"script": {"kind": "parameter", "name": "start"}}}, "document.settings"),
            ({"arguments": [{"kind": "input", "name": "nobody"}]}, "document.arguments[0].name"),
            ({"inputs": [{"name": "sum"}]}, "document.outputs[0].name"),
            ({"snapshot": "b" * 64}, "document.snapshot"),
            ({"snapshot": None}, "document.snapshot"),
        ],
    )
    def test_what_could_not_run_is_refused(self, api: Api, wrong: dict[str, Any], field: str) -> None:
        body = {"document": document(**wrong)}
        refused = api.call("POST", f"modules/{made(api)}/versions", body)
        assert refused.status == 400
        assert field in [problem["field"] for problem in refused.json["error"]["problems"]]

    @pytest.mark.parametrize("applied", [True, False])
    def test_a_lost_answer_makes_one_version(self, api: Api, applied: bool) -> None:
        module = made(api)
        commit, todo = api.world.account.tables.commit, [True]

        def answer(effect: Commit) -> Any:
            if todo:
                todo.clear()
                if applied:
                    commit(effect)
                raise Unanswered("no answer")
            return commit(effect)

        api.world.register(Commit, answer)
        published = publish(api, module)
        assert (published.status, published.json["version"], todo) == (201, "1", [])
        assert len(api.call("GET", f"modules/{module}/versions").json["versions"]) == 1


def version(text: str, number: int, status: str = "Active") -> ModuleVersion:
    return ModuleVersion(
        id=text, module_id="m", version=text, number=number, document="d", created_at=0.0, status=status
    )


@pytest.mark.parametrize(
    ("texts", "named", "chosen"),
    [
        (["1", "2", "10", "9"], "", "10"),
        (["1.2", "1.10", "1.9.9"], "", "1.10"),
        (["2", "beta", "1"], "", "2"),
        (["alpha", "beta"], "", "beta"),
        (["1", "2"], "1", "1"),
        (["1.0", "1"], "", "1"),
        ([], "", None),
    ],
)
def test_the_version_that_is_used(texts: list[str], named: str, chosen: str | None) -> None:
    found = default_of([version(text, number) for number, text in enumerate(texts)], named)
    assert (found and found.version) == chosen


def test_a_disabled_version_is_never_chosen_by_itself() -> None:
    versions = [version("1", 0), version("2", 1, "Disabled")]
    found = default_of(versions, "2")
    assert found is not None and found.version == "1"

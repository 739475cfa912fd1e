"""Pipeline endpoints and disabled pipelines over HTTP, and runs of them, in our casing and in version 1's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.triggers.calling import Api, Called, definition

NOBODY = "00000000-0000-0000-0000-000000000000"
LONG = (
    "pipelines/v1.0/subscriptions/{subscription}/resourceGroups/{group}"
    "/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
)
PARAMETERS = [
    {"name": "rate", "type": "float", "default": 0.5},
    {"name": "on", "type": "bool", "default": False},
    {"name": "n", "type": "int", "default": 1},
    {"name": "who", "type": "string", "default": "me"},
    {
        "name": "place",
        "type": "datapath",
        "default": {"kind": "datapath", "datastore": "workspaceblobstore", "path": ""},
    },
]


@pytest.fixture
def api() -> Api:
    return Api()


def pipeline(api: Api, version: str = "1", **changes: Any) -> str:
    made = api.call("POST", "pipelines", {"definition": definition(**changes), "version": version})
    return str(made.json["id"])


def endpoint(api: Api, name: str = "train", *, versions: int = 1) -> str:
    made = api.call("POST", "endpoints", {"name": name, "pipeline_id": pipeline(api)})
    for number in range(2, versions + 1):
        api.call("POST", f"endpoints/{made.json['id']}/versions", {"pipeline_id": pipeline(api, str(number))})
    return str(made.json["id"])


def submit(api: Api, path: str, body: dict[str, Any] | None = None, key: str | None = None) -> Called:
    headers = {} if key is None else {"Idempotency-Key": key}
    return api.call("POST", f"PipelineRuns/{path}", body or {"ExperimentName": "e"}, headers=headers)


def problem(made: Called) -> tuple[int, str, str | None]:
    return made.status, made.json["error"]["code"], made.json["error"]["field"]


class TestEndpoints:
    def test_made_twice_it_is_the_same(self, api: Api) -> None:
        wish = {"name": "train", "pipeline_id": pipeline(api), "description": "d"}
        first, second = api.call("POST", "endpoints", wish), api.call("POST", "endpoints", wish)
        assert (first.status, first.json["created"]) == (201, True)
        assert (second.status, second.json["created"]) == (200, False)
        shown = api.call("GET", f"endpoints/{first.json['id']}").json
        assert {**shown, "created": True} == first.json
        assert (shown["default_version"], shown["versions_total"], shown["status"]) == ("0", 1, "Active")
        assert problem(api.call("POST", "endpoints", {**wish, "pipeline_id": pipeline(api, "2")})) == (
            409,
            "Conflict",
            "name",
        )

    def test_its_address_can_be_cut_at_the_first_id(self) -> None:
        api = Api({"MILLSTREAM_PUBLIC_URL": "https://MyIdeas.example/base"})
        made = endpoint(api)
        address = api.call("GET", f"endpoints/{made}").json["endpoint"]
        before, found, after = address.partition("Id")
        assert (found, after) == ("Id", f"/{made}")
        assert before == "https://myideas.example/base/api/PipelineRuns/PipelineEndpointSubmit/"

    def test_versions_are_added_listed_and_chosen(self, api: Api) -> None:
        made, second = endpoint(api), pipeline(api, "2")
        first = api.call("POST", f"endpoints/{made}/versions", {"pipeline_id": second})
        again = api.call("POST", f"endpoints/{made}/versions", {"pipeline_id": second, "default": True})
        assert (first.status, first.json["version"], first.json["added"]) == (201, "1", True)
        assert (again.status, again.json["added"], again.json["default_version"]) == (200, False, "1")
        listed = api.call("GET", f"endpoints/{made}/versions").json["versions"]
        assert listed == [{"version": "0", "pipeline_id": pipeline(api)}, {"version": "1", "pipeline_id": second}]
        back = api.call("PATCH", f"endpoints/{made}", {"default_version": "0", "description": "new"}).json
        assert (back["default_version"], back["description"]) == ("0", "new")

    def test_found_by_name_and_among_the_active(self, api: Api) -> None:
        made, other = endpoint(api), endpoint(api, "other")
        api.call("PATCH", f"endpoints/{other}", {"status": "Disabled"})

        def ids(query: str) -> list[str]:
            return [entry["id"] for entry in api.call("GET", f"endpoints?{query}").json["endpoints"]]

        assert ids("name=train") == [made]
        assert ids("name=nobody") == []
        assert ids("name=other&active_only=true") == []
        assert ids("active_only=true") == [made]
        assert sorted(ids("")) == sorted([made, other])

    @pytest.mark.parametrize(
        ("method", "path", "body", "expected"),
        [
            ("POST", "endpoints", {"name": "x", "pipeline_id": NOBODY}, (404, "NotFound", "pipeline_id")),
            ("POST", "endpoints", {"name": " ", "pipeline_id": NOBODY}, (400, "InvalidRequest", "name")),
            ("POST", "endpoints", {"name": "x"}, (400, "InvalidRequest", "pipeline_id")),
            ("GET", f"endpoints/{NOBODY}", None, (404, "NotFound", "endpoint_id")),
            ("GET", "endpoints/x/versions", None, (404, "NotFound", "endpoint_id")),
            ("POST", f"endpoints/{NOBODY}/versions", {"pipeline_id": "KNOWN"}, (404, "NotFound", "endpoint_id")),
            ("PATCH", "endpoints/KNOWN", {"status": "Asleep"}, (400, "InvalidRequest", "status")),
            ("PATCH", "endpoints/KNOWN", {"default_version": "7"}, (404, "NotFound", "default_version")),
            ("PATCH", "endpoints/KNOWN", {"nmae": "x"}, (400, "InvalidRequest", "nmae")),
            ("PATCH", f"pipelines/{NOBODY}", {"status": "Active"}, (404, "NotFound", "pipeline_id")),
            ("PATCH", "pipelines/x", {"status": "Deprecated"}, (400, "InvalidRequest", "status")),
            ("PATCH", "pipelines/x", {}, (400, "InvalidRequest", "status")),
        ],
    )
    def test_what_cannot_be_is_refused_by_name(
        self, api: Api, method: str, path: str, body: Any, expected: tuple[int, str, str]
    ) -> None:
        made = endpoint(api)
        if body and body.get("pipeline_id") == "KNOWN":
            body = {"pipeline_id": pipeline(api)}
        assert problem(api.call(method, path.replace("KNOWN", made), body)) == expected


class TestRunsOfEndpoints:
    @pytest.mark.parametrize(
        ("path", "version"),
        [
            ("Id/{id}", "0"),
            ("Id/{id}/1", "1"),
            ("Id/{id}?pipelineVersion=1", "1"),
            ("Name?name=train", "0"),
            ("Name?name=train&pipelineVersion=1", "1"),
        ],
    )
    @pytest.mark.parametrize("prefix", ["", LONG + "/"])
    def test_version_1_calls_them_in_all_its_forms(self, api: Api, path: str, version: str, prefix: str) -> None:
        made = endpoint(api, versions=2)
        settings = api.settings
        long = prefix.format(
            subscription=settings.subscription_id.upper(), group=settings.resource_group, workspace=settings.workspace
        )
        full = f"{long}PipelineRuns/PipelineEndpointSubmit/{path.format(id=made)}"
        run = api.call("POST", full, {"ExperimentName": "e"})
        assert run.status == 200, run.json
        assert run.json["PipelineId"] == pipeline(api, str(int(version) + 1))
        assert run.json["Properties"] == {
            "azureml.pipelineendpointid": made,
            "azureml.pipelineversion": version,
        }
        assert [message.run for message in run.messages] == [run.json["Id"]]

    def test_our_own_route_does_too(self, api: Api) -> None:
        made = endpoint(api, versions=2)
        wish = {"experiment_name": "e", "endpoint_id": made, "pipeline_version": "1"}
        run = api.call("POST", "runs", wish)
        assert (run.status, run.json["pipeline_id"]) == (202, pipeline(api, "2"))
        both = api.call("POST", "runs", {**wish, "pipeline_id": pipeline(api)})
        assert problem(both) == (400, "InvalidRequest", "definition")
        neither = api.call(
            "POST", "runs", {"experiment_name": "e", "pipeline_id": pipeline(api), "pipeline_version": "0"}
        )
        assert problem(neither) == (400, "InvalidRequest", "pipeline_version")

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            (f"PipelineEndpointSubmit/Id/{NOBODY}", (404, "NotFound", "endpoint_id")),
            ("PipelineEndpointSubmit/Id/KNOWN/7", (404, "NotFound", "pipelineVersion")),
            ("PipelineEndpointSubmit/Id/KNOWN?pipelineVersion=x", (404, "NotFound", "pipelineVersion")),
            ("PipelineEndpointSubmit/Name?name=nobody", (404, "NotFound", "name")),
            ("PipelineEndpointSubmit/Name", (400, "InvalidRequest", "name")),
            ("PipelineEndpointSubmit/Id/KNOWN?parentRunId=a/b", (400, "InvalidRequest", "parentRunId")),
            (f"PipelineSubmit/{NOBODY}", (404, "NotFound", "pipeline_id")),
        ],
    )
    def test_what_is_not_there(self, api: Api, path: str, expected: tuple[int, str, str]) -> None:
        assert problem(submit(api, path.replace("KNOWN", endpoint(api)))) == expected

    def test_the_long_path_is_that_of_this_workspace(self, api: Api) -> None:
        own = {"subscription": api.settings.subscription_id, "group": "rg", "workspace": api.settings.workspace}
        path = f"{LONG.format(**{**own, 'group': 'other'})}/PipelineRuns/PipelineSubmit/{pipeline(api)}"
        assert problem(api.call("POST", path, {"ExperimentName": "e"})) == (404, "NotFound", "resource_group")

    def test_a_disabled_pipeline_and_a_disabled_endpoint_say_so(self, api: Api) -> None:
        made, first = endpoint(api), pipeline(api)
        assert api.call("PATCH", f"pipelines/{first}", {"status": "Disabled"}).json["status"] == "Disabled"
        refused = submit(api, f"PipelineSubmit/{first}")
        assert problem(refused) == (409, "Conflict", "pipeline_id")
        assert "Disabled" in refused.json["error"]["message"]
        assert refused.messages == ()
        assert problem(submit(api, f"PipelineEndpointSubmit/Id/{made}")) == (409, "Conflict", "pipelineVersion")
        started = api.call("POST", "runs", {"experiment_name": "e", "pipeline_id": first})
        assert problem(started) == (409, "Conflict", "pipeline_id")
        api.call("PATCH", f"pipelines/{first}", {"status": "Active"})
        assert submit(api, f"PipelineSubmit/{first}").status == 200
        api.call("PATCH", f"endpoints/{made}", {"status": "Disabled"})
        assert problem(submit(api, f"PipelineEndpointSubmit/Id/{made}")) == (409, "Conflict", "endpoint_id")
        assert [entry["status"] for entry in api.call("GET", "pipelines").json["pipelines"]] == ["Active"]

    def test_a_request_sent_again_finds_its_run_whatever_was_changed_since(self, api: Api) -> None:
        made = endpoint(api, versions=2)
        path, by_id = f"PipelineEndpointSubmit/Id/{made}", f"PipelineSubmit/{pipeline(api)}"
        first, direct = submit(api, path, key="k").json, submit(api, by_id, key="k").json
        api.call("PATCH", f"endpoints/{made}", {"default_version": "1"})
        api.call("PATCH", f"pipelines/{pipeline(api)}", {"status": "Disabled"})
        assert submit(api, path, key="k").json["Id"] == first["Id"]
        assert submit(api, by_id, key="k").json["Id"] == direct["Id"] != first["Id"]
        # Another run by the same key would be of another pipeline: refused. Without the key, it is of the new default.
        assert problem(submit(api, f"{path}?pipelineVersion=1", key="k"))[0] == 409
        assert submit(api, path).json["PipelineId"] == pipeline(api, "2")

    def test_what_the_caller_says_of_itself_is_kept(self, api: Api) -> None:
        path = f"PipelineEndpointSubmit/Id/{endpoint(api)}?parentRunId=parent-1&api-version=2019-11-01"
        body = {"ExperimentName": "e", "RunSource": "ADF", "RunType": "Schedule", "Properties": {"a": "b"}}
        run = submit(api, path, body).json
        assert run["Properties"] == {
            "a": "b",
            "azureml.parentrunid": "parent-1",
            "runSource": "ADF",
            "runType": "Schedule",
            "azureml.pipelineendpointid": run["Properties"]["azureml.pipelineendpointid"],
            "azureml.pipelineversion": "0",
        }
        assert (run["RunSource"], run["RunType"]) == ("ADF", "Schedule")
        assert api.call("GET", f"runs/{run['Id']}").json["properties"] == run["Properties"]


@pytest.mark.parametrize("prefix", ["", LONG + "/"])
def test_version_1_looks_at_a_run_and_cancels_it(api: Api, prefix: str) -> None:
    settings = api.settings
    long = prefix.format(
        subscription=settings.subscription_id, group=settings.resource_group, workspace=settings.workspace
    )
    run = submit(api, f"PipelineSubmit/{pipeline(api)}").json
    shown = api.call("GET", f"{long}PipelineRuns/{run['Id']}")
    assert (shown.status, shown.json) == (200, run)
    for _ in range(2):
        ended = api.call("DELETE", f"{long}PipelineRuns/{run['Id']}/Execution")
        assert (ended.status, ended.json["Status"]["StatusCode"]) == (200, "Canceled")
    for method, path in (("GET", "PipelineRuns/nobody"), ("DELETE", "PipelineRuns/%2e%2e/Execution")):
        refused = api.call(method, f"{long}{path}")
        assert problem(refused) == (404, "NotFound", "run_id")
        assert refused.json["Error"]["Target"] == "run_id"
    assert "Error" not in api.call("GET", "runs/nobody").json


class TestAssignments:
    def path(self, api: Api) -> str:
        return f"PipelineSubmit/{pipeline(api, parameters=PARAMETERS)}"

    def test_values_in_the_forms_of_version_1(self, api: Api) -> None:
        body = {
            "ExperimentName": "e",
            "ParameterAssignments": {"rate": "1", "on": "True", "n": "45", "who": 5},
            "DataPathAssignments": {"place": {"DataStoreName": "workspaceblobstore", "RelativePath": "a/b"}},
        }
        run = submit(api, self.path(api), body).json
        assert run["ParameterAssignments"] == {"rate": "1.0", "on": "True", "n": "45", "who": "5"}
        assert run["DataPathAssignments"] == body["DataPathAssignments"]
        assert run["Warnings"] == [warning for warning in run["Warnings"] if "No step uses" in warning]
        kept = api.call("GET", f"runs/{run['Id']}").json["parameters"]
        assert (kept["rate"], kept["on"], kept["n"], kept["who"]) == (1.0, True, 45, "5")

    def test_null_stands_for_the_default_and_unknown_names_for_a_warning(self, api: Api) -> None:
        body = {"ExperimentName": "e", "ParameterAssignments": {"rate": None, "1": "united", "2": None}}
        run = submit(api, self.path(api), body).json
        assert run["ParameterAssignments"]["rate"] == "0.5"
        assert [name for name in ("1", "2") if any(f'"{name}"' in text for text in run["Warnings"])] == ["1", "2"]
        assert run["HasWarnings"] is True
        assert submit(api, self.path(api), {"ExperimentName": "e", "ParameterAssignments": None}).status == 200

    def test_a_dataset_by_id_and_by_name(self, api: Api) -> None:
        document: dict[str, Any] = {
            "type": "file",
            "sources": [{"kind": "datastore", "datastore": "workspaceblobstore", "path": "x"}],
        }
        saved = api.call("POST", "datasets", {"document": document, "name": "data"}).json["id"]
        other = {**document, "sources": [{**document["sources"][0], "path": "y"}]}
        default = api.call("POST", "datasets", {"document": other}).json["id"]
        declared = [{"name": "ds", "type": "dataset", "default": {"kind": "dataset", "id": default}}]
        port = {"name": "ds", "source": {"kind": "parameter", "name": "ds"}, "mode": "direct"}
        steps = [{**definition()["steps"][0], "inputs": [port]}]
        path = f"PipelineSubmit/{pipeline(api, parameters=declared, steps=steps)}"

        def of(reference: Any) -> Called:
            return submit(api, path, {"ExperimentName": "e", "DataSetDefinitionValueAssignments": {"ds": reference}})

        for reference in (
            {"SavedDataSetReference": {"Id": saved}},
            {"DataSetReference": {"Id": saved}},
            {"DataSetReference": {"Name": "data"}},
            {"DataSetReference": {"Id": None, "Name": "data", "Version": "1"}},
        ):
            answer = of(reference).json["DataSetDefinitionValueAssignments"]
            assert answer == {"ds": {"SavedDataSetReference": {"Id": saved}}}
        for reference, status in (
            ({"DataSetReference": {"Name": "nobody"}}, 404),
            ({"DataSetReference": {"Name": "data", "Version": "7"}}, 404),
            ({"DataSetReference": {"Name": "data", "Version": []}}, 400),
            ({"SavedDataSetReference": {"Id": "7"}}, 400),
            ({"LiteralValue": {"DataStoreName": "workspaceblobstore", "RelativePath": "x"}}, 400),
            ({}, 400),
        ):
            refused = of(reference)
            assert refused.status == status, refused.json
            assert refused.json["error"]["field"] == "DataSetDefinitionValueAssignments.ds"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "ExperimentName"),
            ({"ExperimentName": None}, "ExperimentName"),
            ({"ExperimentName": ""}, "ExperimentName"),
            ({"ExperimentName": 5}, "ExperimentName"),
            ({"ParameterAssignments": {"n": 1.5}}, "ParameterAssignments.n"),
            ({"ParameterAssignments": {"n": "x"}}, "ParameterAssignments.n"),
            ({"ParameterAssignments": {"on": "yes"}}, "ParameterAssignments.on"),
            ({"ParameterAssignments": {"who": {}}}, "ParameterAssignments.who"),
            ({"ParameterAssignments": {"place": "a/b"}}, "ParameterAssignments.place"),
            ({"ParameterAssignments": "x"}, "ParameterAssignments"),
            (
                {"DataPathAssignments": {"place": {"DataStoreName": "nobody", "RelativePath": ""}}},
                "DataPathAssignments.place",
            ),
            ({"DataPathAssignments": {"place": {"DataStoreName": "workspaceblobstore"}}}, "DataPathAssignments.place"),
            ({"DataPathAssignments": {"place": "x"}}, "DataPathAssignments.place"),
            ({"ParameterAssignments": {"n": 1}, "DataPathAssignments": {"n": 1}}, "DataPathAssignments.n"),
            ({"DataSetDefinitionValueAssignments": []}, "DataSetDefinitionValueAssignments"),
            ({"RunType": "Robot"}, "RunType"),
            ({"RunSource": 5}, "RunSource"),
            ({"ScheduleId": 5}, "ScheduleId"),
            ({"EnableNotification": "no"}, "EnableNotification"),
            ({"ContinueRunOnStepFailure": 1}, "ContinueRunOnStepFailure"),
            ({"Description": []}, "Description"),
            ({"tags": []}, "tags"),
            ({"StepTags": "x"}, "StepTags"),
            ({"Properties": 1}, "Properties"),
        ],
    )
    def test_a_bad_body_is_refused_with_the_field_by_version_1s_name(self, api: Api, body: Any, field: str) -> None:
        sent = body if not body or "ExperimentName" in body else {"ExperimentName": "e", **body}
        refused = submit(api, self.path(api), sent if sent else {"tags": {}})
        assert (refused.status, refused.json["error"]["field"]) == (400, field), refused.json
        error = refused.json["Error"]
        assert (error["Code"], error["Target"]) == (refused.json["error"]["code"], field)
        assert refused.messages == ()

    def test_a_value_that_does_not_fit_a_step_is_refused_before_anything_starts(self, api: Api) -> None:
        steps = [{**definition()["steps"][0], "timeout_seconds": {"kind": "parameter", "name": "rate"}}]
        path = f"PipelineSubmit/{pipeline(api, steps=steps)}"
        refused = submit(api, path, {"ExperimentName": "e", "ParameterAssignments": {"rate": -1}})
        assert problem(refused) == (400, "InvalidRequest", "ParameterAssignments.rate")
        assert submit(api, path, {"ExperimentName": "e", "ParameterAssignments": {"rate": 9}}).status == 200

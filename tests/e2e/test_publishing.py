"""Published pipelines, pipeline endpoints and drafts, as v1's users call them: SDK, requests.post, curl."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from millstream import (
    Conflict,
    DataPath,
    DataPathComputeBinding,
    DataReference,
    Dataset,
    DatasetConsumptionConfig,
    Experiment,
    Pipeline,
    PipelineDraft,
    PipelineEndpoint,
    PipelineParameter,
    PipelineRun,
    PublishedPipeline,
    PythonScriptStep,
    UnknownThing,
    Workspace,
)
from tests.azurite import Azurite
from tests.e2e.devhost.harness import ROOT
from tests.service import TOKEN, Service, running_service

pytestmark = pytest.mark.azurite

SCRIPT = """
import os, sys
print(*sys.argv[1:], os.environ.get("AML_PARAMETER_day"), sep="|")
for name in ("AZUREML_DATAREFERENCE_raw",):
    if name in os.environ:
        print(open(os.environ[name]).read())
"""


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture(scope="module")
def workspace(service: Service) -> Workspace:
    return Workspace(url=service.url, token=TOKEN)


def pipeline(workspace: Workspace, folder: Path, mark: str = "a", **fields: Any) -> Pipeline:
    """A pipeline of one step that prints its arguments: `mark` tells versions apart."""
    (folder / "src").mkdir(exist_ok=True)
    (folder / "src" / "main.py").write_text(SCRIPT)
    rate = PipelineParameter("rate", 0.5)
    step = PythonScriptStep(
        "main.py",
        name="main",
        source_directory=folder / "src",
        **{"arguments": [mark, f"--rate={rate}", PipelineParameter("flag", False)], **fields},
    )
    return Pipeline(workspace, [step])


def printed(workspace: Workspace, run_id: str) -> str:
    run = PipelineRun.get(workspace, run_id)
    run.wait_for_completion(show_output=False)
    (step,) = run.find_step_run("main")
    return step.get_stdout_log().strip()


def curl(url: str, body: str, *more: str) -> tuple[int, Any]:
    """What the real curl is answered: status, JSON."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    done = subprocess.run(
        [
            *("curl", "--silent", "--show-error", "-X", "POST", url, "-d", body, "-w", "\n%{http_code}"),
            *("-H", f"Authorization: Bearer {TOKEN}", "-H", "Content-Type: application/json", *more),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    text, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(text)


@pytest.fixture
def endpoint(workspace: Workspace, tmp_path: Path) -> PipelineEndpoint:
    """With two versions, the first one the default."""
    name = f"endpoint of {tmp_path.name}"
    made = PipelineEndpoint.publish(workspace, name=name, description="d", pipeline=pipeline(workspace, tmp_path))
    made.add(pipeline(workspace, tmp_path, "b"))
    return made


def test_an_endpoint_and_its_versions(
    workspace: Workspace, tmp_path: Path, endpoint: PipelineEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = endpoint.list_pipelines()
    assert [version.version for version in endpoint.list_versions()] == ["0", "1"]
    assert (endpoint.get_pipeline().id, endpoint.get_pipeline("1").id) == (first.id, second.id)
    again = PipelineEndpoint.publish(workspace, endpoint.name, "d", first)
    assert again.id == endpoint.id
    assert f"This pipeline endpoint is there already: {endpoint.name}" in capsys.readouterr().out
    endpoint.add(second)
    assert "is already version 1" in capsys.readouterr().out
    endpoint.set_default(second)
    assert endpoint.get_default_version() == "1"
    endpoint.set_default_version("0")
    third = pipeline(workspace, tmp_path, "c").publish(name="third")
    with pytest.raises(ValueError, match="no version"):
        endpoint.set_default(third)
    with pytest.raises(Conflict):
        PipelineEndpoint.publish(workspace, endpoint.name, "d", third)
    updated = PipelineEndpoint.publish_or_update(workspace, endpoint.name, "d", third)
    assert (updated.id, updated.default_version) == (endpoint.id, "2")
    endpoint.set_name(f"{endpoint.name}, renamed")
    endpoint.set_description("new")
    found = PipelineEndpoint.get(workspace, name=endpoint.name)
    assert (found.id, found.description) == (endpoint.id, "new")
    found.archive()
    assert endpoint.id not in [one.id for one in PipelineEndpoint.list(workspace)]
    assert endpoint.id in [one.id for one in PipelineEndpoint.list(workspace, active_only=False)]
    with pytest.raises(Conflict, match="Deprecated"):
        found.submit("e")
    found.reactivate(f"{endpoint.name} again")
    assert (found.status, found.name) == ("Active", f"{endpoint.name} again")
    with pytest.raises(UnknownThing):
        PipelineEndpoint.get(workspace, name="nobody")


def test_runs_of_an_endpoint_by_the_sdk(workspace: Workspace, endpoint: PipelineEndpoint) -> None:
    run = endpoint.submit("sdk", pipeline_parameters={"rate": 1}, parent_run_id="parent")
    assert printed(workspace, run.id) == "a|--rate=1.0|False|None"
    assert run.properties["azureml.pipelineendpointid"] == endpoint.id
    assert run.properties["azureml.parentrunid"] == "parent"
    chosen = Experiment(workspace, "sdk").submit(endpoint, pipeline_version="1", tags={"k": "v"})
    assert printed(workspace, chosen.id) == "b|--rate=0.5|False|None"
    assert (chosen.properties["azureml.pipelineversion"], chosen.tags) == ("1", {"k": "v"})


def test_the_forms_of_version_1_with_requests_and_with_curl(workspace: Workspace, endpoint: PipelineEndpoint) -> None:
    header = workspace.authentication.get_authentication_header()
    address = endpoint.endpoint
    by_name = address.split("Id", 1)[0] + f"Name?name={endpoint.name}"
    details = workspace.api.workspace()
    long = address.replace(
        "/api/",
        f"/api/pipelines/v1.0/subscriptions/{details.subscription_id}/resourceGroups/{details.resource_group}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{details.name}/",
    )
    published = endpoint.get_pipeline("1")
    forms = {
        published.endpoint: "b",
        address: "a",
        f"{address}/1": "b",
        f"{address}?pipelineVersion=1": "b",
        by_name: "a",
        f"{by_name}&pipelineVersion=1": "b",
        f"{long}/0": "a",
    }
    body = {
        "ExperimentName": "forms",
        "RunSource": "SDK",
        "ParameterAssignments": {"rate": "2", "flag": "true", "1": "united", "2": None},
        "tags": {"via": "test"},
    }
    runs: dict[str, str] = {}
    for url, mark in forms.items():
        answer = requests.post(url, headers=header, json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        entity = answer.json()
        assert (entity["Status"]["StatusCode"], entity["RunHistoryExperimentName"]) == ("Running", "forms")
        assert entity["ParameterAssignments"] == {"rate": "2.0", "flag": "True"}
        assert len(entity["Warnings"]) == 2
        status, entity = curl(url.replace(" ", "%20"), json.dumps(body))
        assert (status, entity["RunSource"], entity["tags"]) == (200, "SDK", {"via": "test"})
        runs[answer.json()["Id"]] = runs[entity["Id"]] = mark
    assert len(runs) == 2 * len(forms)
    for run, mark in runs.items():
        assert printed(workspace, run) == f"{mark}|--rate=2.0|True|None"
        shown = requests.get(f"{workspace.url}/api/PipelineRuns/{run}", headers=header, timeout=60).json()
        assert (shown["Id"], shown["Status"]["StatusCode"]) == (run, "Finished")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ("{}", 400, "ExperimentName"),
        ('{"ExperimentName": "a b"}', 400, "ExperimentName"),
        ('{"ExperimentName": "e", "ParameterAssignments": {"rate": "fast"}}', 400, "ParameterAssignments.rate"),
        ('{"ExperimentName": "e", "ParameterAssignments": ["rate"]}', 400, "ParameterAssignments"),
        ('{"ExperimentName": "e", "DataPathAssignments": {"rate": {}}}', 400, "DataPathAssignments.rate"),
        ('{"ExperimentName": "e", "RunType": "Robot"}', 400, "RunType"),
        ('{"ExperimentName": "e", "ContinueRunOnStepFailure": "yes"}', 400, "ContinueRunOnStepFailure"),
        ('{"ExperimentName": "e"', 400, "body"),
        ("", 400, "body"),
    ],
)
def test_a_bad_body_names_the_field(
    workspace: Workspace, endpoint: PipelineEndpoint, body: str, status: int, field: str
) -> None:
    header = {**workspace.authentication.get_authentication_header(), "Content-Type": "application/json"}
    answer = requests.post(endpoint.endpoint, headers=header, data=body, timeout=60)
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field), answer.text
    by_curl, error = curl(endpoint.endpoint, body)
    assert (by_curl, error["error"]["field"], error["Error"]["Target"]) == (status, field, field)


def test_a_disabled_pipeline_starts_nothing(workspace: Workspace, tmp_path: Path) -> None:
    published = pipeline(workspace, tmp_path).publish(name="to be disabled", version="1")
    published.disable()
    assert published.status == "Disabled"
    header = workspace.authentication.get_authentication_header()
    answer = requests.post(published.endpoint, headers=header, json={"ExperimentName": "e"}, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "Conflict")
    with pytest.raises(Conflict, match="Disabled"):
        published.submit(workspace, "e")
    active = [one.id for one in PublishedPipeline.list(workspace)]
    assert published.id not in active
    assert published.id in [one.id for one in PublishedPipeline.list(workspace, active_only=False)]
    assert PublishedPipeline.get(workspace, name="to be disabled").status == "Disabled"
    published.enable()
    assert printed(workspace, published.submit(workspace, "e").id).startswith("a|")


def test_a_run_is_published_once(workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = pipeline(workspace, tmp_path).submit("to-publish")
    first = run.publish_pipeline(name="of a run", description="d", version="1")
    second = run.publish_pipeline(name="of a run", description="d", version="1")
    assert first.id == second.id
    said = capsys.readouterr().out
    assert f"Published pipeline of a run ({first.id})" in said
    assert f"This pipeline is published already: of a run ({first.id})" in said
    assert [step.name for step in first.get_graph().steps] == ["main"]


def test_a_draft_is_changed_tried_and_published(workspace: Workspace, tmp_path: Path) -> None:
    draft = PipelineDraft.create(
        workspace,
        pipeline(workspace, tmp_path),
        name="trial",
        experiment_name="drafts",
        pipeline_parameters={"rate": 3},
        tags={"topic": "x"},
    )
    assert printed(workspace, draft.submit_run().id) == "a|--rate=3.0|False|None"
    draft.update(pipeline=pipeline(workspace, tmp_path, "b"), pipeline_parameters={"rate": 4}, description="new")
    run = draft.submit_run()
    assert printed(workspace, run.id) == "b|--rate=4.0|False|None"
    assert draft.last_submitted_pipeline_run_id == run.id
    found = PipelineDraft.get(workspace, draft.id)
    assert (found.name, found.description, found.parameters) == ("trial", "new", {"rate": 4.0})
    assert [one.id for one in PipelineDraft.list(workspace, tags={"topic": "x"})] == [draft.id]
    published = draft.publish()
    assert published.parameters["rate"] == 4.0
    for original in (published, run, draft):
        copy = PipelineDraft.create(workspace, original, experiment_name="copies")
        assert copy.experiment_name == "copies"
        assert copy.get_graph().steps == draft.get_graph().steps
        copy.save(tmp_path / "copy.json")
        copy.delete()
        with pytest.raises(UnknownThing):
            PipelineDraft.get(workspace, copy.id)
    assert printed(workspace, published.submit(workspace, "e").id) == "b|--rate=4.0|False|None"


def test_parameters_in_paths_settings_and_texts(workspace: Workspace, tmp_path: Path) -> None:
    store = workspace.get_default_datastore()
    for day in ("mon", "tue"):
        (tmp_path / day).write_text(f"raw of {day}")
        store.upload_files([tmp_path / day], target_path="days", overwrite=True, show_progress=False)
    by_day = PipelineParameter("day", "mon")
    published = pipeline(
        workspace,
        tmp_path,
        arguments=["<" + by_day + ">", f"{by_day}_x", "{}".format(PipelineParameter("n", 1))],
        inputs=[DataReference(store, "raw", f"days/{by_day}")],
        timeout_seconds=PipelineParameter("limit", 60),
        runconfig_pipeline_params={"NodeCount": PipelineParameter("nodes", 1)},
    ).publish(name="parameters everywhere")
    assert published.parameters == {"day": "mon", "n": 1, "limit": 60, "nodes": 1}
    header = workspace.authentication.get_authentication_header()

    def post(**values: Any) -> requests.Response:
        body = {"ExperimentName": "e", "ParameterAssignments": values}
        return requests.post(published.endpoint, headers=header, json=body, timeout=60)

    assert printed(workspace, post().json()["Id"]) == "<mon>|mon_x|1|mon\nraw of mon"
    assert printed(workspace, post(day="tue", n="2").json()["Id"]) == "<tue>|tue_x|2|tue\nraw of tue"
    for values, field in (
        ({"day": "../secret"}, "day"),
        ({"limit": -1}, "limit"),
        ({"nodes": 0}, "nodes"),
    ):
        refused = post(**values)
        assert refused.status_code == 400, refused.text
        assert refused.json()["error"]["field"] == f"ParameterAssignments.{field}"


def test_data_is_given_to_a_published_pipeline_by_rest(workspace: Workspace, tmp_path: Path) -> None:
    store = workspace.get_default_datastore()
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        store.upload_files([tmp_path / name], target_path="given", overwrite=True, show_progress=False)
    first, second = (Dataset.File.from_files((store, f"given/{name}")) for name in ("one", "two"))
    second.register(workspace, "given-by-rest")
    place = (PipelineParameter("place", DataPath(store, "given/one")), DataPathComputeBinding("download"))
    rows = DatasetConsumptionConfig("rows", PipelineParameter("rows", first)).as_mount()
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("import sys; print(*[open(path).read() for path in sys.argv[1:]])")
    step = PythonScriptStep(
        "main.py", name="main", source_directory=tmp_path / "src", arguments=[place, rows], inputs=[place, rows]
    )
    published = Pipeline(workspace, [step]).publish(name="data by rest")
    header = workspace.authentication.get_authentication_header()

    def post(**more: Any) -> requests.Response:
        return requests.post(published.endpoint, headers=header, json={"ExperimentName": "e", **more}, timeout=60)

    two = {"DataStoreName": store.name, "RelativePath": "given/two"}
    saved = {"SavedDataSetReference": {"Id": second.id}}
    named = {"DataSetReference": {"Name": "given-by-rest", "Version": "1"}}
    assert printed(workspace, post().json()["Id"]) == "one one"
    assert printed(workspace, post(DataPathAssignments={"place": two}).json()["Id"]) == "two one"
    for reference in (saved, named):
        entity = post(DataSetDefinitionValueAssignments={"rows": reference}).json()
        assert entity["DataSetDefinitionValueAssignments"] == {"rows": saved}
        assert printed(workspace, entity["Id"]) == "one two"
    refused = post(DataPathAssignments={"place": {**two, "DataStoreName": "nobody"}})
    assert (refused.status_code, refused.json()["Error"]["Target"]) == (400, "DataPathAssignments.place")


DRIVER = """
import requests
from azureml.core import Experiment, Workspace
from azureml.core.authentication import InteractiveLoginAuthentication
from azureml.pipeline.core import Pipeline, PipelineDraft, PipelineEndpoint, PipelineParameter, PublishedPipeline
from azureml.pipeline.core.pipeline_endpoint import PipelineEndpoint as Same
from azureml.pipeline.steps import PythonScriptStep

assert Same is PipelineEndpoint
ws = Workspace.from_config()
rate = PipelineParameter(name="rate", default_value=0.5)
steps = [PythonScriptStep(name="main", script_name="main.py", source_directory="src", compute_target="function",
                          arguments=["--rate", rate])]
published = Pipeline(workspace=ws, steps=steps).publish(name="My_Pipeline", description="d", version="1.0")
endpoint = PipelineEndpoint.publish(workspace=ws, name="NewName", pipeline=published, description="d")
other = Pipeline(workspace=ws, steps=steps, description="other").publish(name="My_Other", description="d")
endpoint = PipelineEndpoint.get(workspace=ws, name="NewName")
endpoint.add_default(other)
print([version.version for version in endpoint.list_versions()], endpoint.get_default_version())
rest = endpoint.endpoint.split("Id", 1)[0] + "Name?name=" + endpoint.name
header = InteractiveLoginAuthentication().get_authentication_header()
body = {"ExperimentName": "default_pipeline", "RunSource": "SDK", "ParameterAssignments": {"1": "united", "2": "city"}}
ids = [requests.post(url, headers=header, json=body).json()["Id"]
       for url in (endpoint.endpoint, endpoint.endpoint + "/0", rest + "&pipelineVersion=0")]
run = Experiment(ws, "default_pipeline").submit(endpoint, pipeline_parameters={"rate": 0.25}, pipeline_version="0")
draft = PipelineDraft.create(ws, pipeline=published, name="draft", experiment_name="drafts")
print(len(set(ids)), run.wait_for_completion(show_output=False), draft.submit_run().wait_for_completion(False))
draft.delete()
published.disable()
print(published.id in [p.id for p in PublishedPipeline.list(ws)], PublishedPipeline.get(ws, published.id).status)
"""


def test_a_driver_of_version_1_runs_unmodified(service: Service, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text(SCRIPT)
    (tmp_path / "driver.py").write_text(DRIVER)
    code, out, err = command(service, "run", "driver.py", folder=tmp_path)
    assert code == 0, err
    lines = [line for line in out.splitlines() if not line.startswith(("Submitted", "Published", "My_Other"))]
    assert lines[-3:] == ["['0', '1'] 1", "3 Finished Finished", "False Disabled"], out


def command(service: Service, *arguments: str, folder: Path = ROOT) -> tuple[int, str, str]:
    answer = subprocess.run(
        [sys.executable, "-m", "millstream", *arguments],
        cwd=folder,
        env={
            "PATH": "",
            "PYTHONPATH": str(ROOT),
            "MILLSTREAM_ENDPOINT": service.url,
            "MILLSTREAM_TOKEN": TOKEN,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    return answer.returncode, answer.stdout, answer.stderr


def test_the_command_line(workspace: Workspace, service: Service, tmp_path: Path) -> None:
    first = pipeline(workspace, tmp_path).publish(name="cli-first", version="1")
    code, out, _ = command(service, "pipelines", "show", "cli-first")
    assert code == 0
    assert f"endpoint    {first.endpoint}" in out
    assert "parameters  rate=0.5, flag=False" in out
    code, out, err = command(service, "submit", "cli-first", "-p", "rate=2", "--follow")
    assert code == 0, err
    run = next(Experiment(workspace, "cli-first").get_runs())
    said = [command(service, "pipelines", "publish", run.id, "--name", "cli-second")[1] for _ in range(2)]
    assert [text.partition(" cli-second")[0] for text in said] == [
        "Published pipeline",
        "This pipeline is published already:",
    ]
    second = PublishedPipeline.get(workspace, name="cli-second")

    made = [command(service, "endpoints", "publish", "cli endpoint", first.id)[1] for _ in range(2)]
    assert made[0].startswith("Published pipeline endpoint cli endpoint (")
    assert made[1].startswith("This pipeline endpoint is there already: cli endpoint (")
    added = [command(service, "endpoints", "add", "cli endpoint", "cli-second", "--default")[1] for _ in range(2)]
    assert "is now version 1" in added[0]
    assert "is already version 1" in added[1]
    shown = command(service, "endpoints", "show", "cli endpoint")[1].splitlines()
    assert shown[-2].split() == ["0", first.id, "cli-first", "Active"]
    assert shown[-1].split() == ["1", "(default)", second.id, "cli-second", "Active"]
    assert command(service, "endpoints", "default", "cli endpoint", "0")[1].endswith("is version 0\n")
    assert command(service, "endpoints", "default", "cli endpoint", "7")[0] == 3
    code, out, err = command(
        service, "endpoints", "submit", "cli endpoint", "--version", "1", "--experiment", "cli", "--follow"
    )
    assert code == 0, err
    assert next(Experiment(workspace, "cli").get_runs()).properties["azureml.pipelineversion"] == "1"

    assert command(service, "pipelines", "disable", second.id)[1] == f"cli-second ({second.id}) is Disabled\n"
    code, _, err = command(service, "pipelines", "submit", second.id, "--experiment", "cli")
    assert code == 3
    assert "Disabled" in err
    assert second.id not in command(service, "pipelines", "list", "--name", "cli-second")[1]
    assert second.id in command(service, "pipelines", "list", "--name", "cli-second", "--all")[1]
    assert command(service, "endpoints", "disable", "cli endpoint")[0] == 0
    assert "cli endpoint" not in command(service, "endpoints", "list")[1]
    assert "Disabled" in command(service, "endpoints", "list", "--all")[1]

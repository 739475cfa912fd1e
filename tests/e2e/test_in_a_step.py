"""What a script of a step can reach: the workspace, by its run token; with our own azureml and with the real one."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.azureml_core import interpreter
from tests.azurite import Azurite
from tests.e2e.devhost.harness import eventually
from tests.e2e.test_shim_data import PREPARE, SCRIPTS
from tests.e2e.test_shim_drivers import CONFIG, run_driver
from tests.service import QUICK, RUN_TOKEN_KEY, TOKEN, Service, arguments, fetch, running_service, script_step

pytestmark = pytest.mark.azurite

LOOKS_AROUND = """
import os
from azureml.core import Dataset, Datastore, Model, Run, Workspace
from azureml.exceptions import UserErrorException
run = Run.get_context()
ws = run.experiment.workspace
print(ws.name, sorted(ws.datastores))
frame = Dataset.get_by_name(workspace=ws, name="raw_dataset").to_pandas_dataframe()
run.log("by name", len(frame))
run.log("by key", len(ws.datasets["raw_dataset"].to_pandas_dataframe()))
store = Datastore.get(ws, "workspaceblobstore")
files = Dataset.File.from_files((store, "raw/iris.csv"))
run.log_list("paths", files.to_path())
run.log("downloaded", len(files.download("brought")))
model = Model(ws, "kept")
run.log("model", f"{model.id} {model.tags}")
path = Model.get_model_path("kept")
run.log("path", path)
run.log("text", open(path).read())
run.log("named", Model.get_model_path("kept", version=1, _workspace=ws))
kept = files.register(ws, "made-inside", create_new_version=True)
run.log("registered", kept.version)
os.makedirs("outputs", exist_ok=True)
open("outputs/second.txt", "w").write("second")
run.log("second", Model.register(ws, "outputs/second.txt", "second").version)
run.parent.set_tags({"seen": "yes", "draft": "1"})
run.parent.remove_tags("draft")
run.parent.add_properties({"seed": 17})
run.log("parent", f"{run.parent.tags} {run.parent.properties}")
run.tag("draft", "1")
run.tag("colour", "red")
run.remove_tags(["draft"])
again = Workspace.from_config()
run.log("again", Dataset.get_by_name(again, "raw_dataset").name)
"""

DRIVER = (
    "import io\n"
    + PREPARE
    + """
from azureml.core import Model
open("kept.txt", "w").write("a model")
Model.register(ws, model_path="kept.txt", model_name="kept", tags={"area": "iris"})
step = PythonScriptStep("look.py", source_directory="src", compute_target="function")
run = Experiment(ws, "inside").submit(Pipeline(workspace=ws, steps=[step]))
print(run.wait_for_completion(show_output=True))
look = run.find_step_run("look.py")[0]
print(run.tags, run.properties, look.tags)
look.tag("checked", "by hand")
look.add_properties({"ticket": 12})
print(look.remove_tags("colour"), look.properties)
look.log("afterwards", 1)
look.log_row("table", a=1, b=2)
run.log_list("whole", [1, 2])
print({name: run.get_metrics(name)[name] for name in ("afterwards", "table", "whole")})
open("plot.png", "wb").write(b"a picture")
look.upload_file("plots/after.png", "plot.png")
look.upload_folder("folder", "data")
look.upload_files(["one", "two"], ["plot.png", "plot.png"])
look.log_image("shown", path="plot.png")
run.upload_file("note.txt", io.StringIO("by hand"))
for again in (lambda: look.upload_file("one", "plot.png"), lambda: look.upload_file("outputs/second.txt", "plot.png")):
    try:
        again()
    except Exception as error:
        print("again:", error)
print("given", look.get_file_names(), run.get_file_names())
look.download_files(prefix="folder/", output_directory="back")
run.download_file("note.txt", "back/note.txt")
print("back", open("back/folder/iris.csv").read() == open("data/iris.csv").read(), open("back/note.txt").read())
print("image", look.get_metrics("shown"))
part = look.child_run("fold")
part.log("rmse", 0.5)
part.tag("kind", "x")
part.upload_file("note.txt", "plot.png")
part.log_image("curve", path="plot.png")
part.download_file("note.txt", "back/part.txt")
part.complete()
print("part", part.get_metrics(), part.get_tags(), part.get_file_names(), look.get_metrics("fold/rmse"), part.id)
print("whole", part.get_all_logs("back"), part.get_environment().name == look.get_environment().name)
print("parts", [child.get_tags() for child in run.create_children(tag_key="n", tag_values=[1, 2])])
print(look.get_snapshot_id() != "")
print(look.get_metrics())
print(Dataset.get_by_name(ws, "made-inside").version, Model(ws, "second").version)
"""
)

REAL = """
import math, sys
from azureml.core import Run, VERSION
run = Run.get_context(allow_offline=False)
print("real", VERSION, type(run).__module__, run.id)
run.log("rmse", 1.5)
run.log("rmse", 1.25)
run.log("nothing", math.nan)
run.log("name", "text")
run.log_list("losses", [3, 2, 1])
run.log_row("row", a=1, b="x")
run.log_row("row", a=2, b="y")
run.log_table("table", {"a": [1, 2], "b": [0.5, 1.5]})
run.tag("quality", "good")
run.set_tags({"colour": "red", "draft": "1"})
run.remove_tags(["draft"])
run.add_properties({"seed": "17"})
run.parent.tag("from", "the step")
run.parent.log("on parent", 5)
run.parent.flush()
run.flush()
print("tags", run.get_tags(), run.get_properties(), run.get_status())
print("names", run.experiment.name, run.experiment.workspace.name, run.parent.id)
"""

REAL_FILES = """
import json, os, time
from azureml.core import Run
run = Run.get_context(allow_offline=False)
class Plot:
    def savefig(self, file, format):
        file.write(b"a picture")
os.makedirs("made/deep", exist_ok=True)
for name in ("made/one.txt", "made/deep/two words.txt"):
    open(name, "w").write(name)
run.upload_file("notes/100%.txt", "made/one.txt")
run.upload_folder("folder", "made")
run.upload_files(["more/a", "more/b"], ["made/one.txt", "made/one.txt"])
run.log_image("loss", plot=Plot())
matrix = {"schema_type": "confusion_matrix", "schema_version": "v1",
          "data": {"class_labels": ["a", "b"], "matrix": [[1, 2], [3, 4]]}}
run.log_confusion_matrix("cm", json.dumps(matrix))
run.log("rmse", 0.5)
run.log("rmse", 0.25)
run.log_list("losses", [3, 2])
run.log_table("table", {"a": [1, 2], "b": ["x", "y"]})
run.log_row("row", a=1, b=0.5)
run.flush()
names = run.get_file_names()
print("files", [name for name in names if not name.startswith("loss_")], len(names))
run.download_file("notes/100%.txt", "back.txt")
run.download_files(prefix="folder", output_directory="down")
run.download_files(output_directory="all")
print("back", open("back.txt").read(), open("down/folder/deep/two words.txt").read(), len(os.listdir("all")))
try:
    run.upload_file("notes/100%.txt", "made/one.txt")
except Exception as error:
    print("again", type(error).__name__, "file of this name already" in str(error))
try:
    run.download_file("none.txt")
except Exception as error:
    print("none", type(error).__name__)
metrics = run.get_metrics()
print("image", metrics.pop("loss").rpartition("/")[2].startswith("loss_"))
print("metrics", metrics.pop("cm"), metrics)
print("one", run.get_metrics(name="rmse"), run.get_metrics(name="nothing"))
details = run.get_details()
print("details", details["runId"] == run.id, details["status"], details["logFiles"])
model = run.register_model("real-model", "folder", tags={"area": "iris"}, model_framework="ScikitLearn")
print("model", model.name, model.version, model.id, model.tags, run.register_model("more", "more/a").version)
try:
    run.register_model("none", "outputs/none")
except Exception as error:
    print("no model", type(error).__name__)
os.makedirs("outputs", exist_ok=True)
open("outputs/model.txt", "w").write("m")
"""

CALLS = """
import json, os, urllib.request
variables = os.environ
place = "/".join(("subscriptions", variables["AZUREML_ARM_SUBSCRIPTION"], "resourceGroups",
                  variables["AZUREML_ARM_RESOURCEGROUP"], "providers/Microsoft.MachineLearningServices/workspaces",
                  variables["AZUREML_ARM_WORKSPACE_NAME"]))
run = variables["AZUREML_RUN_ID"]
def call(method, path, body=None):
    headers = {"Authorization": "Bearer " + variables["AZUREML_RUN_TOKEN"], "Content-Type": "application/json"}
    url = variables["AZUREML_SERVICE_ENDPOINT"] + "/" + path
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data, method=method, headers=headers)) as answer:
        return json.loads(answer.read())
def batch(name, value, id):
    values = [{"metricId": id, "createdUtc": "2026-01-31T12:00:00Z", "data": {name: value}}]
    metric = {"name": name, "columns": {name: "double"}, "value": values,
              "properties": {"uxMetricType": "azureml.v1.scalar"}}
    return call("POST", f"metric/v2.0/{place}/runs/{run}/batch", {"values": [metric]})
where = f"history/v1.0/{place}/experimentids/{variables['AZUREML_EXPERIMENT_ID']}/runs/{run}"
"""

BY_HAND = (
    CALLS
    + """
for _ in range(2):
    batch("rmse", 0.5, "one")
print(call("PATCH", where, {"tags": {"quality": "good"}})["tags"], call("GET", where)["runType"])
print(call("GET", f"history/v1.0/{place}/experiments/test/runs/{run}/metricsingest/wait"))
"""
)

TWICE = """
import pathlib, sys, time
sign = pathlib.Path(sys.argv[1])
attempt = 2 if sign.exists() else 1
batch("attempt", attempt, f"attempt-{attempt}")
call("PATCH", where, {"tags": {"attempt": str(attempt)}})
if attempt == 1:
    sign.write_text(variables["AZUREML_RUN_TOKEN"] + "\\nready\\n")
    time.sleep(600)
"""

STARTS_REAL = """
import subprocess, sys
from millstream import Run
Run.get_context().log("ours", 1)
sys.exit(subprocess.run([sys.argv[1], "real.py"]).returncode)
"""

WAITS = """
import json, os, pathlib, time
print(json.dumps(dict(os.environ)), flush=True)
while not pathlib.Path(__import__("sys").argv[1]).exists():
    time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def project(tmp_path: Path) -> Path:
    texts = {
        ".azureml/config.json": CONFIG,
        "data/iris.csv": "length,kind\n5.1,setosa\n4.9,setosa\n7.0,versicolor\n",
        "src/look.py": LOOKS_AROUND,
        **{f"src/{name}": text for name, text in SCRIPTS.items()},
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_workspace_works_inside_a_step(service: Service, project: Path) -> None:
    shown = run_driver(service, project, DRIVER)
    lines = shown.splitlines()
    assert "Finished" in lines
    metrics = next(line for line in lines if line.startswith("{'by name'"))
    for part in (
        "'by name': 3, 'by key': 3, 'paths': ['/iris.csv'], 'downloaded': 1",
        "'model': \"kept:1 {'area': 'iris'}\"",
        "'path': 'azureml-models/kept/1/kept.txt', 'text': 'a model', 'named': 'azureml-models/kept/1/kept.txt'",
        "'registered': 1, 'second': 1, 'parent': \"{'seen': 'yes'} {'seed': '17'}\", 'again': 'raw_dataset'",
        "'afterwards': 1, 'table': {'a': 1, 'b': 2}, 'shown': 'shown.png', 'fold/rmse': 0.5, 'fold/curve'",
    ):
        assert part in metrics, metrics
    assert "{'seen': 'yes'} {'seed': '17'} {'colour': 'red'}" in lines
    assert "{'checked': 'by hand'} {'ticket': '12'}" in lines
    assert "{'afterwards': 1, 'table': {'a': 1, 'b': 2}, 'whole': [1, 2]}" in lines
    assert lines[-1] == "1 1"
    log = "user_logs/std_log.txt"
    outside = ["folder/iris.csv", "one", "outputs/second.txt", "plots/after.png", "shown.png", "two", log]
    of_run = ["look/outputs/second.txt", f"look/{log}", "note.txt"]
    given = next(line for line in lines if line.startswith("given "))
    assert given == f"given {outside} {of_run}", given
    assert 'again: The run has a file "one" already. Give this one another name.' in shown
    assert 'again: The run has a file "outputs/second.txt" already.' in shown
    assert "back True by hand" in lines
    assert "image {'shown': 'shown.png'}" in lines
    part = next(line for line in lines if line.startswith("part "))
    metrics = "{'rmse': 0.5, 'curve': 'fold/curve.png'} {'kind': 'x'}"
    assert part.startswith(f"part {metrics} ['curve.png', 'note.txt'] {{'fold/rmse': 0.5}} "), part
    assert part.endswith("_look_fold")
    assert "whole [] True" in lines
    assert "parts [{'n': '1'}, {'n': '2'}]" in lines


@pytest.mark.timeout(400)
def test_a_real_azureml_core_works_unmodified(service: Service) -> None:
    python = interpreter()
    snapshot = service.upload({"start.py": STARTS_REAL, "real.py": REAL})
    run = service.submit([script_step("a", snapshot, "start.py", arguments=arguments(python))])
    done = service.wait(run, 120)
    log = service.log(run, "a")
    assert done["status"] == "Completed", log
    assert f"real 1.61.0 azureml.core.run {run}_a" in log
    assert "tags {'quality': 'good', 'colour': 'red'} {'seed': '17'} Running" in log
    assert f"names test millstream {run}" in log
    step = service.ask("GET", f"runs/{run}/steps/a")
    assert (step["tags"], step["properties"]) == ({"quality": "good", "colour": "red"}, {"seed": "17"})
    assert done["tags"] == {"from": "the step"}
    from millstream import Workspace

    metrics = Workspace(url=service.url, token=TOKEN).get_run(f"{run}_a").get_metrics()
    assert str(metrics.pop("nothing")) == "nan"
    assert metrics == {
        "ours": 1,
        "rmse": [1.5, 1.25],
        "name": "text",
        "losses": [3, 2, 1],
        "row": {"a": [1, 2], "b": ["x", "y"]},
        "table": {"a": [1, 2], "b": [0.5, 1.5]},
        "on parent": 5,
    }


@pytest.mark.timeout(400)
def test_files_and_charts_of_a_real_azureml_core(service: Service, tmp_path: Path) -> None:
    python = interpreter()
    snapshot = service.upload({"start.py": STARTS_REAL, "real.py": REAL_FILES})
    run = service.submit([script_step("a", snapshot, "start.py", arguments=arguments(python))])
    done = service.wait(run, 120)
    log = service.log(run, "a")
    assert done["status"] == "Completed", log
    names = ["cm", "folder/deep/two words.txt", "folder/one.txt", "more/a", "more/b", "notes/100%.txt"]
    for line in (
        f"files {names} {len(names) + 1}",
        "back made/one.txt made/deep/two words.txt 5",
        "again AzureMLAggregatedException True",
        "none UserErrorException",
        "image True",
        "one {'rmse': [0.5, 0.25]} {}",
        "details True Running {}",
        "model real-model 1 real-model:1 {'area': 'iris'} 1",
        "no model ModelPathNotFoundException",
    ):
        assert line in log.splitlines(), log
    assert "'table': {'a': [1, 2], 'b': ['x', 'y']}" in log
    assert "'row': {'a': 1, 'b': 0.5}" in log
    from millstream import Model, Workspace

    left = Workspace(url=service.url, token=TOKEN).get_run(f"{run}_a")
    kept = left.get_file_names()
    assert [name for name in kept if not name.startswith("loss_")] == [
        *names,
        "outputs/model.txt",
        "user_logs/std_log.txt",
    ]
    left.download_file("folder/deep/two words.txt", str(tmp_path / "two"))
    assert (tmp_path / "two").read_text() == "made/deep/two words.txt"
    model = Model(left.experiment.workspace, "real-model")
    assert (model.version, model.tags, model.run_id) == (1, {"area": "iris"}, f"{run}_a")
    model.download(tmp_path / "model")
    assert (tmp_path / "model/folder/deep/two words.txt").read_text() == "made/deep/two words.txt"
    metrics = left.get_metrics()
    assert metrics["loss"] in kept
    assert metrics["cm"]["data"]["matrix"] == [[1, 2], [3, 4]]


def test_the_routes_of_version_1_by_hand_and_a_step_that_is_reused(service: Service) -> None:
    snapshot = service.upload({"step.py": BY_HAND})
    first, second = (service.submit([script_step("a", snapshot)]) for _ in range(2))
    assert [service.wait(run)["status"] for run in (first, second)] == ["Completed", "Completed"], service.log(
        first, "a"
    )
    assert service.log(first, "a").splitlines() == ["{'quality': 'good'} azureml.StepRun", "{}"]
    second = service.submit([script_step("a", snapshot)])
    service.wait(second)
    assert service.steps(second)["a"]["decision"]["action"] == "reuse"
    for run in (first, second):
        (metric,) = service.ask("GET", f"runs/{run}/metrics")["steps"]["a"]
        assert (metric["name"], metric["value"]) == ("rmse", 0.5)


def test_what_an_attempt_has_logged_goes_with_it_when_its_host_is_killed(azurite: Azurite, tmp_path: Path) -> None:
    sign = tmp_path / "attempts"
    with running_service(azurite, tmp_path / "service", QUICK) as service:
        snapshot = service.upload({"step.py": CALLS + TWICE})
        run = service.submit([script_step("a", snapshot, arguments=arguments(str(sign)))])
        eventually(lambda: sign.exists() and sign.read_text().count("\n") == 2, 30.0, lambda: service.log(run, "a"))
        first, _ = sign.read_text().splitlines()
        (metric,) = service.ask("GET", f"runs/{run}/metrics")["steps"]["a"]
        assert metric["value"] == 1
        assert service.call("GET", "workspace", token=first).status == 200
        service.kill()
        service.restart()
        assert service.wait(run)["status"] == "Completed", service.log(run, "a")
        assert service.steps(run)["a"]["attempt"] == 2
        (metric,) = service.ask("GET", f"runs/{run}/metrics")["steps"]["a"]
        assert metric["value"] == 2
        assert service.steps(run)["a"]["tags"] == {"attempt": "2"}
        assert service.call("GET", "workspace", token=first).status == 401


def test_the_token_is_the_only_secret_and_ends_with_its_step(
    service: Service, azurite: Azurite, tmp_path: Path
) -> None:
    sign = tmp_path / "go"
    snapshot = service.upload({"step.py": WAITS})
    run = service.submit([script_step("a", snapshot, arguments=arguments(str(sign)))])
    environment = _environment(service, run)
    everything = json.dumps(environment)
    key = azurite.connection.partition("AccountKey=")[2].partition(";")[0]
    assert len(key) > 40
    for secret in (TOKEN, RUN_TOKEN_KEY, key):
        assert secret not in everything
    token = environment["AZUREML_RUN_TOKEN"]
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert (claims["run"], claims["step"], str(claims["exp"])) == (run, "a", environment["AZUREML_RUN_TOKEN_EXPIRY"])
    assert environment["MILLSTREAM_ENDPOINT"] == service.url
    assert service.call("GET", "workspace", token=token).status == 200
    assert service.call("GET", "runs", token=token).status == 403
    assert service.call("POST", f"runs/{run}/cancel", token=token).status == 403
    discovery = fetch(environment["AZUREML_DISCOVERY_SERVICE_ENDPOINT"], "GET", None, {})
    assert discovery.json()["history"] == environment["AZUREML_SERVICE_ENDPOINT"] == f"{service.url}/api"
    sign.touch()
    assert service.wait(run)["status"] == "Completed"
    assert service.call("GET", "workspace", token=token).status == 401
    assert token not in service.host.log()


def _environment(service: Service, run: str) -> dict[str, str]:
    """What the script of the step found, once it runs."""
    while True:
        log = service.log(run, "a") if service.steps(run)["a"]["attempt"] else ""
        if "\n" in log:
            found: dict[str, str] = json.loads(log.splitlines()[0])
            return found
        assert service.ask("GET", f"runs/{run}")["status"] == "Running", log

"""Drivers and scripts as users have them from v1: they import nothing but azureml, and are run by `millstream run`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.azurite import Azurite
from tests.service import TOKEN, Service, running_service

pytestmark = pytest.mark.azurite

CONFIG = '{"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}'

SCRIPTS = {
    "train.py": """
import csv, os, pickle
from azureml.core.run import Run
run = Run.get_context()
with open(os.environ["AZUREML_DATAREFERENCE_irisdata"], newline="") as file:
    rows = list(csv.DictReader(file))
folder = os.environ["AZUREML_DATAREFERENCE_model_output"]
os.makedirs(folder, exist_ok=True)
with open(os.path.join(folder, "model.pkl"), "wb") as file:
    pickle.dump({"rows": len(rows)}, file)
run.log("rows", len(rows))
""",
    "register.py": """
import os, shutil
from azureml.core import Model, Run
run = Run.get_context()
folder = os.environ["AZUREML_DATAREFERENCE_model_output"]
print("found", os.listdir(folder))
os.makedirs("outputs", exist_ok=True)
shutil.copy(os.path.join(folder, "model.pkl"), "outputs/model.pkl")
run.register_model(model_name="iris-of-the-shim", model_path="outputs/model.pkl", tags={"area": "iris"})
""",
    "clean.py": """
import os, sys
from azureml.core import Run
os.makedirs("clean_output", exist_ok=True)
with open("clean_output/clean.csv", "w") as file:
    file.write("a,b\\n1,2\\n")
Run.get_context().log("reg", float(sys.argv[1]))
""",
    "use.py": """
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument("--folder")
folder = parser.parse_args().folder
print("used", sorted(os.listdir(folder)), os.environ["AZUREML_DATAREFERENCE_clean"] == folder)
""",
    "leave.py": """
from pathlib import Path
Path("outputs").mkdir(exist_ok=True)
Path("outputs/left.txt").write_text("left")
""",
    "single.py": """
import os, sys
from azureml.core import Run
Run.get_context().log_list("arguments", sys.argv[1:])
Run.get_context().log("mode", os.environ["MODE"])
""",
}

IRIS = """
import os
import azureml.core
from azureml.core import Experiment, Workspace
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.core.compute_target import ComputeTargetException
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.runconfig import DEFAULT_CPU_IMAGE, RunConfiguration
from azureml.data.data_reference import DataReference
from azureml.pipeline.core import Pipeline, PipelineData
from azureml.pipeline.steps import PythonScriptStep
from azureml.widgets import RunDetails

print("SDK version:", azureml.core.VERSION)
ws = Workspace.from_config()
print(ws.name, ws.resource_group, ws.subscription_id, sep="\\t")
store = ws.get_default_datastore()
store.upload_files(files=["./data/iris.csv"], target_path="data", overwrite=True)

cluster_name = "cpu-cluster"
try:
    cluster = ComputeTarget(workspace=ws, name=cluster_name)
    print("Found existing compute target")
except ComputeTargetException as error:
    assert error.message.startswith("ComputeTargetNotFound")
    print("Creating a new compute target")
    config = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", min_nodes=0, max_nodes=4)
    cluster = ComputeTarget.create(ws, cluster_name, config)
    cluster.wait_for_completion(show_output=True, min_node_count=None, timeout_in_minutes=20)
print(cluster.get_status().serialize()["scaleSettings"]["maxNodeCount"])
assert type(ws.compute_targets[cluster_name]) is AmlCompute

run_config = RunConfiguration()
run_config.target = cluster
run_config.environment.docker.enabled = True
run_config.environment.docker.base_image = DEFAULT_CPU_IMAGE
run_config.environment.python.user_managed_dependencies = False
run_config.environment.python.conda_dependencies = CondaDependencies.create(conda_packages=["scikit-learn"])

iris = DataReference(datastore=store, data_reference_name="irisdata", path_on_datastore="data/iris.csv")
model_output = PipelineData("model_output", datastore=store)
train = PythonScriptStep(script_name="train.py", inputs=[iris], outputs=[model_output],
                         compute_target=cluster, source_directory="./src", runconfig=run_config)
register = PythonScriptStep(script_name="register.py", inputs=[model_output], compute_target=cluster,
                            source_directory="./src")
pipeline = Pipeline(workspace=ws, steps=[register])
run = Experiment(workspace=ws, name="my_exp").submit(pipeline, regenerate_outputs=True)
RunDetails(run).show()
run.wait_for_completion()
for step in run.get_steps():
    print(step.name, step.get_status(), step.get_metrics())
"""

UPLOAD_AND_PUBLISH = """
import requests
from azureml.core import Experiment, Workspace
from azureml.core.authentication import InteractiveLoginAuthentication, ServicePrincipalAuthentication
from azureml.pipeline.core import Pipeline, PipelineData, PipelineRun
from azureml.pipeline.core.graph import PipelineParameter
from azureml.pipeline.steps import EstimatorStep, PythonScriptStep
from azureml.train.estimator import Estimator

ws = Workspace.from_config(auth=ServicePrincipalAuthentication("tenant", "principal", "password"))
store = ws.get_default_datastore()
reg = PipelineParameter(name="reg_rate", default_value=0.01)
clean = PipelineData("clean", datastore=store, output_mode="upload", output_path_on_compute="clean_output/")
s1 = PythonScriptStep(name="clean", script_name="clean.py", source_directory="src", arguments=[reg],
                      outputs=[clean], compute_target="function")
estimator = Estimator(source_directory="src", entry_script="use.py", compute_target="function")
s2 = EstimatorStep(name="use", estimator=estimator, estimator_entry_script_arguments=["--folder", clean],
                   inputs=[clean], compute_target="function")
published = Pipeline(workspace=ws, steps=[s1, s2]).publish(name="training_pipeline", description="...", version="1.0")
auth_header = InteractiveLoginAuthentication().get_authentication_header()
response = requests.post(published.endpoint, headers=auth_header,
                         json={"ExperimentName": "run_training_pipeline", "ParameterAssignments": {"reg_rate": 0.1}})
run_id = response.json()["Id"]
last = list(ws.experiments["run_training_pipeline"].get_runs())[0]
assert last.id == run_id and isinstance(last, PipelineRun)
print(last.wait_for_completion(show_output=False), last.find_step_run("clean")[0].get_metrics())
print(last.find_step_run("use")[0].get_stdout_log().strip())
last.find_step_run("clean")[0].get_output_data("clean").download("down")
"""

SINGLE = """
from azureml.core import Environment, Experiment, ScriptRunConfig, Workspace
ws = Workspace.from_config()
env = Environment("mine")
env.environment_variables = {"MODE": "fast"}
config = ScriptRunConfig(source_directory="src", script="single.py", arguments=["--a", 1], environment=env)
run = Experiment(ws, "single").submit(config)
print(run.wait_for_completion(show_output=False), run.get_metrics())
"""

MODELS_AND_RUNS = """
import os
from azureml.core import Experiment, Model, Run, Workspace
from azureml.core.model import Model as SameModel
from azureml.core.run import get_run
from azureml.exceptions import WebserviceException
from azureml.pipeline.core import Pipeline, PipelineRun
from azureml.pipeline.steps import PythonScriptStep

ws = Workspace.from_config()
try:
    Model(ws, name="net")
except WebserviceException as error:
    print("no model yet:", error.message)
for number in (1, 2):
    os.makedirs("net/weights", exist_ok=True)
    with open("net/weights/w.bin", "w") as file:
        file.write(f"weights {number}")
    with open("net/net.json", "w") as file:
        file.write("{}")
    model = Model.register(workspace=ws, model_path="net", model_name="net", tags={"number": number}, description="d")
    assert model.version == number and SameModel is Model
path = Model.get_model_path("net", _workspace=ws)
print(path, open(os.path.join(path, "weights/w.bin")).read(), model.tags, model.run)

step = PythonScriptStep("single.py", name="one", arguments=["x"], params={"a": 1}, source_directory="src")
run = Experiment(ws, "runs").submit(Pipeline(ws, [step]), tags={"a": "b"})
run.add_properties({"author": "me"})
run.wait_for_completion(show_output=False, raise_on_error=False)
print(run.get_properties(), run.get_tags(), run.number, get_run(Experiment(ws, "runs"), run.id) == run)
print([child.name for child in run.get_children()], run.get_details()["status"], run.parent)
again = run.publish_pipeline(name="again", description="", version="2")
second = PipelineRun(Experiment(ws, "runs"), again.submit(ws, "runs").id)
print(second.wait_for_completion(show_output=False, raise_on_error=False), len(list(Run.list(Experiment(ws, "runs")))))
left = Experiment(ws, "runs").submit(Pipeline(ws, [PythonScriptStep("leave.py", source_directory="src")]))
left.wait_for_completion(show_output=False)
(leaver,) = left.find_step_run("leave.py")
first = leaver.register_model("left", "outputs/left.txt", tags={"by": "hand"})
second = left.register_model(model_name="left", model_path="leave/outputs/left.txt")
print(first.id, first.run == leaver, first.tags, second.id, open(second.download("got")).read())
tagged = list(ws.experiments["runs"].get_runs(tags={"a": "b"}))
print([e.name for e in Experiment.list(ws) if e.name == "runs"], tagged == [run])
"""


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of a v1 project, with its config.json and its scripts."""
    (tmp_path / ".azureml").mkdir()
    (tmp_path / ".azureml" / "config.json").write_text(CONFIG)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "iris.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    (tmp_path / "src").mkdir()
    for name, text in SCRIPTS.items():
        (tmp_path / "src" / name).write_text(text)
    return tmp_path


def run_driver(service: Service, project: Path, driver: str, *arguments: str) -> str:
    """What `millstream run` prints for this driver, which must succeed."""
    (project / "driver.py").write_text(driver)
    environment = {**os.environ, "MILLSTREAM_ENDPOINT": service.url, "MILLSTREAM_TOKEN": TOKEN}
    command = [sys.executable, "-m", "millstream", "run", "driver.py", *arguments]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(330)
def test_the_iris_pipeline(service: Service, project: Path) -> None:
    shown = run_driver(service, project, IRIS)
    assert "w\tg\ts\n" in shown
    assert "Creating a new compute target" in shown
    assert "Note: Step train.py asks for packages" in shown
    assert "train.py Finished {'rows': 3}" in shown
    model = service.ask("GET", "models/iris-of-the-shim")
    assert (model["version"], model["tags"]) == (1, {"area": "iris"})
    again = run_driver(service, project, IRIS)
    assert "Found existing compute target" in again


def test_uploaded_outputs_and_a_published_pipeline(service: Service, project: Path) -> None:
    shown = run_driver(service, project, UPLOAD_AND_PUBLISH)
    assert "Finished {'reg': 0.1}" in shown
    assert "used ['clean.csv'] True" in shown
    assert [path.read_text() for path in project.glob("down/**/clean.csv")] == ["a,b\n1,2\n"]


def test_a_script_without_a_pipeline(service: Service, project: Path) -> None:
    shown = run_driver(service, project, SINGLE)
    assert "Finished {'arguments': ['--a', '1'], 'mode': 'fast'}" in shown


def test_models_of_files_and_what_is_known_of_runs(service: Service, project: Path) -> None:
    shown = run_driver(service, project, MODELS_AND_RUNS).splitlines()
    assert shown[0].startswith("no model yet: There is no model")
    assert "azureml-models/net/2/net weights 2 {'number': '2'} None" in shown
    assert "{'author': 'me'} {'a': 'b'} 1 True" in shown
    assert "['one'] Failed None" in shown
    assert "Failed 2" in shown
    assert "left:1 True {'by': 'hand'} left:2 left" in shown
    assert shown[-1] == "['runs'] True"


def test_a_driver_is_run_as_python_would(service: Service, project: Path) -> None:
    (project / "beside.py").write_text("word = 'imported'\n")
    driver = "import beside, sys\nif __name__ == '__main__': print(sys.argv, beside.word, __file__)"
    shown = run_driver(service, project, driver, "--x", "1")
    assert shown == f"['driver.py', '--x', '1'] imported {project / 'driver.py'}\n"


@pytest.mark.parametrize(
    ("driver", "code", "words"),
    [
        ("raise ValueError('no')", 1, 'Traceback (most recent call last):\n  File "{0}", line 1, in <module>\n'),
        ("import sys; sys.exit(7)", 7, ""),
        ("from azureml.core import Keyvault", 1, "does not have azureml.core.Keyvault"),
        (None, 3, "There is no script"),
    ],
)
def test_the_exit_code_is_the_driver_s(project: Path, driver: str | None, code: int, words: str) -> None:
    if driver is not None:
        (project / "driver.py").write_text(driver)
    done = start(project, {"MILLSTREAM_ENDPOINT": "http://127.0.0.1:9", "MILLSTREAM_TOKEN": "x"})
    assert done.returncode == code
    assert words.format(project / "driver.py") in done.stderr
    assert "millstream/driver.py" not in done.stderr


def test_without_a_service_nothing_is_started(project: Path) -> None:
    (project / "driver.py").write_text("print('started')")
    done = start(project, {})
    assert (done.returncode, done.stdout) == (3, "")
    assert "scripts/up" in done.stderr
    assert "MILLSTREAM_ENDPOINT" in done.stderr


def start(project: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("MILLSTREAM_")}
    command = [sys.executable, "-m", "millstream", "run", "driver.py"]
    return subprocess.run(command, cwd=project, env={**own, **variables}, capture_output=True, text=True, timeout=60)

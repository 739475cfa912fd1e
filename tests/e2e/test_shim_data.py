"""v1's forms of passing data, in drivers and scripts that import nothing but azureml."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.azurite import Azurite
from tests.e2e.test_shim_drivers import CONFIG, run_driver
from tests.service import Service, running_service

pytestmark = pytest.mark.azurite

SCRIPTS = {
    "prep.py": """
import argparse, os
from azureml.core import Run
parser = argparse.ArgumentParser()
parser.add_argument("--raw-ds", dest="raw_dataset_id")
parser.add_argument("--out_folder", dest="out")
args = parser.parse_args()
run = Run.get_context()
frame = run.input_datasets["raw_data"].to_pandas_dataframe()
run.log("rows", len(frame))
os.makedirs(args.out, exist_ok=True)
frame.to_csv(os.path.join(args.out, "prepped.csv"), index=False)
""",
    "train.py": """
import argparse, os
from azureml.core import Run
parser = argparse.ArgumentParser()
parser.add_argument("--folder")
folder = parser.parse_args().folder
with open(os.path.join(folder, "prepped.csv")) as file:
    Run.get_context().log("lines", len(file.readlines()))
""",
    "split.py": """
import argparse, os
from azureml.core import Run
parser = argparse.ArgumentParser()
parser.add_argument("--training-folder", dest="train")
train = parser.parse_args().train
test = Run.get_context().input_datasets["test"]
names = lambda place: sorted(os.listdir(place)) if os.path.isdir(place) else [os.path.basename(place)]
found = names(train), names(test)
assert not set(found[0]) & set(found[1])
Run.get_context().log("files", sum(map(len, found)))
""",
}

PREPARE = """
from azureml.core import Dataset, Datastore, Experiment, Workspace
from azureml.data.datapath import DataPath
from azureml.pipeline.core import Pipeline, PipelineData
from azureml.pipeline.steps import EstimatorStep, PythonScriptStep
from azureml.train.estimator import Estimator

ws = Workspace.from_config()
store = Datastore.get(ws, "workspaceblobstore")
store.upload_files(files=["data/iris.csv"], target_path="raw", overwrite=True, show_progress=False)
made = Dataset.Tabular.from_delimited_files(DataPath(store, "raw/iris.csv"))
made.register(workspace=ws, name="raw_dataset", create_new_version=True)
"""

NAMED_INPUT = (
    PREPARE
    + """
raw = Dataset.get_by_name(ws, "raw_dataset")
prepped = PipelineData("prepped", datastore=store)
s1 = PythonScriptStep(name="prepare data", script_name="prep.py", source_directory="src", compute_target="function",
                      arguments=["--raw-ds", raw.as_named_input("raw_data"), "--out_folder", prepped],
                      outputs=[prepped])
s2 = EstimatorStep(name="train", estimator=Estimator(source_directory="src", entry_script="train.py",
                                                     compute_target="function"),
                   estimator_entry_script_arguments=["--folder", prepped], inputs=[prepped], compute_target="function")
run = Experiment(ws, "named").submit(Pipeline(workspace=ws, steps=[s1, s2]))
print(run.wait_for_completion(show_output=False))
print({step.name: step.get_metrics() for step in run.get_steps()})
"""
)

OUTPUT_CONFIG = (
    PREPARE
    + """
from azureml.data import OutputFileDatasetConfig
raw = Dataset.get_by_name(ws, "raw_dataset")
out = OutputFileDatasetConfig("prepped").register_on_complete(name="prepped_dataset")
s1 = PythonScriptStep(name="prepare", script_name="prep.py", source_directory="src", compute_target="function",
                      arguments=["--raw-ds", raw.as_named_input("raw_data"), "--out_folder", out])
s2 = PythonScriptStep(name="train", script_name="train.py", source_directory="src", compute_target="function",
                      arguments=["--folder", out.as_input()])
run = Experiment(ws, "config").submit(Pipeline(workspace=ws, steps=[s1, s2]))
print(run.wait_for_completion(show_output=False))
print({step.name: step.get_metrics() for step in run.get_steps()})
print(Dataset.get_by_name(ws, "prepped_dataset").version)
"""
)

SPLIT = """
from azureml.core import Dataset, Experiment, Workspace
from azureml.pipeline.core import Pipeline
from azureml.pipeline.steps import PythonScriptStep

ws = Workspace.from_config()
store = ws.get_default_datastore()
store.upload(src_dir="many", target_path="split", overwrite=True, show_progress=False)
files = Dataset.File.from_files(path=(store, "split/**"))
train, test = files.random_split(percentage=0.6, seed=42)
step = PythonScriptStep("split.py", source_directory="src", compute_target="function",
                        arguments=["--training-folder", train.as_named_input("train").as_download()],
                        inputs=[test.as_named_input("test").as_download()])
run = Experiment(ws, "split").submit(Pipeline(workspace=ws, steps=[step]))
print(run.wait_for_completion(show_output=False), run.find_step_run("split.py")[0].get_metrics())
"""


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of a v1 project, with its config.json, its data and its scripts."""
    texts = {
        ".azureml/config.json": CONFIG,
        "data/iris.csv": "length,kind\n5.1,setosa\n4.9,setosa\n7.0,versicolor\n",
        **{f"many/{number}.txt": str(number) for number in range(20)},
        **{f"src/{name}": text for name, text in SCRIPTS.items()},
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_registered_dataset_by_name_and_pipeline_data(service: Service, project: Path) -> None:
    shown = run_driver(service, project, NAMED_INPUT)
    assert "Finished" in shown
    assert "'prepare data': {'rows': 3}" in shown
    assert "'train': {'lines': 4}" in shown


def test_an_output_file_dataset_is_an_input_of_the_next_step(service: Service, project: Path) -> None:
    shown = run_driver(service, project, OUTPUT_CONFIG)
    assert "'prepare': {'rows': 3}" in shown
    assert "'train': {'lines': 4}" in shown
    assert shown.splitlines()[-1] == "1"


def test_a_split_is_two_named_inputs(service: Service, project: Path) -> None:
    assert "Finished {'files': 20}" in run_driver(service, project, SPLIT)

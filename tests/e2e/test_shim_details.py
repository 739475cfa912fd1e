"""Experiments, the datasets in a run's details, and outputs made for Spark, in drivers that import only azureml."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.azurite import Azurite
from tests.e2e.test_shim_data import PREPARE, SCRIPTS
from tests.e2e.test_shim_drivers import CONFIG, run_driver
from tests.service import Service, running_service

pytestmark = pytest.mark.azurite

EXPERIMENTS = """
from azureml.core import Experiment, Workspace
from azureml.pipeline.core import Pipeline
from azureml.pipeline.steps import PythonScriptStep
ws = Workspace.from_config()
names = lambda **wanted: [found.name for found in Experiment.list(ws, **wanted) if found.name in ("kept", "empty")]
kept, empty = Experiment(ws, "kept"), Experiment(workspace=ws, name="empty")
step = PythonScriptStep("nothing.py", source_directory="src", compute_target="function")
kept.submit(Pipeline(ws, [step])).wait_for_completion(show_output=False)
kept.tag("team", "risk")
kept.set_tags({"year": 2026, "draft": None})
print(kept.remove_tags(["draft"]), Experiment(ws, "kept").tags)
empty.tag("team", "other")
kept.refresh()
print(names(), names(tags={"team": "risk"}), names(tags="team"), names(experiment_name="kept"))
kept.archive()
print(names(), names(view_type="ArchivedOnly"), names(view_type="All"), kept.archived_time is not None)
print("kept" in ws.experiments, len(list(kept.get_runs())))
kept.reactivate()
print(names(), kept.archived_time)
Experiment.delete(ws, empty.id)
print(names(view_type="All"))
try:
    Experiment.delete(ws, kept.id)
except Exception as error:
    print(error)
"""

LINEAGE = (
    PREPARE
    + """
from azureml.data import HDFSOutputDatasetConfig, OutputFileDatasetConfig
raw = Dataset.get_by_name(ws, "raw_dataset")
out = OutputFileDatasetConfig("prepped", (store, "kept/{run-id}")).register_on_complete(name="prepped_in_lineage")
spark = HDFSOutputDatasetConfig("parts", destination=(store, "parts"))
plain = PipelineData("plain", datastore=store)
s1 = PythonScriptStep(name="prepare", script_name="prep.py", source_directory="src", compute_target="function",
                      arguments=["--raw-ds", raw.as_named_input("raw_data"), "--out_folder", out])
s2 = PythonScriptStep(name="train", script_name="carry.py", source_directory="src", compute_target="function",
                      arguments=["--folder", out.as_input("prepped").as_download(), "--parts", spark, "--plain", plain],
                      outputs=[plain])
s3 = PythonScriptStep(name="count", script_name="count.py", source_directory="src", compute_target="function",
                      arguments=[spark.read_delimited_files().as_input("rows")])
run = Experiment(ws, "lineage").submit(Pipeline(workspace=ws, steps=[s1, s2, s3]))
print(run.wait_for_completion(show_output=False))
prepare, train, count = (run.find_step_run(name)[0] for name in ("prepare", "train", "count"))
(read,) = prepare.get_details()["inputDatasets"]
print(read["dataset"].id == raw.id, read["consumptionDetails"], len(read["dataset"].to_pandas_dataframe()))
(made,) = prepare.get_details()["outputDatasets"]
print(made["outputType"], made["outputDetails"]["outputName"], made["dataset"].to_path())
registered = Dataset.get_by_name(ws, "prepped_in_lineage")
print(made["identifier"]["savedId"] == made["dataset"].content_id == registered.id)
(taken,) = train.get_details()["inputDatasets"]
print(taken["consumptionDetails"]["mechanism"], taken["dataset"].to_path())
print([entry["outputDetails"]["outputName"] for entry in train.get_details()["outputDatasets"]])
(rows,) = count.get_details()["inputDatasets"]
print(type(rows["dataset"]).__name__, len(rows["dataset"].to_pandas_dataframe()), count.get_metrics())
"""
)

SOURCES = """
import datetime, zipfile
from azureml.core import Dataset, Experiment, Workspace
from azureml.pipeline.core import Pipeline
from azureml.pipeline.steps import PythonScriptStep
ws = Workspace.from_config()
from azureml.core import Environment
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.runconfig import RunConfiguration
config = RunConfiguration()
config.environment = Environment("training")
config.environment.python.conda_dependencies = CondaDependencies.create(pip_packages=["iniconfig"])
config.environment.environment_variables = {"MODE": "fast"}
steps = [PythonScriptStep("nothing.py", name=name, source_directory="src", compute_target="function", runconfig=config)
         for name in "ab"]
run = Experiment(ws, "sources").submit(Pipeline(ws, steps))
run.wait_for_completion(show_output=False)
path = run.restore_snapshot(path="restored")
print(path == f"restored/{run.get_snapshot_id()}.zip", "nothing.py" in zipfile.ZipFile(path).namelist())
(step,) = run.find_step_run("a")
print(step.get_snapshot_id() == run.get_snapshot_id(), step.restore_snapshot(path="again") != path)
made = step.get_environment()
print(made.name, list(made.python.conda_dependencies.pip_packages), made.environment_variables)
child = run.submit_child(Pipeline(ws, steps[:1]), tags={"kind": "child"})
child.wait_for_completion(show_output=False)
print(child.parent.id == run.id if child.parent else None, child.tags)
store = ws.get_default_datastore()
before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=5)
store.upload_files(["data/iris.csv"], target_path="changed", overwrite=True, show_progress=False)
files = Dataset.File.from_files((store, "changed"))
for found in (files, Dataset.Tabular.from_delimited_files((store, "changed/*.csv"))):
    print(before < found.data_changed_time < before + datetime.timedelta(minutes=10))
print(ws.discovery_url.endswith("/api/discovery"))
"""

MORE = {
    "nothing.py": "pass",
    "carry.py": """
import argparse, os, shutil
parser = argparse.ArgumentParser()
for name in ("folder", "parts", "plain"):
    parser.add_argument(f"--{name}")
args = parser.parse_args()
assert os.path.isdir(args.parts)
shutil.copy(os.path.join(args.folder, "prepped.csv"), os.path.join(args.parts, "part-0.csv"))
open(args.plain, "w").write("plain")
""",
    "count.py": """
from azureml.core import Run
run = Run.get_context()
run.log("rows", len(run.input_datasets["rows"].to_pandas_dataframe()))
""",
}


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def project(tmp_path: Path) -> Path:
    texts = {
        ".azureml/config.json": CONFIG,
        "data/iris.csv": "length,kind\n5.1,setosa\n4.9,setosa\n7.0,versicolor\n",
        **{f"src/{name}": text for name, text in (SCRIPTS | MORE).items()},
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_experiments_are_tagged_archived_and_removed(service: Service, project: Path) -> None:
    lines = run_driver(service, project, EXPERIMENTS).splitlines()[-7:]
    assert lines == [
        "{'team': 'risk', 'year': '2026'} {'team': 'risk', 'year': '2026'}",
        "['empty', 'kept'] ['kept'] ['empty', 'kept'] ['kept']",
        "['empty'] ['kept'] ['empty', 'kept'] True",
        "False 1",
        "['empty', 'kept'] None",
        "['kept']",
        'The experiment "kept" has runs, which stay. Archive it instead.',
    ]


def test_details_name_the_datasets_that_were_read_and_written(service: Service, project: Path) -> None:
    lines = run_driver(service, project, LINEAGE).splitlines()
    assert lines[lines.index("Finished") :] == [
        "Finished",
        "True {'type': 'RunInput', 'inputName': 'raw_data', 'mechanism': 'Direct'} 3",
        "RunOutput prepped ['/prepped.csv']",
        "True",
        "Download ['/prepped.csv']",
        "['parts']",
        "TabularDataset 3 {'rows': 3}",
    ]


def test_sources_come_back_and_runs_have_children(service: Service, project: Path) -> None:
    lines = run_driver(service, project, SOURCES).splitlines()
    assert [line for line in lines if not line.startswith(("Submitted", "Note:"))] == [
        "True True",
        "True True",
        "training ['iniconfig'] {'MODE': 'fast'}",
        "True {'kind': 'child'}",
        "True",
        "True",
        "True",
    ]

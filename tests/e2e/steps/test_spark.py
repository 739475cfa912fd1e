"""Steps of attached services end to end, where a stand-in serves, and Spark steps on a real Spark of this machine."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from millstream import (
    AzureBatchStep,
    DatabricksStep,
    DataReference,
    InvalidDefinition,
    KustoStep,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PyPiLibrary,
    PythonScriptStep,
    Workspace,
)
from tests.azurite import Azurite
from tests.batch_standin import LINUX, Batch, Machine
from tests.databricks_standin import Databricks, Ending
from tests.json_standin import TOKEN as STANDIN_TOKEN
from tests.json_standin import serving
from tests.kusto_standin import Kusto, Table
from tests.service import TOKEN, Service, running_service
from tests.spark import ROOT, spark_python
from tests.synapse_standin import Synapse

pytestmark = [pytest.mark.azurite, pytest.mark.timeout(240)]

COUNT = """
import argparse, sys
from azureml.core import Run
from pyspark.sql import SparkSession, functions as F

parser = argparse.ArgumentParser()
for name in ("--least", "-people", "-old", "--AZUREML_RUN_ID", "--AZUREML_SCRIPT_DIRECTORY_NAME"):
    parser.add_argument(name, dest=name.lstrip("-"))
known, _ = parser.parse_known_args()
spark = SparkSession.builder.getOrCreate()
assert spark.conf.get("spark.sql.shuffle.partitions") == "3", "spark_conf"
assert spark.conf.get("spark.app.note") == "a = b # c", "spark_conf"
assert sys.path[0] == known.AZUREML_SCRIPT_DIRECTORY_NAME
people = spark.read.csv(known.people, header=True, inferSchema=True)
old = people.where(F.col("age") >= int(known.least)).groupBy("town").agg(F.max("age").alias("age"))
old.write.parquet(known.old)
run = Run.get_context()
assert run.id == known.AZUREML_RUN_ID
run.log("rows", old.count())
print("Spark", spark.version, spark.sparkContext.master)
"""
CHECK = """
import sys
import pyarrow.parquet
rows = {row["town"]: row["age"] for row in pyarrow.parquet.read_table(sys.argv[1]).to_pylist()}
assert rows == {"Ulm": 44, "Bonn": 70}, rows
"""


DRIVER = """
from azureml.core import Experiment, Workspace
import sys
from azureml.core.compute import ComputeTarget, DatabricksCompute, SynapseCompute
from azureml.core.databricks import PyPiLibrary
from azureml.exceptions import ComputeTargetException
from azureml.pipeline.core import Pipeline
from azureml.pipeline.steps import DatabricksStep, SynapseSparkStep

ws = Workspace.from_config()
try:
    compute = DatabricksCompute(workspace=ws, name="databricks")
except ComputeTargetException:
    config = DatabricksCompute.attach_configuration(
        resource_group="rg", workspace_name="adb", access_token="dapi-a-token-for-tests"
    )
    compute = ComputeTarget.attach(ws, "databricks", config)
    compute.wait_for_completion(True)
assert isinstance(ws.compute_targets["databricks"], DatabricksCompute) and compute.type == "Databricks"
step = DatabricksStep(
    name="on databricks", run_name="nightly", python_script_name="job.py", source_directory="src", num_workers=1,
    spark_version="15.4.x-scala2.12", pypi_libraries=[PyPiLibrary(package="simplejson==3.8.0")],
    python_script_params=["--rate", "1"], compute_target=compute, allow_reuse=False,
)
config = SynapseCompute.attach_configuration(
    workspace_url=sys.argv[1], pool_name="small", access_token="dapi-a-token-for-tests"
)
pool = SynapseCompute.attach(ws, "spark-pool", config)
batch = SynapseSparkStep(
    file="job.py", source_directory="src", compute_target="spark-pool", driver_memory="28g", driver_cores=4,
    executor_memory="28g", executor_cores=4, num_executors=2, name="on synapse", arguments=["--x", 1],
    allow_reuse=False,
)
run = Experiment(ws, "databricks").submit(Pipeline(ws, steps=[step, batch]))
run.wait_for_completion()
step_run = run.find_step_run("on databricks")[0]
print("page", step_run.get_properties()["databricks_run_page"])
assert run.find_step_run("on synapse")[0].get_properties()["synapse_batch_id"] == "7"
compute.detach()
assert "databricks" not in ws.compute_targets
"""


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    python = ROOT / ".cache" / "spark" / "bin" / "python"
    settings = {
        "MILLSTREAM_SPARK_PYTHON": str(python) if python.is_file() else "",
        "MILLSTREAM_SECRET_KEYS": base64.b64encode(b"k" * 32).decode(),
    }
    with running_service(azurite, tmp_path_factory.mktemp("service"), settings) as service:
        yield service


def test_a_driver_of_v1_attaches_a_workspace_and_runs_there(service: Service, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "job.py").write_text("print(1)")
    (tmp_path / "driver.py").write_text(DRIVER)
    there = Databricks(work=lambda run: Ending(logs="worked there\n"))
    with serving(there) as databricks, serving(Synapse()) as synapse:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MILLSTREAM_")},
            "MILLSTREAM_ENDPOINT": service.url,
            "MILLSTREAM_TOKEN": TOKEN,
            "DATABRICKS_HOST": databricks.url,
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "millstream", "run", "driver.py", synapse.url]
        answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
        assert answer.returncode == 0, answer.stdout + answer.stderr + service.host.log()[-3000:]
        (run,) = databricks.runs
        assert run.body["run_name"] == "nightly"
        assert run.task["libraries"] == [{"pypi": {"package": "simplejson==3.8.0"}}]
        assert run.task["spark_python_task"]["parameters"][:2] == ["--rate", "1"]
        assert f"page {databricks.url}/?o=7#job/1/run/{run.number}" in answer.stdout
        assert "worked there" in answer.stdout
        (batch,) = synapse.batches
        assert batch.body["args"] == ["--x", "1"] and batch.body["file"].endswith("/job.py")
        assert service.call("GET", "attachments/databricks").status == 404


def test_a_query_of_a_cluster_of_kusto(service: Service, tmp_path: Path) -> None:
    workspace = Workspace(url=service.url, token=TOKEN)
    (tmp_path / "rows.kql").write_text("declare query_parameters(least: long); People | where Age >= least")
    (tmp_path / "check.py").write_text(
        "import pathlib, sys\nassert (pathlib.Path(sys.argv[1]) / 'rows.csv').read_text() == 'Name,Age\\nAda,36\\n'\n"
    )
    rows = PipelineData("rows")
    least = PipelineParameter("least", 30)
    ask = KustoStep("ask", "adx", "people", tmp_path, rows, parameter_dict={"least": least})
    check = PythonScriptStep("check.py", arguments=[rows], inputs=[rows], source_directory=tmp_path)
    pipeline = Pipeline(workspace, steps=[ask, check])
    workspace.api.put_compute("adx", {"kind": "function"})
    (problem,) = pipeline.validate()
    assert "not attached to any service" in str(problem)
    with pytest.raises(InvalidDefinition, match="not attached to any service"):
        pipeline.submit("kusto")
    text = (tmp_path / "rows.kql").read_text()
    there = Kusto(tables={text: [Table(columns=(("Name", "string"), ("Age", "long")), rows=[["Ada", 36]])]})
    with serving(there) as kusto:
        workspace.api.put_attachment("adx", {"type": "Kusto", "url": kusto.url, "secret": STANDIN_TOKEN})
        assert pipeline.validate() == []
        run = pipeline.submit("kusto", pipeline_parameters={"least": 36})
        run.wait_for_completion(show_output=False, timeout_seconds=100)
        assert run.get_status() == "Finished"
        (sent,) = kusto.said("/query")
        assert sent["properties"]["Parameters"] == {"least": 36}


COPY = """#!/bin/sh
set -e
mkdir -p "$2/part"
cat "$1/people.csv" | tr a-z A-Z > "$2/part/people.csv"
echo "copied for $AZUREML_RUN_ID"
"""


def test_a_program_in_an_account_of_azure_batch(service: Service, tmp_path: Path) -> None:
    """Its node is a stand-in's, and real in what it does: signatures, program and files."""
    workspace = Workspace(url=service.url, token=TOKEN)
    data, source = tmp_path / "data", tmp_path / "src"
    data.mkdir()
    source.mkdir()
    (data / "people.csv").write_text("ann,bob\n")
    (source / "copy.sh").write_text(COPY)
    (source / "check.py").write_text(
        "import pathlib, sys\nassert (pathlib.Path(sys.argv[1]) / 'part/people.csv').read_text() == 'ANN,BOB\\n'\n"
    )
    store = workspace.get_default_datastore()
    store.upload(data, "batch-people", show_progress=False)
    people, upper = DataReference(store, "people", "batch-people"), PipelineData("upper")
    with serving(Batch(work=Machine(), pools={"linux": {"id": "linux", **LINUX}})) as account:
        workspace.api.put_compute("batch", {"kind": "function"})
        workspace.api.put_attachment("batch", {"type": "Batch", "url": account.url, "secret": STANDIN_TOKEN})
        copy = AzureBatchStep(
            "copy",
            pool_id="linux",
            executable="copy.sh",
            source_directory=source,
            arguments=[people, upper],
            inputs=[people],
            outputs=[upper],
            compute_target="batch",
        )
        check = PythonScriptStep("check.py", arguments=[upper], inputs=[upper], source_directory=source)
        run = Pipeline(workspace, steps=[copy, check]).submit("batch")
        run.wait_for_completion(show_output=False, raise_on_error=False, timeout_seconds=100)
        log = service.log(run.id, run.find_step_run("copy")[0].details.id)
        assert run.get_status() == "Finished", log
        assert f"copied for {run.id}_" in log and account.jobs == {}


def test_a_script_for_databricks_runs_on_the_local_spark(service: Service, tmp_path: Path) -> None:
    spark_python()
    workspace = Workspace(url=service.url, token=TOKEN)
    data, source = tmp_path / "data", tmp_path / "src"
    data.mkdir()
    source.mkdir()
    (data / "people.csv").write_text("id,town,age\n1,Ulm,31\n2,Ulm,44\n3,Bonn,70\n4,Jena,9\n")
    (source / "count.py").write_text(COUNT)
    (source / "check.py").write_text(CHECK)
    store = workspace.get_default_datastore()
    store.upload(data, "spark-people", show_progress=False)
    old = PipelineData("old")
    DatabricksStep(
        "count",
        inputs=[DataReference(store, "people", "spark-people")],
        outputs=[old],
        python_script_name="count.py",
        python_script_params=[PipelineParameter("least", 30)],
        num_workers=1,
        spark_conf={"spark.sql.shuffle.partitions": 3, "spark.app.note": "a = b # c"},
        pypi_libraries=[PyPiLibrary("py4j>=0.10")],
        source_directory=source,
    )
    check = PythonScriptStep("check.py", arguments=[old], inputs=[old], source_directory=source)
    notebook = DatabricksStep("notebook", notebook_path="/Users/me/note", num_workers=1)
    run = Pipeline(workspace, steps=[check, notebook]).submit("spark", continue_on_step_failure=True)
    run.wait_for_completion(show_output=False, raise_on_error=False, timeout_seconds=200)
    counted, checked, refused = (run.find_step_run(name)[0] for name in ("count", "check.py", "notebook"))
    assert counted.get_status() == "Finished", counted.details.error
    assert checked.get_status() == "Finished", checked.details.error
    assert counted.get_metrics() == {"rows": 2}
    log = service.log(run.id, counted.details.id)
    assert "Spark 4." in log and "local[*]" in log and "this runs on the local Spark of the node" in log
    assert refused.details.error is not None and refused.details.error.code == "InvalidStep"
    assert "attach a workspace with DatabricksCompute" in refused.details.error.message

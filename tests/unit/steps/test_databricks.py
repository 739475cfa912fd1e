"""A step's work in a Databricks workspace, against a stand-in of its API over real HTTP, with planted faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.core.attachment import Attachment
from orchestrator.core.definition import DatastoreSource as Source
from orchestrator.core.definition import FromInput, FromOutput, Input, Literal, Output
from orchestrator.core.errors import Conflict
from orchestrator.core.job import InputData
from orchestrator.core.secret import Secret
from steps.remote import http
from tests.databricks_standin import Databricks, Ending, JobRun, refused
from tests.json_standin import TOKEN, Fault, serving
from tests.unit.steps.elsewhere import HOST, Bench, failed
from tests.unit.steps.jobs import DATA, SYSTEM

NEW = {"num_workers": 2}


@pytest.fixture
def databricks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Databricks]:
    monkeypatch.setattr(http, "FIRST_PAUSE", 0.02)
    with serving(Databricks()) as kept:
        yield kept


@pytest.fixture
def bench(tmp_path: Path, databricks: Databricks) -> Bench:
    return Bench(tmp_path, "databricks", Attachment(name="spark", type="Databricks", url=databricks.url))


def test_a_script_is_uploaded_and_run_with_its_data(bench: Bench, databricks: Databricks) -> None:
    bench.store.put(DATA, "people/a.csv", b"1,2\n")

    def work(run: JobRun) -> Ending:
        place = run.parameters["-old"].removeprefix(f"wasbs://{DATA}@{HOST}/")
        for name, data in {
            "": b"",
            "/part-0.parquet": b"rows",
            "/day=1": b"",
            "/day=1/part-1.parquet": b"more",
        }.items():
            bench.store.put(DATA, f"{place}{name}", data)
        return Ending(logs="counted\n")

    databricks.work = work
    job = bench.job(
        {"script": "lib/count.py", "new_cluster": {**NEW, "spark_conf": {"spark.x": "1"}}},
        files={"lib/count.py": "print(1)", "big.bin": "x" * 1_200_000},
        arguments=(Literal(value="--in"), FromInput(name="people"), Literal(value="--out"), FromOutput(name="old")),
        inputs=(Input(name="people", source=Source(datastore=DATA, path="people")),),
        outputs=(Output(name="old"),),
        data={"people": InputData(datastore=DATA, path="people")},
    )
    result = bench.result(job)
    assert result.error is None, result.error
    folder = f"millstream/snapshots/{job.step.snapshot}"
    (run,) = databricks.runs
    source, target = f"wasbs://{DATA}@{HOST}/people", f"wasbs://{DATA}@{HOST}/runs/run1/count/job-0/old"
    assert run.task["spark_python_task"]["python_file"] == f"dbfs:/{folder}/lib/count.py"
    assert run.task["spark_python_task"]["parameters"][:8] == [
        *("--in", source, "--out", target, "-people", source, "-old", target)
    ]
    assert run.parameters["--AZUREML_RUN_ID"] == "run1_count"
    assert run.parameters["--AZUREML_SCRIPT_DIRECTORY_NAME"] == folder
    assert "--AZUREML_RUN_TOKEN" not in run.parameters
    assert databricks.files[f"/{folder}/big.bin"] == b"x" * 1_200_000
    cluster = run.task["new_cluster"]
    assert (cluster["spark_version"], cluster["node_type_id"], cluster["num_workers"]) == (
        *("10.4.x-scala2.12", "Standard_D3_v2", 2),
    )
    signature = cluster["spark_conf"].pop(f"spark.hadoop.fs.azure.sas.{DATA}.{HOST}")
    assert "sp=rwdl" in signature and "sig=" in signature and cluster["spark_conf"] == {"spark.x": "1"}
    assert [file.path for file in result.outputs["old"].files] == ["day=1/part-1.parquet", "part-0.parquet"]
    assert result.read["people"].files == 1
    assert result.properties["databricks_run_page"] == f"{databricks.url}/?o=7#job/1/run/455"
    assert "counted" in bench.log(result) and "TERMINATED SUCCESS" in bench.log(result)
    assert TOKEN not in bench.log(result) and signature not in bench.log(result)


def test_a_folder_that_is_there_is_not_uploaded_again(bench: Bench, databricks: Databricks) -> None:
    for retries in (0, 1):
        assert bench.result(bench.job({"script": "a.py"}, files={"a.py": "1"}, retries=retries)).error is None
    assert len(databricks.said("/dbfs/put")) == 2
    assert len({run.body["idempotency_token"] for run in databricks.runs}) == 2


def test_a_block_that_was_added_twice_is_noticed(bench: Bench, databricks: Databricks) -> None:
    databricks.faults.append(Fault("/dbfs/add-block"))
    job = bench.job({"script": "a.py"}, files={"a.py": "1", "big.bin": "0123456789" * 100_000})
    assert bench.result(job).error is None
    assert databricks.files[f"/millstream/snapshots/{job.step.snapshot}/big.bin"] == b"0123456789" * 100_000
    assert len(databricks.said("/dbfs/create")) == 2


def test_a_notebook_finds_the_same_among_its_widgets(bench: Bench, databricks: Databricks) -> None:
    databricks.clusters["0923-164208-meows279"] = "TERMINATED"
    work = {"notebook": "/Users/me/n", "notebook_params": {"rate": 0.1, "fast": True}}
    job = bench.job(
        {**work, "existing_cluster_id": "0923-164208-meows279", "run_name": "nightly"},
        inputs=(Input(name="people", source=Source(datastore=DATA, path="people")),),
        data={"people": InputData(datastore=DATA, path="people")},
    )
    databricks.work = lambda run: Ending(logs="what dbutils.notebook.exit was given")
    result = bench.result(job)
    (run,) = databricks.runs
    assert run.body["run_name"] == "nightly"
    assert run.task["existing_cluster_id"] == "0923-164208-meows279" and "new_cluster" not in run.task
    assert run.parameters["people"] == f"wasbs://{DATA}@{HOST}/people"
    assert (run.parameters["rate"], run.parameters["fast"]) == ("0.1", "true")
    assert run.parameters["AZUREML_RUN_ID"] == "run1_count"
    assert "what dbutils.notebook.exit was given" in bench.log(result)


def test_a_class_of_a_jar_on_a_cluster_of_a_pool(bench: Bench, databricks: Databricks) -> None:
    cluster = {
        "instance_pool_id": "pool-1",
        "min_workers": 1,
        "max_workers": 3,
        "spark_env_variables": {"A": "1"},
        "init_scripts": ["dbfs:/init.sh"],
        "cluster_log_dbfs_path": "dbfs:/logs",
    }
    libraries = [{"jar": "dbfs:/a.jar"}, {"maven": {"coordinates": "a:b:1"}}, {"pypi": {"package": "x", "repo": "r"}}]
    job = bench.job(
        {"main_class": "a.Main", "new_cluster": cluster, "libraries": libraries},
        arguments=(Literal(value="x"),),
        timeout_seconds=120.0,
    )
    assert bench.result(job).error is None
    (run,) = databricks.runs
    assert run.task["spark_jar_task"]["main_class_name"] == "a.Main"
    assert run.task["spark_jar_task"]["parameters"][0] == "x"
    assert run.task["libraries"] == libraries
    assert run.task["new_cluster"] == {
        "spark_version": "10.4.x-scala2.12",
        "instance_pool_id": "pool-1",
        "autoscale": {"min_workers": 1, "max_workers": 3},
        "spark_env_vars": {"A": "1"},
        "init_scripts": [{"dbfs": {"destination": "dbfs:/init.sh"}}],
        "cluster_log_conf": {"dbfs": {"destination": "dbfs:/logs"}},
    }
    assert run.body["timeout_seconds"] == 120


def test_an_author_who_opens_the_account_is_left_alone(bench: Bench, databricks: Databricks) -> None:
    conf = {f"spark.hadoop.fs.azure.account.key.{HOST}": "{{secrets/scope/key}}"}
    job = bench.job(
        {"notebook": "/n", "new_cluster": {**NEW, "spark_conf": conf}},
        inputs=(Input(name="people", source=Source(datastore=DATA, path="people")),),
        data={"people": InputData(datastore=DATA, path="people")},
    )
    assert bench.result(job).error is None
    assert databricks.runs[0].task["new_cluster"]["spark_conf"] == conf


def test_the_answer_to_a_submission_may_be_lost(bench: Bench, databricks: Databricks) -> None:
    databricks.faults.append(Fault("/runs/submit"))
    assert bench.result(bench.job({"notebook": "/n"})).error is None
    assert len(databricks.said("/runs/submit")) == 2
    assert len(databricks.runs) == 1


def test_a_job_that_runs_holds_no_worker(bench: Bench, databricks: Databricks) -> None:
    databricks.held = True
    job = bench.job({"notebook": "/n"}, timeout_seconds=3600.0)
    submitted = bench.perform(job)
    assert submitted is not None and submitted.deferral is not None and submitted.error is None
    assert submitted.deferral.handle == {"job": 455} and 3590 < (submitted.deferral.within or 0) <= 3600
    seen = bench.perform(bench.look(job, submitted, elapsed=100.0))
    assert seen is not None and seen.deferral is not None
    assert seen.properties == {
        "databricks_run_id": "455",
        "databricks_run_page": f"{databricks.url}/?o=7#job/1/run/455",
    }
    assert (
        seen.deferral.handle == {"job": 455, "said": "RUNNING: In run"} and 3490 < (seen.deferral.within or 0) <= 3500
    )
    again = bench.perform(bench.look(job, seen))
    assert again is not None and (again.log, again.log_bytes) == (seen.log, seen.log_bytes)
    databricks.held = False
    ended = bench.result(bench.look(job, again))
    assert ended.error is None and ended.log == submitted.log and ended.started_at == submitted.started_at
    log = bench.log(ended)
    assert log.count("In run") == 1 and log.index("is submitted") < log.index("In run") < log.index("TERMINATED")
    assert len(databricks.runs) == 1 and len(databricks.said("/runs/submit")) == 1


def test_what_a_worker_that_died_added_to_the_log_stays(bench: Bench, databricks: Databricks) -> None:
    job = bench.job({"notebook": "/n"})
    submitted = bench.perform(job)
    assert submitted is not None
    dead = bench.perform(bench.look(job, submitted))  # and nobody has heard of it
    assert dead is not None and dead.log_bytes > submitted.log_bytes
    ended = bench.result(bench.look(job, submitted))
    assert ended.error is None and ended.log_bytes == len(bench.log(ended).encode())
    assert bench.log(ended).startswith(bench.store.blobs[SYSTEM][dead.log or ""].decode()[: dead.log_bytes])


def test_a_worker_that_takes_over_before_it_is_known_finds_the_job(bench: Bench, databricks: Databricks) -> None:
    job = bench.job({"notebook": "/n"})
    assert bench.perform(job) is not None  # and then it died
    again = msgspec.structs.replace(job, attempt=2, owner="ba9876543210")
    assert bench.result(again).error is None
    assert len(databricks.runs) == 1 and len(databricks.said("/runs/submit")) == 2


def test_calling_off_cancels_the_job(bench: Bench, databricks: Databricks) -> None:
    databricks.held = True
    job = bench.job({"notebook": "/n"})
    submitted = bench.perform(job)
    assert submitted is not None
    bench.cancelled.set()
    for _ in range(2):
        ended = bench.perform(msgspec.structs.replace(bench.look(job, submitted), called_off=True))
        assert ended is not None and ended.deferral is None and ended.error is None
    assert databricks.said("/runs/cancel") == [{"run_id": 455}] * 2
    assert databricks.runs[0].ending == Ending("CANCELED", "Run cancelled.")


def test_calling_off_finds_a_job_that_nobody_has_told_of(bench: Bench, databricks: Databricks) -> None:
    databricks.held = True
    job = bench.job({"notebook": "/n"})
    assert bench.perform(job) is not None
    assert bench.perform(msgspec.structs.replace(job, attempt=2, owner="ba", called_off=True)) is not None
    assert len(databricks.runs) == 1 and databricks.runs[0].ending == Ending("CANCELED", "Run cancelled.")


def test_calling_off_is_tried_again_until_patience_ends(
    bench: Bench, databricks: Databricks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steps.databricks.workspace.LOOK_PATIENCE", 0.1)
    job = bench.job({"notebook": "/n"})
    submitted = bench.perform(job)
    assert submitted is not None
    databricks.faults.append(Fault("/runs/cancel", refused(503, "TEMPORARILY_UNAVAILABLE", "Later"), 1000))
    off = msgspec.structs.replace(bench.look(job, submitted, elapsed=10.0), called_off=True)
    silent = bench.perform(off)
    assert silent is not None and silent.deferral is not None and silent.deferral.handle == {"job": 455}
    later = msgspec.structs.replace(bench.look(job, silent, elapsed=1000.0), called_off=True)
    given_up = bench.perform(later)
    assert given_up is not None and given_up.deferral is None and given_up.error is None


def test_too_many_requests_are_spaced_as_the_service_says(bench: Bench, databricks: Databricks) -> None:
    limited = refused(429, "REQUEST_LIMIT_EXCEEDED", "Too many.", {"Retry-After": "1"})
    databricks.faults += [Fault("/runs/submit", limited), Fault("/runs/get", limited)]
    result = bench.result(bench.job({"notebook": "/n"}))
    assert result.error is None
    assert result.ended_at - result.started_at >= 2.0


def test_a_service_that_fails_for_a_while_is_asked_again(bench: Bench, databricks: Databricks) -> None:
    broken = refused(500, "INTERNAL_ERROR", "Oops")
    databricks.faults += [Fault("/runs/get", broken, 2), Fault("/runs/get"), Fault("/runs/get-output", broken)]
    assert bench.result(bench.job({"notebook": "/n"})).error is None


def test_patience_ends(bench: Bench, databricks: Databricks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steps.databricks.workspace.LOOK_PATIENCE", 0.1)
    job = bench.job({"notebook": "/n"})
    submitted = bench.perform(job)
    databricks.faults.append(Fault("/runs/get", refused(503, "TEMPORARILY_UNAVAILABLE", "Later"), 1000))
    assert submitted is not None
    silent = bench.perform(bench.look(job, submitted, elapsed=10.0))
    assert silent is not None and silent.deferral is not None and silent.error is None
    assert 10.0 <= (silent.deferral.silent_since or 0.0) < 15.0
    result = bench.perform(bench.look(job, silent, elapsed=1000.0))
    assert result is not None
    assert "503 TEMPORARILY_UNAVAILABLE: Later" in failed(result, "ServiceFailed")
    assert result.retryable
    assert databricks.said("/runs/cancel") == [{"run_id": 455}]


def test_a_failed_run_says_why(bench: Bench, databricks: Databricks) -> None:
    databricks.work = lambda run: Ending("FAILED", "Workload failed, see run output", "before\n", "ValueError: no")
    result = bench.result(bench.job({"notebook": "/n"}))
    message = failed(result, "JobFailed")
    assert "TERMINATED FAILED: Workload failed, see run output" in message
    assert "#job/1/run/455" in message
    assert result.error is not None and "ValueError: no" in result.error.log_tail
    assert result.outputs == {} and result.retryable


def test_a_run_past_its_limit_has_timed_out(bench: Bench, databricks: Databricks) -> None:
    databricks.held = True
    result = bench.result(bench.job({"notebook": "/n"}, timeout_seconds=1.0))
    failed(result, "TimedOut")
    assert databricks.runs[0].ending is not None
    assert databricks.runs[0].ending.result in ("TIMEDOUT", "CANCELED")


@pytest.mark.parametrize(
    ("work", "text"),
    [
        ({"notebook": "/n", "existing_cluster_id": "nope"}, "400 INVALID_PARAMETER_VALUE: Cluster nope does not exist"),
        (
            {"notebook": "/n", "existing_cluster_id": "off", "permit_cluster_restart": False},
            "The cluster off is TERMINATED, and permit_cluster_restart is False",
        ),
    ],
)
def test_what_the_workspace_refuses_is_not_tried_again(
    bench: Bench, databricks: Databricks, work: dict[str, Any], text: str
) -> None:
    databricks.clusters["off"] = "TERMINATED"
    result = bench.result(bench.job(work))
    assert text in failed(result, "JobRefused")
    assert not result.retryable


def test_a_wrong_token_is_said_and_not_shown(tmp_path: Path, databricks: Databricks) -> None:
    attachment = Attachment(name="spark", type="Databricks", url=databricks.url)
    bench = Bench(tmp_path, "databricks", attachment, secret="dapi-wrong")
    result = bench.result(bench.job({"notebook": "/n"}))
    message = failed(result, "JobRefused")
    assert "403 PERMISSION_DENIED" in message and "secret of the attached compute" in message
    assert "dapi-wrong" not in message + bench.log(result) if result.log else True


def test_an_output_that_was_not_written_is_told(bench: Bench) -> None:
    result = bench.result(bench.job({"notebook": "/n"}, outputs=(Output(name="old"),)))
    assert "wrote nothing to its output 'old'" in failed(result, "OutputNotWritten")


def test_an_output_may_be_a_single_blob(bench: Bench, databricks: Databricks) -> None:
    def work(run: JobRun) -> Ending:
        bench.store.put(DATA, run.parameters["old"].removeprefix(f"wasbs://{DATA}@{HOST}/"), b"model")
        return Ending()

    databricks.work = work
    result = bench.result(bench.job({"notebook": "/n"}, outputs=(Output(name="old"),)))
    assert result.error is None and result.outputs["old"].is_file


def test_what_a_cluster_cannot_take_is_refused(bench: Bench) -> None:
    port = (Input(name="people", source=Source(datastore=DATA, path="people")),)
    job = bench.job({"notebook": "/n"}, inputs=port, data={"people": InputData(dataset_id="00" * 32)})
    assert "is a dataset that Spark cannot be given" in failed(bench.result(job), "InvalidStep")
    link = bench.job({"notebook": "/n"}, outputs=(Output(name="old", mode="link"),))
    assert "is a link" in failed(bench.result(link), "InvalidStep")


def test_a_workspace_that_cannot_be_opened_is_told(bench: Bench) -> None:
    def find(name: str) -> tuple[Attachment, Secret] | None:
        raise Conflict("Its secret is gone.")

    bench.find = find
    assert "Its secret is gone." in failed(bench.result(bench.job({"notebook": "/n"})), "InvalidStep")
    other = Attachment(name="spark", type="Synapse", url="https://w.dev.azuresynapse.net", pool="p")
    bench.find = lambda name: (other, Secret("t"))
    message = failed(bench.result(bench.job({"notebook": "/n"})), "InvalidStep")
    assert "attached to Synapse, and this step is for Databricks" in message

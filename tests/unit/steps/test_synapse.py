"""A step's work in a Spark pool of Synapse, against a stand-in of its API over real HTTP, with planted faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.core.attachment import Attachment
from orchestrator.core.dataset import DatasetDocument, DatastoreFiles, Take
from orchestrator.core.definition import DatasetSource, FromInput, FromOutput, Input, Literal, Output
from orchestrator.core.job import InputData
from steps.remote import http
from steps.remote.following import fresh
from tests.json_standin import Fault, serving
from tests.synapse_standin import Batch, Ending, Synapse, refused
from tests.unit.steps.elsewhere import HOST, Bench, failed
from tests.unit.steps.jobs import DATA

WORK: dict[str, Any] = {
    "file": "dir/count.py",
    "driver_memory": "28g",
    "driver_cores": 4,
    "executor_memory": "28g",
    "executor_cores": 4,
    "num_executors": 2,
}
FILES = {"dir/count.py": "print(1)", "lib.zip": "zip"}


@pytest.fixture
def synapse(monkeypatch: pytest.MonkeyPatch) -> Iterator[Synapse]:
    monkeypatch.setattr("steps.synapse.pool.FIRST_PAUSE", 0.02)
    monkeypatch.setattr("steps.synapse.pool.LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(http, "FIRST_PAUSE", 0.02)
    with serving(Synapse()) as kept:
        yield kept


@pytest.fixture
def bench(tmp_path: Path, synapse: Synapse) -> Bench:
    return Bench(tmp_path, "synapse_spark", Attachment(name="spark", type="Synapse", url=synapse.url, pool="small"))


def files_of(path: str, *operations: Take) -> InputData:
    document = DatasetDocument(
        type="file", sources=(DatastoreFiles(datastore=DATA, path=path),), operations=tuple(operations)
    )
    return InputData(dataset_id="00" * 32, dataset=document)


def test_a_batch_has_its_sources_and_data_by_url(bench: Bench, synapse: Synapse) -> None:
    bench.store.put(DATA, "people/a.csv", b"1,2\n")

    def work(batch: Batch) -> Ending:
        place = batch.parameter("--out").removeprefix(f"wasbs://{DATA}@{HOST}/")
        bench.store.put(DATA, f"{place}/part-0.parquet", b"rows")
        return Ending(log=("counted",))

    synapse.work = work
    port = Input(name="people", source=DatasetSource(id="00" * 32))
    job = bench.job(
        {**WORK, "py_files": ["lib.zip"], "jars": ["https://example.org/a.jar"], "conf": {"spark.x": "1"}},
        files=FILES,
        arguments=(Literal(value="--in"), FromInput(name="people"), Literal(value="--out"), FromOutput(name="old")),
        inputs=(port,),
        outputs=(Output(name="old", create=True),),
        data={"people": files_of("people/**")},
    )
    result = bench.result(job)
    assert result.error is None, result.error
    (batch,) = synapse.batches
    base = f"wasbs://{DATA}@{HOST}/millstream-sources/{job.step.snapshot}"
    conf = batch.body.pop("conf")
    assert batch.body.pop("name").startswith("Count-")
    assert batch.body == {
        "file": f"{base}/dir/count.py",
        "args": ["--in", f"wasbs://{DATA}@{HOST}/people", "--out", f"wasbs://{DATA}@{HOST}/runs/run1/count/job-0/old"],
        "pyFiles": [f"{base}/lib.zip"],
        "jars": ["https://example.org/a.jar"],
        "driverMemory": "28g",
        "driverCores": 4,
        "executorMemory": "28g",
        "executorCores": 4,
        "numExecutors": 2,
    }
    signature = conf.pop(f"spark.hadoop.fs.azure.sas.{DATA}.{HOST}")
    assert "sp=rwdl" in signature and conf == {"spark.x": "1"}
    assert bench.store.blobs[DATA][f"millstream-sources/{job.step.snapshot}/dir/count.py"] == b"print(1)"
    assert [file.path for file in result.outputs["old"].files] == ["part-0.parquet"]
    assert result.properties == {"synapse_batch_id": "7", "spark_ui_url": f"{synapse.url}/sparkui/7"}
    assert "counted" in bench.log(result) and "success Succeeded" in bench.log(result)


def test_after_a_lost_answer_the_batch_is_found_by_its_name(bench: Bench, synapse: Synapse) -> None:
    other = {**WORK, "file": "x", "name": "other"}
    synapse.batches = [Batch(number=100 + number, body=other, state="success") for number in range(45)]
    synapse.faults.append(Fault("/batches", verb="POST"))
    assert bench.result(bench.job(WORK, files=FILES)).error is None
    assert len([batch for batch in synapse.batches if batch.body["name"].startswith("Count-")]) == 1


def test_a_pool_that_fails_for_a_while_is_asked_again(bench: Bench, synapse: Synapse) -> None:
    busy = refused(429, "TooManyRequests", "Later.")
    synapse.faults += [Fault("/batches", busy, 2, "GET"), Fault("/batches", busy, 2, "POST"), Fault("/batches/7", busy)]
    assert bench.result(bench.job(WORK, files=FILES)).error is None
    assert len(synapse.batches) == 1


def test_a_worker_that_takes_over_before_it_is_known_finds_the_batch(bench: Bench, synapse: Synapse) -> None:
    job = bench.job(WORK, files=FILES)
    assert bench.perform(job) is not None  # and then it died
    assert bench.result(msgspec.structs.replace(job, attempt=2, owner="ba9876543210")).error is None
    assert len(synapse.batches) == 1


def test_the_log_of_a_batch_comes_as_it_is_written(bench: Bench, synapse: Synapse) -> None:
    job = bench.job(WORK, files=FILES)
    result = bench.perform(job)
    synapse.held = True
    for lines in (["one", "two"], ["one", "two", "three"], ["two", "three"], ["four"]):
        assert result is not None and result.deferral is not None
        synapse.batches[0].lines = tuple(lines)
        result = bench.perform(bench.look(job, result))
    assert result is not None
    shown = [line for line in bench.log(result).splitlines() if not line.startswith("[millstream]")]
    assert shown == ["one", "two", "three", "four"]


@pytest.mark.parametrize(
    ("tail", "lines", "new"),
    [
        ((), ("a", "b"), ("a", "b")),
        (("a", "b"), ("a", "b"), ()),
        (("a", "b"), ("b", "c"), ("c",)),
        (("a", "b"), ("x", "a", "b", "c"), ("c",)),
        (("a", "a"), ("a", "a", "a"), ()),
        (("a", "b"), ("c", "d"), ("c", "d")),
        (("a" * 400,), ("a" * 500, "b"), ("b",)),
    ],
)
def test_what_is_new_in_the_end_of_a_log(tail: tuple[str, ...], lines: tuple[str, ...], new: tuple[str, ...]) -> None:
    assert fresh(tail, lines) == new


@pytest.mark.parametrize("known", [True, False])
def test_calling_off_cancels_the_batch(bench: Bench, synapse: Synapse, known: bool) -> None:
    synapse.held = True
    job = bench.job(WORK, files=FILES)
    submitted = bench.perform(job)
    assert submitted is not None
    bench.cancelled.set()
    ours = bench.look(job, submitted) if known else msgspec.structs.replace(job, owner="ba", attempt=2)
    assert bench.perform(msgspec.structs.replace(ours, called_off=True)) is not None
    assert synapse.batches[0].ending == Ending("killed", "Cancelled")


def test_calling_off_what_was_never_submitted_submits_nothing(bench: Bench, synapse: Synapse) -> None:
    assert bench.perform(msgspec.structs.replace(bench.job(WORK, files=FILES), called_off=True)) is not None
    assert synapse.batches == []


def test_a_batch_past_the_limit_is_cancelled(bench: Bench, synapse: Synapse) -> None:
    synapse.held = True
    failed(bench.result(bench.job(WORK, files=FILES, timeout_seconds=1.0)), "TimedOut")
    assert synapse.batches[0].ending == Ending("killed", "Cancelled")


def test_a_failed_batch_says_why(bench: Bench, synapse: Synapse) -> None:
    synapse.work = lambda batch: Ending("dead", "Failed", "Livy session has failed.", ("Traceback", "ValueError: no"))
    result = bench.result(bench.job(WORK, files=FILES))
    assert "dead Failed: Livy session has failed." in failed(result, "JobFailed")
    assert result.error is not None and "ValueError: no" in result.error.log_tail


def test_what_the_pool_refuses_is_not_tried_again(bench: Bench, synapse: Synapse) -> None:
    result = bench.result(bench.job({**WORK, "num_executors": 500}, files=FILES))
    assert "400 VcoreQuotaExceeded" in failed(result, "JobRefused") and not result.retryable
    synapse.pools = ()
    assert "404 SparkComputeNotFound" in failed(bench.result(bench.job(WORK, files=FILES)), "JobRefused")


def test_what_is_missing_is_named(bench: Bench) -> None:
    assert "no file 'x.zip'" in failed(
        bench.result(bench.job({**WORK, "py_files": ["x.zip"]}, files=FILES)), "InvalidStep"
    )
    failed(bench.result(bench.job({**WORK, "file": "x.py"}, files=FILES)), "ScriptMissing")


@pytest.mark.parametrize("data", [files_of("people/**", Take(count=1)), files_of("a/**/b")])
def test_a_dataset_that_is_more_than_a_place_is_refused(bench: Bench, data: InputData) -> None:
    port = Input(name="people", source=DatasetSource(id="00" * 32))
    result = bench.result(bench.job(WORK, files=FILES, inputs=(port,), data={"people": data}))
    assert "Spark cannot be given as a place" in failed(result, "InvalidStep")


def test_without_a_workspace_it_runs_here_with_the_same_settings(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to where Spark itself begins: the script looks at what a session would be configured with."""
    submit = tmp_path / "bin" / "spark-submit"
    submit.parent.mkdir()
    submit.write_text('#!/bin/sh\nexec "$PYSPARK_PYTHON" "$@"\n')
    submit.chmod(0o755)
    monkeypatch.setattr("steps.spark.local.home_of", lambda python, packages: str(tmp_path))
    monkeypatch.setattr("steps.spark.local.java_of", lambda environment: "/jdk")
    script = """
import os, sys
lines = open(os.environ["SPARK_CONF_DIR"] + "/spark-defaults.conf").read().splitlines()
conf = dict(line.split("=", 1) for line in lines)
assert conf["spark.driver.memory"] == "2g" and conf["spark.app.name"] == "count", conf
assert conf["spark.submit.pyFiles"] == os.getcwd() + "/lib.zip", conf
assert conf["spark.master"] == "local[1]" and os.environ["PYSPARK_PYTHON"] == sys.executable
assert open(sys.argv[1]).read() == "1"
os.mkdir(sys.argv[2] + "/there")
open(sys.argv[2] + "/there/x", "w").write("2")
"""
    bench.store.put(DATA, "one.txt", b"1")
    job = bench.job(
        {
            **WORK,
            "driver_memory": "2g",
            "app_name": "count",
            "py_files": ["lib.zip"],
            "conf": {"spark.master": "local[1]"},
        },
        files={**FILES, "dir/count.py": script},
        compute="function",
        arguments=(FromInput(name="one"), FromOutput(name="old")),
        inputs=(Input(name="one", source=DatasetSource(id="00" * 32)),),
        outputs=(Output(name="old", create=True),),
        data={"one": InputData(datastore=DATA, path="one.txt")},
    )
    result = bench.result(job)
    assert result.error is None, (result.error, bench.log(result))
    assert [file.path for file in result.outputs["old"].files] == ["there/x"]
    assert "the local Spark of the node" in bench.log(result)

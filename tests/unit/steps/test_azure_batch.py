"""A program in an account of Azure Batch, against a stand-in of its API over real HTTP, with planted faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import pytest

from orchestrator.core.attachment import Attachment
from orchestrator.core.definition import DatastoreSource as Source
from orchestrator.core.definition import FromInput, FromOutput, Input, Literal, Output
from orchestrator.core.job import InputData, Job
from orchestrator.core.kinds.azure_batch import BatchTask
from steps.azure_batch import requests
from steps.remote import http
from tests.batch_standin import LINUX, WINDOWS, Batch, Ending, Task, refused
from tests.json_standin import TOKEN, Fault, Refusal, serving
from tests.unit.steps.elsewhere import HOST, Bench, failed
from tests.unit.steps.jobs import DATA

WORK: dict[str, Any] = {"executable": "run.sh", "pool": "small"}
IMAGE = "urn:Canonical:0001-com-ubuntu-server-jammy:22_04-lts"


@pytest.fixture
def batch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Batch]:
    monkeypatch.setattr(http, "FIRST_PAUSE", 0.02)
    with serving(Batch(pools={"small": {"id": "small", **LINUX}})) as kept:
        yield kept


@pytest.fixture
def bench(tmp_path: Path, batch: Batch) -> Bench:
    return Bench(tmp_path, "azure_batch", Attachment(name="spark", type="Batch", url=batch.url))


def job_of(bench: Bench, work: dict[str, Any] | None = None, **fields: Any) -> Job:
    return bench.job({**WORK, **(work or {})}, **fields)


def blob_of(url: str) -> tuple[str, str, dict[str, list[str]]]:
    """Container, name and signature of a URL."""
    parts = urlsplit(url)
    assert parts.hostname == HOST and parts.scheme == "https"
    _, container, *name = parts.path.split("/")
    return container, unquote("/".join(name)), parse_qs(parts.query)


class Node:
    """Does what a node does: brings the files, runs the program, takes the outputs away."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.files: dict[str, bytes] = {}
        self.command = ""

    def __call__(self, task: Task) -> Ending:
        self.command = task.body["commandLine"]
        for file in task.body["resourceFiles"]:
            container, name, signed = blob_of(file["httpUrl"])
            assert signed["sp"] == ["r"] and signed["sr"] == ["b"]
            self.files[file["filePath"]] = self._bench.store.blobs[container][name]
        for output in task.body["outputFiles"]:
            there = output["destination"]["container"]
            container, _, signed = blob_of(there["containerUrl"])
            assert signed["sp"] == ["w"] and signed["sr"] == ["c"]
            assert output["filePattern"] == "outputs/old/**/*"
            assert output["uploadOptions"] == {"uploadCondition": "tasksuccess"}
            self._bench.store.put(container, f"{there['path']}/day=1/rows.csv", b"1,2\n")
        return Ending(stdout="counted\n", stderr="with care\n")


def test_a_program_of_the_source_folder_with_its_data(bench: Bench, batch: Batch) -> None:
    bench.store.put(DATA, "people/a b.csv", b"1,2\n")
    bench.store.put(DATA, "people/more/c.csv", b"3,4\n")
    batch.work = node = Node(bench)
    job = job_of(
        bench,
        files={"run.sh": "#!/bin/sh", "lib/x.txt": "x"},
        arguments=(Literal(value="it's"), FromInput(name="people"), FromInput(name="one"), FromOutput(name="old")),
        inputs=(
            Input(name="people", source=Source(datastore=DATA, path="people")),
            Input(name="one", source=Source(datastore=DATA, path="people/a b.csv")),
        ),
        outputs=(Output(name="old"),),
        data={
            "people": InputData(datastore=DATA, path="people"),
            "one": InputData(datastore=DATA, path="people/a b.csv"),
        },
    )
    result = bench.result(job)
    assert result.error is None, result.error
    assert node.files == {
        "run.sh": b"#!/bin/sh",
        "lib/x.txt": b"x",
        "inputs/people/a b.csv": b"1,2\n",
        "inputs/people/more/c.csv": b"3,4\n",
        "inputs/one/a b.csv": b"1,2\n",
    }
    assert node.command == """./run.sh 'it'"'"'s' inputs/people 'inputs/one/a b.csv' outputs/old"""
    assert [file.path for file in result.outputs["old"].files] == ["day=1/rows.csv"]
    assert result.read["people"].files == 2
    log = bench.log(result)
    assert "counted" in log and "with care" in log and "Azure Batch: running" in log
    assert TOKEN not in log and "sig=" not in log
    assert batch.jobs == {} and "small" in batch.pools


def test_a_pool_that_is_not_there_is_made_and_removed(bench: Bench, batch: Batch) -> None:
    batch.pools.clear()
    seen: list[dict[str, Any]] = []

    def work(task: Task) -> Ending:
        seen.extend(batch.pools.values())
        return Ending()

    batch.work = work
    asked = {"create_pool": True, "delete_pool": True, "nodes": 2, "vm_size": "standard_d2s_v3", "image": IMAGE}
    assert bench.result(job_of(bench, asked)).error is None
    (pool,) = seen
    assert (pool["targetDedicatedNodes"], pool["vmSize"]) == (2, "standard_d2s_v3")
    configuration = pool["virtualMachineConfiguration"]
    assert configuration["nodeAgentSKUId"] == "batch.node.ubuntu 22.04"
    assert configuration["imageReference"]["version"] == "latest"
    assert batch.pools == {} and batch.jobs == {}


def test_an_image_that_is_not_offered_any_more(bench: Bench, batch: Batch) -> None:
    batch.pools.clear()
    assert "Give vm_image_urn" in failed(bench.result(job_of(bench, {"create_pool": True})), "JobRefused")


def test_a_pool_that_nobody_makes(bench: Bench, batch: Batch) -> None:
    batch.pools.clear()
    assert "PoolNotFound" in failed(bench.result(job_of(bench)), "JobRefused")


def test_windows_has_rules_of_its_own_for_arguments(bench: Bench, batch: Batch) -> None:
    batch.pools["small"] = {"id": "small", **WINDOWS}
    job = job_of(
        bench,
        {"executable": "bin/run.exe", "as_admin": True},
        files={"bin/run.exe": "MZ"},
        arguments=(Literal(value='a "b" c'), Literal(value="d")),
        timeout_seconds=600.0,
    )
    seen: list[dict[str, Any]] = []
    batch.work = lambda task: seen.append(task.body) or Ending()  # type: ignore[func-returns-value]
    assert bench.result(job).error is None
    (task,) = seen
    assert task["commandLine"] == r'bin\run.exe "a \"b\" c" d'
    assert task["userIdentity"]["autoUser"] == {"scope": "task", "elevationLevel": "admin"}
    assert task["constraints"] == {"maxTaskRetryCount": 0, "maxWallClockTime": "PT600S"}


@pytest.mark.parametrize(
    ("ending", "more", "words"),
    [
        (Ending(exit_code=3), {}, "exit code 3"),
        (Ending(exit_code=-1), {"fails_above_zero": False}, "exit code -1"),
        (Ending(exit_code=3), {"fails_above_zero": False}, ""),
        (Ending(exit_code=None, failure="Access for one of the blobs was denied."), {}, "was denied"),
    ],
)
def test_how_a_program_ends(bench: Bench, batch: Batch, ending: Ending, more: dict[str, Any], words: str) -> None:
    batch.work = lambda task: ending
    result = bench.result(job_of(bench, more))
    if words:
        assert words in failed(result, "JobFailed")
    else:
        assert result.error is None
    assert batch.jobs == {}


def test_a_job_is_kept_if_that_is_wanted(bench: Bench, batch: Batch) -> None:
    assert bench.result(job_of(bench, {"delete_job": False})).error is None
    assert len(batch.jobs) == 1


@pytest.mark.parametrize("path", ["/jobs", "/tasks", "/pools/small", "/tasks/step", "/stdout.txt"])
@pytest.mark.parametrize("refusal", [None, Refusal(503, {}), Refusal(429, {}, {"Retry-After": "0"})])
def test_what_is_not_answered_is_asked_again(bench: Bench, batch: Batch, path: str, refusal: Refusal | None) -> None:
    ran: list[Task] = []
    batch.work = lambda task: ran.append(task) or Ending()  # type: ignore[func-returns-value]
    batch.faults.append(Fault(path, refusal, times=2))
    assert bench.result(job_of(bench)).error is None
    assert len(ran) == 1


def test_a_worker_that_died_after_submitting_leaves_one_task(bench: Bench, batch: Batch) -> None:
    """Nothing was kept of the first submission, so the step is begun anew, and finds it."""
    job = job_of(bench)
    assert bench.perform(job) is not None
    assert bench.result(job).error is None
    assert len(batch.said("/jobs")) == 2 and batch.jobs == {}


def test_a_job_that_somebody_has_removed(bench: Bench, batch: Batch) -> None:
    job = job_of(bench)
    first = bench.perform(job)
    assert first is not None and first.deferral is not None
    batch.jobs.clear()
    batch.tasks.clear()
    second = bench.perform(bench.look(job, first))
    assert second is not None
    assert "somebody has removed it" in failed(second, "JobFailed")


@pytest.mark.parametrize(("code", "words"), [(0, ""), (3, "exit code 3")])
def test_a_worker_that_died_after_removing_the_job(bench: Bench, batch: Batch, code: int, words: str) -> None:
    """Whoever looks next finds how the task has ended, and its outputs."""
    node = Node(bench)
    batch.work = lambda task: replace(node(task), exit_code=code)
    job = job_of(bench, outputs=(Output(name="old"),))
    looks = [bench.perform(job)]
    while (last := looks[-1]) is not None and last.deferral is not None:
        looks.append(bench.perform(bench.look(job, last)))
    assert batch.jobs == {}
    before = looks[-2]
    assert before is not None
    again = bench.perform(bench.look(job, before))
    assert again is not None
    if words:
        assert words in failed(again, "JobFailed")
    else:
        assert [file.path for file in again.outputs["old"].files] == ["day=1/rows.csv"]


def test_calling_it_off_leaves_nothing(bench: Bench, batch: Batch) -> None:
    job = job_of(bench)
    first = bench.perform(job)
    assert first is not None and len(batch.jobs) == 1
    for _ in range(2):
        bench.perform(msgspec.structs.replace(bench.look(job, first), called_off=True))
        assert batch.jobs == {} and batch.tasks == {}


def test_too_many_files_are_refused(bench: Bench, batch: Batch) -> None:
    for number in range(1001):
        bench.store.put(DATA, f"many/{number}", b"x")
    job = job_of(
        bench,
        inputs=(Input(name="many", source=Source(datastore=DATA, path="many")),),
        data={"many": InputData(datastore=DATA, path="many")},
    )
    assert "put them into an archive" in failed(bench.result(job), "InvalidStep")
    assert batch.jobs == {}


def test_no_account(bench: Bench) -> None:
    bench.find = lambda name: None
    assert "not attached to Azure Batch" in failed(bench.result(job_of(bench)), "InvalidStep")


def test_no_right(bench: Bench, batch: Batch) -> None:
    batch.faults.append(Fault("/pools/small", refused(403, "AuthorizationFailure", "Not authorized.")))
    assert "the secret of the attached compute" in failed(bench.result(job_of(bench)), "JobRefused")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"executable": " "}, "no executable"),
        ({"pool": "a/b"}, "no id of a pool"),
        ({"nodes": 0}, "nodes is 0"),
        ({"vm_size": "a b"}, "no size"),
        ({"image": "ubuntu"}, "no image"),
        ({"delete_pool": True}, "does not make its pool"),
    ],
)
def test_settings_are_checked(changed: dict[str, Any], words: str) -> None:
    (problem,) = BatchTask(**{**WORK, **changed}).problems("settings")
    assert words in problem.message


def test_the_id_of_a_job_is_that_of_one_try(bench: Bench) -> None:
    job = job_of(bench)
    other = job_of(bench, retries=1)
    assert requests.job_id(job) == requests.job_id(job) != requests.job_id(other)
    assert len(requests.job_id(job)) <= 64

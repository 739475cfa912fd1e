"""What stands behind the inputs of a step, resolved from a run in memory."""

from __future__ import annotations

import msgspec
import pytest

from orchestrator.catalog import datasets
from orchestrator.catalog.saved_datasets import check_saved, check_values
from orchestrator.core import dataset as ds
from orchestrator.core.definition import (
    DataPathValue,
    DatasetSource,
    DatasetValue,
    DatastoreSource,
    Definition,
    Input,
    Parameter,
    ParameterSource,
    ParameterValue,
    Source,
    Step,
    StepSource,
)
from orchestrator.core.errors import Broken, InvalidDefinition, InvalidRequest
from orchestrator.core.job import InputData, Job
from orchestrator.core.result import File, OutputData, StepError, StepResult
from orchestrator.ports import ReadBlob
from tests.unit.engine.running import Runner, step

DOCUMENT = ds.DatasetDocument(type="file", sources=(ds.DatastoreFiles(datastore="main", path="raw"),))
SAVED = ds.address(DOCUMENT)
PLACE = DataPathValue(datastore="main", path="a")
VIEW = ds.DatasetView(type="tabular", format=ds.ParquetFormat())
WRITTEN = OutputData(datastore="main", prefix="p", files=(File(path="x", size=1, sha256="aa"),))


def reading(**sources: Source) -> Step:
    inputs = tuple(Input(name=name, source=source) for name, source in sources.items())
    return msgspec.structs.replace(step("read", "write"), inputs=inputs)


def run(outcome: OutputData, parameters: dict[str, ParameterValue], **sources: Source) -> dict[str, InputData]:
    """The inputs of a step that follows one with this output."""
    seen: list[Job] = []

    def look(job: Job) -> StepResult:
        seen.append(job)
        return StepResult()

    runner = Runner(
        step("write"),
        reading(**sources),
        scripts={"write": lambda _: StepResult(outputs={"out": outcome}), "read": look},
    )
    runner.world.run(datasets.save(DOCUMENT, datastores=["main"]))
    info = runner.start()
    runner.memory.infos.put(info.id, msgspec.structs.replace(info, parameters=parameters))
    runner.deliver()
    runner.deliver()
    return seen[0].inputs


def test_sources() -> None:
    inputs = run(
        WRITTEN,
        {"place": PLACE, "data": DatasetValue(id=SAVED)},
        stored=DatastoreSource(datastore="main", path="b"),
        saved=DatasetSource(id=SAVED),
        place=ParameterSource(name="place"),
        data=ParameterSource(name="data"),
        gone=DatasetSource(id="0" * 64),
        written=StepSource(step="write", output="out"),
        table=StepSource(step="write", output="out", view=VIEW),
    )
    whole = InputData(dataset_id=SAVED, dataset=DOCUMENT)
    written = InputData(datastore="main", path="p", files=WRITTEN.files)
    assert inputs == {
        "stored": InputData(datastore="main", path="b"),
        "saved": whole,
        "place": InputData(datastore="main", path="a"),
        "data": whole,
        "gone": InputData(dataset_id="0" * 64),
        "written": written,
        "table": msgspec.structs.replace(written, view=VIEW),
    }


def test_an_output_that_is_a_link() -> None:
    link = OutputData(datastore="main", prefix="p", dataset=SAVED)
    inputs = run(link, {}, data=StepSource(step="write", output="out"))
    assert inputs["data"] == InputData(dataset_id=SAVED, dataset=DOCUMENT)


def test_a_document_is_read_once_and_a_damaged_one_is_noticed() -> None:
    runner = Runner(step("a"))
    read: list[str] = []

    def count(effect: ReadBlob) -> bytes:
        read.append(effect.name)
        return ds.encode(DOCUMENT)

    runner.world.register(ReadBlob, count)
    wanted = Definition(name="x", steps=(reading(a=DatasetSource(id=SAVED), b=DatasetSource(id=SAVED)),))
    for _ in range(2):
        runner.world.run(check_saved(runner.memory, wanted))
    assert read == [f"datasets/{SAVED}.json"]
    with pytest.raises(Broken, match="damaged"):
        runner.world.run(check_values(runner.memory, {"p": DatasetValue(id="1" * 64)}))


def test_what_is_not_saved_is_told_before_the_run_starts() -> None:
    runner = Runner(step("a"))
    unsaved = DatasetValue(id="0" * 64)
    wanted = Definition(
        name="x",
        steps=(reading(a=DatasetSource(id="0" * 64)),),
        parameters=(Parameter(name="p", type="dataset", default=unsaved),),
    )
    with pytest.raises(InvalidDefinition) as caught:
        runner.world.run(check_saved(runner.memory, wanted))
    assert [problem.field for problem in caught.value.problems] == [
        "steps[0].inputs[0].source.id",
        "parameters[0].default.id",
    ]
    with pytest.raises(InvalidRequest) as refused:
        runner.world.run(check_values(runner.memory, {"n": 1, "p": unsaved}))
    assert refused.value.field == "parameters.p"


def test_a_job_is_told_how_often_the_policy_had_it_tried_again_whatever_died_meanwhile() -> None:
    """By this a job in a workspace is known again: a takeover is the same try, a retry is another."""
    seen: list[tuple[int, int]] = []

    def perform(job: Job) -> StepResult | None:
        seen.append((job.attempt, job.retries))
        if job.attempt == 1:
            return None  # as if its process had died
        return StepResult(error=StepError(code="JobFailed", message="no") if job.attempt == 2 else None)

    runner = Runner(step("write", retries=1), scripts={"write": perform})
    runner.start()
    (message,) = runner.waiting
    runner.deliver()
    for _ in range(2):
        runner.clock.advance(600)
        runner.waiting = [message]
        runner.deliver()
    assert seen == [(1, 0), (2, 0), (3, 1)]

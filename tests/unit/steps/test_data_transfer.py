"""Transfers by the worker, in memory: what is copied to where, what is left out, and what is said of mistakes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.core.definition import DatastoreSource, Input, Literal, Output
from orchestrator.core.job import InputData, Job
from orchestrator.core.result import File, StepResult
from steps.memory_store import MemoryStore
from steps.store import Origin, Refused, Replaced
from steps.worker import StepWorker
from tests.unit.steps.jobs import DATA, SYSTEM, job, perform, settings, working


class Store(MemoryStore):
    """Counts the copies, and may fail them."""

    def __init__(self) -> None:
        super().__init__(SYSTEM, DATA, "lake")
        self.copied: list[str] = []
        self.fail: dict[str, Exception] = {}

    def take_in(self, container: str, name: str, origin: Origin, **more: Any) -> None:
        if name in self.fail:
            raise self.fail.pop(name)
        super().take_in(container, name, origin, **more)
        self.copied.append(name)

    def fill(self, container: str, **files: bytes) -> None:
        for name, data in files.items():
            self.put(container, name.replace("__", "/"), data)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def worker(store: Store, tmp_path: Path) -> Iterator[StepWorker]:
    stores = {DATA: DATA, "lake": "lake"}
    with working(store, settings(tmp_path, datastores=stores)) as worker:
        yield worker


def transfer(
    source: str, destination: str = "", *, run: str = "run1", output: dict[str, Any] | None = None, **types: str
) -> Job:
    """From a path of the datastore "lake" to one of the default datastore."""
    place = (Literal(value=destination),) if destination else ()
    made = job(
        None,
        kind="data_transfer",
        run=run,
        input_ports=(Input(name="source", source=DatastoreSource(datastore="lake", path=source)),),
        inputs={"source": InputData(datastore="lake", path=source)},
        outputs=(Output(name="copy", destination=place, **(output or {})),),
    )
    return msgspec.structs.replace(made, step=msgspec.structs.replace(made.step, settings=types))


def error_of(result: StepResult) -> tuple[str, str, bool]:
    assert result.error is not None
    return result.error.code, result.error.message, result.retryable


def names(store: Store, container: str = DATA) -> list[str]:
    return sorted(store.blobs[container])


def test_a_directory_goes_to_a_place_of_the_users(worker: StepWorker, store: Store) -> None:
    store.fill("lake", in__a=b"1", in__b__c=b"22", inside=b"", other__x=b"")
    result = perform(worker, transfer("in", "out/here"))
    assert result.error is None
    assert names(store) == ["out/here/a", "out/here/b/c"]
    made = result.outputs["copy"]
    assert (made.prefix, made.is_file, made.in_place, made.destination) == ("out/here", False, True, "")
    assert [(file.path, file.size, file.sha256) for file in made.files] == [("a", 1, ""), ("b/c", 2, "")]
    assert result.read["source"].files == 2
    assert result.read["source"].size == 3


def test_without_a_destination_it_goes_to_a_place_that_the_content_decides(worker: StepWorker, store: Store) -> None:
    store.fill("lake", in__a=b"1")
    first = perform(worker, transfer("in")).outputs["copy"]
    assert first.prefix.startswith("runs/run1/train/of-")
    assert not first.in_place
    assert names(store) == [f"{first.prefix}/a"]
    again = perform(worker, transfer("in")).outputs["copy"]
    assert (again, store.copied) == (first, [f"{first.prefix}/a"]), "another attempt goes on with it"
    store.fill("lake", in__a=b"2")
    other = perform(worker, transfer("in")).outputs["copy"]
    assert other.prefix != first.prefix
    assert store.blobs[DATA][f"{first.prefix}/a"] == b"1", "what may be committed never changes"


@pytest.mark.parametrize(
    ("source", "types", "there", "made"),
    [
        ("in/a", {}, [], ["out"]),
        ("in/a", {"destination_type": "file"}, ["out/x"], ["out", "out/x"]),
        ("in/a", {"destination_type": "directory"}, [], ["out/a"]),
        ("in/a", {}, ["out/x"], ["out/a", "out/x"]),
        ("in/a", {}, ["out"], ["out"]),
        ("in", {"source_type": "directory"}, [], ["out/a"]),
        ("both", {"source_type": "file"}, [], ["out"]),
        ("both", {"source_type": "directory"}, [], ["out/x"]),
        ("", {}, [], ["out/both", "out/both/x", "out/in/a"]),
    ],
)
def test_files_and_directories(
    worker: StepWorker, store: Store, source: str, types: Any, there: list[str], made: list[str]
) -> None:
    store.fill("lake", in__a=b"1", both=b"2", both__x=b"3")
    store.blobs[DATA] = dict.fromkeys(there, b"before")
    assert perform(worker, transfer(source, "out", **types)).error is None
    assert names(store) == made


@pytest.mark.parametrize(
    ("source", "target", "types", "code", "said"),
    [
        ("nothing", "out", {}, "InputMissing", "nothing to copy at lake/nothing"),
        ("in", "out", {"source_type": "file"}, "InvalidStep", "is a directory of 1 files.*Say 'directory'.*in/a"),
        ("in/a", "out", {"source_type": "directory"}, "InvalidStep", "is a file.*Say 'file'"),
        ("both", "out", {}, "InvalidStep", "source_reference_type='file' or 'directory'"),
        ("in", "out", {"destination_type": "file"}, "InvalidStep", "destination_reference_type.*Say 'directory'"),
        ("in/a", "two", {}, "InvalidStep", "destination_reference_type='file' or 'directory'"),
    ],
)
def test_mistakes_are_told_with_their_mending(
    worker: StepWorker, store: Store, source: str, target: str, types: Any, code: str, said: str
) -> None:
    store.fill("lake", in__a=b"1", both=b"2", both__x=b"3")
    store.fill(DATA, two=b"1", two__x=b"")
    result = perform(worker, transfer(source, target, **types))
    assert error_of(result)[0] == code
    assert re.search(said, error_of(result)[1]), result.error
    assert store.copied == []
    assert result.outputs == {}


def test_what_is_there_is_not_copied_again(worker: StepWorker, store: Store) -> None:
    store.fill("lake", **{f"in__{number:03d}": str(number).encode() for number in range(100)})
    store.fail["out/050"] = Replaced("it has changed")
    first = perform(worker, transfer("in", "out"))
    assert error_of(first)[0::2] == ("StorageFailed", True)
    before = list(store.copied)
    assert 40 < len(before) < 100
    second = perform(worker, transfer("in", "out", run="run2"))
    assert second.error is None
    assert sorted(store.copied) == names(store), "each once"
    store.put(DATA, "out/007", b"somebody's")
    store.put("lake", "in/008", b"new")
    store.copied.clear()
    assert perform(worker, transfer("in", "out", run="run3")).error is None
    assert sorted(store.copied) == ["out/007", "out/008"]
    log = store.blobs[SYSTEM]["runs/run3/train/1-0123456789ab/log.txt"].decode()
    assert "From the directory lake/in (100 files, 192 bytes) to the directory workspaceblobstore/out." in log
    assert "Copied 2 files, 4 bytes, in 0.0 s" in log
    assert "98 were there already." in log


def test_files_of_others_stay_where_they_may_not_be_replaced(worker: StepWorker, store: Store) -> None:
    store.fill("lake", in__a=b"1", in__b=b"2")
    store.fill(DATA, out__b=b"mine")
    result = perform(worker, transfer("in", "out", output={"overwrite": False}))
    code, message, retryable = error_of(result)
    assert (code, retryable) == ("OutputUnusable", False)
    assert "There is a file workspaceblobstore/out/b already" in message
    assert store.blobs[DATA]["out/b"] == b"mine"
    del store.blobs[DATA]["out/b"]
    assert perform(worker, transfer("in", "out", output={"overwrite": False})).error is None
    assert perform(worker, transfer("in", "out", output={"overwrite": False})).error is None, "its own are no others'"


def test_a_copy_does_not_go_into_its_source(worker: StepWorker, store: Store) -> None:
    store.fill("lake", in__a=b"1")
    for place in ("in", "in/deep"):
        code, message, _ = error_of(perform(worker, transfer("in", place, output={"datastore": "lake"})))
        assert (code, "lies inside the directory lake/in" in message) == ("InvalidStep", True)
    for place, types in (("in/a", {}), ("in", {"destination_type": "directory"})):
        code, message, _ = error_of(perform(worker, transfer("in/a", place, output={"datastore": "lake"}, **types)))
        assert (code, "is the source" in message) == ("InvalidStep", True)
    assert perform(worker, transfer("in", "inner", output={"datastore": "lake"})).error is None
    assert names(store, "lake") == ["in/a", "inner/a"]


def test_who_may_not_is_told_so_and_does_not_try_again(worker: StepWorker, store: Store) -> None:
    store.fill("lake", in__a=b"1")
    store.fail["out/a"] = Refused("403 AuthorizationFailure (The SAS token expired at yesterday)")
    code, message, retryable = error_of(perform(worker, transfer("in", "out")))
    assert (code, retryable) == ("StorageFailed", False)
    assert "a could not be copied to workspaceblobstore/out/a: 403" in message
    assert "Register the datastore with" in message


def test_what_an_earlier_step_committed_is_what_is_copied(worker: StepWorker, store: Store) -> None:
    store.fill("lake", runs__r__a=b"1", runs__r__late=b"2")
    it = transfer("", "out")
    file = File(path="a", size=1, sha256="f" * 64)
    data = InputData(datastore="lake", path="runs/r", files=(file,))
    it = msgspec.structs.replace(it, inputs={"source": data})
    made = perform(worker, it).outputs["copy"]
    assert [(file.path, file.sha256) for file in made.files] == [("a", "f" * 64)]
    assert names(store) == ["out/a"]
    data = InputData(datastore="lake", path="runs/r", files=(msgspec.structs.replace(file, size=5),))
    gone = perform(worker, msgspec.structs.replace(it, inputs={"source": data}))
    assert error_of(gone)[0] == "InputMissing"


def test_a_time_limit_ends_it_and_the_next_attempt_goes_on(worker: StepWorker, store: Store) -> None:
    store.fill("lake", in__a=b"1")
    it = transfer("in", "out")
    step = msgspec.structs.replace(it.step, timeout_seconds=1e-9)
    code, message, retryable = error_of(perform(worker, msgspec.structs.replace(it, step=step)))
    assert (code, retryable) == ("TimedOut", True)
    assert "the next attempt goes on" in message

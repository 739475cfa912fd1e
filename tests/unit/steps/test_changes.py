"""The list of changed blobs, brought to the steps that take the path of the change."""

from __future__ import annotations

from pathlib import Path

import pytest

from millstream import changed_blob
from orchestrator.core import changelist
from orchestrator.core.changelist import ChangedBlob
from orchestrator.core.definition import DataPathValue, FromParameter
from orchestrator.core.job import Job
from steps import changes
from steps.failures import InputMissing, InputUnusable
from steps.memory_store import MemoryStore
from steps.workdir import Folders
from tests.unit.steps.jobs import SYSTEM, job

BLOB = ChangedBlob(path="in/x/a.csv", etag='"1"', size=3, last_modified=7.0)
LIST = changelist.encode(changelist.list_of("s1", "raw", (BLOB,)))


def told(address: str, *, takes: bool = True) -> Job:
    arguments = (FromParameter(name="where"),) if takes else ()
    value = DataPathValue(datastore="raw", path="in", changes=address)
    return job(None, arguments=arguments, parameters={"where": value})


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore(SYSTEM)
    store.put(SYSTEM, changelist.blob_of(changelist.address(LIST)), LIST)
    return store


def test_a_step_that_takes_the_path_gets_the_list(store: MemoryStore, tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    changes.bring(told(changelist.address(LIST)), folders, store, SYSTEM)
    (found,) = changed_blob.read(str(folders.changes))
    assert found == ("raw", "in/x/a.csv", "a.csv", '"1"', 3, 7.0)


@pytest.mark.parametrize("it", [told(changelist.address(LIST), takes=False), told("")])
def test_other_steps_get_none(store: MemoryStore, tmp_path: Path, it: Job) -> None:
    changes.bring(it, Folders(tmp_path), store, SYSTEM)
    assert list(tmp_path.iterdir()) == []
    assert changes.address_of(it) == ""


def test_a_list_that_is_gone_or_is_none_fails_the_step(store: MemoryStore, tmp_path: Path) -> None:
    with pytest.raises(InputMissing):
        changes.bring(told("0" * 64), Folders(tmp_path), store, SYSTEM)
    with pytest.raises(InputUnusable):
        changes.bring(told("../secret"), Folders(tmp_path), store, SYSTEM)

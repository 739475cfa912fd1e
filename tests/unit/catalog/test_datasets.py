"""Datasets: documents by content, names with dense versions, whoever races and whatever answer is lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from orchestrator.adapters.memory import MemoryAccount, MemoryWorld
from orchestrator.catalog import datasets
from orchestrator.catalog.datasets import Registration, Wish
from orchestrator.core import dataset as documents
from orchestrator.core.dataset import DatasetDocument, DatastoreFiles, Take
from orchestrator.core.dataset_rules import InvalidDataset
from orchestrator.core.errors import Conflict, InvalidRequest, TooLarge, UnknownThing
from orchestrator.ports import Commit, Unanswered

FILES = DatasetDocument(type="file", sources=(DatastoreFiles(datastore="main", path="raw"),))


def saved(world: MemoryWorld, count: int) -> str:
    return world.run(datasets.save(FILES.then(Take(count=count)), datastores=["main"]))


def registered(world: MemoryWorld, name: str, count: int, **more: Any) -> Registration:
    wish = Wish(name=name, **{"create_new_version": True, **more})
    made, _ = world.run(datasets.register(wish, saved(world, count)))
    return made


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


def test_a_document_is_kept_under_its_address(world: MemoryWorld) -> None:
    wanted = saved(world, 1)
    document = world.run(datasets.load(wanted))
    assert (documents.address(document), saved(world, 1)) == (wanted, wanted)


@pytest.mark.parametrize("wanted", ["0" * 64, "../x", ""])
def test_an_unknown_id_is_said_to_be_so(world: MemoryWorld, wanted: str) -> None:
    with pytest.raises(UnknownThing):
        world.run(datasets.load(wanted))


def test_a_dataset_over_an_unknown_datastore_is_not_kept(world: MemoryWorld) -> None:
    with pytest.raises(InvalidDataset, match="There is no datastore"):
        world.run(datasets.save(FILES, datastores=["other"]))


def test_versions_count_from_one_and_a_repetition_makes_none(world: MemoryWorld) -> None:
    assert [registered(world, "my data", n).version for n in (1, 2, 2, 3)] == [1, 2, 2, 3]
    again, created = world.run(datasets.register(Wish(name="my data", tags={"a": "b"}), saved(world, 3)))
    assert (again.version, again.tags, created) == (3, {"a": "b"}, False)
    assert registered(world, "my data", 1).version == 4


def test_a_name_that_is_taken_is_not_taken_over(world: MemoryWorld) -> None:
    registered(world, "d", 1)
    with pytest.raises(Conflict) as caught:
        registered(world, "d", 2, create_new_version=False)
    assert caught.value.field == "name"
    assert world.run(datasets.get("d")).version == 1


@pytest.mark.parametrize("name", ["", "a/b", "a|b", " a", "a ", "ü", "x" * 256])
def test_an_impossible_name(world: MemoryWorld, name: str) -> None:
    with pytest.raises(InvalidRequest):
        registered(world, name, 1)
    with pytest.raises(UnknownThing):
        world.run(datasets.get(name))
    assert world.run(datasets.unregister(name)) == 0


def test_racing_registrations_leave_no_gap_and_no_double() -> None:
    account = MemoryAccount()
    made: list[Registration] = []
    threads = [
        threading.Thread(target=lambda n=n: made.append(registered(MemoryWorld(account), "d", n))) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.version for one in made) == list(range(1, 9))


def test_an_unanswered_write_is_not_done_twice(world: MemoryWorld) -> None:
    lost = [True]

    def lose_the_first_answer(commit: Commit) -> tuple[str, ...]:
        etags = world.account.tables.commit(commit)
        if lost.pop() if lost else False:
            raise Unanswered("lost")
        return etags

    world.register(Commit, lose_the_first_answer)
    assert registered(world, "d", 1, create_new_version=False).version == 1
    assert len(world.run(datasets.listing(name="d", limit=9, continuation=None)).items) == 1


def test_get_gives_the_latest_or_the_one_asked_for(world: MemoryWorld) -> None:
    first, second = registered(world, "d", 1), registered(world, "d", 2)
    assert world.run(datasets.get("d")) == second
    assert world.run(datasets.get("d", 1)) == first
    for version in (0, 3, -1):
        with pytest.raises(UnknownThing, match=r"no version.*The latest is 2") as caught:
            world.run(datasets.get("d", version))
        assert caught.value.field == "version"
    with pytest.raises(UnknownThing) as caught:
        world.run(datasets.get("e"))
    assert caught.value.field == "name"


def test_lists(world: MemoryWorld) -> None:
    for name, n in (("b", 1), ("a", 1), ("b", 2), ("a b", 1)):
        registered(world, name, n)
    first = world.run(datasets.listing(name=None, limit=2, continuation=None))
    rest = world.run(datasets.listing(name=None, limit=2, continuation=first.continuation))
    assert [(one.name, one.version) for one in (*first.items, *rest.items)] == [("a", 1), ("a b", 1), ("b", 2)]
    versions = world.run(datasets.listing(name="b", limit=9, continuation=None))
    assert [one.version for one in versions.items] == [2, 1]


def test_description_and_tags_are_changed_of_one_version(world: MemoryWorld) -> None:
    registered(world, "d", 1, description="old", tags={"a": "1", "b": "2"})
    registered(world, "d", 2)
    changed = world.run(datasets.change("d", 1, None, {"a": None, "c": "3"}))
    assert (changed.description, changed.tags) == ("old", {"b": "2", "c": "3"})
    assert world.run(datasets.change("d", None, "new", {})).version == 2
    assert world.run(datasets.get("d", 1)) == changed
    with pytest.raises(UnknownThing):
        world.run(datasets.change("e", None, "new", {}))


@pytest.mark.parametrize(
    ("description", "tags"),
    [("x" * 4001, {}), ("", {str(n): "" for n in range(101)}), ("", {str(n): "x" * 999 for n in range(40)})],
)
def test_what_is_too_long_is_refused(world: MemoryWorld, description: str, tags: dict[str, str]) -> None:
    with pytest.raises(TooLarge):
        registered(world, "d", 1, description=description, tags=tags)


def test_unregistering_removes_all_versions_and_no_other_name(world: MemoryWorld) -> None:
    for n in range(200):
        registered(world, "d", n)
    registered(world, "d2", 1)
    assert world.run(datasets.unregister("d")) == 200
    assert world.run(datasets.unregister("d")) == 0
    assert [one.name for one in world.run(datasets.listing(name=None, limit=9, continuation=None)).items] == ["d2"]
    assert registered(world, "d", 5).version == 1


def test_a_lost_answer_does_not_stop_unregistering(world: MemoryWorld) -> None:
    for n in range(3):
        registered(world, "d", n)
    lost = [True]

    def lose_the_first_answer(commit: Commit) -> tuple[str, ...]:
        etags = world.account.tables.commit(commit)
        if lost.pop() if lost else False:
            raise Unanswered("lost")
        return etags

    world.register(Commit, lose_the_first_answer)
    world.run(datasets.unregister("d"))
    assert world.run(datasets.listing(name=None, limit=9, continuation=None)).items == ()

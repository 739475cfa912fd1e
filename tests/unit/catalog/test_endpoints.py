"""Pipeline endpoints: a name in front of published pipelines, with versions that are only ever added."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from orchestrator.adapters.memory import ManualClock, MemoryAccount, MemoryWorld
from orchestrator.catalog import endpoints, pipelines
from orchestrator.catalog.endpoints import Endpoint, Version
from orchestrator.catalog.named import Changes
from orchestrator.catalog.pipelines import Publication
from orchestrator.core.definition import Definition, Step
from orchestrator.core.errors import Conflict, InvalidRequest, TooLarge, UnknownThing
from orchestrator.ports import Commit, Unanswered

STEPS = (Step(id="a", name="a", kind="python_script", settings={"script": "a.py"}),)
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def world(clock: ManualClock) -> MemoryWorld:
    return MemoryWorld(MemoryAccount(server_now=clock.now), clock=clock.clock())


def pipeline(world: MemoryWorld, version: str = "1") -> str:
    return world.run(pipelines.publish(Publication(definition=Definition(name="p", steps=STEPS), version=version)))[
        0
    ].id


def publish(world: MemoryWorld, name: str = "train", pipeline_id: str | None = None) -> Endpoint:
    return world.run(endpoints.publish(name, "d", pipeline_id or pipeline(world)))[0]


def known(world: MemoryWorld, endpoint: Endpoint) -> list[str]:
    return [it.pipeline_id for it in world.run(endpoints.versions(endpoint.id, limit=100, continuation=None)).items]


class TestPublish:
    def test_the_first_version_is_0_and_the_default(self, world: MemoryWorld) -> None:
        first = pipeline(world)
        made, created = world.run(endpoints.publish("train model", "d", first))
        assert created
        assert (made.default_version, made.versions_total, made.status) == (0, 1, "Active")
        assert world.run(endpoints.get(made.id)) == made
        assert world.run(endpoints.get_by_name("train model")) == made
        assert world.run(endpoints.pipeline_of(made.id)) == Version(version="0", pipeline_id=first)

    def test_again_with_a_pipeline_that_it_has_it_is_found(self, world: MemoryWorld) -> None:
        first = publish(world)
        assert world.run(endpoints.publish("train", "other", pipeline(world))) == (first, False)
        world.run(endpoints.add(first.id, pipeline(world, "2"), default=False))
        assert world.run(endpoints.publish("train", "", pipeline(world, "2")))[1] is False

    def test_a_taken_name_is_refused_for_another_pipeline(self, world: MemoryWorld) -> None:
        publish(world)
        with pytest.raises(Conflict) as caught:
            publish(world, pipeline_id=pipeline(world, "2"))
        assert caught.value.field == "name"

    @pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 256])
    def test_a_name_is_a_line(self, world: MemoryWorld, name: str) -> None:
        with pytest.raises(InvalidRequest) as caught:
            publish(world, name)
        assert caught.value.field == "name"

    @pytest.mark.parametrize("name", ["a/b#c?", "Ünï", "a|b", "%2F"])
    def test_any_line_will_do(self, world: MemoryWorld, name: str) -> None:
        assert world.run(endpoints.get_by_name(publish(world, name).name)).name == name

    def test_without_such_a_pipeline_there_is_none(self, world: MemoryWorld) -> None:
        with pytest.raises(UnknownThing) as caught:
            publish(world, pipeline_id=NOBODY)
        assert caught.value.field == "pipeline_id"
        with pytest.raises(TooLarge):
            world.run(endpoints.publish("x", "d" * 5000, pipeline(world)))


class TestVersions:
    def test_they_are_numbered_in_the_order_of_adding(self, world: MemoryWorld) -> None:
        made = publish(world)
        second, third = pipeline(world, "2"), pipeline(world, "3")
        after, version, added = world.run(endpoints.add(made.id, second, default=False))
        assert (after.versions_total, after.default_version, version.version, added) == (2, 0, "1", True)
        after, version, added = world.run(endpoints.add(made.id, third, default=True))
        assert (after.versions_total, after.default_version, version.version, added) == (3, 2, "2", True)
        assert known(world, made) == [pipeline(world), second, third]
        assert world.run(endpoints.pipeline_of(made.id)).pipeline_id == third
        assert world.run(endpoints.pipeline_of(made.id, "1")).pipeline_id == second
        assert world.run(endpoints.version_of(made.id, third)) == "2"

    def test_a_pipeline_is_added_once(self, world: MemoryWorld) -> None:
        made, second = publish(world), pipeline(world, "2")
        first = world.run(endpoints.add(made.id, second, default=False))
        again = world.run(endpoints.add(made.id, second.upper(), default=True))
        assert (first[2], again[2]) == (True, False)
        assert (again[0].versions_total, again[0].default_version, again[1]) == (2, 1, first[1])

    @pytest.mark.parametrize("version", ["1", "x", "-1", "", "0.0", "\u0660", "9" * 30])
    def test_one_that_is_not_there(self, world: MemoryWorld, version: str) -> None:
        made = publish(world)
        with pytest.raises(UnknownThing) as caught:
            world.run(endpoints.pipeline_of(made.id, version))
        assert caught.value.field == "pipeline_version"
        with pytest.raises(UnknownThing) as caught:
            world.run(endpoints.change(made.id, Changes(default_version=version)))
        assert caught.value.field == "default_version"

    def test_two_at_the_same_time_become_two_versions(self, clock: ManualClock) -> None:
        account = MemoryAccount()
        world = MemoryWorld(account)
        made = publish(world)
        added = [pipeline(world, str(number)) for number in range(2, 10)]

        def add(one: str) -> None:
            MemoryWorld(account).run(endpoints.add(made.id, one, default=True))

        threads = [threading.Thread(target=add, args=(one,)) for one in added]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(known(world, made)) == sorted([pipeline(world), *added])
        assert world.run(endpoints.get(made.id)).versions_total == 9


class TestChange:
    def test_name_description_status_default(self, world: MemoryWorld) -> None:
        made = publish(world)
        world.run(endpoints.add(made.id, pipeline(world, "2"), default=False))
        wish = Changes(name="other", description="new", status="Disabled", default_version="1")
        changed = world.run(endpoints.change(made.id, wish))
        assert (changed.name, changed.description, changed.status, changed.default_version) == (
            "other",
            "new",
            "Disabled",
            1,
        )
        assert world.run(endpoints.change(made.id, wish)) == changed
        assert world.run(endpoints.get_by_name("other")) == changed
        with pytest.raises(UnknownThing):
            world.run(endpoints.get_by_name("train"))
        assert publish(world).id != made.id  # the old name is free

    def test_a_name_that_is_taken(self, world: MemoryWorld) -> None:
        made = publish(world)
        publish(world, "other")
        with pytest.raises(Conflict) as caught:
            world.run(endpoints.change(made.id, Changes(name="other")))
        assert caught.value.field == "name"

    def test_a_name_that_is_taken_at_the_same_moment(self, world: MemoryWorld) -> None:
        made, commit, left = publish(world), world.account.tables.commit, [True]

        def overtaken(effect: Commit) -> Any:
            if left:
                left.clear()
                publish(MemoryWorld(world.account), "wanted by two")
            return commit(effect)

        world.register(Commit, overtaken)
        with pytest.raises(Conflict) as caught:
            world.run(endpoints.change(made.id, Changes(name="wanted by two")))
        assert caught.value.field == "name"
        assert world.run(endpoints.get(made.id)).name == "train"

    @pytest.mark.parametrize("status", ["Disabled", "Deprecated"])
    def test_one_that_is_not_active_starts_nothing_and_is_not_listed(self, world: MemoryWorld, status: str) -> None:
        made = publish(world)
        world.run(endpoints.change(made.id, Changes(status=status)))
        with pytest.raises(Conflict) as caught:
            world.run(endpoints.pipeline_of(made.id))
        assert (caught.value.field, status in caught.value.message) == ("endpoint_id", True)
        pages = [
            world.run(endpoints.listing(active_only=active, limit=10, continuation=None)).items
            for active in (True, False)
        ]
        assert [[it.status for it in page] for page in pages] == [[], [status]]
        world.run(endpoints.change(made.id, Changes(status="Active")))
        assert world.run(endpoints.pipeline_of(made.id)).version == "0"

    def test_nonsense_is_refused(self, world: MemoryWorld) -> None:
        made = publish(world)
        with pytest.raises(InvalidRequest) as caught:
            world.run(endpoints.change(made.id, Changes(status="Asleep")))
        assert caught.value.field == "status"
        for wanted in (NOBODY, "x/y", ""):
            with pytest.raises(UnknownThing):
                world.run(endpoints.change(wanted, Changes(status="Active")))

    def test_the_list_is_newest_first(self, world: MemoryWorld, clock: ManualClock) -> None:
        publish(world, "first")
        clock.advance(1)
        publish(world, "second")
        page = world.run(endpoints.listing(active_only=True, limit=10, continuation=None))
        assert [it.name for it in page.items] == ["second", "first"]


ACTIONS: dict[str, Callable[[MemoryWorld, str, str], Any]] = {
    "publish": lambda world, id_, more: world.run(endpoints.publish("another", "d", more)),
    "add": lambda world, id_, more: world.run(endpoints.add(id_, more, default=True)),
    "rename": lambda world, id_, more: world.run(endpoints.change(id_, Changes(name="renamed"))),
    "disable": lambda world, id_, more: world.run(endpoints.change(id_, Changes(status="Disabled"))),
    "disable pipeline": lambda world, id_, more: world.run(pipelines.set_status(more, "Disabled")),
}


@pytest.fixture
def faulty(world: MemoryWorld) -> Iterator[Callable[[bool], None]]:
    """Loses the answer of the next commit to the catalog, which was `applied` or not."""
    commit, left = world.account.tables.commit, count()

    def lose(applied: bool) -> None:
        next(left)
        todo = [True]

        def answer(effect: Commit) -> Any:
            if todo:
                todo.clear()
                if applied:
                    commit(effect)
                raise Unanswered("no answer")
            return commit(effect)

        world.register(Commit, answer)

    yield lose
    assert next(left) == 1


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("action", [name for name in ACTIONS if name != "publish"])
def test_a_lost_answer_changes_nothing_in_the_end(
    world: MemoryWorld, faulty: Callable[[bool], None], action: str, applied: bool
) -> None:
    made, more = publish(world), pipeline(world, "2")
    faulty(applied)
    ACTIONS[action](world, made.id, more)
    there = world.run(endpoints.get(made.id))
    expected = {
        "add": ("train", "Active", 2, 1),
        "rename": ("renamed", "Active", 1, 0),
        "disable": ("train", "Disabled", 1, 0),
        "disable pipeline": ("train", "Active", 1, 0),
    }[action]
    assert (there.name, there.status, there.versions_total, there.default_version) == expected
    assert world.run(pipelines.get(more)).status == ("Disabled" if action == "disable pipeline" else "Active")
    assert len(known(world, made)) == there.versions_total


def test_publishing_whose_answer_was_lost_says_that_it_made_it(
    world: MemoryWorld, faulty: Callable[[bool], None]
) -> None:
    more = pipeline(world)
    faulty(True)
    made, created = ACTIONS["publish"](world, "", more)
    assert created
    assert ACTIONS["publish"](world, "", more) == (made, False)

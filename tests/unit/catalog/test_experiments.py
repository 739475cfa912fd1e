"""Experiments: listed from their first run or tag on; tagged, archived, removed."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.adapters.memory import ManualClock, MemoryAccount, MemoryWorld
from orchestrator.catalog import experiments
from orchestrator.core.errors import Conflict, InvalidRequest, TooLarge, UnknownThing
from orchestrator.engine.index import INDEX, of_experiment
from orchestrator.engine.memory import Recent
from orchestrator.ports import Commit, Insert


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def world(clock: ManualClock) -> MemoryWorld:
    return MemoryWorld(MemoryAccount(server_now=clock.now), clock=clock.clock())


def change(name: str, *, archived: bool | None = None, **tags: str | None) -> Any:
    return experiments.change(name, tags=tags, archived=archived, most_bytes=200)


def names(world: MemoryWorld, state: experiments.State = "active") -> list[str]:
    return [one.name for one in world.run(experiments.listing(state, limit=10, continuation=None)).items]


def give_run(world: MemoryWorld, name: str) -> None:
    row = Insert(rk="00000000000001|run", props={"v": 1})
    world.run(iter(Commit(table=INDEX, pk=of_experiment(name), writes=(row,))))


def test_a_run_makes_one(world: MemoryWorld) -> None:
    seen: experiments.Seen = Recent(10)
    world.run(experiments.remember(seen, "iris"))
    made = world.run(experiments.get("iris"))
    assert (made.name, made.tags, made.archived_at) == ("iris", {}, None)
    assert names(world) == ["iris"]


def test_a_tag_makes_one(world: MemoryWorld) -> None:
    assert world.run(change("iris", team="risk", draft="1")).tags == {"team": "risk", "draft": "1"}
    assert world.run(change("iris", draft=None)).tags == {"team": "risk"}
    assert names(world) == ["iris"]


def test_what_a_run_made_is_tagged(world: MemoryWorld, clock: ManualClock) -> None:
    world.run(experiments.remember(Recent(10), "iris"))
    born = world.run(experiments.get("iris")).created_at
    clock.advance(60)
    assert world.run(change("iris", team="risk")).created_at == born


def test_an_archived_one_is_listed_when_it_is_asked_for(world: MemoryWorld, clock: ManualClock) -> None:
    for name in ("a", "b"):
        world.run(change(name, kept="1"))
    archived = world.run(change("a", archived=True))
    assert archived.archived_at is not None
    clock.advance(60)
    assert world.run(change("a", archived=True)).archived_at == archived.archived_at
    assert (names(world), names(world, "archived"), names(world, "all")) == (["b"], ["a"], ["a", "b"])
    world.run(experiments.remember(Recent(10), "a"))
    assert names(world, "archived") == ["a"]
    assert world.run(change("a", archived=False)).archived_at is None
    assert (names(world), world.run(experiments.get("a")).tags) == (["a", "b"], {"kept": "1"})


def test_only_one_without_runs_can_be_removed(world: MemoryWorld) -> None:
    world.run(change("iris", team="risk"))
    give_run(world, "iris")
    with pytest.raises(Conflict, match="Archive it"):
        world.run(experiments.remove("iris"))
    assert names(world) == ["iris"]


def test_one_that_was_removed_is_gone_and_may_come_again(world: MemoryWorld) -> None:
    world.run(change("iris", team="risk"))
    world.run(experiments.remove("iris"))
    assert names(world, "all") == []
    for task in (experiments.get("iris"), experiments.remove("iris")):
        with pytest.raises(UnknownThing):
            world.run(task)
    assert world.run(change("iris", team=None)).tags == {}
    assert names(world) == ["iris"]


def test_a_run_that_is_submitted_meanwhile_brings_it_back(world: MemoryWorld) -> None:
    seen: experiments.Seen = Recent(10)
    world.run(experiments.remember(seen, "iris"))
    world.run(experiments.remove("iris"))
    give_run(world, "iris")
    assert names(world) == ["iris"]
    assert world.run(experiments.get("iris")).name == "iris"


def test_bad_names_and_too_much_are_refused(world: MemoryWorld) -> None:
    with pytest.raises(InvalidRequest):
        world.run(change("no/name", a="1"))
    with pytest.raises(TooLarge):
        world.run(change("iris", a="x" * 300))
    with pytest.raises(UnknownThing):
        world.run(experiments.get("no/name"))
    assert names(world, "all") == []

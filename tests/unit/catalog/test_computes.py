"""Names of computes: made, shown, removed, and known to whoever checks a pipeline."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.adapters.memory import ManualClock, MemoryAccount, MemoryWorld
from orchestrator.catalog import computes
from orchestrator.core.errors import Conflict, InvalidRequest, TooLarge, Unavailable, UnknownThing
from orchestrator.ports import Commit, Unanswered

CONFIGURED = {"function": "function"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def world(clock: ManualClock) -> MemoryWorld:
    return MemoryWorld(MemoryAccount(server_now=clock.now), clock=clock.clock())


def put(name: str, kind: str = "function", **settings: Any) -> Any:
    return computes.put(name, kind, settings, configured=CONFIGURED)


def test_one_that_was_made_is_found(world: MemoryWorld) -> None:
    made, created = world.run(put("cpu-cluster", vm_size="STANDARD_D2_V2", max_nodes=4))
    assert created
    assert world.run(computes.get("cpu-cluster")) == made
    assert made.settings == {"vm_size": "STANDARD_D2_V2", "max_nodes": 4}


def test_made_again_it_changes_and_keeps_its_birthday(world: MemoryWorld, clock: ManualClock) -> None:
    first, _ = world.run(put("cpu", max_nodes=1))
    clock.advance(60)
    second, created = world.run(put("cpu", max_nodes=2))
    assert not created
    assert second.created_at == first.created_at
    assert world.run(computes.get("cpu")).settings == {"max_nodes": 2}


def test_they_are_listed_by_name(world: MemoryWorld) -> None:
    for name in ("gpu", "cpu", "Zebra"):
        world.run(put(name))
    first = world.run(computes.listing(limit=2, continuation=None))
    rest = world.run(computes.listing(limit=2, continuation=first.continuation))
    assert [compute.name for compute in (*first.items, *rest.items)] == ["Zebra", "cpu", "gpu"]


def test_only_those_that_were_made_are_known(world: MemoryWorld) -> None:
    world.run(put("cpu"))
    assert world.run(computes.find(["cpu", "gpu", "not/a name"])).keys() == {"cpu"}


def test_one_that_was_removed_is_gone(world: MemoryWorld) -> None:
    world.run(put("cpu"))
    assert world.run(computes.remove("cpu")).name == "cpu"
    for task in (computes.get("cpu"), computes.remove("cpu")):
        with pytest.raises(UnknownThing, match='no compute "cpu"'):
            world.run(task)


@pytest.mark.parametrize(
    ("name", "kind", "settings", "error"),
    [
        ("function", "function", {}, Conflict),
        ("a b", "function", {}, InvalidRequest),
        ("", "function", {}, InvalidRequest),
        ("x" * 65, "function", {}, InvalidRequest),
        ("../x", "function", {}, InvalidRequest),
        ("cpu", "databricks", {}, InvalidRequest),
        ("cpu", "function", {"x": "y" * 8000}, TooLarge),
    ],
)
def test_what_cannot_be_made(
    world: MemoryWorld, name: str, kind: str, settings: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        world.run(put(name, kind, **settings))
    assert world.run(computes.listing(limit=9, continuation=None)).items == ()


@pytest.mark.parametrize("operation", ["put", "remove"])
def test_an_answer_that_is_lost_is_said(world: MemoryWorld, operation: str) -> None:
    world.run(put("cpu"))

    def lose(effect: Commit) -> None:
        raise Unanswered("lost")

    world.register(Commit, lose)
    with pytest.raises(Unavailable, match="again"):
        world.run(put("cpu") if operation == "put" else computes.remove("cpu"))

"""Outputs that become datasets: one version for each, however often the step is repeated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.adapters.memory import MemoryWorld
from orchestrator.catalog import datasets, output_datasets
from orchestrator.catalog.models import Origin
from orchestrator.core.result import DatasetRegistration, StepResult
from orchestrator.ports import Commit, Unanswered

ORIGIN = Origin(run="run1", step="prepare", attempt=1)


def result(*names: str, digit: str = "a") -> StepResult:
    wishes = [
        DatasetRegistration(name=name, output=f"o{index}", id=digit * 64, tags={"k": "v"})
        for index, name in enumerate(names)
    ]
    return StepResult(datasets=tuple(wishes))


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


def register(world: MemoryWorld, origin: Origin, outcome: StepResult) -> list[tuple[str, int, str]]:
    return [(it.name, it.version, it.id[0]) for it in world.run(output_datasets.register(origin, outcome))]


def test_every_run_makes_a_version(world: MemoryWorld) -> None:
    for run, version in (("r1", 1), ("r2", 2)):
        made = register(world, replace(ORIGIN, run=run), result("clean", "other"))
        assert made == [("clean", version, "a"), ("other", version, "a")]
    assert world.run(datasets.get("clean")).tags == {"k": "v"}


def test_a_repetition_is_the_same_version_and_a_later_attempt_takes_its_place(world: MemoryWorld) -> None:
    assert register(world, ORIGIN, result("clean", "clean")) == [("clean", 1, "a"), ("clean", 2, "a")]
    assert register(world, ORIGIN, result("clean", "clean")) == [("clean", 1, "a"), ("clean", 2, "a")]
    later = replace(ORIGIN, attempt=2)
    assert register(world, later, result("clean", digit="b")) == [("clean", 1, "b")]
    assert register(world, ORIGIN, result("clean")) == [("clean", 1, "b")]


def test_what_was_unregistered_since_is_registered_anew(world: MemoryWorld) -> None:
    register(world, ORIGIN, result("clean"))
    world.run(datasets.unregister("clean"))
    assert register(world, ORIGIN, result("clean")) == [("clean", 1, "a")]
    assert world.run(datasets.get("clean")).version == 1


def test_a_lost_answer_makes_no_second_version(world: MemoryWorld) -> None:
    lost = [True]

    def lose_the_first_answer(commit: Commit) -> tuple[str, ...]:
        etags = world.account.tables.commit(commit)
        if lost.pop() if lost else False:
            raise Unanswered("lost")
        return etags

    world.register(Commit, lose_the_first_answer)
    assert register(world, ORIGIN, result("clean")) == [("clean", 1, "a")]
    assert world.run(datasets.get("clean")).version == 1

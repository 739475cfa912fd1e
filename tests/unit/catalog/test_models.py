"""Models: dense versions, one for each registration, however often it is repeated and whoever races."""

from __future__ import annotations

import threading
from dataclasses import replace

import msgspec
import pytest

from orchestrator.adapters.memory import MemoryAccount, MemoryWorld
from orchestrator.catalog import models
from orchestrator.catalog.models import Model, Origin
from orchestrator.core.errors import InvalidRequest, UnknownThing
from orchestrator.core.result import File, ModelRegistration, StepResult
from orchestrator.engine.lease import Perform
from orchestrator.ports import Commit, Merge, Unanswered
from tests.unit.engine.running import FAILURE, Runner, step

ORIGIN = Origin(run="run1", step="train", attempt=1)


def result(*names: str, path: str = "outputs/model") -> StepResult:
    return StepResult(
        artifacts=(
            File(path="outputs/model/a.bin", size=1, sha256="aa"),
            File(path="outputs/model/b.bin", size=2, sha256="bb"),
            File(path="outputs/model2.bin", size=3, sha256="cc"),
        ),
        artifact_prefix="runs/run1/train/1-x/artifacts",
        models=tuple(ModelRegistration(name=name, path=path, tags={"k": "v"}) for name in names),
    )


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


def test_versions_count_from_one(world: MemoryWorld) -> None:
    for run, version in (("r1", 1), ("r2", 2), ("r3", 3)):
        (model,) = world.run(models.register(Origin(run=run, step="train", attempt=1), result("iris")))
        assert (model.name, model.version, model.run_id) == ("iris", version, run)
    (other,) = world.run(models.register(ORIGIN, result("other")))
    assert other.version == 1


def test_a_repeated_registration_is_the_same_version(world: MemoryWorld) -> None:
    first = world.run(models.register(ORIGIN, result("iris", "iris")))
    assert [model.version for model in first] == [1, 2]
    assert world.run(models.register(ORIGIN, result("iris", "iris"))) == first


def test_racing_registrations_leave_no_gap_and_no_double() -> None:
    account = MemoryAccount()
    made: list[Model] = []

    def register(run: str) -> None:
        made.extend(MemoryWorld(account).run(models.register(Origin(run=run, step="train", attempt=1), result("iris"))))

    threads = [threading.Thread(target=register, args=(f"r{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(model.version for model in made) == list(range(1, 9))


def test_an_unanswered_write_is_not_done_twice(world: MemoryWorld) -> None:
    lost = [True]

    def lose_the_first_answer(commit: Commit) -> tuple[str, ...]:
        etags = world.account.tables.commit(commit)
        if lost.pop() if lost else False:
            raise Unanswered("lost")
        return etags

    world.register(Commit, lose_the_first_answer)
    (model,) = world.run(models.register(ORIGIN, result("iris")))
    assert model.version == 1
    assert len(world.run(models.listing(name="iris", limit=10, continuation=None)).items) == 1


@pytest.mark.parametrize(
    ("path", "files"),
    [
        ("outputs/model", ["outputs/model/a.bin", "outputs/model/b.bin"]),
        ("./outputs/model/", ["outputs/model/a.bin", "outputs/model/b.bin"]),
        ("outputs/model2.bin", ["outputs/model2.bin"]),
        ("outputs/mod", []),
    ],
)
def test_the_files_are_those_below_the_path(world: MemoryWorld, path: str, files: list[str]) -> None:
    (model,) = world.run(models.register(ORIGIN, result("iris", path=path)))
    assert [file.path for file in model.files] == files
    assert model.prefix == "runs/run1/train/1-x/artifacts"


def test_a_name_that_cannot_be_one_registers_nothing(world: MemoryWorld) -> None:
    assert world.run(models.register(ORIGIN, result("a/b"))) == ()


def test_get_gives_the_latest_or_the_one_asked_for(world: MemoryWorld) -> None:
    for run in ("r1", "r2"):
        world.run(models.register(Origin(run=run, step="train", attempt=1), result("iris")))
    assert world.run(models.get("iris")).version == 2
    assert world.run(models.get("iris", 1)).run_id == "r1"


@pytest.mark.parametrize(
    ("name", "version", "field"),
    [("none", None, "name"), ("a/b", None, "name"), ("iris", 9, "version"), ("iris", 0, "version")],
)
def test_get_refuses_what_is_not_there(world: MemoryWorld, name: str, version: int | None, field: str) -> None:
    world.run(models.register(ORIGIN, result("iris")))
    with pytest.raises(UnknownThing) as caught:
        world.run(models.get(name, version))
    assert caught.value.field == field


def test_the_list_is_by_name_latest_first(world: MemoryWorld) -> None:
    for run in ("r1", "r2"):
        world.run(models.register(Origin(run=run, step="train", attempt=1), result("b", "a")))
    world.run(models.register(ORIGIN, result("a.b")))
    every = world.run(models.listing(name=None, limit=10, continuation=None))
    assert [(model.name, model.version) for model in every.items] == [
        ("a.b", 1),
        ("a", 2),
        ("a", 1),
        ("b", 2),
        ("b", 1),
    ]
    only = world.run(models.listing(name="a", limit=10, continuation=None))
    assert [(model.name, model.version) for model in only.items] == [("a", 2), ("a", 1)]


def test_the_list_refuses_an_impossible_name(world: MemoryWorld) -> None:
    with pytest.raises(InvalidRequest):
        world.run(models.listing(name="a/b", limit=10, continuation=None))


def test_a_later_attempt_puts_its_own_files_in_place(world: MemoryWorld) -> None:
    world.run(models.register(ORIGIN, result("iris")))
    second = msgspec.structs.replace(result("iris"), artifact_prefix="runs/run1/train/2-y/artifacts")
    (model,) = world.run(models.register(replace(ORIGIN, attempt=2), second))
    assert (model.version, model.prefix) == (1, "runs/run1/train/2-y/artifacts")
    (late,) = world.run(models.register(ORIGIN, result("iris")))
    assert late == model == world.run(models.get("iris"))


def test_models_are_there_before_the_step_is_seen_completed() -> None:
    seen: list[int] = []

    def look(commit: Commit) -> tuple[str, ...]:
        if any(write.rk == "h" for write in commit.writes if isinstance(write, Merge)):
            seen.append(runner.world.run(models.get("iris")).version)
        return runner.world.account.tables.commit(commit)

    runner = Runner(step("train"), scripts={"train": lambda _: result("iris")})
    runner.start()
    runner.world.register(Perform, models.registering(runner.world, lambda job, lease: result("iris")))
    runner.world.register(Commit, look)
    runner.finish()
    assert seen == [1]


@pytest.mark.parametrize("outcome", [None, FAILURE, StepResult()])
def test_only_success_registers(world: MemoryWorld, outcome: StepResult | None) -> None:
    runner = Runner(step("train"))
    runner.start()
    runner.world.register(Perform, models.registering(runner.world, lambda job, lease: outcome))
    runner.finish()
    assert runner.world.run(models.listing(name=None, limit=9, continuation=None)).items == ()

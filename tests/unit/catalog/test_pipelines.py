"""Published pipelines: once published, found again under the same id."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest

from orchestrator.adapters.memory import ManualClock, MemoryAccount, MemoryWorld
from orchestrator.catalog import pipelines
from orchestrator.catalog.pipelines import Publication
from orchestrator.core import definition as definitions
from orchestrator.core.definition import Definition, Step
from orchestrator.core.errors import Conflict, InvalidRequest, TooLarge, Unavailable, UnknownThing
from orchestrator.ports import Commit, Unanswered, WriteBlob

SIMPLE = Definition(name="iris", steps=(Step(id="a", name="a", kind="python_script", settings={"script": "a.py"}),))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def world(clock: ManualClock) -> MemoryWorld:
    return MemoryWorld(MemoryAccount(server_now=clock.now), clock=clock.clock())


def test_publishing_twice_finds_the_first(world: MemoryWorld, clock: ManualClock) -> None:
    first, created = world.run(pipelines.publish(Publication(definition=SIMPLE, version="1", description="one")))
    clock.advance(60)
    second, again = world.run(pipelines.publish(Publication(definition=SIMPLE, version="1", description="two")))
    assert (created, again) == (True, False)
    assert second == first
    assert first.name == "iris"
    assert first.steps_total == 1


@pytest.mark.parametrize(
    "other",
    [
        Publication(definition=SIMPLE, version="2"),
        Publication(definition=SIMPLE, version="1", name="other"),
        Publication(definition=SIMPLE, version="1", continue_on_step_failure=True),
        Publication(definition=msgspec.structs.replace(SIMPLE, description="x"), version="1"),
    ],
)
def test_what_differs_has_an_id_of_its_own(world: MemoryWorld, other: Publication) -> None:
    first, _ = world.run(pipelines.publish(Publication(definition=SIMPLE, version="1")))
    second, created = world.run(pipelines.publish(other))
    assert created
    assert second.id != first.id


def test_the_definition_is_stored_before_any_row_names_it() -> None:
    task = pipelines.publish(Publication(definition=SIMPLE))
    next(task)
    effect = task.send(1.0)
    assert isinstance(effect, WriteBlob)
    assert effect.name == f"definitions/{definitions.address(effect.data)}.json"
    assert isinstance(task.send(None), Commit)


def test_the_definition_can_be_read_back(world: MemoryWorld) -> None:
    pipeline, _ = world.run(pipelines.publish(Publication(definition=SIMPLE)))
    stored = world.account.blobs[f"definitions/{pipeline.definition}.json"]
    assert definitions.decode(stored) == SIMPLE


def test_get_finds_by_id_whatever_its_case(world: MemoryWorld) -> None:
    pipeline, _ = world.run(pipelines.publish(Publication(definition=SIMPLE)))
    assert world.run(pipelines.get(pipeline.id)) == pipeline
    assert world.run(pipelines.get(pipeline.id.upper())) == pipeline


@pytest.mark.parametrize("wanted", ["", "x", "a/b", "00000000-0000-0000-0000-000000000000", "#", "\x00"])
def test_get_refuses_what_is_not_there(world: MemoryWorld, wanted: str) -> None:
    with pytest.raises(UnknownThing) as caught:
        world.run(pipelines.get(wanted))
    assert caught.value.field == "pipeline_id"


def publish_many(world: MemoryWorld, clock: ManualClock) -> Iterator[str]:
    for version in range(5):
        clock.advance(1)
        name = "even" if version % 2 == 0 else "odd"
        pipeline, _ = world.run(pipelines.publish(Publication(definition=SIMPLE, name=name, version=str(version))))
        yield pipeline.version


def test_the_list_is_newest_first_and_comes_in_pages(world: MemoryWorld, clock: ManualClock) -> None:
    versions = list(publish_many(world, clock))
    found: list[str] = []
    continuation: str | None = None
    while True:
        page = world.run(pipelines.listing(name=None, limit=2, continuation=continuation))
        found += [pipeline.version for pipeline in page.items]
        continuation = page.continuation
        if continuation is None:
            break
    assert found == versions[::-1]


def test_the_list_can_be_of_one_name(world: MemoryWorld, clock: ManualClock) -> None:
    list(publish_many(world, clock))
    page = world.run(pipelines.listing(name="odd", limit=10, continuation=None))
    assert [pipeline.version for pipeline in page.items] == ["3", "1"]
    assert page.continuation is None


@pytest.mark.parametrize("continuation", ["p|x", "t|\x00", "", "t|" + "9" * 600, "t|a/b"])
def test_a_made_up_continuation_is_refused(world: MemoryWorld, continuation: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        world.run(pipelines.listing(name=None, limit=2, continuation=continuation))
    assert caught.value.field == "continuation"


def test_a_name_must_be_one(world: MemoryWorld) -> None:
    with pytest.raises(InvalidRequest) as caught:
        world.run(pipelines.publish(Publication(definition=SIMPLE, name="x" * 300)))
    assert caught.value.field == "name"


@pytest.mark.parametrize("field", ["description", "version"])
def test_texts_have_limits(world: MemoryWorld, field: str) -> None:
    with pytest.raises(TooLarge) as caught:
        world.run(pipelines.publish(with_text(Publication(definition=SIMPLE), field, "x" * 5000)))
    assert caught.value.field == field


def with_text(wish: Publication, field: str, text: str) -> Publication:
    return replace(wish, description=text) if field == "description" else replace(wish, version=text)


def test_a_lost_answer_is_looked_up(world: MemoryWorld) -> None:
    """The write was applied, its answer lost: the pipeline was made by this call."""

    def lose_the_answer(commit: Commit) -> tuple[str, ...]:
        world.account.tables.commit(commit)
        raise Unanswered("lost")

    world.register(Commit, lose_the_answer)
    pipeline, created = world.run(pipelines.publish(Publication(definition=SIMPLE)))
    assert created
    assert world.run(pipelines.find(pipeline.id)) == pipeline


def test_a_lost_request_is_said_to_be_lost(world: MemoryWorld) -> None:
    def lose_the_request(commit: Commit) -> tuple[str, ...]:
        raise Unanswered("lost")

    world.register(Commit, lose_the_request)
    with pytest.raises(Unavailable):
        world.run(pipelines.publish(Publication(definition=SIMPLE)))


def test_a_disabled_one_is_found_but_not_among_the_active(world: MemoryWorld) -> None:
    pipeline, _ = world.run(pipelines.publish(Publication(definition=SIMPLE)))
    disabled = world.run(pipelines.set_status(pipeline.id, "Disabled"))
    assert disabled == msgspec.structs.replace(pipeline, status="Disabled")
    assert world.run(pipelines.get(pipeline.id)) == disabled
    with pytest.raises(Conflict, match="is Disabled, and starts no runs"):
        pipelines.check_active(disabled)
    pages = [
        world.run(pipelines.listing(name=None, limit=9, continuation=None, active_only=active)).items
        for active in (True, False)
    ]
    assert pages == [(), (disabled,)]
    # Published again it is the same, disabled as it is.
    assert world.run(pipelines.publish(Publication(definition=SIMPLE))) == (disabled, False)
    pipelines.check_active(world.run(pipelines.set_status(pipeline.id.upper(), "Active")))


def test_there_are_no_other_statuses(world: MemoryWorld) -> None:
    pipeline, _ = world.run(pipelines.publish(Publication(definition=SIMPLE)))
    with pytest.raises(InvalidRequest) as caught:
        world.run(pipelines.set_status(pipeline.id, "Deprecated"))
    assert caught.value.field == "status"
    with pytest.raises(UnknownThing):
        world.run(pipelines.set_status("x", "Active"))

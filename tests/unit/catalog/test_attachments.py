"""Attached workspaces: kept with their secret sealed, replaced, listed, removed."""

from __future__ import annotations

import base64

import msgspec
import pytest

from orchestrator.adapters.memory import ManualClock, MemoryAccount, MemoryWorld
from orchestrator.adapters.sealing import Sealing
from orchestrator.catalog import attachments
from orchestrator.catalog.attachments import KIND
from orchestrator.catalog.rows import CATALOG
from orchestrator.core.attachment import Attachment
from orchestrator.core.errors import Conflict, InvalidRequest, Unavailable, UnknownThing
from orchestrator.core.secret import Secret
from orchestrator.ports import Commit, Props, Query, Row, Task, Unanswered, Upsert
from orchestrator.secrets import Forget

TOKEN = Secret("dapi0123")
SPARK = Attachment(name="spark", type="Databricks", url="https://adb-1.7.azuredatabricks.net")
POOL = Attachment(name="pool", type="Synapse", url="https://w.dev.azuresynapse.net", pool="small", auth="identity")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def world(clock: ManualClock) -> MemoryWorld:
    world = MemoryWorld(MemoryAccount(server_now=clock.now), clock=clock.clock())
    Sealing([Secret(base64.b64encode(b"k" * 32).decode())]).install(world)
    return world


def test_one_that_was_attached_is_found_with_its_secret(world: MemoryWorld) -> None:
    made, created = world.run(attachments.put(SPARK, TOKEN))
    assert created and made.plain == SPARK
    assert world.run(attachments.get("spark")) == made
    assert attachments.revealing(world)("spark") == (made, TOKEN)
    assert attachments.revealing(world)("else") is None
    world.run(attachments.put(POOL, Secret("")))
    assert [item.name for item in world.run(attachments.listing(limit=9, continuation=None)).items] == ["pool", "spark"]


def test_no_row_shows_a_secret(world: MemoryWorld) -> None:
    world.run(attachments.put(SPARK, TOKEN))

    def rows() -> Task[tuple[Row, ...]]:
        return (yield from Query(table=CATALOG, pk=KIND, first="", last="~"))

    assert "dapi0123" not in repr(world.run(rows()))


def test_a_secret_opens_for_the_address_it_was_given_for(world: MemoryWorld) -> None:
    made, _ = world.run(attachments.put(SPARK, TOKEN))
    moved = msgspec.structs.replace(made, url="https://elsewhere.example.org")

    def tamper() -> Task[None]:
        props: Props = {"v": 1, "attachment": msgspec.json.encode(moved).decode()}
        yield from Commit(table=CATALOG, pk=KIND, writes=(Upsert(rk="a|spark", props=props),))

    world.run(tamper())
    with pytest.raises(Conflict):
        world.run(attachments.reveal("spark"))


def test_attached_again_it_is_replaced_and_keeps_its_birthday(world: MemoryWorld, clock: ManualClock) -> None:
    first, _ = world.run(attachments.put(SPARK, TOKEN))
    clock.advance(60)
    second, created = world.run(attachments.put(SPARK, Secret("dapi4567")))
    assert not created and second.created_at == first.created_at
    assert attachments.revealing(world)("spark") == (second, Secret("dapi4567"))


@pytest.mark.parametrize("secret", ["", "with space", "a\nb", "ü", "x" * 9000])
def test_secrets_that_are_none_are_refused(world: MemoryWorld, secret: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        world.run(attachments.put(SPARK, Secret(secret)))
    assert caught.value.field == "secret"


def test_an_identity_has_no_secret(world: MemoryWorld) -> None:
    with pytest.raises(InvalidRequest, match="not taken"):
        world.run(attachments.put(POOL, TOKEN))


def test_one_that_was_removed_is_gone(world: MemoryWorld) -> None:
    world.run(attachments.put(SPARK, TOKEN))
    assert world.run(attachments.remove("spark")).name == "spark"
    with pytest.raises(UnknownThing):
        world.run(attachments.remove("spark"))


def test_an_answer_that_is_lost_is_said(world: MemoryWorld) -> None:
    world.run(attachments.put(SPARK, TOKEN))

    def lose(effect: Commit) -> None:
        raise Unanswered("lost")

    world.register(Commit, lose)
    for task in (attachments.put(SPARK, TOKEN), attachments.remove("spark")):
        with pytest.raises(Unavailable):
            world.run(task)


def test_its_secret_goes_with_it_and_with_what_replaces_it(world: MemoryWorld) -> None:
    gone: list[str] = []
    world.register(Forget, lambda effect: gone.append(effect.sealed))
    first, _ = world.run(attachments.put(SPARK, TOKEN))
    second, _ = world.run(attachments.put(SPARK, Secret("dapi4567")))
    world.run(attachments.put(POOL, Secret("")))
    world.run(attachments.remove("pool"))
    assert gone == [first.sealed]
    world.run(attachments.remove("spark"))
    assert gone == [first.sealed, second.sealed]

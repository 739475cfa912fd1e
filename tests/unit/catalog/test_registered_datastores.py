"""Datastores by name: registered, replaced, listed, removed; and the default one."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from orchestrator.adapters.memory import ManualClock, MemoryAccount, MemoryWorld
from orchestrator.adapters.memory_files import MemoryFiles
from orchestrator.adapters.sealing import Sealing
from orchestrator.catalog import attachments
from orchestrator.catalog import registered_datastores as catalog
from orchestrator.catalog.orphaned_secrets import GRACE, forget_orphans
from orchestrator.catalog.registered_datastores import KIND, Wish
from orchestrator.catalog.rows import CATALOG
from orchestrator.core.attachment import Attachment
from orchestrator.core.datastore import Datastore, encode, registered_in
from orchestrator.core.errors import Conflict, InvalidRequest, Unavailable, UnknownThing
from orchestrator.core.secret import Secret
from orchestrator.files import TryContainer
from orchestrator.ports import Commit, Query, Refused, Unanswered, Upsert
from orchestrator.secrets import Forget, ForgetOthers

CONFIGURED = {"workspaceblobstore": "workspaceblobstore"}
KEY = Secret(base64.b64encode(b"k" * 32).decode())
PASSWORD = Secret("c2VjcmV0")
LAKE = Datastore(
    name="lake",
    type="AzureBlob",
    auth="account_key",
    account="lakeaccount",
    container="raw",
    endpoint="https://lakeaccount.blob.core.windows.net",
)
SALES = Datastore(name="sales", type="Sql", auth="none", url="sqlite:////data/sales.db")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def world(clock: ManualClock) -> MemoryWorld:
    world = MemoryWorld(MemoryAccount(server_now=clock.now), clock=clock.clock())
    MemoryFiles(world.account).install(world)
    Sealing([KEY]).install(world)
    return world


def register(wanted: Datastore = LAKE, secret: Secret = PASSWORD, **more: Any) -> Any:
    return catalog.register(Wish(datastore=wanted, secret=secret, **more), configured=CONFIGURED)


def test_one_that_was_registered_is_found_with_its_secret(world: MemoryWorld) -> None:
    made, created = world.run(register())
    assert created
    assert world.run(catalog.get("lake")) == made
    assert world.run(catalog.get("LAKE")) == made, "names are compared without regard to case"
    assert world.run(catalog.reveal("lake")) == (made, PASSWORD)
    assert registered_in(world.run(catalog.address(CONFIGURED, "lake"))) == "lake"
    assert world.run(catalog.address(CONFIGURED, "workspaceblobstore")) == "workspaceblobstore"


def test_its_secret_is_not_in_the_table(world: MemoryWorld) -> None:
    world.run(register())
    rows = world.run(iter(Query(table=CATALOG, pk=KIND, first="", last="~")))
    assert len(rows) == 1
    assert PASSWORD.reveal() not in repr(rows)


def test_a_row_that_was_led_astray_gives_no_secret(world: MemoryWorld) -> None:
    """Somebody who can write to the table sends the secret to a place of their own."""
    made, _ = world.run(register())
    elsewhere = msgspec.structs.replace(made, endpoint="https://elsewhere.example")
    row = Upsert(rk="d|lake", props={"v": 1, "datastore": encode(elsewhere).decode()})
    world.run(iter(Commit(table=CATALOG, pk=KIND, writes=(row,))))
    with pytest.raises(Conflict, match="not as it was kept"):
        world.run(catalog.reveal("lake"))


def test_the_same_again_is_no_conflict_and_changes_nothing(world: MemoryWorld, clock: ManualClock) -> None:
    first, _ = world.run(register())
    clock.advance(60)
    for again in (register(), register(overwrite=True)):
        assert world.run(again) == (first, False)


@pytest.mark.parametrize(
    ("wanted", "secret"),
    [
        (msgspec.structs.replace(LAKE, container="other"), PASSWORD),
        (msgspec.structs.replace(LAKE, name="Lake", container="other"), PASSWORD),
        (LAKE, Secret("b3RoZXI=")),
    ],
)
def test_another_one_of_the_name_needs_overwrite(
    world: MemoryWorld, clock: ManualClock, wanted: Datastore, secret: Secret
) -> None:
    first, _ = world.run(register())
    with pytest.raises(Conflict, match="overwrite"):
        world.run(register(wanted, secret))
    clock.advance(60)
    before = world.run(catalog.address(CONFIGURED, "lake"))
    second, created = world.run(register(wanted, secret, overwrite=True))
    assert not created
    assert second.created_at == first.created_at
    assert world.run(catalog.reveal("lake")) == (second, secret)
    assert world.run(catalog.address(CONFIGURED, "lake")) != before


def test_one_whose_secret_is_lost_is_registered_again(world: MemoryWorld) -> None:
    world.run(register())
    Sealing([Secret(base64.b64encode(b"n" * 32).decode())]).install(world)
    with pytest.raises(Conflict, match="MILLSTREAM_SECRET_KEYS"):
        world.run(catalog.reveal("lake"))
    world.run(register(overwrite=True))
    assert world.run(catalog.reveal("lake"))[1] == PASSWORD


@pytest.mark.parametrize(
    ("wanted", "secret", "error"),
    [
        (msgspec.structs.replace(LAKE, name="workspaceblobstore"), PASSWORD, Conflict),
        (msgspec.structs.replace(LAKE, name="WorkspaceBlobStore"), PASSWORD, Conflict),
        (msgspec.structs.replace(LAKE, name="a b"), PASSWORD, InvalidRequest),
        (msgspec.structs.replace(LAKE, name="a@b"), PASSWORD, InvalidRequest),
        (msgspec.structs.replace(LAKE, name=""), PASSWORD, InvalidRequest),
        (LAKE, Secret(""), InvalidRequest),
        (LAKE, Secret("a\nb"), InvalidRequest),
        (LAKE, Secret("x" * 8001), InvalidRequest),
        (SALES, PASSWORD, InvalidRequest),
        (msgspec.structs.replace(LAKE, account="?"), PASSWORD, InvalidRequest),
    ],
)
def test_what_cannot_be_registered(
    world: MemoryWorld, wanted: Datastore, secret: Secret, error: type[Exception]
) -> None:
    with pytest.raises(error) as refused:
        world.run(register(wanted, secret))
    assert not secret or secret.reveal() not in str(refused.value)
    assert world.run(catalog.every()) == ()


def test_what_cannot_be_reached_is_not_kept(world: MemoryWorld) -> None:
    tried: list[TryContainer] = []

    def refuse(effect: TryContainer) -> None:
        tried.append(effect)
        raise InvalidRequest("no such container", field="container")

    world.register(TryContainer, refuse)
    with pytest.raises(InvalidRequest, match="no such"):
        world.run(register(create=True))
    assert tried[0].create
    assert PASSWORD.reveal() not in repr(tried)
    assert world.run(catalog.every()) == ()
    world.run(register(validate=False))
    assert len(tried) == 1


def test_they_are_listed_by_name_and_known_by_type(world: MemoryWorld) -> None:
    for name in ("pond", "Lake"):
        world.run(register(msgspec.structs.replace(LAKE, name=name)))
    world.run(register(SALES, Secret("")))
    first = world.run(catalog.listing(limit=2, continuation=None))
    rest = world.run(catalog.listing(limit=2, continuation=first.continuation))
    assert [found.name for found in (*first.items, *rest.items)] == ["Lake", "pond", "sales"]
    assert world.run(catalog.known(CONFIGURED, ["Lake"])) == {"workspaceblobstore", "Lake", "pond"}
    assert world.run(catalog.known(CONFIGURED, ["workspaceblobstore"])) is CONFIGURED
    assert sorted(world.run(catalog.addresses(CONFIGURED))) == ["Lake", "pond", "workspaceblobstore"]


def test_one_that_is_no_container_has_no_address(world: MemoryWorld) -> None:
    world.run(register(SALES, Secret("")))
    world.run(register(msgspec.structs.replace(LAKE, name="share", type="AzureFile")))
    with pytest.raises(InvalidRequest, match="from_sql_query"):
        world.run(catalog.address(CONFIGURED, "sales"))
    assert registered_in(world.run(catalog.address(CONFIGURED, "share"))) == "share"
    with pytest.raises(UnknownThing, match="Did you mean"):
        world.run(catalog.address(CONFIGURED, "shore"))


def test_one_that_was_removed_is_gone(world: MemoryWorld) -> None:
    world.run(register())
    assert world.run(catalog.remove("lake", configured=CONFIGURED)).name == "lake"
    for task in (catalog.get("lake"), catalog.remove("lake", configured=CONFIGURED)):
        with pytest.raises(UnknownThing, match="lake"):
            world.run(task)
    with pytest.raises(Conflict, match="MILLSTREAM_DATASTORES"):
        world.run(catalog.remove("workspaceblobstore", configured=CONFIGURED))


def test_the_default_one(world: MemoryWorld) -> None:
    assert world.run(catalog.default(CONFIGURED)) == "workspaceblobstore"
    world.run(register())
    world.run(register(SALES, Secret("")))
    assert world.run(catalog.set_default("LAKE", configured=CONFIGURED)) == "lake"
    assert world.run(catalog.default(CONFIGURED)) == "lake"
    with pytest.raises(Conflict, match="default"):
        world.run(catalog.remove("lake", configured=CONFIGURED))
    for name, error in (("sales", InvalidRequest), ("nowhere", UnknownThing)):
        with pytest.raises(error):
            world.run(catalog.set_default(name, configured=CONFIGURED))
    world.run(catalog.set_default("workspaceblobstore", configured=CONFIGURED))
    world.run(catalog.remove("lake", configured=CONFIGURED))
    assert world.run(catalog.default(CONFIGURED)) == "workspaceblobstore"


@pytest.mark.parametrize("operation", ["register", "remove", "set_default"])
def test_an_answer_that_is_lost_is_said(world: MemoryWorld, operation: str) -> None:
    world.run(register())
    tasks: dict[str, Callable[[], Any]] = {
        "register": lambda: register(SALES, Secret("")),
        "remove": lambda: catalog.remove("lake", configured=CONFIGURED),
        "set_default": lambda: catalog.set_default("lake", configured=CONFIGURED),
    }

    def lose(effect: Commit) -> None:
        raise Unanswered("lost")

    world.register(Commit, lose)
    with pytest.raises(Unavailable, match="again"):
        world.run(tasks[operation]())


def test_one_that_is_registered_twice_at_once_is_one(world: MemoryWorld) -> None:
    """Somebody else's insert comes between the look and ours."""
    commit = world._interpreters[Commit]
    other = MemoryWorld(world.account)
    MemoryFiles(other.account).install(other)
    Sealing([KEY]).install(other)
    calls: list[Commit] = []

    def late(effect: Commit) -> Any:
        calls.append(effect)
        if len(calls) == 1:
            other.run(register())
        return commit(effect)

    world.register(Commit, late)
    made, created = world.run(register())
    assert not created
    assert made == other.run(catalog.get("lake"))
    assert len(calls) == 1
    with pytest.raises(Refused):
        world.run(iter(calls[0]))


@pytest.fixture
def forgotten(world: MemoryWorld) -> list[str]:
    """Secrets that were let go of, as long as nothing else is registered for that."""
    gone: list[str] = []
    world.register(Forget, lambda effect: gone.append(effect.sealed))
    return gone


def test_a_secret_goes_before_its_row(world: MemoryWorld, forgotten: list[str]) -> None:
    """Whoever dies in between has left a row, which is removed again, and no secret that nobody knows of."""
    made, _ = world.run(register())
    commit = world._interpreters[Commit]

    def die(effect: Commit) -> None:
        assert forgotten == [made.sealed]
        raise KeyboardInterrupt

    world.register(Commit, die)
    with pytest.raises(KeyboardInterrupt):
        world.run(catalog.remove("lake", configured=CONFIGURED))
    world.register(Commit, commit)
    world.run(catalog.remove("lake", configured=CONFIGURED))
    assert forgotten == [made.sealed] * 2
    assert world.run(catalog.every()) == ()


def test_a_secret_that_is_replaced_is_forgotten(world: MemoryWorld, forgotten: list[str]) -> None:
    first, _ = world.run(register())
    second, _ = world.run(register(secret=Secret("b3RoZXI="), overwrite=True))
    assert forgotten == [first.sealed]
    third, _ = world.run(register(msgspec.structs.replace(LAKE, auth="identity"), Secret(""), overwrite=True))
    assert forgotten == [first.sealed, second.sealed]
    world.run(register(secret=PASSWORD, overwrite=True))
    assert len(forgotten) == 2, "there was none to forget"
    assert third.sealed == ""


def test_a_secret_that_cannot_be_forgotten_now_stops_no_registration(world: MemoryWorld) -> None:
    def fail(_: Forget) -> None:
        raise Unavailable("the vault is away")

    world.run(register())
    world.register(Forget, fail)
    made, _ = world.run(register(secret=Secret("b3RoZXI="), overwrite=True))
    assert world.run(catalog.get("lake")) == made
    with pytest.raises(Unavailable):
        world.run(catalog.remove("lake", configured=CONFIGURED))
    assert world.run(catalog.get("lake")) == made, "it is removed again when the vault is back"


def test_one_that_is_registered_while_it_is_removed_goes_with_its_secret(
    world: MemoryWorld, forgotten: list[str]
) -> None:
    first, _ = world.run(register())
    commit = world._interpreters[Commit]
    other = MemoryWorld(world.account)
    MemoryFiles(other.account).install(other)
    Sealing([KEY]).install(other)
    made: list[str] = []

    def late(effect: Commit) -> Any:
        if not made:
            made.append(other.run(register(secret=Secret("b3RoZXI="), overwrite=True))[0].sealed)
        return commit(effect)

    world.register(Commit, late)
    assert world.run(catalog.remove("lake", configured=CONFIGURED)).sealed == made[0]
    assert forgotten == [first.sealed, *made]
    assert world.run(catalog.every()) == ()


def test_secrets_without_a_row_are_looked_for_beside_those_that_have_one(world: MemoryWorld) -> None:
    made, _ = world.run(register())
    world.run(register(SALES, Secret("")))
    spark = Attachment(name="spark", type="Databricks", url="https://adb-1.7.azuredatabricks.net")
    attached, _ = world.run(attachments.put(spark, Secret("dapi0123")))
    asked: list[ForgetOthers] = []

    def look(effect: ForgetOthers) -> int:
        asked.append(effect)
        return 3

    world.register(ForgetOthers, look)
    assert world.run(forget_orphans()) == 3
    assert asked == [ForgetOthers(needed=frozenset({made.sealed, attached.sealed}), older_than=GRACE)]

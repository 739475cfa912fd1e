"""Secrets in a vault: addresses in rows, bound to whose they are, beside what the tables' key has sealed."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import partial

import pytest

from orchestrator.adapters.key_vault import KeyVault
from orchestrator.adapters.memory import MemoryWorld
from orchestrator.adapters.sealing import Sealing
from orchestrator.adapters.vaulted import Vaulted
from orchestrator.catalog.orphaned_secrets import forget_orphans
from orchestrator.catalog.registered_datastores import Wish, register, reveal
from orchestrator.core import relay
from orchestrator.core.datastore import Datastore
from orchestrator.core.errors import Conflict, Unavailable
from orchestrator.core.secret import Secret
from orchestrator.ports import Commit
from orchestrator.secrets import Forget, ForgetOthers, Seal, Unseal
from tests.key_vault_standin import RESOURCE, Refusal, StandIn, running_vault
from tests.secure_azurite import token

KEY = Secret(base64.b64encode(b"k" * 32).decode())
HIDDEN = Secret("pa55-wörd")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with running_vault(tmp_path_factory.mktemp("vault")) as vault:
        yield vault


@pytest.fixture
def standin(running: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    monkeypatch.setenv("SSL_CERT_FILE", running.ca_file)
    running.secrets.clear()
    running.deleted.clear()
    running.faults.clear()
    assert running.server is not None
    running.server.asked.clear()
    return running


def world_with(standin: StandIn | None, *, place: str = "account") -> MemoryWorld:
    world = MemoryWorld()
    vault = None
    if standin is not None:
        vault = KeyVault(standin.url, lambda: token(resource=RESOURCE), sleep=lambda _: None)
    Vaulted(vault, Sealing([KEY]), place=place).install(world)
    return world


@pytest.fixture
def world(standin: StandIn) -> MemoryWorld:
    return world_with(standin)


def sealed(world: MemoryWorld, owner: str = "lake") -> str:
    return world.run(iter(Seal(owner=owner, purpose="raw", secret=HIDDEN)))


def opened(world: MemoryWorld, kept: str, owner: str = "lake", purpose: str = "raw") -> Secret:
    return world.run(iter(Unseal(owner=owner, purpose=purpose, sealed=kept)))


def test_what_is_kept_is_an_address_and_an_operator_sees_whose_it_is(world: MemoryWorld, standin: StandIn) -> None:
    kept = sealed(world, "lake_of raw-data")
    assert HIDDEN.reveal() not in kept
    ((name, (version,)),) = standin.secrets.items()
    assert kept == f"kv1.{name}.{version.id}"
    assert re.fullmatch(r"ms-lake-of-raw-data-[0-9a-f]{32}-[0-9a-f]{16}", name)
    assert version.tags == {"application": "millstream", "storage": "account", "owner": "lake_of raw-data"}
    assert opened(world, kept, "lake_of raw-data") == HIDDEN
    assert sealed(world) != sealed(world)


@pytest.mark.parametrize("owner", ["é" * 300, "---", "a" * 300, "_"])
def test_any_owner_has_a_name_that_the_vault_takes(world: MemoryWorld, standin: StandIn, owner: str) -> None:
    assert opened(world, sealed(world, owner), owner) == HIDDEN
    (name,) = standin.secrets
    assert re.fullmatch("[0-9a-zA-Z-]{1,127}", name)


def test_an_address_opens_for_its_owner_purpose_and_tables_alone(world: MemoryWorld, standin: StandIn) -> None:
    kept = sealed(world)
    before = standin.calls()
    for owner, purpose in (("pond", "raw"), ("lake", "else"), ("", "raw")):
        with pytest.raises(Conflict, match="not as it was kept"):
            opened(world, kept, owner, purpose)
    with pytest.raises(Conflict, match="not as it was kept"):
        opened(world_with(standin, place="another"), kept)
    world.run(iter(Forget(owner="pond", purpose="raw", sealed=kept)))
    assert standin.calls() == before, "the vault is not even asked"
    assert opened(world, kept) == HIDDEN


def test_a_ticket_leads_to_no_vault(world: MemoryWorld, standin: StandIn) -> None:
    """It comes from outside, and whoever makes one up knows for what it would have to be."""
    made_up = sealed(world, "")
    before = standin.calls()
    with pytest.raises(Conflict):
        opened(world, made_up, "", relay.PURPOSE)
    with pytest.raises(Conflict):
        opened(world, made_up, "", "raw")
    assert standin.calls() == before


@pytest.mark.parametrize("kept", ["kv1.", "kv1.x.y", "kv1.run-token-key.0123", "kv1.../run-token-key.0", "", "2.a.b"])
def test_what_was_never_kept_is_refused_unasked(world: MemoryWorld, standin: StandIn, kept: str) -> None:
    with pytest.raises(Conflict):
        opened(world, kept)
    world.run(iter(Forget(owner="lake", purpose="raw", sealed=kept)))
    assert standin.calls() == []


def test_what_the_key_has_sealed_before_still_opens(world: MemoryWorld, standin: StandIn) -> None:
    kept = sealed(world_with(None))
    assert opened(world, kept) == HIDDEN
    world.run(iter(Forget(owner="lake", purpose="raw", sealed=kept)))
    assert standin.calls() == []
    with pytest.raises(Conflict, match="MILLSTREAM_VAULT"):
        opened(world_with(None), sealed(world))


def test_one_that_is_forgotten_is_deleted_and_no_other(world: MemoryWorld, standin: StandIn) -> None:
    first, second = sealed(world), sealed(world)
    for _ in range(2):
        world.run(iter(Forget(owner="lake", purpose="raw", sealed=first)))
    assert (len(standin.secrets), len(standin.deleted)) == (1, 1)
    with pytest.raises(Conflict, match="not in the Key Vault any more"):
        opened(world, first)
    assert opened(world, second) == HIDDEN


def test_without_its_vault_forgetting_stops_nobody(
    world: MemoryWorld, standin: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    kept = sealed(world)
    world_with(None).run(iter(Forget(owner="lake", purpose="raw", sealed=kept)))
    assert len(standin.secrets) == 1
    assert next(iter(standin.secrets)) in caplog.text


def test_a_name_that_is_taken_is_not_taken_twice(world: MemoryWorld, standin: StandIn) -> None:
    taken = Refusal(409, "Conflict", "ObjectIsDeletedButRecoverable")
    standin.faults += [taken, taken]
    assert opened(world, sealed(world)) == HIDDEN
    puts = [call for call in standin.calls() if call.startswith("PUT")]
    assert len(set(puts)) == 3
    standin.faults += [taken] * 3
    with pytest.raises(Unavailable, match="no new name"):
        sealed(world)


def test_what_nobody_names_is_deleted_once_it_is_old(world: MemoryWorld, standin: StandIn) -> None:
    needed, orphan, young = sealed(world), sealed(world), sealed(world)
    elsewhere = sealed(world_with(standin, place="another"))
    standin.secrets["run-token-key"] = [standin.secrets[named(needed)][0]]
    for address in (needed, orphan, elsewhere):
        standin.secrets[named(address)][0].created -= 90_000
    names = set(standin.secrets)
    forget = ForgetOthers(needed=frozenset({needed, "1.abc.sealed-by-the-key"}), older_than=86_400)
    assert world.run(iter(forget)) == 1
    assert set(standin.secrets) == names - {named(orphan)}
    assert opened(world, young) == HIDDEN
    assert world.run(iter(forget)) == 0
    assert world_with(None).run(iter(forget)) == 0


def test_who_dies_before_there_is_a_row_leaves_nothing_for_good(world: MemoryWorld, standin: StandIn) -> None:
    sales = Datastore(name="sales", type="Sql", auth="password", url="postgresql://reader@host/shop")
    registering = partial(register, Wish(datastore=sales, secret=HIDDEN), configured={"own": "own"})
    commit = world._interpreters[Commit]

    def die(_: Commit) -> None:
        raise KeyboardInterrupt

    world.register(Commit, die)
    with pytest.raises(KeyboardInterrupt):
        world.run(registering())
    world.register(Commit, commit)
    world.run(registering())
    assert len(standin.secrets) == 2
    for (version,) in standin.secrets.values():
        version.created -= 90_000
    assert world.run(forget_orphans()) == 1
    assert world.run(reveal("sales"))[1] == HIDDEN


def named(address: str) -> str:
    return address.split(".")[1]

"""Secrets at rest: encrypted, bound to their owner, and readable after a change of keys."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest

from orchestrator.adapters.memory import MemoryWorld
from orchestrator.adapters.sealing import Sealing
from orchestrator.core.errors import Conflict, InvalidRequest
from orchestrator.core.secret import Secret
from orchestrator.secrets import Seal, Unseal

OLD, NEW = (Secret(base64.b64encode(letter * 32).decode()) for letter in (b"o", b"n"))
HIDDEN = Secret("pa55-wörd")


def world_with(*keys: Secret) -> MemoryWorld:
    world = MemoryWorld()
    Sealing(keys).install(world)
    return world


def sealed(world: MemoryWorld, owner: str = "lake") -> str:
    return world.run(iter(Seal(owner=owner, purpose=owner, secret=HIDDEN)))


def test_a_secret_comes_back_and_is_not_to_be_seen() -> None:
    world = world_with(NEW)
    kept = sealed(world)
    assert HIDDEN.reveal() not in kept
    assert base64.b64encode(HIDDEN.reveal().encode()).decode().rstrip("=") not in kept
    assert world.run(iter(Unseal(owner="lake", purpose="lake", sealed=kept))) == HIDDEN
    assert sealed(world) != kept


def test_what_is_kept_for_one_purpose_opens_for_no_other() -> None:
    world = world_with(NEW)
    with pytest.raises(Conflict, match="not as it was kept"):
        world.run(iter(Unseal(owner="lake", purpose="pond", sealed=sealed(world))))


@pytest.mark.parametrize("place", [-1, -5, 20])
def test_a_changed_byte_is_noticed(place: int) -> None:
    world = world_with(NEW)
    kept = sealed(world)
    other = "A" if kept[place] != "A" else "B"
    changed = kept[:place] + other + kept[place:][1:]
    with pytest.raises(Conflict):
        world.run(iter(Unseal(owner="lake", purpose="lake", sealed=changed)))


def test_a_key_is_changed_without_a_gap() -> None:
    kept = sealed(world_with(OLD))
    both = world_with(NEW, OLD)
    assert both.run(iter(Unseal(owner="lake", purpose="lake", sealed=kept))) == HIDDEN
    again = sealed(both)
    assert world_with(NEW).run(iter(Unseal(owner="lake", purpose="lake", sealed=again))) == HIDDEN
    with pytest.raises(Conflict, match="MILLSTREAM_SECRET_KEYS"):
        world_with(NEW).run(iter(Unseal(owner="lake", purpose="lake", sealed=kept)))


def test_without_a_key_nothing_is_kept() -> None:
    with pytest.raises(InvalidRequest, match="MILLSTREAM_SECRET_KEYS"):
        sealed(world_with())


@pytest.mark.parametrize("kept", ["", "1", "1..", "x.y.z", "1.abc.!!", "2.abc.AAAA"])
def test_what_was_never_sealed_is_refused(kept: str) -> None:
    with pytest.raises(Conflict):
        world_with(NEW).run(iter(Unseal(owner="lake", purpose="lake", sealed=kept)))


def test_effects_do_not_show_it() -> None:
    assert HIDDEN.reveal() not in repr(Seal(owner="lake", purpose="lake", secret=HIDDEN))


def test_the_library_is_loaded_by_the_first_secret_only() -> None:
    code = "import sys, orchestrator.adapters.sealing; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

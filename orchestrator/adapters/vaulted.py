"""Secrets in a Key Vault: the interpreters of `orchestrator.secrets` in the cloud.

    Vaulted(vault, Sealing(keys), place="account").install(world)

A secret is kept under a name of its own; the row gets its address, of which nothing can be learned. The name holds a
sum over whose it is and what for, so an address opens for that alone. What the tables' key sealed before there was a
vault still opens, and so do tickets, which are sealed by that key in any case.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
from typing import Final

from orchestrator.adapters.driver import World
from orchestrator.adapters.key_vault import KeyVault, NameTaken
from orchestrator.adapters.sealing import Sealing
from orchestrator.core.errors import Conflict, Unavailable
from orchestrator.core.secret import Secret
from orchestrator.secrets import Forget, ForgetOthers, Seal, Unseal

log = logging.getLogger("millstream.secrets")

_BEGINNING: Final = "kv1."
_ADDRESS: Final = re.compile(r"kv1\.(ms-[0-9A-Za-z-]{1,50}-([0-9a-f]{32})-[0-9a-f]{16})\.([0-9A-Za-z]{1,64})")
_LONGEST_OWNER: Final = 50
_LONGEST_TAG: Final = 256
_TRIES: Final = 3
_LOST: Final = "Register it again."


class Vaulted:
    """Thread-safe. `vault` None: there is none, and what lies in one cannot be had. `place`: the storage account whose
    tables hold the addresses; with another one they open nothing.
    """

    def __init__(self, vault: KeyVault | None, sealing: Sealing, *, place: str) -> None:
        self._vault = vault
        self._sealing = sealing
        self._place = place
        self._tags = {"application": "millstream", "storage": place}

    def install(self, world: World) -> None:
        """Have `world` carry out the effects of `orchestrator.secrets`."""
        world.register(Seal, self.seal)
        world.register(Unseal, self.unseal)
        world.register(Forget, self.forget)
        world.register(ForgetOthers, self.forget_others)

    def seal(self, effect: Seal) -> str:
        if self._vault is None:
            return self._sealing.seal(effect)
        tags = {**self._tags, "owner": effect.owner[:_LONGEST_TAG]}
        for _ in range(_TRIES):
            name = self._new_name(effect)
            try:
                version = self._vault.set(name, effect.secret.reveal(), tags)
            except NameTaken:
                continue
            return f"{_BEGINNING}{name}.{version}"
        raise Unavailable("The Key Vault takes no new name for the secret. Send the request again.")

    def unseal(self, effect: Unseal) -> Secret:
        if not effect.sealed.startswith(_BEGINNING):
            return self._sealing.unseal(effect)
        found = self._named(effect)
        if found is None:
            raise Conflict(f"The secret of {effect.owner!r} is not as it was kept. {_LOST}", field="name")
        if self._vault is None:
            raise Conflict(
                f"The secret of {effect.owner!r} is in a Key Vault, and the setting MILLSTREAM_VAULT names none. "
                f"{_LOST}",
                field="name",
            )
        value = self._vault.get(*found)
        if value is None:
            raise Conflict(f"The secret of {effect.owner!r} is not in the Key Vault any more. {_LOST}", field="name")
        return Secret(value)

    def forget(self, effect: Forget) -> None:
        found = self._named(effect)
        if found is None:
            return  # it lies in the row, or is none of ours
        if self._vault is None:
            log.warning("the secret %s stays in a Key Vault that MILLSTREAM_VAULT names no more", found[0])
            return
        self._vault.delete(found[0])

    def forget_others(self, effect: ForgetOthers) -> int:
        if self._vault is None:
            return 0
        needed = {found[1] for address in effect.needed if (found := _ADDRESS.fullmatch(address))}
        orphans = [
            item.name
            for item in self._vault.listed()
            if item.name.startswith("ms-") and item.tags.items() >= self._tags.items()
            if item.name not in needed and item.age > effect.older_than
        ]
        for name in orphans:
            self._vault.delete(name)
        return len(orphans)

    def _named(self, effect: Unseal | Forget) -> tuple[str, str] | None:
        """Name and version behind an address, if it is one for this owner and purpose."""
        found = _ADDRESS.fullmatch(effect.sealed)
        # Tickets come from outside, and have no owner: they lead to no vault.
        if found is None or not effect.owner or found[2] != self._bound(effect):
            return None
        return found[1], found[3]

    def _new_name(self, effect: Seal) -> str:
        """One that no other secret has or had, so that forgetting one never takes another along."""
        readable = re.sub(r"[^0-9A-Za-z]+", "-", effect.owner).strip("-")[:_LONGEST_OWNER] or "x"
        return f"ms-{readable}-{self._bound(effect)}-{secrets.token_hex(8)}"

    def _bound(self, effect: Seal | Unseal | Forget) -> str:
        bound = json.dumps([self._place, effect.owner, effect.purpose]).encode()
        return hashlib.sha256(b"millstream/vaulted\0" + bound).hexdigest()[:32]

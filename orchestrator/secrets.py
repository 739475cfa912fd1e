"""Secrets of datastores, as effects: keeping one so that it may lie in a table, and having it back.

What `Seal` gives is safe to be read by whoever reads the tables: on a machine of one's own the secret, encrypted
(`orchestrator.adapters.sealing`); in the cloud the address of one in a vault (`orchestrator.adapters.vaulted`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.core.secret import Secret
from orchestrator.ports import Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal(Effect[str]):
    """Keep the secret of `owner`. Raises InvalidRequest where no way to keep one is configured.

    Two seals of one secret differ. Repeating it is harmless. `purpose`: what it is for; it opens for that only.
    """

    owner: str
    purpose: str
    secret: Secret = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseal(Effect[Secret]):
    """The secret behind what `Seal` gave for this owner. Raises Conflict when it cannot be had any more."""

    owner: str
    purpose: str
    sealed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget(Effect[None]):
    """Nobody needs any more what `Seal` gave for this owner: where it is kept elsewhere, it is deleted there.

    Repeating it is harmless, and so is one that is not there. Of other seals, also of the same secret, none is touched.
    """

    owner: str
    purpose: str
    sealed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetOthers(Effect[int]):
    """Forget all that was sealed for these tables, is none of `needed` and is older than so many seconds, by the clock
    of who keeps it; how many it was. Raises Unavailable.
    """

    needed: frozenset[str]
    older_than: float

"""Secrets of datastores, as effects: keeping one so that it may lie in a table, and having it back.

What `Seal` gives is safe to be read by whoever reads the tables. The adapter at hand (`orchestrator.adapters.sealing`)
encrypts; one over a vault would keep the secret there and give its address.
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

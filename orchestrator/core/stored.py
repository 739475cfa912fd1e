"""Versions of what is stored: rows and messages say by `v` which one they are; none at all is version 1.

Reading brings what an older service has written up to date, one version after another, by pure functions; nobody else
knows that there was an older one. What a newer service has written is refused, and left as it is, for during an upgrade
both run side by side. docs/operations.md has the rules for operators; for who changes what is stored they are:

- A field whose absence means what was meant before there was such a field needs no version.
- Anything else is a function more in MIGRATIONS. Of a projection a row may lack any field.
- What MIGRATIONS has once had, it keeps until nobody has stored such a thing any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from orchestrator.core.errors import NewerVersion

Fields = Mapping[str, Any]
Migration = Callable[[Fields], Fields]

VERSION: Final = "v"
STEP_MESSAGE: Final = "message/step"
NOTICE_MESSAGE: Final = "message/notice"
HEAD: Final = "runs/h"
CLAIM: Final = "runs/c"
_NAMED_BY_PARTITION: Final = frozenset({"catalog", "index", "webhooks"})


def _with_window(head: Fields) -> Fields:
    """Before runs had windows, all steps that were ready were sent."""
    return {"window": 0, **head}


def _with_looks(claim: Fields) -> Fields:
    """Before services did the work of steps, no claim was deferred."""
    return {"looks": 0, **claim}


MIGRATIONS: Final[Mapping[str, tuple[Migration, ...]]] = {HEAD: (_with_window,), CLAIM: (_with_looks,)}
"""Kind -> what makes version 2 of version 1, then 3 of 2, and so on; a kind that is not here is at version 1."""


def kind_of(table: str, pk: str, rk: str) -> str:
    """What kind of row lies there, as in runs/h, runs/c, catalog/pipeline, reuse/e."""
    named = pk if table in _NAMED_BY_PARTITION else rk
    return f"{table}/{named.partition('|')[0]}"


def newest(kind: str) -> int:
    """The version that is written."""
    return 1 + len(MIGRATIONS.get(kind, ()))


def generation() -> int:
    """One number that rises with every version of any kind."""
    return 1 + sum(map(len, MIGRATIONS.values()))


def upgraded(kind: str, fields: Fields) -> Fields:
    """The newest version of these fields. Raises NewerVersion."""
    version = int(fields.get(VERSION, 1))
    if version == newest(kind):
        return fields
    refuse_newer(kind, version)
    for migrate in MIGRATIONS[kind][version - 1 :]:
        fields = migrate(fields)
    return {**fields, VERSION: newest(kind)}


def refuse_newer(kind: str, version: int) -> None:
    """Raises NewerVersion."""
    if version > newest(kind):
        raise NewerVersion(
            f"A newer Millstream has written this ({kind}, version {version}; this one reads up to {newest(kind)}). "
            "Nothing was changed. Upgrade this app."
        )


class _Versioned(msgspec.Struct, frozen=True):
    v: int = 1


_versioned = msgspec.json.Decoder(_Versioned).decode


def refuse_newer_message(kind: str, body: str | bytes) -> None:
    """Raises NewerVersion for one that says so; whatever else is wrong with it is left to who decodes it."""
    try:
        version = _versioned(body).v
    except msgspec.MsgspecError:
        return
    refuse_newer(kind, version)

"""Names of computes that callers have made, beside those of the settings. A name stands for a kind of compute.

v1's drivers make a cluster of a name of their own before they use it. Here the name is a row, and its steps run where
all steps of its kind do; what was asked for (sizes, numbers of nodes) is kept and shown, and decides nothing.

    c|<name>
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from orchestrator.catalog.rows import CATALOG, VERSION, span
from orchestrator.core.errors import Conflict, InvalidRequest, TooLarge, Unavailable, UnknownThing
from orchestrator.core.names import COMPUTE, shown
from orchestrator.pages import Page, read_page
from orchestrator.ports import Commit, Delete, Get, Now, Props, Refused, Row, Task, Unanswered, Upsert

KIND = "compute"
KINDS: Final = ("function",)
"""The kinds that a name can be made for."""
LARGEST_SETTINGS: Final = 8_000


class Compute(msgspec.Struct, frozen=True, kw_only=True):
    """`settings` is what its maker asked for, as any JSON object. `created_at` in epoch seconds."""

    name: str
    kind: str
    created_at: float
    settings: dict[str, Any] = {}


def put(
    name: str, kind: str, settings: Mapping[str, Any], *, configured: Mapping[str, str]
) -> Task[tuple[Compute, bool]]:
    """Make the compute, or change what is kept of it; whether it was made by this call.

    `configured`: the computes of the settings, whose names are taken. Raises InvalidRequest, Conflict, TooLarge.
    """
    COMPUTE.check(name, "name")
    if kind not in KINDS:
        raise InvalidRequest(f"{shown(kind)} is no kind of compute here. There is: {', '.join(KINDS)}.", field="kind")
    if name in configured:
        raise Conflict(f"{shown(name)} is a compute of the service's own settings, and stays as it is.", field="name")
    if len(msgspec.json.encode(settings)) > LARGEST_SETTINGS:
        raise TooLarge(f"The settings are larger than {LARGEST_SETTINGS:,} bytes.", field="settings")
    before = yield from Get(table=CATALOG, pk=KIND, rk=f"c|{name}")
    created_at = (yield from Now()) if before is None else _decode(before).created_at
    made = Compute(name=name, kind=kind, created_at=created_at, settings=dict(settings))
    props: Props = {"v": VERSION, "compute": msgspec.json.encode(made).decode()}
    try:
        yield from Commit(table=CATALOG, pk=KIND, writes=(Upsert(rk=f"c|{name}", props=props),))
    except Unanswered:
        raise Unavailable("Storage did not say whether the compute was kept. Send the request again.") from None
    return made, before is None


def get(name: str) -> Task[Compute]:
    """A compute that was made. Raises UnknownThing."""
    row = None
    if COMPUTE.allows(name):
        row = yield from Get(table=CATALOG, pk=KIND, rk=f"c|{name}")
    if row is None:
        raise UnknownThing(f"There is no compute {shown(name)}. GET /api/computes lists what there is.", field="name")
    return _decode(row)


def remove(name: str) -> Task[Compute]:
    """Forget a compute; published pipelines that name it run on. Raises UnknownThing."""
    there = yield from get(name)
    try:
        yield from Commit(table=CATALOG, pk=KIND, writes=(Delete(rk=f"c|{name}"),))
    except Refused:
        pass  # somebody else has removed it meanwhile
    except Unanswered:
        raise Unavailable("Storage did not say whether the compute was removed. Send the request again.") from None
    return there


def listing(*, limit: int, continuation: str | None) -> Task[Page[Compute]]:
    """By name."""
    return (yield from read_page(span(KIND, "c|"), limit=limit, continuation=continuation, decode=_decode))


def known(names: Iterable[str]) -> Task[frozenset[str]]:
    """Those of `names` that were made."""
    found: set[str] = set()
    for name in names:
        if COMPUTE.allows(name) and (yield from Get(table=CATALOG, pk=KIND, rk=f"c|{name}")) is not None:
            found.add(name)
    return frozenset(found)


_decoder = msgspec.json.Decoder(Compute)


def _decode(row: Row) -> Compute:
    return _decoder.decode(str(row.props["compute"]))

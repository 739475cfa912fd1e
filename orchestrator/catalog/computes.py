"""Computes that callers have made, beside those of the settings: what steps may name, and what runs them.

v1's drivers make a cluster of a name of their own before they use it. Here that is a row: the kind decides the queue
that its steps go by (`core.compute`), `executions` how many run there at once, and on what. What else was asked for is
kept and shown, and decides nothing.

    c|<name>           the compute
    d|<name>           what its dispatcher was about to start, and last saw (`catalog.dispatch`)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import msgspec

from orchestrator.catalog.rows import CATALOG, VERSION, span
from orchestrator.core.compute import Compute, ComputeKind, Executions, problems
from orchestrator.core.errors import Conflict, InvalidRequest, TooLarge, Unavailable, UnknownThing
from orchestrator.core.names import COMPUTE, shown
from orchestrator.engine.computes import PARTITION, read, row_key
from orchestrator.pages import Page, read_page
from orchestrator.ports import Commit, Delete, Get, Now, Props, Refused, Task, Unanswered, Upsert

LARGEST_SETTINGS: Final = 8_000
MOST_COMPUTES: Final = 1000


def put(
    name: str,
    kind: str,
    settings: Mapping[str, Any],
    *,
    executions: Executions | None = None,
    configured: Collection[str],
    kinds: Collection[str] = (ComputeKind.FUNCTION,),
) -> Task[tuple[Compute, bool]]:
    """Make the compute, or change what is kept of it; whether it was made by this call.

    `configured`: the computes of the settings, whose names are taken. `kinds`: what this service can run. Raises
    InvalidRequest, Conflict, TooLarge.
    """
    COMPUTE.check(name, "name")
    _check_kind(kind, kinds)
    for problem in problems(kind, executions):
        raise InvalidRequest(f"{problem.message} {problem.fix}", field=problem.field)
    if name in configured:
        raise Conflict(f"{shown(name)} is a compute of the service's own settings, and stays as it is.", field="name")
    if len(msgspec.json.encode(settings)) > LARGEST_SETTINGS:
        raise TooLarge(f"The settings are larger than {LARGEST_SETTINGS:,} bytes.", field="settings")
    row = yield from Get(table=CATALOG, pk=PARTITION, rk=row_key(name))
    before = None if row is None else read(row)
    if before is not None and before.kind != kind:
        message = f"{shown(name)} is a {before.kind} compute. Remove it first, or take another name."
        raise Conflict(message, field="kind")
    created_at = (yield from Now()) if before is None else before.created_at
    own = None if kind == ComputeKind.FUNCTION else executions or Executions()
    made = Compute(name=name, kind=kind, created_at=created_at, settings=dict(settings), executions=own)
    props: Props = {"v": VERSION, "compute": msgspec.json.encode(made).decode()}
    try:
        yield from Commit(table=CATALOG, pk=PARTITION, writes=(Upsert(rk=row_key(name), props=props),))
    except Unanswered:
        raise Unavailable("Storage did not say whether the compute was kept. Send the request again.") from None
    return made, before is None


def _check_kind(kind: str, kinds: Collection[str]) -> None:
    if kind not in list(ComputeKind):
        raise InvalidRequest(f"{shown(kind)} is no kind of compute. There is: {', '.join(ComputeKind)}.", field="kind")
    if kind not in kinds:
        raise InvalidRequest(
            f"This service runs no {kind} computes (MILLSTREAM_EXECUTIONS). It runs: {', '.join(kinds)}.", field="kind"
        )


def get(name: str) -> Task[Compute]:
    """A compute that was made. Raises UnknownThing."""
    row = None
    if COMPUTE.allows(name):
        row = yield from Get(table=CATALOG, pk=PARTITION, rk=row_key(name))
    if row is None:
        raise UnknownThing(f"There is no compute {shown(name)}. GET /api/computes lists what there is.", field="name")
    return read(row)


def remove(name: str) -> Task[Compute]:
    """Forget a compute; steps of published pipelines that name it run in the Functions app. Raises UnknownThing."""
    there = yield from get(name)
    try:
        yield from Commit(table=CATALOG, pk=PARTITION, writes=(Delete(rk=row_key(name)),))
    except Refused:
        pass  # somebody else has removed it meanwhile
    except Unanswered:
        raise Unavailable("Storage did not say whether the compute was removed. Send the request again.") from None
    return there


def listing(*, limit: int, continuation: str | None) -> Task[Page[Compute]]:
    """By name."""
    return (yield from read_page(span(PARTITION, "c|"), limit=limit, continuation=continuation, decode=read))


def every(configured: Iterable[Compute] = ()) -> Task[tuple[Compute, ...]]:
    """Those of the settings, and all that were made."""
    made = (yield from listing(limit=MOST_COMPUTES, continuation=None)).items
    return (*configured, *made)


def find(names: Iterable[str]) -> Task[dict[str, Compute]]:
    """Those of `names` that were made."""
    found: dict[str, Compute] = {}
    for name in names:
        if COMPUTE.allows(name):
            row = yield from Get(table=CATALOG, pk=PARTITION, rk=row_key(name))
            if row is not None:
                found[name] = read(row)
    return found

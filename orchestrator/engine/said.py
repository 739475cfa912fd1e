"""What is said of a step to the service itself: tags and properties, by its script while it runs, or from outside.

Beside what a script reports through its worker, which is published with the result, this can be seen at once. What a
script says belongs to one execution, by its nonce: when another takes the step over, it is not seen any more. What is
said from outside belongs to no execution (its nonce is "") and stays.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from orchestrator.core.errors import Conflict, TooLarge, Unavailable
from orchestrator.core.names import shown
from orchestrator.engine.rows import RUNS, VERSION, said_key
from orchestrator.ports import Commit, Get, Insert, Merge, Pause, Props, Query, Refused, Row, Task, Unanswered

_TRIES = 20


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`tags` may be changed, `properties` only added. A tag None is one that was removed, whoever has set it."""

    tags: dict[str, str | None] = {}
    properties: dict[str, str] = {}


NOTHING = Said()


OUTSIDE = ""
"""The nonce of nobody's execution."""


def read(row: Row) -> Said:
    return _decode(str(row.props["said"]))


def of_step(run: str, position: int) -> Task[dict[str, Said]]:
    """What was said of a step: by owner."""
    first = said_key(position, "")
    rows = yield from Query(table=RUNS, pk=run, first=first, last=f"{first[:-1]}}}")
    return {row.rk.rpartition("|")[2]: read(row) for row in rows}


def say(
    run: str,
    position: int,
    owner: str,
    *,
    tags: Mapping[str, str | None],
    properties: Mapping[str, str],
    most_bytes: int,
) -> Task[Said]:
    """Set each tag, or remove it where the value is None; add `properties`. Safe to repeat.

    Raises Conflict for a property that has another value, TooLarge, Unavailable.
    """
    key = said_key(position, owner)
    for attempt in range(_TRIES):
        if attempt:
            yield from Pause(at_most=0.05 * attempt)
        row = yield from Get(table=RUNS, pk=run, rk=key)
        before = NOTHING if row is None else read(row)
        after = _changed(before, tags, properties, most_bytes)
        if after == before:
            return after
        props: Props = {"v": VERSION, "said": msgspec.json.encode(after).decode()}
        write = Insert(rk=key, props=props) if row is None else Merge(rk=key, props=props, etag=row.etag)
        try:
            yield from Commit(table=RUNS, pk=run, writes=(write,))
        except (Refused, Unanswered):
            continue
        return after
    raise Unavailable(f"The tags of a step of run {run} change too fast just now. Try again.")


def _changed(before: Said, tags: Mapping[str, str | None], properties: Mapping[str, str], most_bytes: int) -> Said:
    for key, value in properties.items():
        if before.properties.get(key, value) != value:
            raise Conflict(f"The property {shown(key)} is set, and cannot be changed.", field=f"properties.{key}")
    after = Said(tags={**before.tags, **tags}, properties={**before.properties, **properties})
    size = len(msgspec.json.encode(after))
    if size > most_bytes:
        raise TooLarge(f"Tags and properties take {size:,} bytes; at most {most_bytes:,} are kept.", field="tags")
    return after


_decode = msgspec.json.Decoder(Said).decode

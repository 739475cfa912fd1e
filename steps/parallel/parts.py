"""What the groups of a step have left, over one round or two: read by the join, and kept from round to round.

When a group is lost, with its worker, say, one of its mini-batches may be the reason. Its mini-batches then go through
a second round, each in a group by itself, so that the one takes no other along.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import msgspec

from orchestrator.core.nesting import Child
from orchestrator.core.result import Metric, OutputData
from steps.composite import CompositeContext
from steps.failures import ChildFailed, InputMissing, StorageFailed
from steps.parallel import expansion, plan
from steps.parallel.given_up import FATAL
from steps.parallel.plan import Group
from steps.store import BlobMissing, StoreFailed

LOST = ("Crashed", "DiskFull", "ScriptFailed", "ScriptKilled", "TimedOut")
"""Failures of a group that one of its mini-batches may be the reason of."""


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a group left. `error`: why it left nothing."""

    number: int
    outputs: dict[str, OutputData] = {}
    metrics: tuple[Metric, ...] = ()
    tags: dict[str, str] = {}
    error: str = ""


_decode = msgspec.json.Decoder(list[Part]).decode


def found(context: CompositeContext, children: Sequence[Child]) -> list[Part]:
    """Those of this round, and those kept of the one before.

    Raises InitFailed, TooManyFailed as the first group that found it out; ChildFailed for what no mini-batch is the
    reason of; InputMissing, StorageFailed.
    """
    data = context.join_data
    kept = _decode(read(context, data["kept"])) if "kept" in data else []
    return [*kept, *(_part(child, data.get("first", 0)) for child in children)]


def _part(child: Child, first: int) -> Part:
    error, number = child.result.error, first + child.position
    if error is None and child.result.outputs:
        result = child.result
        return Part(number=number, outputs=result.outputs, metrics=result.metrics, tags=result.tags)
    if error is None:
        return Part(number=number, error=f"Its group is {child.status.value}.")
    if error.code in FATAL:
        raise FATAL[error.code](error.message)
    if error.code not in LOST:
        raise ChildFailed(f"{child.name}: {error.code}: {error.message}")
    return Part(number=number, error=f"{error.code}: {error.message}")


def group_of(context: CompositeContext, part: Part) -> Group:
    """Raises InputMissing, StorageFailed."""
    return plan.decode(read(context, expansion.name_of(context.join_data["prefix"], part.number)))


def second_round(context: CompositeContext, parts: Sequence[Part], *, most: int) -> tuple[list[Group], dict[str, Any]]:
    """Groups of one for the mini-batches of lost groups, with the data of their join; none, if it is the second round,
    or if more than `most` mini-batches were lost: then it is not one of them.

    Raises InputMissing, StorageFailed.
    """
    data = context.join_data
    lost = {} if "kept" in data else {part.number: group_of(context, part) for part in parts if part.error}
    singles = [(group, batch) for group in lost.values() if len(group.batches) > 1 for batch in group.batches]
    if not 0 < len(singles) <= most:
        return [], {}
    first, prefix = 1 + max(part.number for part in parts), data["prefix"]
    groups = [
        msgspec.structs.replace(group, number=first + place, batches=(batch,))
        for place, (group, batch) in enumerate(singles)
    ]
    again = {group.number for group, _ in singles}
    kept = msgspec.json.encode([part for part in parts if part.number not in again])
    name = f"{prefix}/groups/kept.json"
    try:
        context.store.put(context.settings.container, name, kept)
        context.pool.map(lambda group: _put(context, prefix, group), groups)
    except StoreFailed as error:
        raise StorageFailed(f"The lists of mini-batches could not be stored: {error}") from error
    return groups, {**data, "first": first, "kept": name}


def _put(context: CompositeContext, prefix: str, group: Group) -> None:
    context.store.put(context.settings.container, expansion.name_of(prefix, group.number), plan.encode(group))


def read(context: CompositeContext, name: str) -> bytes:
    """A blob of the step's own. Raises InputMissing, StorageFailed."""
    kept = io.BytesIO()
    try:
        context.store.download(context.settings.container, name, kept)
    except BlobMissing as missing:
        raise InputMissing(f"The list of mini-batches is gone: {missing}") from missing
    except StoreFailed as failed:
        raise StorageFailed(f"The list of mini-batches could not be read: {failed}") from failed
    return kept.getvalue()


def logged(context: CompositeContext, parts: Sequence[Part]) -> None:
    """What the scripts of all groups logged becomes the step's."""
    for part in parts:
        context.metrics.extend(part.metrics)
        context.tags.update(part.tags)

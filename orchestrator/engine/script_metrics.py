"""Metrics that are given to the service itself, by the script of an attempt or from outside, in rows of their own.

    table "metrics", partition: the run
    <step>|<owner>|<metric id>     one logged value

The id is the caller's, so that sending a value again changes nothing. A value that is too large for a row lies in a
blob of the attempt. What another execution has logged is not seen once this one has the claim. What is logged from
outside belongs to no execution (its owner is ""), and to the run as a whole if it has no step (position -1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from orchestrator.core.errors import Broken, Unavailable
from orchestrator.core.result import Metric
from orchestrator.ports import Commit, Now, Pause, Query, ReadBlob, Row, Task, Unanswered, Upsert, Value, WriteBlob

METRICS: Final = "metrics"
VERSION: Final = 1
WHOLE_RUN: Final = -1
OUTSIDE: Final = ""
LARGEST_IN_ROW: Final = 15_000
"""Characters of a metric as JSON: a commit of a hundred takes 4 MiB, at two bytes each."""
ROWS_AT_ONCE: Final = 100
_TRIES = 5


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """A metric under the name that its sender gave it, letters, digits and hyphens."""

    id: str
    metric: Metric


def keep(run: str, position: int, owner: str, prefix: str, values: Sequence[Logged]) -> Task[None]:
    """Keep the values; `prefix` is where the attempt's blobs lie. Safe to repeat. Raises Unavailable."""
    received = yield from Now()
    writes: dict[str, Upsert] = {}
    for number, value in enumerate(values):
        document = msgspec.json.encode(value.metric)
        props: dict[str, Value] = {"v": VERSION, "at": value.metric.at, "received": received, "number": number}
        if len(document) <= LARGEST_IN_ROW:
            props["metric"] = document.decode()
        else:
            props["blob"] = f"{prefix}/metrics/{value.id}.json"
            yield from WriteBlob(name=str(props["blob"]), data=document)
        key = f"{position:06d}|{owner}|{value.id}"
        writes[key] = Upsert(rk=key, props=props)
    for block in _blocks(list(writes.values())):
        yield from _commit(run, block)


def _blocks(writes: list[Upsert]) -> Iterator[tuple[Upsert, ...]]:
    for start in range(0, len(writes), ROWS_AT_ONCE):
        yield tuple(writes[start : start + ROWS_AT_ONCE])


def _commit(run: str, block: tuple[Upsert, ...]) -> Task[None]:
    for attempt in range(_TRIES):
        if attempt:
            yield from Pause(at_most=0.1 * attempt)
        try:
            yield from Commit(table=METRICS, pk=run, writes=block)
        except Unanswered:
            continue
        return
    raise Unavailable("Storage did not say whether the metrics were kept. Send them again.")


def read(run: str) -> Task[dict[tuple[int, str], list[Metric]]]:
    """(position, owner) -> the metrics of that execution, in the order of their times."""
    rows = yield from Query(table=METRICS, pk=run, first="-", last=":")
    found: dict[tuple[int, str], list[Metric]] = {}
    for row in sorted(rows, key=_moment):
        position, owner, _ = row.rk.split("|", 2)
        metric = yield from _metric(row)
        found.setdefault((int(position), owner), []).append(metric)
    return found


def _moment(row: Row) -> tuple[float, float, int]:
    return float(row.props["at"]), float(row.props["received"]), int(row.props["number"])


def _metric(row: Row) -> Task[Metric]:
    if "metric" in row.props:
        return _decode(str(row.props["metric"]))
    document = yield from ReadBlob(name=str(row.props["blob"]))
    if document is None:
        raise Broken(f"The metric {row.rk} of run {row.pk} is missing from storage.")
    return _decode(document)


_decode = msgspec.json.Decoder(Metric).decode

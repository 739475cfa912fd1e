"""Tables in memory: rows, etags, the server's timestamps, and transactions that apply whole or not at all."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from math import floor
from typing import Final

from orchestrator.ports import Commit, Delete, Get, Insert, Merge, Props, Query, Reason, Refused, Row, Value, Write

ROWS_A_PAGE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    etag: str
    written: float
    props: Props


@dataclass(slots=True)
class _Partition:
    rows: dict[str, _Stored] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    def put(self, rk: str, stored: _Stored) -> None:
        if rk not in self.rows:
            insort(self.order, rk)
        self.rows[rk] = stored

    def remove(self, rk: str) -> None:
        if self.rows.pop(rk, None) is not None:
            del self.order[bisect_left(self.order, rk)]


class MemoryTables:
    """Thread-safe. `server_now` is the service's clock: it alone dates rows and gives their age."""

    def __init__(self, server_now: Callable[[], float]) -> None:
        self._now = server_now
        self._lock = threading.Lock()
        self._partitions: dict[tuple[str, str], _Partition] = {}
        self._versions = count(1)

    def get(self, get: Get) -> Row | None:
        with self._lock:
            partition = self._partitions.get((get.table, get.pk))
            stored = partition.rows.get(get.rk) if partition else None
            return self._row(get.pk, get.rk, stored, None) if stored else None

    def query(self, query: Query) -> tuple[Row, ...]:
        """All pages at one moment; `pages` gives them one at a time."""
        return tuple(row for page in self.pages(query) for row in page)

    def pages(self, query: Query) -> Iterator[tuple[Row, ...]]:
        """Page after page, each read when it is asked for. There is at least one, perhaps empty."""
        first, left = query.first, query.limit
        while True:
            size = ROWS_A_PAGE if left is None else min(left, ROWS_A_PAGE)
            page = self._page(query, first, size)
            yield page
            left = None if left is None else left - len(page)
            if len(page) < size or left == 0:
                return
            first = page[-1].rk + "\0"

    def commit(self, commit: Commit) -> tuple[str, ...]:
        """Raises Refused, with nothing applied. The limits are the caller's to check."""
        with self._lock:
            partition = self._partitions.setdefault((commit.table, commit.pk), _Partition())
            for index, write in enumerate(commit.writes):
                if reason := _refusal(partition.rows.get(write.rk), write):
                    raise Refused(index, reason)
            return tuple([self._apply(partition, write) for write in commit.writes])

    def partition(self, table: str, pk: str) -> dict[str, Props]:
        """A copy of a whole partition, by row key ascending: for people and tests to look at."""
        with self._lock:
            partition = self._partitions.get((table, pk), _Partition())
            return {rk: partition.rows[rk].props for rk in partition.order}

    def _page(self, query: Query, first: str, size: int) -> tuple[Row, ...]:
        with self._lock:
            partition = self._partitions.get((query.table, query.pk), _Partition())
            start, end = bisect_left(partition.order, first), bisect_left(partition.order, query.last)
            keys = islice(partition.order, start, min(end, start + size))
            return tuple([self._row(query.pk, rk, partition.rows[rk], query.select) for rk in keys])

    def _row(self, pk: str, rk: str, stored: _Stored, select: tuple[str, ...] | None) -> Row:
        # The service's Date header has whole seconds, so ages are that coarse in every world.
        age = max(0.0, floor(self._now()) - stored.written)
        props = stored.props
        if select is not None:
            props = {name: props[name] for name in select if name in props}
        return Row(pk=pk, rk=rk, etag=stored.etag, age=age, props=props)

    def _apply(self, partition: _Partition, write: Write) -> str:
        if isinstance(write, Delete):
            partition.remove(write.rk)
            return ""
        props: dict[str, Value] = dict(write.props)
        if isinstance(write, Merge):
            props = {**partition.rows[write.rk].props, **props}
        etag = f'W/"{next(self._versions)}"'
        partition.put(write.rk, _Stored(etag=etag, written=self._now(), props=props))
        return etag


def _refusal(stored: _Stored | None, write: Write) -> Reason | None:
    if isinstance(write, Insert):
        return Reason.EXISTS if stored else None
    if isinstance(write, Merge | Delete):
        if stored is None:
            return Reason.MISSING
        return None if write.etag in ("*", stored.etag) else Reason.CHANGED
    return None

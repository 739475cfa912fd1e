"""Tables in memory: rows, etags, the server's timestamps, and transactions that apply whole or not at all."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Callable
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

    def __init__(self, server_now: Callable[[], float], *, rows_a_page: int = ROWS_A_PAGE) -> None:
        self._now = server_now
        self._rows_a_page = rows_a_page
        self._lock = threading.Lock()
        self._partitions: dict[tuple[str, str], _Partition] = {}
        self._versions = count(1)

    def get(self, get: Get) -> Row | None:
        with self._lock:
            partition = self._partitions.get((get.table, get.pk))
            stored = partition.rows.get(get.rk) if partition else None
            return self._row(get.pk, get.rk, stored, None) if stored else None

    def query(self, query: Query) -> tuple[Row, ...]:
        """All pages, one after another."""
        rows: list[Row] = []
        first: str | None = query.first
        while first is not None:
            page, first = self.page(query, first, taken=len(rows))
            rows += page
        return tuple(rows)

    def page(self, query: Query, first: str, *, taken: int = 0) -> tuple[tuple[Row, ...], str | None]:
        """The page of the query that begins at row key `first`, and where the next one begins: None at the end.

        taken: how many rows the pages before it had.
        """
        left = None if query.limit is None else query.limit - taken
        size = self._rows_a_page if left is None else min(left, self._rows_a_page)
        with self._lock:
            partition = self._partitions.get((query.table, query.pk), _Partition())
            start, end = bisect_left(partition.order, first), bisect_left(partition.order, query.last)
            keys = islice(partition.order, start, min(end, start + size))
            page = tuple([self._row(query.pk, rk, partition.rows[rk], query.select) for rk in keys])
        over = start + size >= end or size == left
        return page, None if over else page[-1].rk + "\0"

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

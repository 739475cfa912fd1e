"""Lists in pages, over the rows of one partition.

A continuation is the row key at which the next page begins, so pages neither repeat nor leave out rows that stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from orchestrator.core.errors import InvalidRequest
from orchestrator.ports import Query, Row, Task

T = TypeVar("T")

LARGEST_BLOCK: Final = 999
"""Rows asked for at once: with the one that follows, a page of the service."""

MOST_SCANNED: Final = 5000
"""Rows looked at for one page: with a narrow filter, a page may be short or empty and still have a continuation."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`continuation` asks for what follows; None: that was all."""

    items: tuple[T, ...]
    continuation: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The rows first <= rk < last of a partition."""

    table: str
    pk: str
    first: str
    last: str


def read_page(span: Range, *, limit: int, continuation: str | None, decode: Callable[[Row], T | None]) -> Task[Page[T]]:
    """At most `limit` rows that `decode` does not turn into None. Raises InvalidRequest for a wrong continuation."""
    first = span.first if continuation is None else _checked(span, continuation)
    items: list[T] = []
    scanned, block = 0, min(max(limit, 100), LARGEST_BLOCK)
    while scanned < MOST_SCANNED:
        block = min(block, MOST_SCANNED - scanned)
        rows = yield from Query(table=span.table, pk=span.pk, first=first, last=span.last, limit=block + 1)
        for row in rows[:block]:
            if len(items) == limit:
                return Page(tuple(items), row.rk)
            item = decode(row)
            if item is not None:
                items.append(item)
        scanned += block
        if len(rows) <= block:
            return Page(tuple(items), None)
        first = rows[block].rk
        block = LARGEST_BLOCK  # what is looked for is rare
    return Page(tuple(items), first)


def _checked(span: Range, continuation: str) -> str:
    plain = continuation.isprintable() and len(continuation) <= 512 and not set(continuation) & set("/\\#?")
    if not plain or not span.first <= continuation < span.last:
        raise InvalidRequest(
            "This continuation was not made by the service. Start the list again without it.", field="continuation"
        )
    return continuation

"""What the answer of a query holds. Contract: "Query V2 HTTP response" of Azure Data Explorer, without progress frames.

An answer of status 200 may still tell of an error, at its end or among the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


class QueryFailed(Exception):
    """The cluster began to answer, and could not go on; in its words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A table of the answer. `columns`: (name, type), in the types of Kusto. A value is what JSON has for it."""

    columns: tuple[tuple[str, str], ...]
    rows: list[list[Any]]


def rows_of(answer: Any) -> Rows:
    """The one table that a query has made. Raises QueryFailed."""
    if not isinstance(answer, list):
        raise QueryFailed("The answer is no list of frames.")
    frames = [frame for frame in answer if isinstance(frame, Mapping)]
    end = next((frame for frame in frames if frame.get("FrameType") == "DataSetCompletion"), None)
    if end is None:
        raise QueryFailed("The answer has no end.")
    if end.get("HasErrors") or end.get("Cancelled"):
        raise QueryFailed(_words(end.get("OneApiErrors")) or "The query was cancelled.")
    tables = [frame for frame in frames if frame.get("TableKind") == "PrimaryResult"]
    if len(tables) != 1:
        raise QueryFailed(f"The query has {len(tables)} results, and a step takes one: make a step of each.")
    return _table(tables[0])


def _table(frame: Mapping[str, Any]) -> Rows:
    rows = frame["Rows"]
    for row in rows:
        if isinstance(row, Mapping):  # an error that came while rows were sent
            raise QueryFailed(_words(row.get("OneApiErrors")) or "The rows broke off.")
    columns = tuple((str(column["ColumnName"]), str(column["ColumnType"])) for column in frame["Columns"])
    return Rows(columns=columns, rows=rows)


def _words(errors: Any) -> str:
    found = errors if isinstance(errors, list) else []
    return "; ".join(dict.fromkeys(_messages(found)))


def _messages(errors: Iterable[Any]) -> Iterator[str]:
    for given in errors:
        if not isinstance(given, Mapping):
            continue
        error = given.get("error", given)
        if isinstance(error, Mapping) and (message := error.get("@message") or error.get("message")):
            yield str(message)

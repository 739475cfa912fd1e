"""The rows of a dataset, as tables of Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO

import pyarrow as pa

from orchestrator.core import dataset as ds
from orchestrator.datasets.columns import MOMENT, common_type, converted, settled
from orchestrator.datasets.errors import DatasetError, EmptyDataset
from orchestrator.datasets.files import Reading
from orchestrator.datasets.formats import Reader, reader
from orchestrator.datasets.leaves import Leaf, leaves
from orchestrator.datasets.rows import operated

_ROWS = Leaf(path="the query")


def table(document: ds.DatasetDocument, reading: Reading, *, strict: bool = False) -> Any:
    """All rows, as one table. `strict`: a value that is not of the type asked for is an error, not null.

    Raises EmptyDataset if there is no file or none holds anything, FileMissing, UnknownColumn, Unreadable.
    """
    return pa.concat_tables(list(tables(document, reading, strict=strict)))


def tables(
    document: ds.DatasetDocument,
    reading: Reading,
    *,
    operations: tuple[ds.Operation, ...] | None = None,
    strict: bool = False,
) -> Iterator[Any]:
    """The rows in their order, in tables of the same columns, at least one. `operations`: those of the document."""
    steps = document.operations if operations is None else operations
    if any(isinstance(item, ds.Take) for item in steps):
        try:
            # Only as much is read as the rows taken need, with the types that show there.
            return iter(list(operated(_heads(document, reading, strict), steps, reading.now)))
        except (pa.ArrowInvalid, _TypesDiffer):
            pass
    return operated(_wholes(document, reading, strict), steps, reading.now)


class _TypesDiffer(Exception):
    """Files turn out not to have the columns and types of the first one."""


@dataclass(slots=True)
class _Read:
    """A file as it was read. `again` reads it with some columns as texts."""

    leaf: Leaf
    rows: Any
    again: Callable[[set[str]], Any]
    texts: set[str] = field(default_factory=set)


def _heads(document: ds.DatasetDocument, reading: Reading, strict: bool) -> Iterator[Any]:
    schema = None
    for leaf, rows in _portions(document, reading):
        made = _finished(document, leaf, rows, strict)
        schema = schema or made.schema
        if made.schema != schema:
            raise _TypesDiffer
        yield made
    if schema is None:
        raise _empty(document)


def _portions(document: ds.DatasetDocument, reading: Reading) -> Iterator[tuple[Leaf, Any]]:
    """The rows, as few at a time as can be read."""
    if (query := _query(document)) is not None:
        yield from ((_ROWS, rows) for rows in reading.access.query(query))
        return
    read = _reader(document)
    for leaf in leaves(document, reading.access, reading.archives):
        with reading.open(leaf) as file:
            yield from ((leaf, rows) for rows in read.head(file, leaf.path))


def _wholes(document: ds.DatasetDocument, reading: Reading, strict: bool) -> Iterator[Any]:
    every = _all(document, reading)
    names = list(dict.fromkeys(name for one in every for name in one.rows.column_names))
    for one in every:
        one.rows = pa.table({name: settled(one.rows[name]) for name in one.rows.column_names})
    kinds = {name: _agreed(name, every) for name in names}
    for one in every:
        yield _finished(document, one.leaf, _aligned(one.rows, kinds), strict)


def _all(document: ds.DatasetDocument, reading: Reading) -> list[_Read]:
    if (query := _query(document)) is not None:
        return [_Read(_ROWS, rows, partial(_with_texts, rows)) for rows in reading.access.query(query)]
    read, every = _reader(document), []
    for leaf in leaves(document, reading.access, reading.archives):
        again = partial(_whole, read, reading, leaf)
        rows = again(set())
        if rows is not None:
            every.append(_Read(leaf, rows, again))
    if not every:
        raise _empty(document)
    return every


def _whole(read: Reader, reading: Reading, leaf: Leaf, texts: set[str]) -> Any | None:
    opened: list[BinaryIO] = []

    def open_file() -> BinaryIO:
        opened.append(reading.open(leaf))
        return opened[-1]

    try:
        return read.whole(open_file, leaf.path, texts)
    finally:
        for file in opened:
            file.close()


def _with_texts(rows: Any, texts: set[str]) -> Any:
    """The rows of a query, some columns of which another portion has as texts."""
    for name in texts:
        place = rows.column_names.index(name)
        rows = rows.set_column(place, name, _as_text(rows[name], name, _ROWS))
    return rows


def _agreed(name: str, every: list[_Read]) -> Any:
    """The type of a column in all files. Where they cannot agree they are read again, this column as texts."""
    having = [one for one in every if name in one.rows.column_names]
    kind = common_type([one.rows[name].type for one in having])
    if kind is not None:
        return kind
    for one in having:
        if one.rows[name].type != pa.string():
            one.texts.add(name)
            one.rows = one.rows.set_column(
                one.rows.column_names.index(name), name, _as_text(one.again(one.texts)[name], name, one.leaf)
            )
    return pa.string()


def _as_text(column: Any, name: str, leaf: Leaf) -> Any:
    try:
        return settled(column).cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        message = f"Column {name!r} has another type in {leaf.path!r} than in the files before: {error}."
        raise DatasetError(message, field="column_types") from error


def _aligned(rows: Any, kinds: dict[str, Any]) -> Any:
    """The rows with all columns of all files, in one order and of one type."""
    columns = {}
    for name, kind in kinds.items():
        there = name in rows.column_names
        columns[name] = rows[name].cast(kind) if there else pa.nulls(rows.num_rows, kind)
    return pa.table(columns)


def _finished(document: ds.DatasetDocument, leaf: Leaf, rows: Any, strict: bool) -> Any:
    """With the types that the document sets, and the columns that come from the file's path in front."""
    columns = {name: settled(rows[name]) for name in rows.column_names}
    front: dict[str, Any] = {}
    if document.include_path:
        front["Path"] = _repeated(f"/{leaf.path}", rows.num_rows, pa.string())
    for name, value in leaf.columns.items():
        kind = MOMENT if isinstance(value, datetime) else pa.string()
        front[name] = _repeated(value, rows.num_rows, kind)
    # What is in the file itself wins, and keeps its place.
    columns = {**{name: column for name, column in front.items() if name not in columns}, **columns}
    for name, wanted in document.column_types.items():
        if name in columns:
            columns[name] = converted(columns[name], name, wanted, strict=strict)
    return pa.table(columns)


def _repeated(value: Any, count: int, kind: Any) -> Any:
    return pa.chunked_array([pa.repeat(pa.scalar(value, kind), count)])


def _query(document: ds.DatasetDocument) -> ds.SqlQuery | None:
    """The query that the rows come from. It stands by itself: `orchestrator.core.dataset_rules` sees to that."""
    first = document.sources[0] if document.sources else None
    return first if isinstance(first, ds.SqlQuery) else None


def _reader(document: ds.DatasetDocument) -> Reader:
    assert document.format is not None
    return reader(document.format, document.column_types)


def _empty(document: ds.DatasetDocument) -> EmptyDataset:
    paths = [str(getattr(source, "path", getattr(source, "url", ""))) for source in document.sources[:3]]
    more = " ..." if len(document.sources) > 3 else ""
    return EmptyDataset(f"No file with any content fits {', '.join(map(repr, paths))}{more}.", field="path")

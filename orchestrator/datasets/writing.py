"""Rows as files again: CSV and Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from orchestrator.core import dataset as ds
from orchestrator.datasets.files import Reading
from orchestrator.datasets.leaves import Leaf
from orchestrator.datasets.table import tables


def made_files(document: ds.DatasetDocument, position: int, reading: Reading) -> Iterator[Leaf]:
    """The file that the operation at `position` of the document makes of the rows before it."""
    wish = document.operations[position]
    assert isinstance(wish, ds.AsFiles)

    def make(sink: BinaryIO) -> None:
        found = tables(document, reading, operations=document.operations[:position])
        if wish.format == "csv":
            write_csv(found, sink, wish.separator)
        else:
            write_parquet(found, sink)

    yield Leaf(path=f"part-00000.{wish.format}", make=make)


def write_csv(found: Iterator[Any], sink: BinaryIO, separator: str = ",") -> None:
    first = next(found)
    with csv.CSVWriter(sink, first.schema, write_options=csv.WriteOptions(delimiter=separator)) as writer:
        writer.write_table(first)
        for table in found:
            writer.write_table(table)


def write_parquet(found: Iterator[Any], sink: BinaryIO, row_group_size: int | None = None) -> None:
    first = next(found)
    with pq.ParquetWriter(pa.PythonFile(sink, "w"), first.schema) as writer:
        writer.write_table(first, row_group_size)
        for table in found:
            writer.write_table(table, row_group_size)

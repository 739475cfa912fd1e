"""The rows of a query as files: Parquet, or CSV with a header."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from orchestrator.core.dataset import SqlQuery
from orchestrator.core.fingerprint import digest_of
from orchestrator.datasets.access import Access
from steps.copying.sources import Item
from steps.copying.web import FileOrigin
from steps.query_inputs import write_parquet

CONTENT_TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


def row_item(source: SqlQuery, form: str, path: str, access: Access, scratch: Path) -> tuple[Item, int]:
    """Run the query; its rows as one file, and how many they are. Memory: a batch of rows.

    Raises as `Access.query`; ModuleNotFoundError where the service has no pyarrow; OSError.
    """
    counted = _Counted(access.query(source))
    parts = write_parquet(counted, scratch / "rows")
    # Only when all rows are there it is known of which types the columns are.
    whole = parts[0] if form == "parquet" and len(parts) == 1 else scratch / f"rows.{form}"
    if whole is not parts[0]:
        _write(parts, whole, form)
    with whole.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    size = whole.stat().st_size
    origin = FileOrigin(path=whole, size=size, content_type=CONTENT_TYPES[form])
    version = digest_of([size, sha256])
    return Item(path=path, size=size, version=version, open=lambda: origin, sha256=sha256), counted.rows


class _Counted:
    def __init__(self, tables: Iterator[Any]) -> None:
        self._tables = tables
        self.rows = 0

    def __iter__(self) -> Iterator[Any]:
        for table in self._tables:
            self.rows += table.num_rows
            yield table


def _write(parts: list[Path], target: Path, form: str) -> None:
    """One file of several, whose columns have the same names and perhaps not the same types."""
    import pyarrow as pa
    import pyarrow.csv as csv
    import pyarrow.parquet as pq

    schema = _common([pq.read_schema(part) for part in parts])
    writer: Callable[..., Any] = pq.ParquetWriter if form == "parquet" else csv.CSVWriter
    with writer(target, schema) as sink:
        for part in parts:
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(10_000):
                    pairs = zip(batch.columns, schema, strict=True)
                    columns = [it if it.type == field.type else it.cast(field.type) for it, field in pairs]
                    sink.write_table(pa.Table.from_arrays(columns, schema=schema))


def _common(schemas: list[Any]) -> Any:
    """Types that hold the values of all: wider ones where there are such, else texts."""
    import pyarrow as pa

    def of(name: str) -> Any:
        fields = [schema.field(name) for schema in schemas]
        try:
            return pa.unify_schemas([pa.schema([field]) for field in fields], promote_options="permissive").field(0)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return pa.field(name, pa.string())

    return pa.schema([of(name) for name in schemas[0].names])

"""Inputs that are SQL queries: the worker, who knows the database's password, runs them before the script starts.

The rows lie on the node as Parquet files, and the dataset becomes one over these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.core import dataset as ds
from orchestrator.datasets.access import Access
from steps.brought import Tally
from steps.failures import InvalidStep

_FOLDER = "rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queried:
    """`document`: the dataset over the files in `root`, which stands for its datastore."""

    document: ds.DatasetDocument
    datastore: str
    root: Path
    tally: Tally


def query_of(document: ds.DatasetDocument) -> ds.SqlQuery | None:
    """The query that the dataset is made of, if it is."""
    return next((source for source in document.sources if isinstance(source, ds.SqlQuery)), None)


def queried(document: ds.DatasetDocument, source: ds.SqlQuery, access: Access, root: Path) -> Queried:
    """Run the query, and keep its rows below `root`. Raises MillstreamError, OSError; InvalidStep for what the service
    lacks.
    """
    try:
        files = write_parquet(access.query(source), root / _FOLDER)
    except ModuleNotFoundError as error:
        raise InvalidStep(
            f"SQL queries are run where the service runs, which does not have the package {error.name!r}. Install it "
            "there; pip install millstream[data] brings what queries need."
        ) from error
    tally = Tally()
    for path in files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        tally.add(f"{source.datastore}/{source.query}", path.stat().st_size, content)
    over = ds.DatastoreFiles(datastore=source.datastore, path=_FOLDER)
    made = msgspec.structs.replace(document, sources=(over,), format=ds.ParquetFormat())
    return Queried(document=made, datastore=source.datastore, root=root, tally=tally)


def write_parquet(tables: Iterable[Any], folder: Path) -> list[Path]:
    """A Parquet file for all rows, and another one whenever a column turns out to have another type."""
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    files: list[Path] = []
    writer: Any = None
    with ExitStack() as open_files:
        for rows in tables:
            if writer is None or rows.schema != writer.schema:
                open_files.close()
                files.append(folder / f"part-{len(files):05d}.parquet")
                writer = open_files.enter_context(pq.ParquetWriter(files[-1], rows.schema))
            writer.write_table(rows)
    return files

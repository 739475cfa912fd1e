"""Datasets of rows."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from millstream.dataset import AbstractDataset
from millstream.dataset_filter import ColumnExpression, moment
from millstream.dataset_paths import place_of
from orchestrator.core import dataset as documents
from orchestrator.core import dataset_filter as core
from orchestrator.core.dataset import DatasetDocument, DatastoreFiles, ParquetFormat
from orchestrator.datasets.errors import EmptyDataset, NotSupported

if TYPE_CHECKING:
    from millstream.file_dataset import FileDataset


class TabularDataset(AbstractDataset):
    """Rows with named columns. `dataset["column"]` is a column, for `filter`."""

    def to_pandas_dataframe(self, on_error: str = "null", out_of_range_datetime: str = "null") -> Any:
        """All rows as a pandas.DataFrame; docs/datasets.md says with which types.

        `on_error`: what becomes of a value that is not of the type set for its column, `out_of_range_datetime`: of a
        moment that pandas cannot hold; "null" or "fail" (Unreadable).
        """
        from orchestrator.datasets.frames import frame
        from orchestrator.datasets.table import table

        strict, error = _failing(on_error, "on_error"), _failing(out_of_range_datetime, "out_of_range_datetime")
        with self.reading() as reading:
            found = table(self.document, reading, strict=strict)
        return frame(found, out_of_range_datetime="error" if error else "null")

    def to_dask_dataframe(
        self,
        sample_size: int = 10000,
        dtypes: Any = None,
        on_error: str = "null",
        out_of_range_datetime: str = "null",
    ) -> Any:
        """The rows as a dask.DataFrame of one partition; needs the package dask."""
        del sample_size
        from importlib import import_module

        made = self.to_pandas_dataframe(on_error, out_of_range_datetime)
        return import_module("dask.dataframe").from_pandas(
            made if dtypes is None else made.astype(dtypes), npartitions=1
        )

    def to_spark_dataframe(self) -> Any:
        raise NotSupported("There is no Spark here. Use to_pandas_dataframe(), or to_parquet_files() and read those.")

    def keep_columns(self, columns: str | list[str], validate: bool = False) -> TabularDataset:
        """Only these columns. One that is not there is an error when rows are read, with `validate` at once."""
        made = self._then(documents.KeepColumns(columns=_names(columns)))
        if validate:
            made.validate()
        return made

    def drop_columns(self, columns: str | list[str]) -> TabularDataset:
        """Without these columns. One that is not there is no error."""
        return self._then(documents.DropColumns(columns=_names(columns)))

    def with_timestamp_columns(
        self,
        timestamp: str | None = None,
        partition_timestamp: str | None = None,
        validate: bool = False,
        **_: Any,
    ) -> TabularDataset:
        """Which columns tell the time of a row: exactly, and by the path of its file."""
        made = self._then(documents.TimestampColumns(timestamp=timestamp, partition_timestamp=partition_timestamp))
        if validate:
            made.validate()
        return made

    @property
    def timestamp_columns(self) -> tuple[str | None, str | None]:
        """The column of the timestamp, and that of the partition's."""
        known = [op for op in self.document.operations if isinstance(op, documents.TimestampColumns)]
        return (known[-1].timestamp, known[-1].partition_timestamp) if known else (None, None)

    def time_after(self, start_time: datetime, include_boundary: bool = True, validate: bool = True) -> TabularDataset:
        return self._timed(start_time, None, include_boundary, validate)

    def time_before(self, end_time: datetime, include_boundary: bool = True, validate: bool = True) -> TabularDataset:
        return self._timed(None, end_time, include_boundary, validate)

    def time_between(
        self, start_time: datetime, end_time: datetime, include_boundary: bool = True, validate: bool = True
    ) -> TabularDataset:
        return self._timed(start_time, end_time, include_boundary, validate)

    def time_recent(
        self, time_delta: timedelta, include_boundary: bool = True, validate: bool = True
    ) -> TabularDataset:
        """The rows of this time span before the moment at which they are read."""
        recent = documents.TimeRecent(seconds=time_delta.total_seconds(), include_boundary=include_boundary)
        made = self._then(recent)
        if validate:
            made.validate()
        return made

    def to_csv_files(self, separator: str = ",") -> FileDataset:
        """The rows as a CSV file, written when somebody asks for it."""
        return self._as_files(documents.AsFiles(format="csv", separator=separator))

    def to_parquet_files(self) -> FileDataset:
        """The rows as a Parquet file, written when somebody asks for it."""
        return self._as_files(documents.AsFiles(format="parquet"))

    def partition_by(
        self,
        partition_keys: list[str],
        target: Any,
        name: str | None = None,
        show_progress: bool = True,
        partition_as_file_dataset: bool = False,
    ) -> TabularDataset | FileDataset:
        """Write the rows to folders `key=value/` below `target`, a Parquet file in each, and the dataset of these.

        With a `name` it is registered. The keys are its last columns.
        """
        place = place_of(target)
        with tempfile.TemporaryDirectory() as folder:
            self._write_partitions(_names(partition_keys), Path(folder))
            place.datastore.upload(folder, place.path, overwrite=True, show_progress=show_progress)
        pattern = "/".join([*(f"{_escaped(key)}={{{key}}}" for key in partition_keys), "part-00000.parquet"])
        document = DatasetDocument(
            type="file" if partition_as_file_dataset else "tabular",
            sources=(DatastoreFiles(datastore=place.datastore.name, path=place.path),),
            format=None if partition_as_file_dataset else ParquetFormat(),
            partition_format=pattern,
            operations=(documents.PartitionKeys(columns=_names(partition_keys)),),
        )
        from millstream.dataset import dataset_of

        made = dataset_of(document, place.datastore.workspace)
        return made if name is None else made.register(place.datastore.workspace, name, create_new_version=True)

    def validate(self) -> None:
        """Read the first row. Raises what reading raises; a dataset without rows is valid."""
        from orchestrator.datasets.table import table

        with self.reading() as reading:
            table(self.document.then(documents.Take(count=1)), reading)

    def download(
        self, stream_column: str, target_path: Any = None, overwrite: bool = False, ignore_not_found: bool = True
    ) -> list[str]:
        del stream_column, target_path, overwrite, ignore_not_found
        raise NotSupported("Columns of streams are not supported. Use a FileDataset, or to_csv_files().download().")

    def mount(self, stream_column: str, mount_point: Any = None) -> Any:
        del stream_column, mount_point
        raise NotSupported("Columns of streams are not supported. Use a FileDataset, or to_csv_files().mount().")

    def get_profile(self, workspace: Any = None) -> Any:
        """Of each column count, mean, quartiles and the like, as a pandas.DataFrame."""
        del workspace
        return self.to_pandas_dataframe().describe(include="all")

    def __getitem__(self, name: str | list[str]) -> Any:
        """A column for `filter`; a list of names: only these columns."""
        if isinstance(name, (list, tuple)):
            return self.keep_columns(list(name))
        return ColumnExpression(core.ColumnValue(name=name))

    def _timed(self, start: datetime | None, end: datetime | None, boundary: bool, validate: bool) -> TabularDataset:
        texts = [None if value is None else moment(value) for value in (start, end)]
        made = self._then(documents.TimeRange(start=texts[0], end=texts[1], include_boundary=boundary))
        if validate:
            made.validate()
        return made

    def _as_files(self, operation: documents.AsFiles) -> FileDataset:
        from millstream.file_dataset import FileDataset

        return FileDataset(self.document.then(operation), self.workspace, access=self._access)

    def _write_partitions(self, keys: tuple[str, ...], folder: Path) -> None:
        import pyarrow.compute as pc

        from orchestrator.datasets.rows import check_column
        from orchestrator.datasets.table import table
        from orchestrator.datasets.writing import write_parquet

        with self.reading() as reading:
            rows = table(self.document, reading)
        for key in keys:
            check_column(key, rows)
        rows = rows.select([*(name for name in rows.column_names if name not in keys), *keys])
        groups = rows.select(list(keys)).group_by(list(keys)).aggregate([]).to_pylist()
        if not groups:
            raise EmptyDataset("There are no rows to divide.")
        for group in groups:
            part = rows
            for key, value in group.items():
                part = part.filter(pc.is_null(part[key]) if value is None else pc.equal(part[key], value))
            inner = "/".join(f"{_escaped(key)}={_escaped(value)}" for key, value in group.items())
            path = folder / inner / "part-00000.parquet"
            path.parent.mkdir(parents=True)
            with path.open("wb") as sink:
                write_parquet(iter([part]), sink)


def _failing(wish: str, argument: str) -> bool:
    if wish not in ("null", "fail", "error"):
        raise ValueError(f"{argument} cannot be {wish!r}. Use 'null' or 'fail'.")
    return wish != "null"


def _names(columns: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else tuple(columns)


def _escaped(value: Any) -> str:
    """A value as a part of a path."""
    text = value.strftime("%Y-%m-%dT%H-%M-%S") if isinstance(value, datetime) else "" if value is None else str(value)
    return quote(text, safe=" ._-+@,()") if text not in (".", "..", "") else f"__{len(text)}__"

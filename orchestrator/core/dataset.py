"""The dataset document: where data lies, how it is read, and what is done to it, as data.

A document is written by clients, kept under its content address, and evaluated where the data is consumed (see
`orchestrator.datasets`). It names files, it does not hold them: the same document over changed files gives changed
data. What is random carries its seed, so the same files always give the same rows.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from orchestrator.core.dataset_filter import Condition
from orchestrator.core.strict import invalid_shape

SCHEMA = "millstream/dataset/1"


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class DatastoreFiles(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="datastore"):
    """A file, a folder with all below it, or what fits a pattern; an empty path is the whole datastore.

    In a pattern, `*` and `?` stand for what is in one part of the path, `**` for any number of parts.
    """

    datastore: str
    path: str


class WebFile(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="web"):
    """A file at an http or https URL."""

    url: str


class SqlQuery(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="sql"):
    """The rows that a query gives on a SQL datastore."""

    datastore: str
    query: str
    timeout_seconds: float = 30.0


Source = DatastoreFiles | WebFile | SqlQuery
ColumnKind = Literal["bool", "int", "float", "string", "datetime"]


class ColumnType(_Strict, frozen=True, kw_only=True):
    """The type of a column. `formats` of a datetime are tried in turn, as for strptime; without, ISO 8601."""

    type: ColumnKind
    formats: tuple[str, ...] = ()
    decimal_mark: str = "."


class DelimitedFormat(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="delimited"):
    """Text with a separator between values.

    `header`: "same" (the first line of every file), "combined" (likewise, and files may have columns of their own),
    "first_file" (only the first file has one), "none" (columns are named Column1 ...).
    """

    separator: str = ","
    header: Literal["same", "combined", "first_file", "none"] = "same"
    encoding: str = "utf8"
    infer_column_types: bool = True
    support_multi_line: bool = False
    empty_as_string: bool = False


class ParquetFormat(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="parquet"):
    """Parquet files, which know their types."""


class JsonLinesFormat(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="json_lines"):
    """A JSON object a line. `invalid_lines`: "error", or "drop" to leave them out."""

    invalid_lines: Literal["error", "drop"] = "error"
    encoding: str = "utf8"


Format = DelimitedFormat | ParquetFormat | JsonLinesFormat


class ZipArchive(_Strict, frozen=True, kw_only=True):
    """The sources are zip archives; the files meant are the entries that fit the pattern."""

    entry_glob: str = "**"


class Take(_Strict, frozen=True, kw_only=True, tag_field="op", tag="take"):
    """The first `count` rows or files."""

    count: int


class Skip(_Strict, frozen=True, kw_only=True, tag_field="op", tag="skip"):
    """All but the first `count` rows or files."""

    count: int


class Sample(_Strict, frozen=True, kw_only=True, tag_field="op", tag="sample"):
    """Each row or file with this probability, by itself."""

    probability: float
    seed: int


class Split(_Strict, frozen=True, kw_only=True, tag_field="op", tag="split"):
    """One part of a random split: "first" has each row or file with probability `percentage`, "second" the others."""

    percentage: float
    seed: int
    part: Literal["first", "second"]


class KeepColumns(_Strict, frozen=True, kw_only=True, tag_field="op", tag="keep_columns"):
    """Only these columns, in the order in which the data has them. One that is missing is an error."""

    columns: tuple[str, ...]


class DropColumns(_Strict, frozen=True, kw_only=True, tag_field="op", tag="drop_columns"):
    """Without these columns. One that is missing is no error."""

    columns: tuple[str, ...]


class Filter(_Strict, frozen=True, kw_only=True, tag_field="op", tag="filter"):
    """The rows or files for which the condition is true."""

    condition: Condition


class TimestampColumns(_Strict, frozen=True, kw_only=True, tag_field="op", tag="timestamp_columns"):
    """Which columns tell the time of a row: exactly, and roughly, by the path of its file."""

    timestamp: str | None = None
    partition_timestamp: str | None = None


class TimeRange(_Strict, frozen=True, kw_only=True, tag_field="op", tag="time_range"):
    """Rows from `start` to `end` (ISO 8601, UTC); None: open."""

    start: str | None = None
    end: str | None = None
    include_boundary: bool = True


class TimeRecent(_Strict, frozen=True, kw_only=True, tag_field="op", tag="time_recent"):
    """Rows of the last `seconds` before the moment at which the dataset is evaluated."""

    seconds: float
    include_boundary: bool = True


class PartitionKeys(_Strict, frozen=True, kw_only=True, tag_field="op", tag="partition_keys"):
    """By which columns the files are divided. Changes no rows."""

    columns: tuple[str, ...]


class AsFiles(_Strict, frozen=True, kw_only=True, tag_field="op", tag="as_files"):
    """The rows written to a file of this format: what follows is about files."""

    format: Literal["csv", "parquet"]
    separator: str = ","


Operation = (
    Take
    | Skip
    | Sample
    | Split
    | KeepColumns
    | DropColumns
    | Filter
    | TimestampColumns
    | TimeRange
    | TimeRecent
    | PartitionKeys
    | AsFiles
)


class DatasetDocument(_Strict, frozen=True, kw_only=True):
    """A dataset. `type` is what a consumer gets: files, or a table.

    `partition_format` makes columns of the files' paths: "{year:yyyy}/{city}.csv". `include_path` adds a column Path.
    """

    schema: str = SCHEMA
    type: Literal["file", "tabular"]
    sources: tuple[Source, ...]
    format: Format | None = None
    archive: ZipArchive | None = None
    partition_format: str | None = None
    include_path: bool = False
    column_types: dict[str, ColumnType] = {}
    operations: tuple[Operation, ...] = ()

    def then(self, operation: Operation) -> DatasetDocument:
        """This dataset with one more operation."""
        kind: Literal["file", "tabular"] = "file" if isinstance(operation, AsFiles) else self.type
        return msgspec.structs.replace(self, type=kind, operations=(*self.operations, operation))


class DatasetView(_Strict, frozen=True, kw_only=True):
    """A dataset without its sources: how files that are not there yet will be read.

    `pattern`: which of them; empty: all.
    """

    type: Literal["file", "tabular"]
    pattern: str = ""
    format: Format | None = None
    partition_format: str | None = None
    include_path: bool = False
    column_types: dict[str, ColumnType] = {}
    operations: tuple[Operation, ...] = ()

    def of(self, datastore: str, path: str, *, is_file: bool = False) -> DatasetDocument:
        """The dataset of the files below `path`, of which there may be none, or of the file `path`."""
        whole = path if is_file else f"{path}/{self.pattern or '**'}"
        return DatasetDocument(
            type=self.type,
            sources=(DatastoreFiles(datastore=datastore, path=whole),),
            format=self.format,
            partition_format=self.partition_format,
            include_path=self.include_path,
            column_types=self.column_types,
            operations=self.operations,
        )

    def then(self, operation: Operation) -> DatasetView:
        """With one more operation."""
        kind: Literal["file", "tabular"] = "file" if isinstance(operation, AsFiles) else self.type
        return msgspec.structs.replace(self, type=kind, operations=(*self.operations, operation))


_decode = msgspec.json.Decoder(DatasetDocument).decode


def encode(document: DatasetDocument) -> bytes:
    """Canonical JSON: equal documents give equal bytes, hence equal addresses."""
    return msgspec.json.encode(document, order="sorted")


def decode(document: bytes) -> DatasetDocument:
    """Read a document. Raises InvalidRequest naming the field when the shape is wrong; rules are `check`'s."""
    try:
        return _decode(document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise invalid_shape(error, "dataset") from None


def address(document: DatasetDocument) -> str:
    """The id of a dataset: sha256 over its canonical bytes, in hex."""
    return hashlib.sha256(encode(document)).hexdigest()


def datastores_of(document: DatasetDocument) -> frozenset[str]:
    """The datastores that the document names."""
    return frozenset(source.datastore for source in document.sources if not isinstance(source, WebFile))

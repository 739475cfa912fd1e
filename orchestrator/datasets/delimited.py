"""Delimited text by Arrow's reader, with v1's idea of types. docs/datasets.md has the table."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv as csv

from orchestrator.core.dataset import DelimitedFormat
from orchestrator.datasets.errors import Unreadable

MOMENTS = (
    csv.ISO8601,
    "%m/%d/%Y",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
)
"""How a text may look that becomes a moment by itself: v1 reads the month first."""

_BLOCK = 1 << 20
# Arrow reads 32 blocks ahead, which for the head of a file should not be much.
_HEAD_BLOCK = 128 * 1024


class DelimitedReader:
    """Reads the files of one dataset, in their order: the first may give the others their header."""

    def __init__(self, form: DelimitedFormat, texts: Collection[str] = ()) -> None:
        """`texts`: columns that are to be read as texts, because the document gives them a type."""
        self._form = form
        self._texts = texts
        self._names: list[str] | None = None
        self._first = ""

    def whole(self, open_file: Callable[[], BinaryIO], path: str, texts: Collection[str] = ()) -> Any | None:
        """A file as a table; None if it holds nothing. The types are those that all of it allows."""
        table = self._read(open_file, path, texts, csv.read_csv)
        times = [] if table is None else [field.name for field in table.schema if pa.types.is_time(field.type)]
        if times:
            # A time of day is no type of v1's.
            table = self._read(open_file, path, {*texts, *times}, csv.read_csv)
        return None if table is None else self._named(table)

    def head(self, file: BinaryIO, path: str) -> Iterator[Any]:
        """A file bit by bit, only as far as is asked for. Types are those of its beginning.

        Raises pyarrow.ArrowInvalid if what follows is not of these types.
        """
        reader = self._read(lambda: file, path, (), csv.open_csv)
        if reader is None:
            return
        if any(pa.types.is_time(field.type) for field in reader.schema):
            raise pa.ArrowInvalid("times of day are read as texts")
        yield self._named(reader.schema.empty_table())
        for batch in reader:
            yield self._named(pa.Table.from_batches([batch]))

    def _read(
        self, open_file: Callable[[], BinaryIO], path: str, texts: Collection[str], read: Callable[..., Any]
    ) -> Any | None:
        self._first = self._first or path
        inherits = self._form.header == "first_file" and path != self._first
        options = csv.ReadOptions(
            encoding=self._form.encoding,
            block_size=_HEAD_BLOCK if read is csv.open_csv else _BLOCK,
            autogenerate_column_names=self._form.header == "none",
            column_names=self._names if inherits else None,
        )
        try:
            result = read(open_file(), options, self._parse(), self._convert({*self._texts, *texts}))
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error):
                return None
            raise unreadable(path, error) from error
        except UnicodeDecodeError as error:
            raise Unreadable(f"{path!r} is not encoded in {self._form.encoding}: {error}.", field="encoding") from None
        if any(pa.types.is_binary(field.type) for field in result.schema):
            raise Unreadable(f"{path!r} is not encoded in {self._form.encoding}. Name its encoding.", field="encoding")
        if self._names is None:
            self._names = result.schema.names
        return result

    def _named(self, table: Any) -> Any:
        if self._form.header == "none":
            return table.rename_columns([f"Column{index + 1}" for index in range(table.num_columns)])
        return table.rename_columns(clean_names(table.column_names))

    def _parse(self) -> Any:
        return csv.ParseOptions(delimiter=self._form.separator, newlines_in_values=self._form.support_multi_line)

    def _convert(self, texts: Collection[str]) -> Any:
        return csv.ConvertOptions(
            null_values=[""],
            true_values=["true", "True", "TRUE"],
            false_values=["false", "False", "FALSE"],
            strings_can_be_null=not self._form.empty_as_string,
            timestamp_parsers=list(MOMENTS),
            default_column_type=None if self._form.infer_column_types else pa.string(),
            column_types={_raw(name, self._form): pa.string() for name in texts},
        )


def clean_names(names: list[str]) -> list[str]:
    """Column names as a table has them: each one once, none empty."""
    seen: set[str] = set()
    clean: list[str] = []
    for index, name in enumerate(names):
        plain = name or f"Column{index + 1}"
        unique, number = plain, 0
        while unique in seen:
            number += 1
            unique = f"{plain}_{number}"
        seen.add(unique)
        clean.append(unique)
    return clean


def _raw(name: str, form: DelimitedFormat) -> str:
    """What Arrow calls a column while it reads."""
    made = re.fullmatch(r"Column([1-9][0-9]{0,5})", name)
    return f"f{int(made[1]) - 1}" if made and form.header == "none" else name


def unreadable(path: str, error: Exception) -> Unreadable:
    return Unreadable(f"{path!r} cannot be read as the dataset says: {error}.", field="format")

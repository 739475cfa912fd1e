"""Readers of the formats of tables: a file whole, or its head as far as somebody wants it."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Collection, Iterator
from typing import Any, BinaryIO, Protocol

import msgspec
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from orchestrator.core import dataset as ds
from orchestrator.datasets.delimited import DelimitedReader, unreadable
from orchestrator.datasets.errors import Unreadable

_BLOCK = 1 << 20
_LONGEST_LINE = 256 << 20


class Reader(Protocol):
    """Reads the files of one dataset, in their order. Both methods raise Unreadable."""

    def whole(self, open_file: Callable[[], BinaryIO], path: str, texts: Collection[str] = ()) -> Any | None:
        """A file as a table; None if it holds nothing. `texts`: columns to be read as texts where that is a choice."""
        ...

    def head(self, file: BinaryIO, path: str) -> Iterator[Any]:
        """Tables of the file's rows, lazily. Raises pyarrow.ArrowInvalid if types do not hold to the end."""
        ...


def reader(form: ds.Format, texts: Collection[str]) -> Reader:
    match form:
        case ds.DelimitedFormat():
            return DelimitedReader(form, texts)
        case ds.JsonLinesFormat():
            return JsonLinesReader(form)
        case ds.ParquetFormat():
            return ParquetReader()


class ParquetReader:
    def whole(self, open_file: Callable[[], BinaryIO], path: str, texts: Collection[str] = ()) -> Any | None:
        del texts
        return pa.concat_tables(list(self.head(open_file(), path)))

    def head(self, file: BinaryIO, path: str) -> Iterator[Any]:
        try:
            opened = pq.ParquetFile(pa.PythonFile(file, "r"), pre_buffer=False)
            yield opened.schema_arrow.empty_table()
            for batch in opened.iter_batches():
                yield pa.Table.from_batches([batch])
        except (pa.ArrowInvalid, OSError) as error:
            raise unreadable(path, error) from error


class JsonLinesReader:
    def __init__(self, form: ds.JsonLinesFormat) -> None:
        self._form = form

    def whole(self, open_file: Callable[[], BinaryIO], path: str, texts: Collection[str] = ()) -> Any | None:
        del texts
        data = b"".join(self._lines(open_file(), path))
        if not data.strip():
            return None
        try:
            return pj.read_json(io.BytesIO(data), pj.ReadOptions(block_size=max(len(data), _BLOCK)))
        except pa.ArrowInvalid as error:
            raise unreadable(path, error) from error

    def head(self, file: BinaryIO, path: str) -> Iterator[Any]:
        """The types are those of the first lines; when they do not hold, the file is read whole."""
        lines = self._lines(file, path)
        schema: Any = None
        while data := _some(lines):
            table = pj.read_json(
                io.BytesIO(data),
                pj.ReadOptions(block_size=max(len(data), _BLOCK)),
                pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error" if schema else "infer"),
            )
            schema = schema or table.schema
            yield table

    def _lines(self, file: BinaryIO, path: str) -> Iterator[bytes]:
        """Every line that is an object, in UTF-8, with its end."""
        utf8 = codecs.lookup(self._form.encoding).name == "utf-8"
        source = file if utf8 else codecs.EncodedFile(file, "utf-8", self._form.encoding)
        for number, line in enumerate(source, 1):
            if not line.strip():
                continue
            if self._form.invalid_lines == "drop" and not _is_object(line):
                continue
            if len(line) > _LONGEST_LINE:
                raise Unreadable(f"Line {number} of {path!r} is too long to be one object.", field="format")
            yield line if line.endswith(b"\n") else line + b"\n"


def _some(lines: Iterator[bytes]) -> bytes:
    taken, size = [], 0
    for line in lines:
        taken.append(line)
        size += len(line)
        if size >= _BLOCK:
            break
    return b"".join(taken)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False

"""Small values of datasets: types of columns, archives, headers, encodings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, Literal

from orchestrator.core.dataset import ColumnType, ZipArchive
from orchestrator.datasets.errors import NotSupported

Header = Literal["same", "combined", "first_file", "none"]


class DataType:
    """The type that a column is to have: `set_column_types={"day": DataType.to_datetime("%d.%m.%Y")}`."""

    def __init__(self, column_type: ColumnType) -> None:
        self.column_type = column_type

    @staticmethod
    def to_bool() -> DataType:
        return DataType(ColumnType(type="bool"))

    @staticmethod
    def to_long() -> DataType:
        return DataType(ColumnType(type="int"))

    @staticmethod
    def to_float(decimal_mark: str = ".") -> DataType:
        return DataType(ColumnType(type="float", decimal_mark=decimal_mark))

    @staticmethod
    def to_string() -> DataType:
        return DataType(ColumnType(type="string"))

    @staticmethod
    def to_datetime(formats: str | Sequence[str] | None = None) -> DataType:
        """Moments in one of these formats of strptime; without any, ISO 8601."""
        given = (formats,) if isinstance(formats, str) else tuple(formats or ())
        return DataType(ColumnType(type="datetime", formats=given))

    @staticmethod
    def to_stream(workspace: Any = None, escaped: bool = False) -> DataType:
        del workspace, escaped
        raise NotSupported("Columns of streams are not supported. Make a FileDataset of the files that they name.")

    def __repr__(self) -> str:
        return f"DataType({self.column_type.type!r})"


class ArchiveType(Enum):
    ZIP = 1


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """The paths lead to archives; the files meant are their entries that fit `entry_glob`."""

    archive_type: ArchiveType = ArchiveType.ZIP
    entry_glob: str = "**"

    @property
    def archive(self) -> ZipArchive:
        return ZipArchive(entry_glob=self.entry_glob)


class PromoteHeadersBehavior(IntEnum):
    NO_HEADERS = 0
    ONLY_FIRST_FILE_HAS_HEADERS = 1
    COMBINE_ALL_FILES_HEADERS = 2
    ALL_FILES_HAVE_SAME_HEADERS = 3


_HEADERS: dict[int, Header] = {0: "none", 1: "first_file", 2: "combined", 3: "same"}


def header_of(header: bool | int) -> Header:
    """True and False as v1 means them, or a PromoteHeadersBehavior."""
    if isinstance(header, bool):
        return "same" if header else "none"
    if header not in _HEADERS:
        raise ValueError(f"header cannot be {header!r}. Use True, False, or a PromoteHeadersBehavior.")
    return _HEADERS[int(header)]


_ENCODINGS = {"utf8bom": "utf8", "iso88591": "latin1", "windows1252": "cp1252", "utf-8": "utf8"}


def encoding_of(encoding: str) -> str:
    """The name of an encoding as Python knows it."""
    return _ENCODINGS.get(encoding.lower(), encoding)


def column_types(given: dict[str, DataType] | None) -> dict[str, ColumnType]:
    """The column types as a document has them. Raises TypeError."""
    for name, wanted in (given or {}).items():
        if not isinstance(wanted, DataType):
            raise TypeError(f"set_column_types[{name!r}] is {wanted!r}. Use DataType.to_long(), to_string() ...")
    return {name: wanted.column_type for name, wanted in (given or {}).items()}

"""The rows of a query as a file: CSV, JSON lines, or Parquet with the types of the columns."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from steps.failures import StartFailed
from steps.kusto.frames import Rows

STEM: Final = "rows"


def write(found: Rows, folder: Path, form: str) -> Path:
    """The file, new in the folder. Raises StartFailed when Parquet cannot be written here, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{STEM}.{form}"
    _WRITERS[form](found, path)
    return path


def _csv(found: Rows, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([name for name, _ in found.columns])
        writer.writerows([_text(value) for value in row] for row in found.rows)


def _text(value: Any) -> str:
    """A dynamic value is JSON, as the cluster itself exports it."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def _json(found: Rows, path: Path) -> None:
    names = [name for name, _ in found.columns]
    with path.open("w", encoding="utf-8") as file:
        for row in found.rows:
            file.write(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n")


def _parquet(found: Rows, path: Path) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise StartFailed("This node has no pyarrow: install millstream[data] beside the worker.") from None
    kinds = {
        "bool": pa.bool_(),
        "int": pa.int32(),
        "long": pa.int64(),
        "real": pa.float64(),
        "datetime": pa.timestamp("us", tz="UTC"),
    }
    arrays = []
    for index, (_, kind) in enumerate(found.columns):
        read: Callable[[Any], Any] = _READERS.get(kind, _text)
        values = [None if row[index] is None else read(row[index]) for row in found.rows]
        arrays.append(pa.array(values, type=kinds.get(kind, pa.string())))
    names = [name for name, _ in found.columns]
    parquet.write_table(pa.Table.from_arrays(arrays, names=names), path)


def _time(value: str) -> datetime:
    """Kusto has ticks of 100 ns, of which the last digit is lost."""
    whole, _, fraction = value.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00")


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "bool": bool,
    "int": int,
    "long": int,
    "real": float,  # also of "NaN" and "Infinity", which JSON has no numbers for
    "datetime": _time,
}
_WRITERS: Final[Mapping[str, Callable[[Rows, Path], None]]] = {"csv": _csv, "json": _json, "parquet": _parquet}

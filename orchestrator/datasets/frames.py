"""Tables as pandas has them, with v1's types: texts are objects with None, moments datetime64[ns]."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.datasets.columns import MOMENT
from orchestrator.datasets.errors import Unreadable

_FIRST = -(2**63) // 1000 + 1
_LAST = (2**63 - 1) // 1000


def frame(table: Any, *, out_of_range_datetime: str = "null") -> Any:
    """A pandas.DataFrame. Moments before 1677 or after 2262 become NaT; with "error" they raise Unreadable."""
    import pandas as pd

    series = {}
    for index, name in enumerate(table.column_names):
        series[index] = _series(table[name], name, out_of_range_datetime, pd)
    made = pd.DataFrame(series, index=pd.RangeIndex(table.num_rows))
    made.columns = pd.Index(table.column_names, dtype=object)
    return made


def _series(column: Any, name: str, out_of_range: str, pd: Any) -> Any:
    kind = column.type
    if kind == MOMENT:
        return column_in_range(column, name, out_of_range).cast(pa.timestamp("ns")).to_pandas()
    if pa.types.is_string(kind) or pa.types.is_null(kind):
        return pd.Series(column.to_numpy(zero_copy_only=False), dtype=object)
    return column.to_pandas()


def column_in_range(column: Any, name: str, out_of_range: str) -> Any:
    """Moments that nanoseconds can tell, the others null."""
    number = column.cast(pa.int64())
    fitting = pc.and_(pc.greater_equal(number, _FIRST), pc.less_equal(number, _LAST))
    kept = pc.if_else(fitting, column, None)
    if out_of_range == "error" and kept.null_count > column.null_count:
        message = f"Column {name!r} has moments that pandas cannot hold: before 1677, or after 2262."
        raise Unreadable(message, field="out_of_range_datetime")
    return kept

"""The operations on rows: each makes a stream of tables of another.

Every stream has at least one table, for its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.core import dataset as ds
from orchestrator.core import dataset_filter as conditions
from orchestrator.core.names import suggestion
from orchestrator.datasets.chance import GAMMA, MULTIPLIERS, SHIFTS, key, threshold
from orchestrator.datasets.columns import MOMENT, converted
from orchestrator.datasets.errors import DatasetError, UnknownColumn

Stream = Iterator[Any]
_MASK = 2**64 - 1


@dataclass(slots=True)
class Clock:
    """What the operations so far say of time: the columns, and the moment of evaluation."""

    now: datetime
    timestamp: str | None = None


def operated(stream: Stream, operations: tuple[ds.Operation, ...], now: datetime) -> Stream:
    """The rows that the operations leave, lazily: rows behind the last one taken are never asked for."""
    clock = Clock(now)
    for position, operation in enumerate(operations):
        stream = _operated(stream, operation, position, clock)
    return stream


def _operated(stream: Stream, operation: ds.Operation, position: int, clock: Clock) -> Stream:
    match operation:
        case ds.Take():
            return _taken(stream, operation.count)
        case ds.Skip():
            return _skipped(stream, operation.count)
        case ds.Sample():
            return _drawn(stream, key(operation.seed, position), operation.probability, wanted=True)
        case ds.Split():
            return _drawn(stream, key(operation.seed, position), operation.percentage, wanted=operation.part == "first")
        case ds.KeepColumns():
            return _kept(stream, operation.columns)
        case ds.DropColumns():
            return (table.drop_columns([c for c in operation.columns if c in table.column_names]) for table in stream)
        case ds.Filter():
            return _filtered(stream, operation.condition)
        case ds.TimestampColumns():
            clock.timestamp = operation.timestamp or operation.partition_timestamp
            return stream
        case ds.TimeRange():
            ends = (_moment(operation.start), _moment(operation.end))
            return _between(stream, clock.timestamp, ends, boundary=operation.include_boundary)
        case ds.TimeRecent():
            start = clock.now - timedelta(seconds=operation.seconds)
            return _between(stream, clock.timestamp, (start, clock.now), boundary=operation.include_boundary)
        case _:
            return stream


def _taken(stream: Stream, count: int) -> Stream:
    for table in stream:
        part = table.slice(0, count)
        yield part
        count -= part.num_rows
        if count <= 0:
            return


def _skipped(stream: Stream, count: int) -> Stream:
    for table in stream:
        yield table.slice(min(count, table.num_rows))
        count -= min(count, table.num_rows)


def _drawn(stream: Stream, of: int, share: float, *, wanted: bool) -> Stream:
    first, limit = 0, threshold(share)
    for table in stream:
        drawn = pc.less(bits(of, first, table.num_rows), pa.scalar(limit, pa.uint64()))
        yield table.filter(drawn if wanted else pc.invert(drawn))
        first += table.num_rows


def bits(of: int, first: int, count: int) -> Any:
    """The 53 random bits of `count` rows from `first` on: `chance.chance` for many, by Arrow's wrapping arithmetic."""
    start = (of + (first + 1) * GAMMA) & _MASK
    value = pc.add(pc.multiply(pa.arange(0, count).cast(pa.uint64()), _u64(GAMMA)), _u64(start))
    for shift, multiplier in zip(SHIFTS, MULTIPLIERS, strict=False):
        value = pc.multiply(pc.bit_wise_xor(value, pc.shift_right(value, _u64(shift))), _u64(multiplier))
    value = pc.bit_wise_xor(value, pc.shift_right(value, _u64(SHIFTS[2])))
    return pc.shift_right(value, _u64(11))


def _u64(value: int) -> Any:
    return pa.scalar(value, pa.uint64())


def _kept(stream: Stream, columns: tuple[str, ...]) -> Stream:
    wanted = set(columns)
    for table in stream:
        for name in columns:
            check_column(name, table)
        yield table.select([name for name in table.column_names if name in wanted])


def check_column(name: str, table: Any) -> None:
    """Raises UnknownColumn, with what there is."""
    if name not in table.column_names:
        hint = suggestion(name, table.column_names, "columns")
        raise UnknownColumn(f"There is no column {name!r}. {hint}", field="columns")


def _filtered(stream: Stream, condition: conditions.Condition) -> Stream:
    for table in stream:
        for operand in conditions.operands(condition):
            if isinstance(operand, conditions.ColumnValue):
                check_column(operand.name, table)
        try:
            yield table.filter(_expression(condition))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DatasetError(
                f"The filter does not suit the types of its columns: {error}.", field="filter"
            ) from error


def _expression(condition: conditions.Condition) -> Any:
    match condition:
        case conditions.Comparison():
            compare = _COMPARE[condition.operator]
            return compare(_operand(condition.left), _operand(condition.right))
        case conditions.NullTest():
            return pc.is_null(_operand(condition.value), nan_is_null=True)
        case conditions.TextTest():
            return _TEXT[condition.test](_operand(condition.value), pattern=condition.text)
        case conditions.Negation():
            return pc.invert(_expression(condition.condition))
        case conditions.AllOf():
            return _joined(condition.conditions, pc.and_kleene, True)
        case conditions.AnyOf():
            return _joined(condition.conditions, pc.or_kleene, False)


def _joined(every: tuple[conditions.Condition, ...], join: Callable[..., Any], nothing: bool) -> Any:
    result = pc.scalar(nothing)
    for part in every:
        result = join(result, _expression(part))
    return result


def _operand(operand: conditions.Operand) -> Any:
    match operand:
        case conditions.ColumnValue():
            return pc.field(operand.name)
        case conditions.ConstantValue():
            return pc.scalar(operand.value)
        case conditions.MomentValue():
            return pc.scalar(pa.scalar(datetime.fromisoformat(operand.value), MOMENT))
        case conditions.FileValue():
            raise DatasetError("Rows have no file properties. Use include_path.", field="filter")


_COMPARE: dict[str, Callable[..., Any]] = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_TEXT: dict[str, Callable[..., Any]] = {
    "starts_with": pc.starts_with,
    "ends_with": pc.ends_with,
    "contains": pc.match_substring,
}


def _between(
    stream: Stream, column: str | None, ends: tuple[datetime | None, datetime | None], *, boundary: bool
) -> Stream:
    if column is None:
        raise DatasetError("No column tells the time. Name one by with_timestamp_columns.", field="timestamp")
    wanted = ds.ColumnType(type="datetime")
    after, before = (pc.greater_equal, pc.less_equal) if boundary else (pc.greater, pc.less)
    for table in stream:
        check_column(column, table)
        times = converted(table[column], column, wanted, strict=True)
        for end, compare in zip(ends, (after, before), strict=True):
            if end is not None:
                chosen = compare(times, pa.scalar(end, MOMENT))
                table, times = table.filter(chosen), times.filter(chosen)
        yield table


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)

"""Types of columns: what a table holds whatever the file was, and how texts become the type that a document asks for.

A table has whole numbers (int64), numbers (float64), truth (bool), texts, moments (microseconds, UTC without a zone),
and what Parquet and JSON have besides, as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.core.dataset import ColumnType
from orchestrator.datasets.errors import Unreadable

MOMENT = pa.timestamp("us")
_KINDS: dict[str, Any] = {
    "bool": pa.bool_(),
    "int": pa.int64(),
    "float": pa.float64(),
    "string": pa.string(),
    "datetime": MOMENT,
}
_WHOLE = r"^[+-]?[0-9]{1,18}$"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?(nan|NaN|inf|Infinity)$"
_ISO = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?$"


def settled(column: Any) -> Any:
    """A column with its dates and moments as MOMENT, and its dictionaries and other spellings of text as texts."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return settled(column.cast(kind.value_type))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if pa.types.is_date(kind):
        return column.cast(MOMENT)
    if pa.types.is_timestamp(kind) and kind != MOMENT:
        # Digits beyond the microsecond are cut, as pandas cuts them; a zone is only how the moment was written.
        return pc.cast(column, pa.timestamp("us", tz=kind.tz), safe=False).cast(MOMENT)
    return column


def common_type(kinds: Sequence[Any]) -> Any | None:
    """The type that columns of these types can have together; None: only texts can be both."""
    left = [kind for kind in dict.fromkeys(kinds) if not pa.types.is_null(kind)]
    if not left:
        return pa.null()
    if len(left) == 1:
        return left[0]
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in left):
        return pa.float64() if any(pa.types.is_floating(kind) for kind in left) else pa.int64()
    return None


def converted(column: Any, name: str, wanted: ColumnType, *, strict: bool) -> Any:
    """A column as the document wants it. What cannot be becomes null, or, if `strict`, raises Unreadable."""
    target = _KINDS[wanted.type]
    if column.type == target:
        return column
    if wanted.type == "string" or not pa.types.is_string(column.type):
        result = _cast(column, target)
    else:
        result = _parsed(pc.utf8_trim_whitespace(column), wanted)
    if strict and result.null_count > column.null_count:
        at = pc.index(pc.and_(pc.is_null(result), pc.is_valid(column)), True).as_py()
        message = f"Column {name!r}: {column[at].as_py()!r} in row {at} cannot be a {wanted.type}."
        raise Unreadable(message, field="column_types")
    return result


def _cast(column: Any, target: Any) -> Any:
    try:
        return column.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    if pa.types.is_floating(column.type) and target == pa.int64():
        whole = pc.and_(pc.equal(pc.trunc(column), column), pc.less(pc.abs(column), 2.0**63))
        return pc.if_else(whole, column, None).cast(target)
    return pa.chunked_array([pa.nulls(len(column), target)])


def _parsed(column: Any, wanted: ColumnType) -> Any:
    match wanted.type:
        case "int":
            return _where(column, _WHOLE).cast(pa.int64())
        case "float":
            if wanted.decimal_mark == ",":
                column = pc.replace_substring(column, ",", ".")
            return _where(column, _NUMBER).cast(pa.float64())
        case "bool":
            lowered = pc.utf8_lower(column)
            return _where(lowered, "^(true|false)$").cast(pa.bool_())
        case _:
            return _moments(column, wanted.formats)


def _moments(column: Any, formats: tuple[str, ...]) -> Any:
    if not formats:
        candidates = _where(column, _ISO)
        zoned = pc.match_substring_regex(candidates, r"(Z|[+-][0-9]{2}:?[0-9]{2})$")
        zoned = pc.and_(zoned, pc.match_substring(candidates, ":"))
        plain = _safe_cast(pc.if_else(zoned, None, candidates), MOMENT)
        other = _safe_cast(pc.if_else(zoned, candidates, None), pa.timestamp("us", "UTC"))
        return pc.coalesce(plain, other.cast(MOMENT))
    tried = [pc.strptime(column, format=form, unit="us", error_is_null=True) for form in formats]
    return pc.coalesce(*tried)


def _safe_cast(column: Any, target: Any) -> Any:
    """Cast texts one by one if some of them look like what they are not, as 2020-02-31 does."""
    try:
        return column.cast(target)
    except pa.ArrowInvalid:
        return pa.chunked_array([pa.array([_one(value, target) for value in column], target)])


def _one(value: Any, target: Any) -> Any:
    try:
        return value.cast(target).as_py()
    except pa.ArrowInvalid:
        return None


def _where(column: Any, pattern: str) -> Any:
    return pc.if_else(pc.match_substring_regex(column, pattern), column, None)

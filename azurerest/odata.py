"""OData text: literals, quoting and key ranges of the Table service."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from azurerest.errors import Invalid

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def quoted(text: str) -> str:
    """A string literal: 'text', with inner quotes doubled."""
    return "'" + text.replace("'", "''") + "'"


def literal(value: str | int | float | bool | bytes | datetime) -> str:
    """A value as it is written in a filter. Raises Invalid."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int):
        if not INT64_MIN <= value <= INT64_MAX:
            raise Invalid(f"{value} does not fit in 64 bits")
        return str(value) if INT32_MIN <= value <= INT32_MAX else f"{value}L"
    if isinstance(value, float):
        text = repr(value)
        if text in ("inf", "-inf", "nan"):
            raise Invalid(f"{text} cannot be compared in a filter")
        return text if "." in text or "e" in text else f"{text}.0"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    return f"datetime'{format_datetime(value)}'"


def format_datetime(value: datetime) -> str:
    """Edm.DateTime in UTC. Raises Invalid for a naive value."""
    if value.tzinfo is None:
        raise Invalid("a datetime without time zone")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_datetime(text: str) -> datetime:
    """Edm.DateTime; the service's seventh decimal is cut off. Raises ValueError."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00")


def entity_path(table: str, pk: str, rk: str) -> str:
    """/Table(PartitionKey='..',RowKey='..'), the keys percent-encoded."""
    return f"/{table}(PartitionKey={_key(pk)},RowKey={_key(rk)})"


def _key(text: str) -> str:
    return "'" + quote(text.replace("'", "''"), safe="") + "'"


def key_range(pk: str, from_rk: str | None = None, to_rk: str | None = None) -> str:
    """Filter for one partition's rows with from_rk <= RowKey < to_rk; None leaves an end open."""
    parts = [f"PartitionKey eq {quoted(pk)}"]
    if from_rk is not None:
        parts.append(f"RowKey ge {quoted(from_rk)}")
    if to_rk is not None:
        parts.append(f"RowKey lt {quoted(to_rk)}")
    return " and ".join(parts)


def key_prefix(pk: str, prefix: str) -> str:
    """Filter for one partition's rows whose RowKey starts with a prefix that is not empty."""
    if not prefix or prefix[-1] >= "\ud7ff":
        raise Invalid(f"not a prefix: {prefix!r} (empty, or ends in a character without a successor)")
    return key_range(pk, prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1))

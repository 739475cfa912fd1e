"""Table rows: typed values to and from JSON, within the service's limits.

Limits (the service's; an emulator may not enforce them): an entity 1 MiB and 252 own properties, a string 32 Ki UTF-16
characters, a binary 64 KiB, a property name 255 characters and an identifier.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from azurerest.errors import Invalid, TooLarge, Unanswered
from azurerest.names import check_key, utf16_units
from azurerest.odata import INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, format_datetime, parse_datetime

MAX_ENTITY_BYTES: Final = 1024 * 1024
MAX_PROPERTIES: Final = 252
MAX_STRING_UNITS: Final = 32 * 1024
MAX_BINARY_BYTES: Final = 64 * 1024
_MAX_NAME = 255
_RESERVED = frozenset(("PartitionKey", "RowKey", "Timestamp"))

Value = str | int | float | bool | bytes | datetime
"""Edm.String, Edm.Int32 or Edm.Int64 (by size), Edm.Double, Edm.Boolean, Edm.Binary, Edm.DateTime.

An Edm.Guid of another writer is read as its text.
"""
Props = Mapping[str, Value]

# ASCII only: Azurite decodes a request piece by piece and spoils a character that a piece boundary cuts.
to_json: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode


class Entity(NamedTuple):
    """A row as it was read.

    timestamp: the service's last write of the row. read_at: the service's Date of the answer, epoch seconds.
    """

    pk: str
    rk: str
    etag: str
    timestamp: datetime
    props: dict[str, Value]
    read_at: float

    @property
    def age(self) -> float:
        """Seconds between the last write and the reading, both by the service's clock."""
        return max(0.0, self.read_at - self.timestamp.timestamp())


def encode(pk: str, rk: str, props: Props) -> str:
    """JSON of an entity, checked. Raises Invalid, TooLarge."""
    if len(props) > MAX_PROPERTIES:
        raise TooLarge(f"entity {rk!r} has {len(props)} properties, more than {MAX_PROPERTIES}")
    out: dict[str, Any] = {"PartitionKey": pk, "RowKey": rk}
    size = 4 + 2 * (utf16_units(check_key("PartitionKey", pk)) + utf16_units(check_key("RowKey", rk)))
    for name, value in props.items():
        if not name.isidentifier() or len(name) > _MAX_NAME or name in _RESERVED:
            raise Invalid(f"not a property name: {name!r}")
        encoder = _ENCODERS.get(type(value)) or _encoder_of(name, value)
        size += 8 + 2 * len(name) + encoder(name, value, out)
    if size > MAX_ENTITY_BYTES:
        raise TooLarge(f"entity {rk!r} takes {size} bytes, more than {MAX_ENTITY_BYTES}")
    return to_json(out)


def _encode_str(name: str, value: str, out: dict[str, Any]) -> int:
    units = utf16_units(value)
    if units > MAX_STRING_UNITS:
        raise TooLarge(f"property {name!r} has {units} characters, more than {MAX_STRING_UNITS}")
    out[name] = value
    return 4 + 2 * units


def _encode_bool(name: str, value: bool, out: dict[str, Any]) -> int:
    out[name] = value
    return 1


def _encode_int(name: str, value: int, out: dict[str, Any]) -> int:
    if INT32_MIN <= value <= INT32_MAX:
        out[name] = int(value)
        return 4
    if not INT64_MIN <= value <= INT64_MAX:
        raise Invalid(f"property {name!r}: {value} does not fit in 64 bits")
    out[name + "@odata.type"] = "Edm.Int64"
    out[name] = str(int(value))
    return 8


def _encode_float(name: str, value: float, out: dict[str, Any]) -> int:
    out[name + "@odata.type"] = "Edm.Double"
    if math.isfinite(value):
        out[name] = float(value)
    else:
        out[name] = "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return 8


def _encode_bytes(name: str, value: bytes, out: dict[str, Any]) -> int:
    if len(value) > MAX_BINARY_BYTES:
        raise TooLarge(f"property {name!r} has {len(value)} bytes, more than {MAX_BINARY_BYTES}")
    out[name + "@odata.type"] = "Edm.Binary"
    out[name] = base64.b64encode(value).decode("ascii")
    return 4 + len(value)


def _encode_datetime(name: str, value: datetime, out: dict[str, Any]) -> int:
    out[name + "@odata.type"] = "Edm.DateTime"
    out[name] = format_datetime(value)
    return 8


_ENCODERS: dict[type, Callable[[str, Any, dict[str, Any]], int]] = {
    str: _encode_str,
    bool: _encode_bool,
    int: _encode_int,
    float: _encode_float,
    bytes: _encode_bytes,
    datetime: _encode_datetime,
}


def _encoder_of(name: str, value: object) -> Callable[[str, Any, dict[str, Any]], int]:
    """For subclasses, such as string enumerations."""
    for kind, encoder in _ENCODERS.items():
        if isinstance(value, kind):
            return encoder
    raise Invalid(f"property {name!r}: a {type(value).__name__} cannot be stored")


_DECODERS: dict[str, Callable[[Any], Value]] = {
    "Edm.Int64": int,
    "Edm.Double": float,
    "Edm.Binary": base64.b64decode,
    "Edm.DateTime": parse_datetime,
    "Edm.Guid": str,
    "Edm.Int32": int,
    "Edm.String": str,
    "Edm.Boolean": bool,
}


def decode(data: dict[str, Any], read_at: float) -> Entity:
    """An entity of a JSON answer with minimal metadata. Raises Unanswered when it is none."""
    try:
        props: dict[str, Value] = {}
        for name, value in data.items():
            if "odata." in name or value is None:
                continue
            edm = data.get(name + "@odata.type")
            props[name] = value if edm is None else _DECODERS[edm](value)
        stamp = props.pop("Timestamp")
        return Entity(
            pk=str(props.pop("PartitionKey")),
            rk=str(props.pop("RowKey")),
            etag=data["odata.etag"],
            timestamp=stamp if isinstance(stamp, datetime) else parse_datetime(str(stamp)),
            props=props,
            read_at=read_at,
        )
    except (KeyError, ValueError, TypeError) as fault:
        raise Unanswered(f"the service's entity cannot be read: {fault!r}") from fault

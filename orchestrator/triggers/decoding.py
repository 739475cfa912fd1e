"""From text to typed values, strictly, with the place of every fault named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from orchestrator.core.errors import InvalidRequest, TooLarge, UserError
from orchestrator.core.names import suggestion

T = TypeVar("T")

_NAMED = re.compile(r"(missing required|contains unknown) field `([^`]*)`")
_IGNORED = ("code", "clientid")
"""Query parameters that belong to the Functions host: its keys may travel in them."""


class UnsupportedMediaType(UserError):
    status = 415
    code = "UnsupportedMediaType"


def decode_body(data: bytes, headers: Mapping[str, str], wanted: type[T], *, most_bytes: int) -> T:
    """The JSON body. Raises TooLarge, UnsupportedMediaType, and InvalidRequest naming the field."""
    if len(data) > most_bytes:
        raise TooLarge(f"The request body has {len(data):,} bytes; at most {most_bytes:,} are taken.", field="body")
    kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType(f"Send JSON with Content-Type: application/json, not {kind[:60]}.", field="body")
    if not data.strip():
        raise InvalidRequest("The request has no body; a JSON object is expected.", field="body")
    try:
        return msgspec.json.decode(data, type=wanted)
    except msgspec.ValidationError as error:
        raise invalid(error, wanted) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}.", field="body") from None
    except RecursionError:
        raise InvalidRequest("The request body is nested too deeply.", field="body") from None


def decode_query(given: Mapping[str, str], wanted: type[T]) -> T:
    """The query. Raises InvalidRequest naming the parameter."""
    query: dict[str, Any] = {name: value for name, value in given.items() if name not in _IGNORED}
    try:
        return msgspec.convert(query, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(error, wanted) from None


def invalid(error: msgspec.ValidationError, wanted: type[Any]) -> InvalidRequest:
    """Our error for a decoder's: its text ends in ` - at `$.steps[0].name`` and may name a field before that."""
    text, _, place = str(error).partition(" - at `")
    path = place.rstrip("`").lstrip("$").lstrip(".")
    hint = ""
    if named := _NAMED.search(text):
        known = [spec.encode_name for spec in msgspec.structs.fields(wanted)]
        hint = f" {suggestion(named[2], known, 'fields')}" if "unknown" in named[1] and not path else ""
        path = f"{path}.{named[2]}" if path else named[2]
    field = path or "body"
    return InvalidRequest(f"{text} (at {field}).{hint}", field=field)

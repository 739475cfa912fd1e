"""From text to typed values, strictly, with the place of every fault named."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar, get_origin
from urllib.parse import parse_qsl, urlsplit

import msgspec

from orchestrator.core.errors import InvalidRequest, TooLarge, UserError
from orchestrator.core.names import suggestion

T = TypeVar("T")

_NAMED = re.compile(r"(missing required|contains unknown) field `([^`]*)`")
_WORD = re.compile(rb"NaN|Infinity")
_TEXT = re.compile(rb'"[^"]*"')
_AS_LISTS = bytes.maketrans(b"{}", b"[]")
_NO_MARKS = bytes(set(range(256)) - set(b'"[]{}'))
DEEPEST = 100
_IGNORED = ("code", "clientid")
"""Query parameters that belong to the Functions host: its keys may travel in them."""


class UnsupportedMediaType(UserError):
    status = 415
    code = "UnsupportedMediaType"


def decode_body(
    data: bytes,
    headers: Mapping[str, str],
    wanted: type[T],
    *,
    most_bytes: int,
    most_deep: int = DEEPEST,
    words: bool = False,
) -> T:
    """The JSON body; with `words`, NaN and Infinity in it become texts.

    Raises TooLarge, UnsupportedMediaType, and InvalidRequest naming the field.
    """
    if len(data) > most_bytes:
        raise TooLarge(f"The request body has {len(data):,} bytes; at most {most_bytes:,} are taken.", field="body")
    kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType(f"Send JSON with Content-Type: application/json, not {kind[:60]}.", field="body")
    if not data.strip():
        raise InvalidRequest("The request has no body; a JSON object is expected.", field="body")
    try:
        decoded = _with_words(data, wanted) if words and _WORD.search(data) else msgspec.json.decode(data, type=wanted)
    except msgspec.ValidationError as error:
        raise invalid(error, wanted) from None
    except (msgspec.DecodeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}.", field="body") from None
    except RecursionError:
        raise _too_deep(most_deep) from None
    if is_deeper(data, most_deep):
        raise _too_deep(most_deep)
    return decoded


def _too_deep(most: int) -> InvalidRequest:
    return InvalidRequest(
        f"The request body is nested too deeply: at most {most} levels are taken (MILLSTREAM_BODY_DEPTH).", field="body"
    )


def is_deeper(document: bytes, most: int) -> bool:
    """Whether lists and objects of this JSON document, which must be valid, are nested more than `most` levels deep.

    Only brackets and the ends of texts are looked at; each turn takes the innermost level away.
    """
    if document.count(b"[") + document.count(b"{") <= most:
        return False
    marks = document.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_AS_LISTS, _NO_MARKS)
    left = _TEXT.sub(b"", marks)
    for _ in range(most):
        left = left.replace(b"[]", b"")
        if not left:
            return False
    return True


def _with_words(data: bytes, wanted: type[T]) -> T:
    return msgspec.convert(json.loads(data, parse_constant=lambda word: word), wanted)


def decode_query(given: Mapping[str, str], wanted: type[T], url: str = "") -> T:
    """The query. Raises InvalidRequest naming the parameter.

    The host hands over one value for each name; those of a parameter that may be repeated are taken from `url`.
    """
    query: dict[str, Any] = {name: value for name, value in given.items() if name not in _IGNORED}
    repeated = _repeated(wanted)
    if repeated & query.keys():
        pairs = parse_qsl(urlsplit(url).query)
        query |= {name: [value for key, value in pairs if key == name] for name in repeated & query.keys()}
    try:
        return msgspec.convert(query, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(error, wanted) from None


def _repeated(wanted: Any) -> set[str]:
    """The names of the fields that are lists."""
    fields = msgspec.structs.fields(wanted)
    return {spec.encode_name for spec in fields if get_origin(getattr(spec.type, "__origin__", None)) is tuple}


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

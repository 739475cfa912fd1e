"""Between wire values and Python values, through the converters of ``azure.functions`` itself.

Rules that the Azure worker adds to those converters live here: parameters annotated ``str`` or ``bytes`` (and binding
types that ``azure.functions`` does not know) take the plain "generic" path.
"""

from __future__ import annotations

import datetime
import json
from http.cookies import Morsel, SimpleCookie
from typing import Any

import azure.functions as func
from azure.functions.meta import Datum as AzureDatum

from devhost import wire

GENERIC = "generic"
_GENERIC_KINDS: tuple[tuple[type, str | None], ...] = (
    (str, "string"),
    (type(None), None),
    (dict, "dict"),
    (list, "list"),
    (int, "int"),
    (float, "double"),
)
_SAME_SITE = {"lax": "Lax", "strict": "Strict", "none": "ExplicitNone"}


class GenericConverter:
    """The path of values that no ``azure.functions`` converter handles: text and bytes as they are."""

    @staticmethod
    def has_trigger_support() -> bool:
        """Generic parameters see no trigger metadata."""
        return False

    @staticmethod
    def check_input_type_annotation(pytype: type) -> bool:
        """Whether an input parameter may be annotated so."""
        return issubclass(pytype, (str, bytes))

    @staticmethod
    def check_output_type_annotation(pytype: type) -> bool:
        """Whether an output parameter may be annotated so."""
        return issubclass(pytype, (str, bytes, bytearray))

    @staticmethod
    def decode(data: AzureDatum | None, *, trigger_metadata: Any) -> Any:  # noqa: ARG004 - a converter's signature
        """The Python value of an input.

        Raises:
            ValueError: the value is of a kind this path does not take.
        """
        if data is None or data.type is None:
            return None
        if data.type in ("string", "bytes", "json"):
            return data.value
        raise ValueError(f"unexpected type of data for a generic binding: {data.type!r}")

    @staticmethod
    def encode(obj: Any, *, expected_type: Any) -> AzureDatum:  # noqa: ARG004 - a converter's signature
        """The value of an output.

        Raises:
            NotImplementedError: no wire kind carries this Python type.
        """
        if isinstance(obj, (bytes, bytearray)):
            return AzureDatum(value=bytes(obj), type="bytes")
        for pytype, kind in _GENERIC_KINDS:
            if isinstance(obj, pytype):
                return AzureDatum(value=obj, type=kind)
        raise NotImplementedError


def converter(binding: str) -> Any:
    """The converter class of a binding type."""
    return func.get_binding_registry().get(binding) or GenericConverter  # type: ignore[no-untyped-call]


def has_implicit_output(binding: str) -> bool:
    """Whether a function with this binding may return a value without a ``$return`` binding."""
    found = converter(binding)
    if found is GenericConverter:
        return binding != "durableClient"
    return bool(getattr(found, "has_implicit_output", lambda: False)())


def decode(binding: str, datum: wire.Datum, metadata: dict[str, wire.Datum]) -> Any:
    """The Python value of one input parameter."""
    found = converter(binding)
    seen = {name: from_wire(value) for name, value in metadata.items()} if found.has_trigger_support() else {}
    return found.decode(from_wire(datum), trigger_metadata=seen)


def encode(binding: str, value: Any, expected: Any) -> wire.Datum | None:
    """The wire value of one output, None when the binding has nothing to write.

    Raises:
        TypeError: the binding does not take a value of this type.
    """
    try:
        datum = converter(binding).encode(value, expected_type=expected)
    except NotImplementedError:
        raise TypeError(f"a {binding!r} binding cannot write a value of type {type(value).__name__!r}") from None
    return to_wire(datum)


def from_wire(datum: wire.Datum) -> AzureDatum | None:
    """The ``azure.functions`` form of a wire value."""
    if not datum.kind:
        return None
    if datum.kind == "http" and datum.request is not None:
        return AzureDatum(value=_request(datum.request), type="http")
    return AzureDatum(value=datum.data if datum.kind == "bytes" else datum.text, type=datum.kind)


def _request(request: wire.HttpIn) -> dict[str, Any]:
    def texts(values: dict[str, str]) -> dict[str, AzureDatum]:
        return {name: AzureDatum(value=value, type="string") for name, value in values.items()}

    return {
        "method": AzureDatum(value=request.method, type="string"),
        "url": AzureDatum(value=request.url, type="string"),
        "headers": texts(request.headers),
        "query": texts(request.query),
        "params": texts(request.params),
        "body": AzureDatum(value=request.body, type="bytes"),
    }


def to_wire(datum: Any) -> wire.Datum | None:
    """The wire form of a value that a converter encoded.

    Raises:
        NotImplementedError: the kind cannot leave the worker.
    """
    kind = datum.type
    if kind is None:
        return None
    if kind in ("string", "json"):
        return wire.Datum(kind=kind, text=datum.value)
    if kind == "bytes":
        return wire.blob(datum.value)
    if kind in ("dict", "list"):
        return wire.json(json.dumps(datum.value))
    if kind == "int":
        return wire.Datum(kind="int", text=str(int(datum.value)))
    if kind == "double":
        return wire.Datum(kind="double", text=repr(datum.value))
    if kind == "http":
        return wire.Datum(kind="http", response=_response(datum.value))
    raise NotImplementedError(f"a value of kind {kind!r} cannot leave the worker")


def _response(value: dict[str, Any]) -> wire.HttpOut:
    cookies = value.get("cookies")
    body = value["body"].value
    return wire.HttpOut(
        status=value["status_code"].value,
        headers={name: header.value for name, header in value["headers"].items()},
        cookies=None if cookies is None else _cookies(cookies),
        body=body.encode() if isinstance(body, str) else body,
    )


def _cookies(jars: list[SimpleCookie]) -> list[wire.Cookie]:
    return [_cookie(name, morsel) for jar in jars for name, morsel in jar.items()]


def _cookie(name: str, morsel: Morsel[str]) -> wire.Cookie:
    max_age = morsel["max-age"]
    return wire.Cookie(
        name=name,
        value=morsel.value,
        domain=morsel["domain"],
        path=morsel["path"],
        expires=_expires(morsel["expires"]),
        secure=bool(morsel["secure"]),
        http_only=bool(morsel["httponly"]),
        same_site=_SAME_SITE.get(str(morsel["samesite"]).lower(), "None"),
        max_age=_number(max_age) if max_age not in ("", None) else None,
    )


def _number(text: Any) -> float:
    try:
        return float(text)
    except ValueError:
        raise TypeError(f"cookie.maxAge must be a number, got {text!r}") from None


def _expires(text: str) -> int | None:
    if not text:
        return None
    # The Azure worker reads this as a naive local time; both sides run in UTC on Azure.
    return int(datetime.datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").timestamp())

"""The frames host and worker exchange, as msgpack values.

One trust domain, one version: both ends are always started from the same source tree, so the frames carry no version.
"""

from __future__ import annotations

from typing import Any

import msgspec


class HttpIn(msgspec.Struct, frozen=True, array_like=True):
    """An HTTP request as the trigger hands it over. Header names are lower case."""

    method: str
    url: str
    headers: dict[str, str]
    query: dict[str, str]
    params: dict[str, str]
    body: bytes


class Cookie(msgspec.Struct, frozen=True, array_like=True):
    """One Set-Cookie of a response; None means the attribute was not given. ``expires`` is epoch seconds."""

    name: str
    value: str
    domain: str | None
    path: str | None
    expires: int | None
    secure: bool | None
    http_only: bool | None
    same_site: str
    max_age: float | None


class HttpOut(msgspec.Struct, frozen=True, array_like=True):
    """An HTTP response as the function returned it. ``status`` is text, as the Python worker sends it."""

    status: str
    headers: dict[str, str]
    cookies: list[Cookie] | None
    body: bytes


class Datum(msgspec.Struct, frozen=True, array_like=True):
    """One typed value. ``kind`` names the field that carries it.

    Kinds: ``string`` and ``json`` (``text``), ``bytes`` (``data``), ``int`` and ``double`` (``text``), ``http``
    (``request`` or ``response``), and the empty string for "no value".
    """

    kind: str
    text: str = ""
    data: bytes = b""
    request: HttpIn | None = None
    response: HttpOut | None = None


NOTHING = Datum(kind="")


def string(text: str) -> Datum:
    """A ``string`` datum."""
    return Datum(kind="string", text=text)


def json(text: str) -> Datum:
    """A ``json`` datum; ``text`` is the JSON text."""
    return Datum(kind="json", text=text)


def blob(data: bytes) -> Datum:
    """A ``bytes`` datum."""
    return Datum(kind="bytes", data=data)


class Retry(msgspec.Struct, frozen=True, array_like=True):
    """Where an invocation stands in its function's retry policy."""

    count: int
    limit: int
    error: str


class Invoke(msgspec.Struct, frozen=True, array_like=True, tag="invoke"):
    """Host to worker: run a function."""

    id: str
    function: str
    inputs: list[tuple[str, Datum]]
    metadata: dict[str, Datum]
    retry: Retry | None = None


class IndexedFunction(msgspec.Struct, frozen=True):
    """One function as the worker indexed it. ``bindings`` are the function.json entries."""

    name: str
    bindings: list[dict[str, Any]]
    retry: dict[str, Any] | None


class Ready(msgspec.Struct, frozen=True, array_like=True, tag="ready"):
    """Worker to host: the app is loaded."""

    functions: list[IndexedFunction]


class Broken(msgspec.Struct, frozen=True, array_like=True, tag="broken"):
    """Worker to host: the app cannot be loaded."""

    message: str
    trace: str


class Done(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """Worker to host: an invocation ended. ``error`` is empty on success."""

    id: str
    error: str
    trace: str
    result: Datum | None
    outputs: list[tuple[str, Datum]]

    @property
    def ok(self) -> bool:
        """True when the function succeeded."""
        return not self.error


class Log(msgspec.Struct, frozen=True, array_like=True, tag="log"):
    """Worker to host: a log record of the user's code. ``invocation`` is empty outside of one."""

    invocation: str
    level: int
    logger: str
    text: str


FromWorker = Ready | Broken | Done | Log

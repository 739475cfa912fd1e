"""HTTP requests as trigger values, and what a function returned as HTTP responses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, quote

from devhost import wire
from devhost.expressions import json_fields
from devhost.runner import TriggerValue

_SAME_SITE = {"Lax": "lax", "Strict": "strict", "ExplicitNone": "none"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request. ``path`` and ``query`` are as sent (percent-encoded); header names are lower case."""

    method: str
    scheme: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def parameters(self) -> dict[str, str]:
        """Query parameters; repeated ones joined by a comma, empty ones dropped, as the host sends them on."""
        return joined(parse_qsl(self.query))

    @property
    def key(self) -> str:
        """The access key given, or the empty text: the header wins over ``?code=``."""
        return self.headers.get("x-functions-key") or self.parameters.get("code", "")

    @property
    def url(self) -> str:
        """The whole URL as the client named it."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.headers.get('host', 'localhost')}{self.path}{query}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One HTTP response."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names with their values, repeated ones joined by a comma."""
    found: dict[str, str] = {}
    for name, value in pairs:
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def json_response(status: int, value: Any) -> Response:
    """A response with a JSON body."""
    headers = (("content-type", "application/json; charset=utf-8"),)
    return Response(status=status, headers=headers, body=json.dumps(value).encode())


def http_value(request: Request, params: dict[str, str]) -> TriggerValue:
    """The trigger value of a request whose route gave ``params``."""
    query = request.parameters
    datum = wire.Datum(
        kind="http",
        request=wire.HttpIn(
            method=request.method,
            url=request.url,
            headers=dict(request.headers),
            query=query,
            params=params,
            body=request.body,
        ),
    )
    data = {**json_fields(request.body), **query, **params, "Query": query, "Headers": dict(request.headers)}
    return TriggerValue(datum=datum, data=data)


def http_response(value: wire.Datum | None) -> Response:
    """The response for what an HTTP function gave: a response, a bare text, or nothing at all."""
    if value is None or not value.kind:
        return Response(status=204)
    if value.response is not None:
        return _from_http(value.response)
    if value.kind == "bytes":
        return Response(status=200, headers=(("content-type", "application/octet-stream"),), body=value.data)
    kind = "application/json" if value.kind == "json" else "text/plain"
    return Response(status=200, headers=(("content-type", f"{kind}; charset=utf-8"),), body=value.text.encode())


def _from_http(response: wire.HttpOut) -> Response:
    status = int(response.status) if response.status.isdigit() else 0
    if not 200 <= status <= 599:
        return Response(status=500)
    headers = [(name, value) for name, value in response.headers.items() if name.lower() not in _FRAMING]
    headers.extend(("set-cookie", cookie_header(cookie)) for cookie in response.cookies or ())
    return Response(status=status, headers=tuple(headers), body=response.body)


# The server writes these itself; a second copy would break the message.
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "date"})


def cookie_header(cookie: wire.Cookie) -> str:
    """The Set-Cookie value as ASP.NET writes it: the value percent-encoded, attributes in lower case."""
    parts = [f"{cookie.name}={quote(cookie.value, safe='')}"]
    if cookie.expires is not None:
        parts.append(f"expires={formatdate(cookie.expires, usegmt=True)}")
    if cookie.max_age is not None:
        parts.append(f"max-age={int(cookie.max_age)}")
    if cookie.domain:
        parts.append(f"domain={cookie.domain}")
    parts.append(f"path={cookie.path or '/'}")
    if cookie.secure:
        parts.append("secure")
    if cookie.same_site in _SAME_SITE:
        parts.append(f"samesite={_SAME_SITE[cookie.same_site]}")
    if cookie.http_only:
        parts.append("httponly")
    return "; ".join(parts)

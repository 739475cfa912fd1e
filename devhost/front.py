"""Which part of the host answers a request: a function, the admin routes, a webhook, or the home page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from devhost.http_functions import HttpFunctions
from devhost.http_values import Request, Response

Part = Callable[[Request], Awaitable[Response | None]]
_HOME = Response(
    status=200,
    headers=(("content-type", "text/html; charset=utf-8"),),
    body=b"<!doctype html><title>Functions</title><p>Your function app is up and running.</p>",
)


class Front:
    """Asks each part in turn. While ``closed``, everything but the admin routes is refused with 503."""

    def __init__(self, functions: HttpFunctions, admin: Part, webhooks: Part) -> None:
        self._functions = functions
        self._admin = admin
        self._webhooks = webhooks
        self.closed = False

    async def answer(self, request: Request) -> Response:
        """The response to any request."""
        first = request.path.strip("/").partition("/")[0].lower()
        if first == "admin":
            return await self._admin(request) or Response(status=404)
        if self.closed:
            return Response(status=503)
        if first == "runtime":
            return await self._webhooks(request) or Response(status=404)
        found = await self._functions.answer(request)
        if found is not None:
            return found
        return _HOME if first == "" and request.method in ("GET", "HEAD") else Response(status=404)

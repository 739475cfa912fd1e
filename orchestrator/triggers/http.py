"""The HTTP-triggered functions: one for each route.

The host is told ANONYMOUS and lets everyone in; the dispatcher authorises each request itself, so that the answer to a
wrong token is the same everywhere.

With functions keys the host is told FUNCTION for the routes that ask for a role: it lets nobody in there without a key.
The scripts of steps have none: the routes that they may use are there a second time, ANONYMOUS, below `in-step/api`,
where the dispatcher takes run tokens and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import azure.functions as func

from orchestrator import logs
from orchestrator.triggers import blueprints
from orchestrator.triggers.auth import KEY_HEADER
from orchestrator.triggers.dispatch import REQUEST_ID, Answer, Dispatcher, Request
from orchestrator.triggers.outbox import Outbox, send, sends
from orchestrator.triggers.routes import PREFIX, Route


def blueprint(
    dispatcher: Dispatcher, routes: Iterable[Route], queue: str, *, keys: bool = False, door: str = ""
) -> func.Blueprint:
    """A function for each route; those that start runs send the first messages by output bindings, on `queue` and
    the one beside it.

    keys: the host asks for one, where a role is asked for. door: the folder below /api that all of it lies in.
    """
    functions = blueprints.blueprint()
    for route in routes:
        handler = _sender(dispatcher, route) if route.sends else _answerer(dispatcher, route)
        if route.sends:
            handler = sends(functions, queue)(handler)
        level = func.AuthLevel.FUNCTION if keys and route.role is not None else func.AuthLevel.ANONYMOUS
        path = f"{door}{PREFIX}{route.path}" if door else route.path
        handler = functions.route(route=path, methods=[route.method], auth_level=level)(handler)
        functions.function_name(f"{door.replace('-', '_') or 'http'}_{route.name}")(handler)
    return functions


def _answerer(dispatcher: Dispatcher, route: Route) -> Callable[..., func.HttpResponse]:
    def answer(req: func.HttpRequest) -> func.HttpResponse:
        return _response(dispatcher.answer(route, _request(req)))

    return answer


def _sender(dispatcher: Dispatcher, route: Route) -> Callable[..., func.HttpResponse]:
    def answer(req: func.HttpRequest, outbox: Outbox, urgent: Outbox) -> func.HttpResponse:
        made = dispatcher.answer(route, _request(req))
        with logs.about(request=made.headers[REQUEST_ID], route=route.name):
            send(dispatcher.service, outbox, urgent, made.messages)
        return _response(made)

    return answer


def _request(req: func.HttpRequest) -> Request:
    headers = {name.lower(): value for name, value in req.headers.items()}
    if code := req.params.get("code"):
        headers.setdefault(KEY_HEADER, code)
    return Request(
        url=req.url,
        path=dict(req.route_params),
        query=dict(req.params),
        headers=headers,
        body=req.get_body(),
    )


def _response(made: Answer) -> func.HttpResponse:
    # The charset is part of the content type already.
    mimetype, _, charset = made.content_type.partition("; charset=")
    return func.HttpResponse(
        body=made.body,
        status_code=made.status,
        headers=dict(made.headers),
        mimetype=mimetype,
        charset=charset or "utf-8",
    )

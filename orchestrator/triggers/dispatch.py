"""From a request to an answer: authorise, check, decode, handle, encode. Every error gets the one JSON shape."""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from orchestrator import logs
from orchestrator.core.errors import InvalidDefinition, MillstreamError, TooManyRequests, Unauthorized
from orchestrator.core.message import StepMessage
from orchestrator.core.names import RUN_ID
from orchestrator.triggers.auth import Authorizer, Principal
from orchestrator.triggers.decoding import decode_body, decode_query
from orchestrator.triggers.rights import admit, admit_change
from orchestrator.triggers.routes import PREFIX, Asked, Octets, Reply, Route, Service
from orchestrator.triggers.throttle import Throttles

log = logging.getLogger("millstream.http")

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
OCTETS = "application/octet-stream"
REQUEST_ID = "X-Request-Id"
"""The header of every answer that says by which id the log knows the request."""
_ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class ProblemBody(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with a pipeline: where, what, and how to mend it. `severity` is "error" or "warning"."""

    code: str
    field: str
    message: str
    fix: str
    severity: str


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`code` is stable, `message` says what to do, `field` names the culprit. `problems` only for InvalidDefinition.

    `incident`, on a fault of the service, is what to look for in its log.
    """

    code: str
    message: str
    field: str | None
    problems: tuple[ProblemBody, ...] = ()
    incident: str = ""


class VersionOneError(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """An error under the names of version 1. `Target` is the field."""

    code: str
    message: str
    target: str | None


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """What every error looks like. On the routes of version 1 it is there a second time, as `Error`."""

    error: ErrorDetail
    again: VersionOneError | msgspec.UnsetType = msgspec.field(name="Error", default=msgspec.UNSET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as the host hands it over; header names in lower case, `url` whole."""

    url: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: bytes
    content_type: str
    headers: Mapping[str, str]
    messages: tuple[StepMessage, ...] = ()


class Dispatcher:
    """Answers requests for routes. `door`: the folder below /api in which they lie, if they lie in one. Thread-safe."""

    def __init__(
        self,
        service: Service,
        authorizer: Authorizer,
        *,
        door: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` is steady, in seconds."""
        self.service = service
        self._authorizer = authorizer
        self._door = f"{PREFIX}{door}" if door else ""
        self._throttles = Throttles(service.settings, clock)

    def answer(self, route: Route, request: Request) -> Answer:
        """Never raises: an unexpected fault is logged, and answered with the request's id, by which the log is found.

        What is logged on the way has that id, too, and who calls, and the run that the path names.
        """
        number = secrets.token_hex(6)
        with logs.about(request=number, route=route.name):
            if RUN_ID.allows(run := request.path.get("run_id", "")):
                logs.learn(run=run)
            made = self._answer(route, request, number)
        return replace(made, headers={**made.headers, REQUEST_ID: number})

    def _answer(self, route: Route, request: Request, number: str) -> Answer:
        try:
            return _success(self._reply(route, request))
        except Unauthorized as error:
            return _failure(route, self._throttles.refuse(error, request.headers), number)
        except MillstreamError as error:
            return _failure(route, error, number)
        except Exception:  # noqa: BLE001 - the edge of the service: beyond it there is only the host's bare 500
            return _fault(route, number)

    def _reply(self, route: Route, request: Request) -> Reply:
        principal: Principal | None = None
        if route.role is not None:
            principal = self._authorizer.authorize(request.headers)
            logs.learn(caller=principal.name)
            self._throttles.admit(principal.name)
            admit(principal, route, request.path)
        asked = self._asked(request, principal)
        if principal is not None and route.changes_run:
            admit_change(self.service, principal, route, asked)
        decoded: dict[str, Any] = {}
        if route.query is not None:
            decoded["query"] = decode_query(request.query, route.query, request.url)
        if route.body is not None:
            limits = self.service.settings
            most = limits.definition_bytes if route.large else limits.body_bytes
            decoded["body"] = decode_body(
                request.body,
                request.headers,
                route.body,
                most_bytes=most,
                most_deep=limits.body_depth,
                words=route.words,
            )
        if route.data:
            decoded["data"] = request.body
        return route.handle(self.service, asked, **decoded)

    def _asked(self, request: Request, principal: Principal | None) -> Asked:
        base = self.service.settings.public_url or request.url.partition(PREFIX)[0]
        return Asked(
            path=request.path,
            headers=request.headers,
            base_url=f"{base}{self._door}",
            caller=principal.name if principal else "",
            script=principal.script if principal else None,
        )


def _success(reply: Reply) -> Answer:
    plain = isinstance(reply.body, bytes)
    kind = OCTETS if isinstance(reply.body, Octets) else TEXT if plain else JSON
    return Answer(
        status=reply.status,
        body=reply.body if plain else msgspec.json.encode(reply.body),
        content_type=kind,
        headers={**_ALWAYS, **reply.headers},
        messages=reply.messages,
    )


def _failure(route: Route, error: MillstreamError, number: str) -> Answer:
    if error.status == 500:
        return _fault(route, number)
    problems: tuple[ProblemBody, ...] = ()
    if isinstance(error, InvalidDefinition):
        problems = tuple(msgspec.convert(problem, ProblemBody, from_attributes=True) for problem in error.problems)
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}.get(error.status, {})
    if isinstance(error, TooManyRequests):
        headers = {"Retry-After": str(math.ceil(error.retry_after))}
    if error.status >= 500:
        log.warning("request not served: %s %s: %s: %s", route.method, route.path, error.code, error.message)
    detail = ErrorDetail(code=error.code, message=error.message, field=error.field, problems=problems)
    return _error(route, error.status, detail, headers)


def _fault(route: Route, incident: str) -> Answer:
    log.exception("incident %s: unexpected fault in %s %s", incident, route.method, route.path)
    message = f"The service has failed. Its log says why, under the incident {incident}."
    return _error(route, 500, ErrorDetail(code="InternalError", message=message, field=None, incident=incident), {})


def _error(route: Route, status: int, detail: ErrorDetail, headers: Mapping[str, str]) -> Answer:
    body = ErrorBody(error=detail)
    if route.version_1:
        again = VersionOneError(code=detail.code, message=detail.message, target=detail.field)
        body = ErrorBody(error=detail, again=again)
    return Answer(status=status, body=msgspec.json.encode(body), content_type=JSON, headers={**_ALWAYS, **headers})

"""A route as data: what is asked, what is answered, who may, and the few lines that do it.

    @route("GET", "runs", answer=RunList, role=Role.READER, summary="List runs")
    def list_runs(service: Service, asked: Asked, query: RunsQuery) -> Reply:
        '''What the API document says of it.'''

A handler that names a parameter `query` or `body` is given the query or the JSON body, decoded strictly to the type it
is annotated with; one that names `data` is given the body as bytes. The Functions host, the tests and the OpenAPI
document all work from the same routes.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from orchestrator.core.message import StepMessage
from orchestrator.core.run_token import RunToken
from orchestrator.triggers.auth import Role
from orchestrator.triggers.service import Service

PREFIX = "/api/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The parts of a request that are not decoded. `base_url` is the service's own, without a slash at the end.

    `caller`: the name of who calls, "" where nobody is asked for it. `script`: the attempt of a step whose script
    calls, if one does.
    """

    path: Mapping[str, str]
    headers: Mapping[str, str]
    base_url: str
    caller: str = ""
    script: RunToken | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`body` is a struct, answered as JSON, or bytes, answered as they are. `messages` go to the step queue first."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    messages: tuple[StepMessage, ...] = ()


class Octets(bytes):
    """The body of an answer that is no text."""


Handler = Callable[..., Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`path` is below /api/, with {names}, the last of which may be {*all that follows}. `role` None: open to all.
    `answers`: status -> type, bytes for plain text, Octets for others.

    `large`: the body may hold a definition. `words`: it may hold NaN and Infinity, as Python writes them, which arrive
    as texts. `sends`: replies may carry messages. `changes_run`: it changes the run that
    its path names, which a SUBMITTER may only if it has started it. `errors`: statuses besides those that any route of
    its kind can answer with.
    """

    name: str
    method: str
    path: str
    summary: str
    description: str
    group: str
    role: Role | None
    answers: Mapping[int, Any]
    errors: tuple[int, ...]
    query: type[Any] | None
    body: type[Any] | None
    data: bool
    headers: Mapping[str, str]
    example: Any
    large: bool
    words: bool
    sends: bool
    changes_run: bool
    handle: Handler

    @property
    def version_1(self) -> bool:
        """Whether it answers in the casing of version 1."""
        return self.group == "v1"

    @property
    def address(self) -> str:
        """`path`, every name written alike."""
        return self.path.replace("{*", "{")

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path."""
        return tuple(re.findall(r"\{(\w+)\}", self.address))


def route(
    method: str,
    path: str,
    *,
    summary: str,
    role: Role | None,
    answers: Mapping[int, Any],
    errors: tuple[int, ...] = (),
    headers: Mapping[str, str] | None = None,
    example: Any = None,
    large: bool = False,
    words: bool = False,
    sends: bool = False,
    changes_run: bool = False,
) -> Callable[[Handler], Route]:
    """Make a Route of a handler; its docstring becomes the description. `headers`: those the caller may send."""

    def decorate(handle: Handler) -> Route:
        hints = get_type_hints(handle)
        return Route(
            name=handle.__name__,
            method=method,
            path=path,
            summary=summary,
            description=inspect.cleandoc(handle.__doc__ or ""),
            group=handle.__module__.rpartition("http_")[2],
            role=role,
            answers=answers,
            errors=errors,
            query=hints.get("query"),
            body=hints.get("body"),
            data="data" in hints,
            headers=headers or {},
            example=example,
            large=large,
            words=words,
            sends=sends,
            changes_run=changes_run,
            handle=handle,
        )

    return decorate


__all__ = ["PREFIX", "Asked", "Handler", "Octets", "Reply", "Role", "Route", "Service", "route"]

"""The ``/admin`` routes: status, ping, drain, and running a function by hand. All but ping take the master key."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from devhost.http_values import Request, Response, json_response
from devhost.index import FunctionSpec
from devhost.keys import Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class HostControls:
    """What the routes may do with the host."""

    state: Callable[[], str]
    drain: Callable[[], None]
    outstanding: Callable[[], int]
    run: Callable[[FunctionSpec, str], None]


class Admin:
    """Answers the admin routes."""

    def __init__(self, host_id: str, specs: Mapping[str, FunctionSpec], keys: Keys, controls: HostControls) -> None:
        self._host_id = host_id
        self._specs = {name.lower(): spec for name, spec in specs.items()}
        self._keys = keys
        self._controls = controls

    async def answer(self, request: Request) -> Response | None:
        """The response, None for an unknown route."""
        parts = [part.lower() for part in request.path.strip("/").split("/")[1:]]
        if parts == ["host", "ping"] and request.method in ("GET", "POST"):
            return Response(status=200)
        if not self._keys.is_master(request.key):
            return Response(status=401)
        if parts == ["host", "status"] and request.method == "GET":
            return json_response(200, {"id": self._host_id, "state": self._controls.state(), "version": "4.local"})
        if parts == ["host", "drain"] and request.method == "POST":
            self._controls.drain()
            return Response(status=202)
        if parts == ["host", "drain", "status"] and request.method == "GET":
            outstanding = self._controls.outstanding()
            state = "Disabled" if self._controls.state() == "Running" else "InProgress" if outstanding else "Completed"
            return json_response(200, {"state": state, "outstandingInvocations": outstanding})
        if parts == ["functions"] and request.method == "GET":
            return json_response(200, [_described(spec) for spec in self._specs.values()])
        if len(parts) == 2 and parts[0] == "functions":
            return self._function(request, parts[1])
        return None

    def _function(self, request: Request, name: str) -> Response:
        spec = self._specs.get(name)
        if spec is None:
            return Response(status=404)
        if request.method == "GET":
            return json_response(200, _described(spec))
        if request.method != "POST":
            return Response(status=405)
        given = _input(request.body)
        if given is None:
            return Response(status=400)
        self._controls.run(spec, given)
        return Response(status=202)


def _input(body: bytes) -> str | None:
    """The text of ``{"input": ...}``, None when the body is not such an object."""
    try:
        document = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    given = document.get("input", "")
    return given if isinstance(given, str) else json.dumps(given)


def _described(spec: FunctionSpec) -> dict[str, Any]:
    return {"name": spec.name, "trigger": spec.kind, "isDisabled": spec.disabled}

"""HTTP triggers: routing, keys, throttling, and the call itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from devhost.hostjson import HttpOptions
from devhost.http_values import Request, Response, http_response, http_value
from devhost.index import FunctionSpec, HttpTrigger
from devhost.keys import Keys
from devhost.routes import Route, compile_route
from devhost.runner import Outcome, Runner, TriggerValue

_IO_THREADS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    spec: FunctionSpec
    trigger: HttpTrigger
    route: Route


class HttpFunctions:
    """Answers requests to the app's HTTP functions, on the server's event loop."""

    def __init__(self, specs: Sequence[FunctionSpec], options: HttpOptions, keys: Keys, runner: Runner) -> None:
        self._entries = [_entry(spec, options.route_prefix) for spec in specs if isinstance(spec.trigger, HttpTrigger)]
        self._options = options
        self._keys = keys
        self._runner = runner
        self._outstanding = 0
        self._slots = asyncio.Semaphore(options.max_concurrent) if options.max_concurrent > 0 else None
        self._threads = ThreadPoolExecutor(_IO_THREADS, thread_name_prefix="http")

    async def answer(self, request: Request) -> Response | None:
        """The response, or None when no function has this route and method."""
        found = self._find(request)
        if found is None:
            return None
        entry, params = found
        if entry.spec.disabled and not self._keys.is_master(request.key):
            return Response(status=404)
        if not self._keys.opens(entry.trigger.auth_level, entry.spec.name, request.key):
            return Response(status=401)
        limit = self._options.max_outstanding
        if 0 <= limit <= self._outstanding:
            return Response(status=429)
        self._outstanding += 1
        try:
            return await self._throttled(entry.spec, http_value(request, params))
        finally:
            self._outstanding -= 1

    def _find(self, request: Request) -> tuple[_Entry, dict[str, str]] | None:
        for entry in self._entries:
            if entry.trigger.methods and request.method not in entry.trigger.methods:
                continue
            params = entry.route.match(request.path)
            if params is not None:
                return entry, params
        return None

    async def _throttled(self, spec: FunctionSpec, value: TriggerValue) -> Response:
        if self._slots is None:
            return _response(await self._call(spec, value))
        async with self._slots:
            return _response(await self._call(spec, value))

    async def _call(self, spec: FunctionSpec, value: TriggerValue) -> Outcome:
        if spec.does_io:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._runner.run, spec, value)
        started = self._runner.start(spec, value, [])
        # finish() reads the answer again, and reports a failure; it cannot block any more.
        await asyncio.wait([asyncio.wrap_future(started.answer)])
        return self._runner.finish(spec, value, started)


def _entry(spec: FunctionSpec, prefix: str) -> _Entry:
    trigger = spec.trigger
    assert isinstance(trigger, HttpTrigger)
    template = "/".join(part for part in (prefix, trigger.route) if part)
    return _Entry(spec=spec, trigger=trigger, route=compile_route(template))


def _response(outcome: Outcome) -> Response:
    return http_response(outcome.response) if outcome.ok else Response(status=500)

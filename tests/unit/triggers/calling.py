"""Calls the routes without a host: the same dispatcher over a world in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from orchestrator.adapters.memory import MemoryWorld
from orchestrator.adapters.memory_files import MemoryFiles
from orchestrator.adapters.sealing import Sealing
from orchestrator.catalog.submissions import Submitter, WebhookRules
from orchestrator.changes.intake import Intake
from orchestrator.core.message import StepMessage
from orchestrator.engine.memory import ProcessMemory
from orchestrator.files import SYSTEM
from orchestrator.settings import Settings, read
from orchestrator.triggers import openapi
from orchestrator.triggers.api import ROUTES
from orchestrator.triggers.auth import Authorizer, TokenAuthorizer
from orchestrator.triggers.dispatch import Dispatcher, Request
from orchestrator.triggers.routes import Route
from orchestrator.triggers.service import Service
from worker.equipment import engine_settings

TOKEN = "correct horse"
SNAPSHOT = "a" * 64


class Called(NamedTuple):
    status: int
    json: Any
    headers: Mapping[str, str]
    text: bytes
    messages: tuple[StepMessage, ...]


class Api:
    """A service of its own, with a snapshot that pipelines may name. `now`: its steady clock, which a test moves."""

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        authorizer: Authorizer | None = None,
        world: MemoryWorld | None = None,
    ) -> None:
        self.now = 0.0
        self.settings: Settings = read({"AzureWebJobsStorage": "x", "MILLSTREAM_TOKEN": TOKEN, **(settings or {})})
        self.world = world or MemoryWorld()
        self.files = MemoryFiles(self.world.account)
        self.files.install(self.world)
        Sealing(self.settings.secret_keys).install(self.world)
        self.files.put(SYSTEM, f"snapshots/{SNAPSHOT}.zip", b"zip")
        self.memory = ProcessMemory(engine_settings(self.settings))
        submitter = Submitter(
            self.memory,
            computes=self.settings.computes,
            datastores=self.settings.datastores,
            assignment_bytes=self.settings.assignment_bytes,
            function_seconds=self.settings.function_timeout,
            webhooks=WebhookRules(enabled=bool(self.settings.webhook_keys), private=self.settings.webhook_private),
        )
        self.service = Service(
            settings=self.settings,
            world=self.world,
            memory=self.memory,
            submitter=submitter,
            intake=Intake(submitter, self.settings.datastores, self.settings.changes_queue),
            api_document=openapi.document,
        )
        authorizer = authorizer or TokenAuthorizer(self.settings.token_digests)
        self.dispatcher = Dispatcher(self.service, authorizer, clock=lambda: self.now)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = TOKEN,
        headers: Mapping[str, str] | None = None,
    ) -> Called:
        """`path` is below /api/; `body` is sent as JSON, bytes as they are."""
        plain, _, query = path.partition("?")
        route, named = find(method, plain)
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        if token is not None:
            sent.setdefault("authorization", f"Bearer {token}")
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        request = Request(
            url=f"http://host:1/api/{path}",
            path=named,
            query=dict(pair.split("=", 1) for pair in query.split("&") if pair),
            headers=sent,
            body=data,
        )
        answer = self.dispatcher.answer(route, request)
        parsed = json.loads(answer.body) if answer.content_type == "application/json" else None
        return Called(answer.status, parsed, answer.headers, answer.body, answer.messages)


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route that the host would take."""
    for route in ROUTES:
        whole = re.sub(r"\{\*(\w+)\}", r"(?P<\1>.*)", route.path)
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", whole)
        if route.method == method and (match := re.fullmatch(pattern, path)):
            return route, match.groupdict()
    raise AssertionError(f"no route for {method} {path}")


def definition(**changes: Any) -> dict[str, Any]:
    """A good pipeline of two steps, as JSON."""
    first = {"id": "a", "name": "a", "kind": "python_script", "snapshot": SNAPSHOT, "settings": {"script": "a.py"}}
    second = {**first, "id": "b", "name": "b", "run_after": ["a"], "arguments": [{"kind": "parameter", "name": "rate"}]}
    return {
        "name": "pair",
        "parameters": [{"name": "rate", "type": "float", "default": 0.5}],
        "steps": [first, second],
        **changes,
    }

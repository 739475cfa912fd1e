"""The webhook of Event Grid: ``POST /runtime/webhooks/blobs?functionName=Host.Functions.X&code=<system key>``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from azurerest.errors import NotFound, StorageError
from devhost.blob_messages import BlobFunction, BlobQueue
from devhost.console import Console
from devhost.http_values import Request, Response, json_response
from devhost.keys import Keys

_CREATED = "Microsoft.Storage.BlobCreated"
_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"


class BlobWebhook:
    """Turns Event Grid events into notices on the internal queue. No receipts: events may come twice."""

    def __init__(self, functions: Mapping[str, BlobFunction], queue: BlobQueue, keys: Keys, console: Console) -> None:
        self._functions = {key.lower(): function for key, function in functions.items()}
        self._queue = queue
        self._keys = keys
        self._console = console

    async def answer(self, request: Request) -> Response | None:
        """The response, None for another route."""
        if request.path.strip("/").lower() != "runtime/webhooks/blobs" or request.method != "POST":
            return None
        if not self._keys.opens_webhook(request.key):
            return Response(status=401)
        function = self._functions.get(request.parameters.get("functionName", "").lower())
        if function is None:
            return Response(status=404)
        events = _events(request.body)
        if events is None:
            return Response(status=400)
        for event in events:
            if event.get("eventType") == _VALIDATION:
                return json_response(200, {"validationResponse": _data(event).get("validationCode", "")})
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._put_all, function, events)
        except StorageError as error:
            # Event Grid delivers again what was not accepted.
            self._console.warn(f"blob webhook: {error}")
            return Response(status=500)
        return Response(status=202)

    def _put_all(self, function: BlobFunction, events: list[dict[str, Any]]) -> None:
        for event in events:
            if event.get("eventType") == _CREATED:
                self._put(function, str(_data(event).get("url", "")))

    def _put(self, function: BlobFunction, url: str) -> None:
        container, _, blob = _path(url, function).partition("/")
        if function.pattern.match(container, blob) is None:
            return
        try:
            properties = function.blobs.head(container, blob)
        except NotFound:
            return
        self._queue.put(function, blob, properties)


def _events(body: bytes) -> list[dict[str, Any]] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    events = document if isinstance(document, list) else [document]
    return events if all(isinstance(event, dict) for event in events) else None


def _data(event: dict[str, Any]) -> dict[str, Any]:
    data = event.get("data")
    return data if isinstance(data, dict) else {}


def _path(url: str, function: BlobFunction) -> str:
    """``container/blob`` of a blob's URL; an emulator's URL has the account first."""
    base = function.blobs.service.endpoint.base.strip("/")
    path = unquote(urlsplit(url).path).lstrip("/")
    return path.removeprefix(f"{base}/") if base else path

"""The internal queue between whoever notices a blob and the function that it fires."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from azurerest.blobs import Blobs
from azurerest.blobtypes import BlobProperties
from azurerest.errors import NotFound
from azurerest.queues import Message, Queues
from devhost import wire
from devhost.blob_pattern import BlobPattern
from devhost.console import Console
from devhost.index import BlobTrigger, FunctionSpec
from devhost.runner import Runner, TriggerValue
from devhost.storage import decode_message, encode_message

POISON_QUEUE = "webjobs-blobtrigger-poison"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobFunction:
    """A blob-triggered function with all it needs."""

    spec: FunctionSpec
    trigger: BlobTrigger
    pattern: BlobPattern
    blobs: Blobs
    account: str

    @property
    def id(self) -> str:
        """Its name in receipts, messages and the webhook."""
        return f"Host.Functions.{self.spec.name}"


class BlobQueue:
    """``azure-webjobs-blobtrigger-<host>``: puts notices, and handles them as a queue listener's handler."""

    def __init__(
        self,
        queues: Queues,
        host_id: str,
        functions: Mapping[str, BlobFunction],
        runner: Runner,
        console: Console,
        wake: Callable[[], None],
    ) -> None:
        self.name = f"azure-webjobs-blobtrigger-{host_id}"
        self._queues = queues
        self._functions = functions
        self._runner = runner
        self._console = console
        self._wake = wake

    def put(self, function: BlobFunction, blob: str, properties: BlobProperties) -> None:
        """Tell that a blob is to be handled.

        Raises:
            StorageError: the notice could not be put.
        """
        notice = {
            "Type": "BlobTrigger",
            "FunctionId": function.id,
            "BlobType": properties.kind,
            "ContainerName": function.pattern.container,
            "BlobName": blob,
            "ETag": properties.etag,
        }
        raw = encode_message(json.dumps(notice).encode(), as_base64=True)
        try:
            self._queues.put(self.name, raw)
        except NotFound:
            self._queues.create(self.name)
            self._queues.put(self.name, raw)
        self._wake()

    def __call__(self, message: Message) -> bool:
        """Run the function a notice is about; True also when there is nothing to run any more."""
        notice = _read(message)
        if notice is None:
            self._console.warn(f"message {message.id} of queue {self.name} is not a blob notice: dropped")
            return True
        function = self._functions.get(str(notice.get("FunctionId")))
        if function is None:
            return True
        name = str(notice.get("BlobName"))
        container = str(notice.get("ContainerName"))
        captured = function.pattern.match(container, name)
        if captured is None:
            return True
        try:
            blob = function.blobs.get(container, name)
        except NotFound:
            return True
        if not function.trigger.event_grid and blob.properties.etag != notice.get("ETag"):
            # Changed meanwhile: the scanner finds the newer version by itself.
            return True
        value = blob_value(function, name, blob.data, blob.properties, captured)
        return self._runner.run(function.spec, value).ok


def _read(message: Message) -> dict[str, Any] | None:
    body = decode_message(message.body, as_base64=True)
    try:
        notice = json.loads(body) if body is not None else None
    except ValueError:
        return None
    return notice if isinstance(notice, dict) else None


def blob_value(
    function: BlobFunction, name: str, content: bytes, properties: BlobProperties, captured: Mapping[str, str]
) -> TriggerValue:
    """The trigger value of a blob."""
    container = function.pattern.container
    described = {
        "LastModified": properties.last_modified.isoformat(),
        "ETag": properties.etag,
        "ContentLength": properties.size,
        "ContentType": properties.content_type,
        "BlobType": properties.kind,
    }
    texts = {"BlobTrigger": f"{container}/{name}", "Uri": function.blobs.url(container, name), **captured}
    metadata = {key: wire.string(value) for key, value in texts.items()}
    metadata["Properties"] = wire.json(json.dumps(described))
    metadata["Metadata"] = wire.json(json.dumps(properties.metadata))
    data = {**texts, "Properties": described, "Metadata": properties.metadata}
    datum = wire.string(content.decode(errors="replace")) if function.trigger.text else wire.blob(content)
    return TriggerValue(datum=datum, metadata=metadata, data=data)

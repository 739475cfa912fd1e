"""Reads input bindings before a call and writes output bindings after it."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from typing import Any

from azurerest.errors import NotFound, StorageError
from devhost import wire
from devhost.errors import ConfigError, InputMissing, OutputRefused
from devhost.expressions import UnknownExpression, resolve
from devhost.index import BlobBinding, FunctionSpec, HttpOutput, QueueOutput
from devhost.storage import Storage, encode_message

Wake = Callable[[str, str], None]  # connection's account name, queue name
_RETURN = "$return"


class Bindings:
    """The storage side of input and output bindings."""

    def __init__(self, storage: Storage, *, as_base64: bool, wake: Wake) -> None:
        self._storage = storage
        self._as_base64 = as_base64
        self._wake = wake

    def read_inputs(self, spec: FunctionSpec, data: Mapping[str, Any]) -> list[tuple[str, wire.Datum]]:
        """The values of the input bindings; a blob that does not exist is "no value".

        Raises:
            InputMissing: a blob cannot be read.
        """
        return [(binding.name, self._read_blob(binding, data)) for binding in spec.inputs]

    def write_outputs(self, spec: FunctionSpec, done: wire.Done, data: Mapping[str, Any]) -> wire.Datum | None:
        """Write what the function gave; returns the HTTP response value, if it has one.

        Raises:
            OutputRefused: a value does not fit its binding, or storage refuses it.
        """
        values = dict(done.outputs)
        if done.result is not None:
            values[_RETURN] = done.result
        response: wire.Datum | None = None
        for output in spec.outputs:
            value = values.get(output.name)
            if isinstance(output, HttpOutput):
                response = value
            elif value is not None:
                self._write(output, value, data)
        return response

    def _write(self, output: QueueOutput | BlobBinding, value: wire.Datum, data: Mapping[str, Any]) -> None:
        try:
            if isinstance(output, QueueOutput):
                self._put_messages(output, value, data)
            else:
                self._put_blob(output, value, data)
        except (StorageError, UnknownExpression, ConfigError, ValueError) as error:
            raise OutputRefused(f"output binding {output.name!r}: {error}") from error

    def _read_blob(self, binding: BlobBinding, data: Mapping[str, Any]) -> wire.Datum:
        try:
            container, blob = _blob_path(binding.path, data)
            content = self._storage.blobs(binding.connection).get(container, blob).data
        except NotFound:
            return wire.NOTHING
        except (StorageError, UnknownExpression, ConfigError) as error:
            raise InputMissing(f"input binding {binding.name!r}: {error}") from error
        return wire.string(content.decode(errors="replace")) if binding.text else wire.blob(content)

    def _put_blob(self, output: BlobBinding, value: wire.Datum, data: Mapping[str, Any]) -> None:
        container, blob = _blob_path(output.path, data)
        content = value.data if value.kind == "bytes" else value.text.encode()
        blobs = self._storage.blobs(output.connection)
        try:
            blobs.put(container, blob, content)
        except NotFound:
            blobs.create_container(container)
            blobs.put(container, blob, content)

    def _put_messages(self, output: QueueOutput, value: wire.Datum, data: Mapping[str, Any]) -> None:
        queue = resolve(output.queue, data, _now()).lower()
        queues = self._storage.queues(output.connection)
        account = self._storage.account(output.connection).name
        for body in queue_messages(value):
            raw = encode_message(body, as_base64=self._as_base64)
            try:
                queues.put(queue, raw)
            except NotFound:
                queues.create(queue)
                queues.put(queue, raw)
            # Before the next put and before the trigger's own message is deleted: the hop waits for nothing else.
            self._wake(account, queue)


def queue_messages(value: wire.Datum) -> list[bytes]:
    """The message bodies that the real host makes of one output value.

    A text that looks like JSON is parsed and written anew: an array becomes a message per element, an object comes out
    indented. Bytes, and the texts inside an array, stay as they are.

    Raises:
        ValueError: the text looks like JSON and is not.
    """
    if value.kind == "bytes":
        return [value.data]
    text = value.text
    if value.kind != "json" and not _looks_like_json(text):
        return [text.encode()]
    token = json.loads(text)
    return [_body(item) for item in (token if isinstance(token, list) else [token])]


def _body(item: Any) -> bytes:
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, (dict, list)):
        return json.dumps(item, indent=2, ensure_ascii=False).encode()
    # What .NET's ToString() makes of JSON's other values.
    return b"" if item is None else str(item).encode()


def _looks_like_json(text: str) -> bool:
    trimmed = text.strip()
    return (trimmed[:1], trimmed[-1:]) in (("{", "}"), ("[", "]"))


def _blob_path(template: str, data: Mapping[str, Any]) -> tuple[str, str]:
    container, _, blob = resolve(template, data, _now()).partition("/")
    return container, blob


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)

"""The pipeline definition: the flat JSON document that a client compiles and the service runs.

Described for people and machines in docs/definition.md and docs/definition.schema.json (generated from here). Arguments
are tagged values, never strings to be parsed back. An edge is the `source` of an input port, so an input has exactly
one. Decoding is strict: an unknown field is an error that names its place.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from orchestrator.core.errors import InvalidRequest
from orchestrator.core.retry import RetryPolicy

SCHEMA = "millstream/pipeline/1"

ParameterValue = bool | int | float | str


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Literal(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="literal"):
    """The text itself."""

    value: str


class FromParameter(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="parameter"):
    """The value that the run gives to the pipeline parameter `name`."""

    name: str


class FromInput(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="input"):
    """The local path where the step finds its input port `name`."""

    name: str


class FromOutput(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="output"):
    """The local path where the step writes its output port `name`."""

    name: str


Argument = Literal | FromParameter | FromInput | FromOutput


class StepSource(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="step"):
    """What the step with id `step` committed under its output port `output`."""

    step: str
    output: str


class DatastoreSource(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="datastore"):
    """A blob, or every blob below a prefix, of a datastore."""

    datastore: str
    path: str


Source = StepSource | DatastoreSource


class Input(_Strict, frozen=True, kw_only=True):
    """An input port. `mode` is "mount" or "download"; here both bring a copy before the script starts."""

    name: str
    source: Source
    mode: str = "mount"
    path_on_compute: str | None = None


class Output(_Strict, frozen=True, kw_only=True):
    """An output port. With mode "upload", `path_on_compute` says where, in the working folder, the script writes."""

    name: str
    datastore: str = "workspaceblobstore"
    mode: str = "mount"
    path_on_compute: str | None = None
    is_directory: bool | None = None


class Parameter(_Strict, frozen=True, kw_only=True):
    """A pipeline parameter. `type` is "int", "float", "bool" or "string"."""

    name: str
    type: str
    default: ParameterValue


class Step(_Strict, frozen=True, kw_only=True):
    """A node of the graph. `id` is unique in the pipeline; `name` is what people see and need not be.

    `settings` belong to the kind of step; `snapshot` is the content address of the source folder it runs from.
    """

    id: str
    name: str
    kind: str
    compute: str = "function"
    snapshot: str | None = None
    settings: dict[str, Any] = {}
    arguments: tuple[Argument, ...] = ()
    environment: dict[str, Literal | FromParameter] = {}
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    run_after: tuple[str, ...] = ()
    allow_reuse: bool = True
    version: str | None = None
    retry: RetryPolicy = RetryPolicy()
    timeout_seconds: float | None = None


class Definition(_Strict, frozen=True, kw_only=True):
    """A whole pipeline."""

    schema: str = SCHEMA
    name: str
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    steps: tuple[Step, ...]


_decode = msgspec.json.Decoder(Definition).decode


def encode(definition: Definition) -> bytes:
    """Canonical JSON: equal definitions give equal bytes, hence equal addresses."""
    return msgspec.json.encode(definition, order="sorted")


def decode(document: bytes) -> Definition:
    """Read a definition. Raises InvalidRequest naming the field when the shape is wrong; rules are `validate`'s."""
    try:
        return _decode(document)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise invalid_shape(error, "definition") from None


def invalid_shape(error: Exception, root: str) -> InvalidRequest:
    """Turn a decoder's complaint into our error: msgspec ends its text in ` - at `$.steps[0].name``."""
    text, _, place = str(error).partition(" - at `$")
    field = root + place.rstrip("`") if place else root
    return InvalidRequest(f"{text} (at {field}).", field=field)


def address(document: bytes) -> str:
    """The content address of a definition: sha256 over its canonical bytes, in hex."""
    return hashlib.sha256(document).hexdigest()

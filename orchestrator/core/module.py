"""What a module version holds: a step that is not part of a pipeline yet, with ports instead of data.

A step of a pipeline is made of it by naming what its ports stand for. The document is kept under its content address,
so that the same module published twice is found again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import msgspec

from orchestrator.core.definition import (
    Argument,
    DatastoreSource,
    Definition,
    Input,
    Literal,
    Output,
    Parameter,
    Step,
)
from orchestrator.core.errors import Problem
from orchestrator.core.parameters import type_of
from orchestrator.core.resolving import references
from orchestrator.core.validation import validate

ANYWHERE = "workspaceblobstore"
"""Stands for the datastore of a port that names none."""


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class ModuleInput(_Strict, frozen=True, kw_only=True):
    """An input port. `data_types` and `label` are for people."""

    name: str
    mode: str = "mount"
    path_on_compute: str | None = None
    optional: bool = False
    data_types: tuple[str, ...] = ()
    label: str = ""


class ModuleOutput(_Strict, frozen=True, kw_only=True):
    """An output port. `datastore`, `mode` and the rest are for outputs that say nothing else."""

    name: str
    datastore: str | None = None
    mode: str = "mount"
    path_on_compute: str | None = None
    is_directory: bool | None = None
    data_type: str | None = None
    label: str = ""


class ModuleParameter(_Strict, frozen=True, kw_only=True):
    """A value that the module is used with, if a step gives no other. The script has it as AML_PARAMETER_<name>."""

    name: str
    default: bool | int | float | str


class ModuleDocument(_Strict, frozen=True, kw_only=True):
    """The parts of a `definition.Step`, whose arguments refer to the module's own ports and parameters.

    Settings and environment are plain: nothing in them stands for a parameter.
    """

    kind: str
    snapshot: str | None = None
    settings: dict[str, Any] = {}
    arguments: tuple[Argument, ...] = ()
    environment: dict[str, str] = {}
    inputs: tuple[ModuleInput, ...] = ()
    outputs: tuple[ModuleOutput, ...] = ()
    parameters: tuple[ModuleParameter, ...] = ()
    source_files: tuple[str, ...] = ()


def encode(document: ModuleDocument) -> bytes:
    """Canonical JSON: equal documents give equal bytes."""
    return msgspec.json.encode(document, order="sorted")


decode = msgspec.json.Decoder(ModuleDocument).decode


def address(document: ModuleDocument) -> str:
    """sha256 over the canonical bytes, in hex."""
    return hashlib.sha256(encode(document)).hexdigest()


def problems(document: ModuleDocument) -> list[Problem]:
    """What would keep any step of the module from running; fields begin with `document`."""
    stores = {port.datastore or ANYWHERE for port in document.outputs}
    found = validate(as_pipeline(document), computes=("function",), datastores={ANYWHERE, *stores})
    errors = [replace(it, field=_place(it.field)) for it in found if it.severity == "error"]
    if any(references(document.settings)):
        fix = "Give the value itself; a step of the module gives others in its params."
        errors.append(Problem("InvalidSettings", "document.settings", "A parameter stands in the settings.", fix))
    return errors


def _place(field: str) -> str:
    """Where in the document it is, of a field of `as_pipeline`."""
    return f"document.{field.removeprefix('steps[0].')}"


def as_pipeline(document: ModuleDocument) -> Definition:
    """A pipeline of one step of the module, whose ports stand for anything."""
    step = Step(
        id="module",
        name="module",
        kind=document.kind,
        snapshot=document.snapshot,
        settings=document.settings,
        arguments=document.arguments,
        environment={name: Literal(value=text) for name, text in document.environment.items()},
        inputs=tuple(
            Input(
                name=port.name,
                source=DatastoreSource(datastore=ANYWHERE, path="x"),
                mode=port.mode,
                path_on_compute=port.path_on_compute,
            )
            for port in document.inputs
        ),
        outputs=tuple(
            Output(
                name=port.name,
                datastore=port.datastore or ANYWHERE,
                mode=port.mode,
                path_on_compute=port.path_on_compute,
            )
            for port in document.outputs
        ),
        source_files=document.source_files,
    )
    declared = (Parameter(name=it.name, type=type_of(it.default), default=it.default) for it in document.parameters)
    return Definition(name="module", parameters=tuple(declared), steps=(step,))


class Versioned(Protocol):
    """What a version is chosen by: its text, the order of publication and whether it may be used."""

    @property
    def version(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def status(self) -> str: ...


V = TypeVar("V", bound=Versioned)
_DOTTED = re.compile(r"\d+(?:\.\d+)*", re.ASCII)


def default_of(versions: Iterable[V], named: str) -> V | None:
    """The version that is used where none is asked for (azureml-v1).

    The one that was `named` the default; else the highest whose text is numbers and dots, compared number by number;
    else the one published last. Disabled versions do not count.
    """
    usable = [it for it in versions if it.status != "Disabled"]
    chosen = next((it for it in usable if named and it.version == named), None)
    if chosen is not None:
        return chosen
    dotted = [it for it in usable if _DOTTED.fullmatch(it.version)]
    if dotted:
        return max(dotted, key=lambda it: (_numbers(it.version), it.number))
    return max(usable, key=lambda it: it.number, default=None)


def _numbers(version: str) -> tuple[int, ...]:
    """1.2 and 1.2.0 are the same."""
    numbers = [int(part) for part in version.split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)

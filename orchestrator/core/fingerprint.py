"""The fingerprint of a step: a name for the work it would do, made of everything that decides what comes out.

Two steps with equal fingerprints do equal work on equal content, so what one has made serves the other. What is random,
private to a run, or a matter of place (run ids, paths on the node, the compute, dates) is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from orchestrator.core.dataset import DatasetView
from orchestrator.core.definition import Definition, ParameterValue, Step
from orchestrator.core.resolving import parameters_used, resolve_path
from orchestrator.core.result import File

RULES = 1
"""Counts up when fingerprints are made differently, so that those made before match no more."""
MOST_NAMES = 200
"""Files of one input that are remembered by name, to tell which of them have changed."""


class _Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class Content(_Value, frozen=True, kw_only=True):
    """What an input is fed, told by content: `digest` is equal for equal content, "" if it cannot be told (`unknown`).

    `names`: file -> what changes with its bytes, left out where there are many. `read`: the `ReadData.fingerprint` of
    an attempt that reads just this. `volatile`: that cannot be told, so look again when the attempt has ended.
    """

    digest: str = ""
    names: dict[str, str] = {}
    read: str = ""
    volatile: bool = False
    unknown: str = ""


class InputPart(_Value, frozen=True, kw_only=True):
    """An input port's share. `source` says for people where its content comes from."""

    digest: str
    shape: str
    source: str = ""
    names: dict[str, str] = {}


class Ingredients(_Value, frozen=True, kw_only=True):
    """What a fingerprint is made of, kept so that people can be told why two differ.

    `code` stands for the source files that count, `snapshot` is the whole folder. Settings, arguments, variables and
    outputs are JSON texts in which ports and parameters are named, not filled in; `parameters` are the values of those
    it uses. `environment` is the name of what it runs in; `packages`, those it asks for, only tell people of it.
    """

    name: str
    kind: str
    version: str
    code: str
    snapshot: str
    settings: str
    arguments: tuple[str, ...]
    variables: dict[str, str]
    parameters: dict[str, ParameterValue]
    environment: str
    inputs: dict[str, InputPart]
    outputs: dict[str, str]
    packages: tuple[str, ...] = ()
    rules: int = RULES

    @property
    def fingerprint(self) -> str:
        """sha256 in hex."""
        inputs = {name: [part.shape, part.digest] for name, part in self.inputs.items()}
        counted = msgspec.structs.asdict(self) | {"inputs": inputs, "snapshot": ""}
        del counted["packages"]
        return digest_of(counted)

    @property
    def lineage(self) -> str:
        """The name that all fingerprints of one step of one pipeline share, however its content changes: 32 hex."""
        return lineage_of(self.kind, self.name)


def lineage_of(kind: str, name: str) -> str:
    return digest_of([kind, name])[:32]


def encode(ingredients: Ingredients) -> str:
    return msgspec.json.encode(ingredients).decode()


decode = msgspec.json.Decoder(Ingredients).decode


def ingredients_of(
    step: Step,
    *,
    parameters: Mapping[str, ParameterValue],
    code: str,
    environment: str,
    contents: Mapping[str, Content],
    packages: tuple[str, ...] = (),
) -> Ingredients:
    """The ingredients of a step. `contents` has an entry for each of its input ports."""
    used = parameters_used(msgspec.structs.replace(step, timeout_seconds=None, condition=None))
    return Ingredients(
        name=step.name,
        kind=step.kind,
        version=step.version or "",
        code=code,
        snapshot=step.snapshot or "",
        settings=_settings(step),
        arguments=tuple(_text(argument) for argument in step.arguments),
        variables={name: _text(value) for name, value in sorted(step.environment.items())},
        parameters={name: parameters[name] for name in sorted(used) if name in parameters},
        environment=environment,
        inputs={
            port.name: InputPart(
                digest=contents[port.name].digest,
                shape=_text([port.mode, port.path_on_compute]),
                source=_source(port.source, parameters),
                names=contents[port.name].names,
            )
            for port in step.inputs
        },
        # What the run calls it decides nothing of what is made.
        outputs={port.name: _text(msgspec.structs.replace(port, pipeline_output=None)) for port in step.outputs},
        packages=packages,
    )


def _settings(step: Step) -> str:
    # What settings say of the environment is in its name, however it is said.
    plain = {name: value for name, value in step.settings.items() if name != "environment"}
    return _text(plain) if step.template is None else _text([plain, _unhurried(step.template)])


def _unhurried(definition: Definition) -> Definition:
    """Without the priorities of its steps, which decide nothing of what they make."""
    steps = tuple(
        msgspec.structs.replace(step, priority=None, template=step.template and _unhurried(step.template))
        for step in definition.steps
    )
    return msgspec.structs.replace(definition, steps=steps)


def committed_content(files: Iterable[File], *, file_name: str | None, view: DatasetView | None) -> Content:
    """The content of an upstream output: its files. `file_name`: what it is called, if it is a file and no folder."""
    sums = {file.path: file.sha256 or file.version for file in files}
    sizes = {file.path: file.size for file in files}
    identity = [file_name, view, sorted((path, sizes[path], sha256) for path, sha256 in sums.items())]
    return Content(digest=digest_of(identity), names=few(sums))


def few(names: Mapping[str, str]) -> dict[str, str]:
    """As many names as are worth remembering one by one: all, or none."""
    return {name: names[name][:16] for name in sorted(names)} if len(names) <= MOST_NAMES else {}


def digest_of(value: Any) -> str:
    """sha256 in hex over the canonical JSON of a value."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


def _text(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


def _source(source: Any, parameters: Mapping[str, ParameterValue]) -> str:
    match source:
        case _ if hasattr(source, "output"):
            return f"output {source.output} of step {source.step}"
        case _ if hasattr(source, "datastore"):
            return f"{source.datastore}/{resolve_path(source.path, parameters)}"
        case _ if hasattr(source, "input"):
            return f"input {source.input} of the step above"
        case _ if hasattr(source, "name"):
            return f"parameter {source.name}"
        case _:
            return "dataset"

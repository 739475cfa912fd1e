"""The definition described for machines (JSON Schema) and for people (a page), from the code itself.

The results are kept as docs/definition.schema.json and docs/definition.md; a test fails when they are stale.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from orchestrator.core import definition as document
from orchestrator.core.dataset import DatasetView
from orchestrator.core.descriptions import tidied
from orchestrator.core.environments.spec import CondaFile, EnvironmentSpec, RPackages
from orchestrator.core.kinds import KINDS
from orchestrator.core.retry import RetryPolicy
from orchestrator.core.validation import RULES

OBJECTS: tuple[type[msgspec.Struct], ...] = (
    document.Definition,
    document.Parameter,
    document.Step,
    document.Input,
    document.Output,
    document.Registration,
    document.StepSource,
    document.DatastoreSource,
    document.DatasetSource,
    document.ParameterSource,
    document.ParentSource,
    document.Condition,
    document.MetricOf,
    document.PropertyOf,
    document.OutputText,
    document.DataPathValue,
    document.DatasetValue,
    document.Literal,
    document.FromParameter,
    document.FromInput,
    document.FromOutput,
    document.Text,
    DatasetView,
    EnvironmentSpec,
    CondaFile,
    RPackages,
    RetryPolicy,
)

EXAMPLE = document.Definition(
    name="iris",
    parameters=(document.Parameter(name="reg_rate", type="float", default=0.01),),
    steps=(
        document.Step(
            id="prepare",
            name="Prepare",
            kind="python_script",
            snapshot="3f" * 32,
            settings={"script": "prepare.py"},
            inputs=(
                document.Input(
                    name="raw", source=document.DatastoreSource(datastore="workspaceblobstore", path="data/iris.csv")
                ),
            ),
            outputs=(document.Output(name="clean"),),
            arguments=(document.FromInput(name="raw"), document.FromOutput(name="clean")),
        ),
        document.Step(
            id="train",
            name="Train",
            kind="python_script",
            snapshot="3f" * 32,
            settings={"script": "train.py"},
            inputs=(document.Input(name="clean", source=document.StepSource(step="prepare", output="clean")),),
            arguments=(
                document.Literal(value="--reg"),
                document.FromParameter(name="reg_rate"),
                document.FromInput(name="clean"),
            ),
        ),
    ),
)

INTRODUCTION = """# The pipeline definition

A pipeline is one flat JSON document: steps, their named input and output ports, and parameters. Clients compile it; the
service checks it, keeps it under its content address (sha256 of its canonical bytes) and runs it. The machine-readable
form of this page is [definition.schema.json](definition.schema.json). An unknown field is an error.

An edge of the graph is the `source` of an input port: another step's output, a path in a datastore, a saved dataset, or
a parameter that stands for one of the latter two. `run_after` orders two steps without data. Arguments are tagged
values that the step's worker resolves; they are never parsed.
"""


def schema() -> bytes:
    """The JSON Schema (2020-12) of a definition, with the settings of each kind of step."""
    kinds = {name: kind.settings for name, kind in KINDS.items()}
    (root, *_), components = msgspec.json.schema_components(
        [document.Definition, *kinds.values()], ref_template="#/$defs/{name}"
    )
    for settings in kinds.values():
        properties = components[settings.__name__]["properties"]
        components[settings.__name__]["properties"] = {name: _or_reference(it) for name, it in properties.items()}
    components["Step"]["allOf"] = [
        {
            "if": {"properties": {"kind": {"const": name}}},
            "then": {"properties": {"settings": {"$ref": f"#/$defs/{settings.__name__}"}}},
        }
        for name, settings in kinds.items()
    ]
    whole = tidied({"$schema": "https://json-schema.org/draft/2020-12/schema", **root, "$defs": components})
    return msgspec.json.format(msgspec.json.encode(whole, order="sorted"), indent=2) + b"\n"


def _or_reference(value: dict[str, Any]) -> dict[str, Any]:
    """A setting, or what stands for it."""
    return {"anyOf": [value, {"$ref": "#/$defs/FromParameter"}, {"$ref": "#/$defs/Text"}]}


def page() -> str:
    """The page for people, in Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield INTRODUCTION
    yield "## Example\n"
    example = msgspec.json.format(document.encode(EXAMPLE), indent=2).decode()
    yield f"```json\n{example}\n```\n"
    yield "## Objects\n"
    for struct in OBJECTS:
        yield from _object(struct)
    yield "## Kinds of step\n"
    for name, kind in KINDS.items():
        yield f"### `{name}`\n"
        yield _prose(kind.settings) + "\n"
        yield from _fields(kind.settings)
    yield "## Rules\n"
    yield "All of them speak at once, each with the field and what to do about it.\n"
    for rule in RULES:
        yield f"- {_prose(rule)}"


def _object(struct: type[msgspec.Struct]) -> Iterator[str]:
    yield f"### {struct.__name__}\n"
    yield _prose(struct) + "\n"
    yield from _fields(struct)


def _fields(struct: type[msgspec.Struct]) -> Iterator[str]:
    yield "| field | type | default |"
    yield "|---|---|---|"
    config = struct.__struct_config__
    if config.tag is not None:
        yield f'| `{config.tag_field}` | always `"{config.tag}"` | required |'
    for field in msgspec.structs.fields(struct):
        yield f"| `{field.encode_name}` | {_type(field.type)} | {_default(field)} |"
    yield ""


def _type(annotation: Any) -> str:
    """A type as people write it: `str \\| None`, `list of Step` ..."""
    text = annotation.__name__ if isinstance(annotation, type) and not _is_generic(annotation) else str(annotation)
    text = re.sub(r"[\w.]*\.(?=\w)", "", text)
    text = re.sub(r"tuple\[(.+), \.\.\.\]", r"list of \1", text)
    return text.replace("|", "\\|")


def _is_generic(annotation: Any) -> bool:
    return hasattr(annotation, "__args__")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
    return f"`{msgspec.json.encode(value).decode()}`"


def _prose(thing: Any) -> str:
    return " ".join((inspect.getdoc(thing) or "").split())
